//! The server of the page: HTTP/1.1 on a bounded number of connections, none of which can hold up another.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::listener::Listener;
use super::patience::{Patience, patient};
use super::probe::Prober;
use super::tls::Tls;
use super::users::{Hash, NoHash, Users};
use super::{Lookout, Page, route};
use crate::config::{self, Secret, SecretError};
use crate::instruments::Instruments;
use crate::stream::Stream;
use crate::tls::TlsError;

/// How the page is served, with everything read that the configuration names.
#[derive(Clone)]
pub struct Options {
    /// How old a page may be before it is sampled anew.
    pub max_age: Duration,
    /// How long a scrape waits for that.
    pub deadline: Duration,
    /// How many connections are served at a time.
    pub max_connections: usize,
    /// TLS, for the TCP addresses; who may open a unix socket is said by its file.
    pub tls: Option<Arc<Tls>>,
    /// Who may read the page; everybody, where nobody is named.
    pub users: BTreeMap<String, Hash>,
}

/// Why the page cannot be served as configured.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A file of TLS is not what it should be.
    #[error("http.tls: {0}")]
    Tls(#[from] TlsError),
    /// The hash of a user cannot be had.
    #[error("http.users.{user}: {source}")]
    Secret {
        /// Whose.
        user: String,
        /// Why.
        source: SecretError,
    },
    /// What stands for the hash of a user is none.
    #[error("http.users.{user}: {source}")]
    Hash {
        /// Whose.
        user: String,
        /// What it should be.
        source: NoHash,
    },
}

impl Options {
    /// Reads the files of TLS and the hashes of the users.
    ///
    /// # Errors
    /// When one of them is missing, or holds something else.
    pub fn of(http: &config::Http) -> Result<Options, OptionsError> {
        let hash = |(user, secret): (&String, &Secret)| {
            let revealed = secret.load().map_err(|source| OptionsError::Secret { user: user.clone(), source })?;
            let hash = revealed.expose().parse().map_err(|source| OptionsError::Hash { user: user.clone(), source })?;
            Ok((user.clone(), hash))
        };
        Ok(Options {
            max_age: http.max_age,
            deadline: http.deadline,
            max_connections: http.max_connections,
            tls: http.tls.clone().map(Tls::load).transpose()?.map(Arc::new),
            users: http.users.iter().map(hash).collect::<Result<_, OptionsError>>()?,
        })
    }
}

/// How long requests in flight may take once we were told to stop.
const DRAIN: Duration = Duration::from_millis(800);
/// A TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The head of a request; Prometheus' is half a KiB.
const MAX_HEAD: usize = 16 * 1024;
/// How many connections over the bound are told so at a time; more are dropped without a word.
const REFUSALS: usize = 16;

/// A server that is not serving yet.
pub struct Server {
    listeners: Vec<Listener>,
    options: Options,
    instruments: Instruments,
    prober: Option<Prober>,
}

impl Server {
    /// A server on sockets that are bound.
    pub fn over(listeners: Vec<Listener>, options: Options) -> Server {
        Server { listeners, options, instruments: Instruments::default(), prober: None }
    }

    /// The same, with every request that it answers measured.
    pub fn measured(self, instruments: Instruments) -> Server {
        Server { instruments, ..self }
    }

    /// The same, with `prober` to ask targets for others.
    pub fn asking(self, prober: Prober) -> Server {
        Server { prober: Some(prober), ..self }
    }

    /// Serves until `shutdown`, then finishes what is in flight: in less than a second, whatever clients do.
    ///
    /// # Errors
    /// When a socket cannot be handed to the event loop.
    pub async fn serve<L: Lookout>(self, lookout: L, shutdown: impl Future<Output = ()>) -> Result<(), std::io::Error> {
        let Options { max_age, deadline, max_connections, tls, users } = self.options;
        let bound = u32::try_from(max_connections).unwrap_or(u32::MAX).clamp(1, 65_536);
        let (stop, stopping) = watch::channel(());
        let service = Service {
            page: Arc::new(Page::new(lookout, max_age, deadline, Users::new(users)).asking(self.prober)),
            slots: Arc::new(Semaphore::new(bound as usize)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            stopping,
            instruments: self.instruments,
        };
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            let service = service.clone();
            match listener {
                Listener::Tcp(listener) => {
                    let listener = TcpListener::from_std(listener)?;
                    let tls = tls.clone();
                    accepting.spawn(async move { service.accept(|| accept_tcp(&listener), tls).await });
                }
                Listener::Unix(listener, file) => {
                    let listener = UnixListener::from_std(listener)?;
                    accepting.spawn(async move {
                        let _removed_with_the_last = file;
                        service.accept(|| accept_unix(&listener), None).await;
                    });
                }
            }
        }
        shutdown.await;
        accepting.shutdown().await;
        drop(stop);
        let _ = timeout(DRAIN + Duration::from_millis(50), service.slots.acquire_many(bound)).await;
        Ok(())
    }
}

