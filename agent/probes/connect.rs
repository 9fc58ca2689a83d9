//! From an address to a stream: the name is resolved, and every address that it has is tried.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, send, socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::address::Address;
use super::aside::Aside;
use super::failure::{ProbeError, Reason};
use super::ip::Ip;
use super::{LABELS, Report};
use crate::metric::{Metric, Unit};

static LOOKUP: Metric = Metric::gauge(
    "probe_dns_lookup_time_seconds",
    Unit::Seconds,
    "How long it took to find the addresses of the name.",
)
.labels(LABELS)
.otel("vigie.probe.dns.lookup.duration");
static PROTOCOL: Metric =
    Metric::gauge("probe_ip_protocol", Unit::One, "Over which IP the target was asked: 4 or 6.").labels(LABELS);
static HASH: Metric = Metric::gauge(
    "probe_ip_addr_hash",
    Unit::One,
    "A hash of the target's address: when it changes, so has the address.",
)
.labels(LABELS);
/// What every probe that looks at an answer says of it.
pub static FAILED_DUE_TO_REGEX: Metric = Metric::gauge(
    "probe_failed_due_to_regex",
    Unit::One,
    "Whether the check failed as the target said something else than expected.",
)
.labels(LABELS);

/// Every metric of whoever connects.
pub static METRICS: &[&Metric] = &[&LOOKUP, &PROTOCOL, &HASH, &FAILED_DUE_TO_REGEX];

/// The most lookups of names at a time, each on a thread: a resolver that hangs must not cost a thread a probe.
static LOOKUPS: Semaphore = Semaphore::const_new(16);

/// How long an address is given before the next one is tried beside it (RFC 8305, "Connection Attempt Delay").
const HEAD_START: Duration = Duration::from_millis(250);

/// The most addresses of a name that are tried.
const ADDRESSES: usize = 8;

/// A stream to a target.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

/// Who connects for one probe.
#[derive(Debug, Default)]
pub struct Connector {
    lookup: Aside,
    ip: Ip,
}

impl Connector {
    /// Tries these of a name's addresses.
    pub fn over(ip: Ip) -> Connector {
        Connector { lookup: Aside::default(), ip }
    }

    /// Connects, and writes over which IP and how long the lookup took.
    ///
    /// # Errors
    /// Where the name has no address, or none of its addresses can be connected to: the first one's reason.
    pub async fn connect(&self, address: &Address, report: &mut Report) -> Result<Stream, ProbeError> {
        match address {
            Address::Port { host, port } => {
                let addresses = self.resolve(host, *port, report).await?;
                report.doing("connecting");
                reach(address, addresses, Some(report)).await.map(Stream::Tcp)
            }
            Address::Unix(path) => {
                report.doing("connecting");
                let stream = UnixStream::connect(path).await;
                stream.map(Stream::Unix).map_err(|error| ProbeError::connect(&address.to_string(), &error))
            }
        }
    }

    /// The addresses of a host, in the order in which they are tried; writes how long that took.
    ///
    /// # Errors
    /// Where it has none.
    pub async fn resolve(&self, host: &str, port: u16, report: &mut Report) -> Result<Vec<SocketAddr>, ProbeError> {
        report.doing("looking the name up");
        let begun = Instant::now();
        let literal = host.parse::<IpAddr>().is_ok();
        let addresses = self.look_up(host, port).await;
        if literal || addresses.as_ref().is_ok_and(|addresses| !addresses.is_empty()) {
            report.put(&LOOKUP, if literal { 0.0 } else { begun.elapsed().as_secs_f64() });
        }
        addresses
    }

    /// The same, and writes nothing: for whoever is sent on from the target.
    ///
    /// # Errors
    /// Where it has none.
    pub async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ProbeError> {
        let none = |why: &str| ProbeError::new(Reason::Dns, format!("{host} has no address: {why}"));
        let mut addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let permit = LOOKUPS.acquire().await.map_err(|closed| none(&closed.to_string()))?;
                let name = host.to_owned();
                let look = move || {
                    let _permit = permit;
                    (name.as_str(), port).to_socket_addrs().map(|found| found.take(ADDRESSES).collect::<Vec<_>>())
                };
                self.lookup.run(look).await?.map_err(|error| none(&error.to_string()))?
            }
        };
        if addresses.is_empty() {
            return Err(none("the answer is empty"));
        }
        self.ip.choose(&mut addresses);
        match self.ip.only() {
            Some(version) if addresses.is_empty() => {
                Err(ProbeError::new(Reason::Dns, format!("{host} has no address of IPv{version}"))
                    .mend("add one to its zone, or let `ip` be \"any\""))
            }
            _ => Ok(addresses),
        }
    }
}

