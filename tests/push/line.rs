//! The line to a collector, which breaks in every way that lines break: what comes back over it is held, cut, twisted.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Nobody listens.
    Down,
    /// Somebody listens, and says nothing.
    Silence,
    /// Somebody else is there, who says this.
    Says(&'static [u8]),
    /// An answer takes so long a byte.
    Drip(Duration),
    /// The first answer of each connection ends here, and the connection with it.
    Cut(Place),
    /// Every bit of an answer's odd places is the other one.
    Twisted,
}

/// Where an answer is cut. The collector has the request by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    BeforeHead,
    /// Of HTTP/1 only.
    WithinHead,
    BehindHead,
    WithinBody,
    /// Of HTTP/2 only.
    BeforeTrailers,
}

/// A line at work, in a thread of its own.
pub(crate) struct Line {
    pub(crate) port: u16,
    fault: watch::Sender<Fault>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// To whoever listens on this port of the loopback.
    pub(crate) fn to(port: u16) -> Line {
        let (fault, faults) = watch::channel(Fault::None);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                tokio::select! {
                    () = serve(listener, (Ipv4Addr::LOCALHOST, port).into(), faults) => {}
                    _ = stopped => {}
                }
            });
        });
        Line { port: told.recv().unwrap(), fault, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on this is wrong with it. Connections that are open are cut.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, collector: SocketAddr, mut faults: watch::Receiver<Fault>) {
    let place = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    loop {
        let fault = *faults.borrow_and_update();
        if fault == Fault::Down {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(place).await.unwrap());
        }
        // They end with the fault.
        let mut connections = JoinSet::new();
        loop {
            let accept = async {
                match &listener {
                    Some(listener) => listener.accept().await.unwrap().0,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = faults.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                stream = accept => drop(connections.spawn(carry(stream, collector, fault))),
            }
        }
    }
}

async fn carry(client: TcpStream, collector: SocketAddr, fault: Fault) {
    client.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let words = match fault {
        Fault::Says(words) => words,
        Fault::Silence => b"",
        _ => {
            let Ok(server) = TcpStream::connect(collector).await else { return };
            server.set_nodelay(true).unwrap();
            let (from_server, mut to_server) = server.into_split();
            tokio::select! {
                _ = copy(&mut from_client, &mut to_server) => {}
                () = back(from_server, to_client, fault) => {}
            }
            return;
        }
    };
    let _ = to_client.write_all(words).await;
    let _ = copy(&mut from_client, &mut sink()).await;
}

/// Carries what the collector answers, as the fault allows.
async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let (mut heard, mut part) = (Vec::new(), vec![0; 64 << 10]);
    while let Ok(length @ 1..) = from.read(&mut part).await {
        let told = heard.len();
        let part = &mut part[..length];
        if fault == Fault::Twisted {
            part.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        if let Fault::Drip(pause) = fault {
            for byte in &*part {
                tokio::time::sleep(pause).await;
                if to.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
            continue;
        }
        let mut end = None;
        if let Fault::Cut(place) = fault {
            heard.extend_from_slice(part);
            end = cut(place, &heard);
        }
        let carried = end.map_or(&*part, |end| &heard[told.min(end)..end]);
        if to.write_all(carried).await.is_err() || end.is_some() {
            return;
        }
    }
}

/// How much of what was heard goes through, where all that does was heard.
fn cut(place: Place, heard: &[u8]) -> Option<usize> {
    if heard.first() == Some(&b'H') {
        let head = heard.windows(4).position(|window| window == b"\r\n\r\n").map(|found| found + 4);
        return match place {
            Place::BeforeHead => Some(0),
            Place::WithinHead => (heard.len() > 12).then_some(12),
            Place::BehindHead => head,
            Place::WithinBody | Place::BeforeTrailers => head.filter(|head| heard.len() > *head).map(|head| head + 1),
        };
    }
    let (mut at, mut heads) = (0, 0);
    while let Some([high, middle, low, kind]) = heard.get(at..at + 4) {
        let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        let end = at + 9 + length;
        heads += usize::from(*kind == HEADERS);
        match (*kind, place) {
            (HEADERS, Place::BeforeHead | Place::WithinHead) => return Some(at),
            (HEADERS, Place::BeforeTrailers) if heads == 2 => return Some(at),
            (HEADERS, Place::BehindHead) if end <= heard.len() => return Some(end),
            (DATA, Place::WithinBody) if end <= heard.len() => return Some(end - length / 2),
            _ => at = end,
        }
    }
    None
}

/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