async fn accept_tcp(listener: &TcpListener) -> std::io::Result<Box<dyn Stream>> {
    let (stream, _) = listener.accept().await?;
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

async fn accept_unix(listener: &UnixListener) -> std::io::Result<Box<dyn Stream>> {
    Ok(Box::new(listener.accept().await?.0))
}

struct Service<L> {
    page: Arc<Page<L>>,
    /// A place for every connection that is served.
    slots: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    /// Closed when it is time to stop.
    stopping: watch::Receiver<()>,
    instruments: Instruments,
}

impl<L> Clone for Service<L> {
    fn clone(&self) -> Service<L> {
        Service {
            page: Arc::clone(&self.page),
            slots: Arc::clone(&self.slots),
            refusals: Arc::clone(&self.refusals),
            stopping: self.stopping.clone(),
            instruments: self.instruments.clone(),
        }
    }
}

impl<L: Lookout> Service<L> {
    /// Accepts connections for ever. What the kernel refuses is waited out: it is out of files or of memory, and will
    /// not have more of them at once.
    async fn accept<A>(self, accept: impl Fn() -> A, tls: Option<Arc<Tls>>)
    where
        A: Future<Output = std::io::Result<Box<dyn Stream>>>,
    {
        let mut failing = false;
        loop {
            match accept().await {
                Ok(stream) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("connections are accepted again");
                    }
                    self.welcome(stream, tls.as_ref());
                }
                Err(error) if is_of_one_connection(error.kind()) => {}
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "no connection can be accepted");
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn welcome(&self, stream: Box<dyn Stream>, tls: Option<&Arc<Tls>>) {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        match (slot, tls) {
            (Ok(slot), None) => drop(tokio::spawn(self.clone().converse(stream, slot, "http"))),
            (Ok(slot), Some(tls)) => drop(tokio::spawn(self.clone().whisper(stream, Arc::clone(tls), slot))),
            // A refusal over TLS would cost the handshake that we have no room for.
            (Err(_), Some(_)) => {}
            (Err(_), None) => {
                if let Ok(slot) = Arc::clone(&self.refusals).try_acquire_owned() {
                    tokio::spawn(refuse(stream, slot));
                }
            }
        }
    }

    /// One connection over TLS.
    async fn whisper(self, stream: Box<dyn Stream>, tls: Arc<Tls>, slot: OwnedSemaphorePermit) {
        let mut stopping = self.stopping.clone();
        let stopped = async {
            // It fails when the sender is gone, which is the sign to stop.
            let _ = stopping.changed().await;
            sleep(DRAIN).await;
        };
        tokio::select! {
            stream = timeout(HANDSHAKE, tls.acceptor().accept(stream)) => match stream {
                Ok(Ok(stream)) => self.converse(Box::new(stream), slot, "https").await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
            () = stopped => {}
        }
    }

    /// One connection, in a task of its own: a panic costs nobody else anything.
    async fn converse(mut self, stream: Box<dyn Stream>, slot: OwnedSemaphorePermit, scheme: &'static str) {
        let patience = Patience::default();
        let answer = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            let (page, patience, instruments) = (&self.page, &patience, &self.instruments);
            async move {
                patience.answering();
                let (asked, request) = (Instant::now(), request.into_parts().0);
                let answer = page.answer(&request).await;
                patience.answered();
                let route = route(request.uri.path());
                instruments.request(&request.method, route, answer.status(), scheme, asked.elapsed());
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(patience.watch(stream)), answer);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            () = patient(connection.as_mut(), &patience) => {}
            _ = self.stopping.changed() => {
                let goodbye = async {
                    // Who has just come in gets the answer that they came for.
                    let asked = patience.asked();
                    tokio::select! {
                        biased;
                        _ = connection.as_mut() => return,
                        () = asked => {}
                    }
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                };
                let _ = timeout(DRAIN, goodbye).await;
            }
        }
        drop(slot);
    }
}

fn is_of_one_connection(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Says that we are full. Reads what the client sends: closing on unread bytes would reset the connection, and the
/// client would see that instead of the answer.
async fn refuse(mut stream: Box<dyn Stream>, _slot: OwnedSemaphorePermit) {
    const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
                        Content-Length: 55\r\nRetry-After: 1\r\nConnection: close\r\n\r\n\
                        too many connections: http.max_connections bounds them\n";
    let goodbye = async {
        stream.write_all(FULL.as_bytes()).await?;
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(Duration::from_secs(1), goodbye).await;
}