/// Connects to whichever of the addresses of `whom` answers first, and writes which it is; the first of them, where none
/// does.
///
/// # Errors
/// Where none of them does: the first one's reason.
pub async fn reach(
    whom: &impl Display,
    addresses: Vec<SocketAddr>,
    report: Option<&mut Report>,
) -> Result<TcpStream, ProbeError> {
    let first = addresses.first().map(SocketAddr::ip);
    let Some(report) = report else { return Ok(connected(whom, addresses).await?.0) };
    if let Some(first) = first {
        told(first, report);
    }
    let (stream, address) = connected(whom, addresses).await?;
    if Some(address.ip()) != first {
        report.forget(&[&PROTOCOL, &HASH]);
        told(address.ip(), report);
    }
    Ok(stream)
}

type Reached = (TcpStream, SocketAddr);

async fn connected(whom: &impl Display, addresses: Vec<SocketAddr>) -> Result<Reached, ProbeError> {
    any_of(addresses).await.map_err(|error| ProbeError::connect(&whom.to_string(), &error))
}

/// Connects to whichever answers first. Each has a head start over the next; one that fails calls the next at once.
async fn any_of(addresses: Vec<SocketAddr>) -> io::Result<Reached> {
    if let [address] = addresses.as_slice() {
        return one(*address).await;
    }
    let mut first_error = None;
    let mut attempts = JoinSet::new();
    let mut addresses = addresses.into_iter();
    loop {
        let next = addresses.next();
        let last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(one(address));
        } else if attempts.is_empty() {
            return Err(first_error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        let ended = if last {
            attempts.join_next().await
        } else {
            tokio::time::timeout(HEAD_START, attempts.join_next()).await.ok().flatten()
        };
        match ended {
            Some(Ok(Ok(reached))) => return Ok(reached),
            Some(Ok(Err(error))) => drop(first_error.get_or_insert(error)),
            Some(Err(_)) | None => {}
        }
    }
}

async fn one(address: SocketAddr) -> io::Result<Reached> {
    let socket = begin(address)?;
    // What is near is reached before we ask, and then nobody need wake us up to say so.
    let there = socket.peer_addr().is_ok();
    let stream = TcpStream::from_std(socket)?;
    if !there {
        stream.writable().await?;
        stream.take_error()?.map_or(Ok(()), Err)?;
    }
    Ok((stream, address))
}

/// A socket that is being connected.
fn begin(address: SocketAddr) -> io::Result<std::net::TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// Writes of which address the target was asked. The hash is blackbox_exporter's: FNV-1a of 32 bits.
pub(super) fn told(address: IpAddr, report: &mut Report) {
    let hash = |bytes: &[u8]| {
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    };
    let (protocol, hash) = match address.to_canonical() {
        IpAddr::V4(address) => (4_u64, hash(&address.octets())),
        IpAddr::V6(address) => (6, hash(&address.octets())),
    };
    report.put(&PROTOCOL, protocol);
    report.put(&HASH, u64::from(hash));
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, to),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, to),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            // A stream that is new takes what there is: nobody need wake us up to say so.
            Stream::Tcp(stream) => match send(stream.as_raw_fd(), from, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EAGAIN) => Pin::new(stream).poll_write(context, from),
                sent => Poll::Ready(sent.map_err(io::Error::from)),
            },
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    /// Whoever has nothing to say any more lets go of it, and the kernel says so.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_calls_the_next_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let refuses = {
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let (stream, address) = any_of(vec![refuses, refuses, good]).await.unwrap();
        assert_eq!((stream.peer_addr().unwrap(), address), (good, good));
        assert_eq!(any_of(vec![refuses, refuses]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
