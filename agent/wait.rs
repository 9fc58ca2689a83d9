//! Waits for a running agent, by asking `/health/ready`.

mod own;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::quantity::Human;
use crate::config::{Config, Http, Listen, Tls};
use crate::link::{Heard, Link, Message};
use crate::stream::Stream;
use crate::systemd::socket_unit;

/// What is asked.
const READY: &str = "/health/ready";

/// What is asked to find out who listens: it is answered to everybody.
const STARTUP: &str = "/health/startup";

/// The most of an answer that is read, in bytes: more than any that these questions have.
const ANSWER_LIMIT: usize = 4096;

/// From one question to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one answer may take before the question is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why nobody was waited for, or in vain.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It was not ready in time.
    #[error("not ready after {}: {last}", Human(*.timeout))]
    NotReady {
        /// How long it asked.
        timeout: Duration,
        /// Whom it asked, and what it saw last.
        last: String,
    },
    /// Nobody knows which port that is.
    #[error("cannot wait for {0}: the kernel chooses its port")]
    AnyPort(Listen),
    /// The page is for those who show a certificate.
    #[error(
        "cannot wait for {0}: it answers who shows a certificate (http.tls.client_ca); add \"unix:/run/vigie/page\" to http.listen"
    )]
    Certificate(Listen),
    /// The system gives no event queue.
    #[error("cannot wait: {0}")]
    System(#[from] std::io::Error),
    /// The configuration has no address.
    #[error("http.listen has no address to ask")]
    NoAddress,
}

/// Waits until the agent that is configured so says that it is ready: where `vigie.socket` listens, if it is enabled, or
/// on the first address of `http.listen`.
///
/// # Errors
/// As [`ready`], when nobody can be asked, and when the system gives no event queue.
pub fn until_ready(config: &Config, timeout: Duration) -> Result<(), WaitError> {
    let asked = asked(&config.http, &socket_unit::addresses(&config.paths.root))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ready(&asked, config.http.tls.as_ref(), timeout))
}

/// Whom to ask: of a list, the first, or the unix socket that spares us TLS. Where the socket unit was enabled and not
/// started, the agent still listens where `http` says.
fn asked(http: &Http, of_the_unit: &[Listen]) -> Result<Vec<Listen>, WaitError> {
    let easiest = |listens: &[Listen]| {
        let plain = listens.iter().find(|listen| http.tls.is_some() && matches!(listen, Listen::Unix(_)));
        plain.or(listens.first()).map(reachable)
    };
    let mut asked: Vec<Listen> = [of_the_unit, &http.listen].into_iter().filter_map(easiest).collect();
    asked.dedup();
    let first = asked.first().cloned().ok_or(WaitError::NoAddress)?;
    asked.retain(|listen| !matches!(listen, Listen::Tcp(address) if address.port() == 0));
    if asked.is_empty() {
        return Err(WaitError::AnyPort(first));
    }
    if http.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()) {
        asked.retain(|listen| matches!(listen, Listen::Unix(_)));
    }
    if asked.is_empty() { Err(WaitError::Certificate(first)) } else { Ok(asked) }
}

/// Waits until the agent on one of these addresses says that it is ready. On those of TCP it has TLS of these files.
///
/// # Errors
/// When it does not say so before the timeout; the message tells what was last seen.
pub async fn ready(asked: &[Listen], tls: Option<&Tls>, timeout: Duration) -> Result<(), WaitError> {
    let started = Instant::now();
    let end = started.checked_add(timeout).unwrap_or(started);
    loop {
        let mut last = Vec::new();
        for listen in asked {
            let patience = end.min(Instant::now() + PATIENCE);
            last.push(match timeout_at(patience, ask(listen, tls, READY)).await {
                Ok(Ok((StatusCode::OK, _))) => return Ok(()),
                Ok(Ok((status, _))) => format!("{listen} answered {READY} with {status}"),
                Ok(Err(reason)) => format!("{listen} {reason}"),
                Err(_) => format!("{listen} did not answer"),
            });
        }
        if Instant::now() + PAUSE >= end {
            return Err(WaitError::NotReady { timeout, last: last.join("; ") });
        }
        sleep(PAUSE).await;
    }
}

/// The address that reaches what listens on a wildcard.
fn reachable(listen: &Listen) -> Listen {
    match listen {
        Listen::Tcp(address) if address.ip().is_unspecified() => {
            let loopback = match address.ip() {
                IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
            };
            Listen::Tcp(SocketAddr::new(loopback, address.port()))
        }
        other => other.clone(),
    }
}

/// Whether it is a vigie that listens there, with TLS of these files on TCP. Where we have no certificate to show, its own
/// must do.
pub(crate) async fn is_vigie(listen: &Listen, tls: Option<&Tls>) -> bool {
    let listen = reachable(listen);
    if let (Listen::Tcp(address), Some(Tls { cert, client_ca: Some(_), .. })) = (&listen, tls) {
        let shaken = timeout(PATIENCE, async { own::shake(TcpStream::connect(address).await.ok()?, cert).await.ok() });
        return matches!(shaken.await, Ok(Some(_)));
    }
    let answer = timeout(PATIENCE, ask(&listen, tls, STARTUP)).await;
    matches!(answer, Ok(Ok((_, text))) if text.starts_with(b"started\n") || text.starts_with(b"not started"))
}

async fn ask(listen: &Listen, tls: Option<&Tls>, question: &'static str) -> Result<(StatusCode, Bytes), String> {
    let unreachable = |error| format!("cannot be reached: {error}");
    let stream: Box<dyn Stream> = match listen {
        Listen::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(unreachable)?),
        Listen::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(unreachable)?;
            match tls {
                None => Box::new(stream),
                Some(tls) => Box::new(own::shake(stream, &tls.cert).await?),
            }
        }
    };
    ask_over(stream, question).await
}

async fn ask_over(stream: Box<dyn Stream>, question: &'static str) -> Result<(StatusCode, Bytes), String> {
    let odd = |error: hyper::Error| format!("does not speak HTTP: {error}");
    let mut link = Link::open(stream, false, Heard::default()).await.map_err(odd)?;
    let request = Request::get(question)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Message::bare(Bytes::new()))
        .map_err(|error| error.to_string())?;
    let answer = link.send(request).await.map_err(odd)?;
    let status = answer.status();
    let text = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await;
    Ok((status, text.map(|text| text.to_bytes()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &str) {
        let mut question = [0; 1024];
        let length = stream.read(&mut question).await.unwrap();
        assert!(question[..length].starts_with(b"GET /health/ready HTTP/1.1\r\n"));
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    const NOT_YET: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const READY_NOW: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    #[tokio::test(flavor = "current_thread")]
    async fn it_asks_until_the_answer_is_yes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let http = Http { listen: vec![format!("0.0.0.0:{port}").parse().unwrap()], ..Http::default() };
        let asked = asked(&http, &[]).unwrap();
        let server = async {
            for text in ["", NOT_YET, READY_NOW] {
                answer(listener.accept().await.unwrap().0, text).await;
            }
        };
        let (waited, ()) = tokio::join!(ready(&asked, None, Duration::from_secs(5)), server);
        assert!(waited.is_ok(), "{waited:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_unix_socket_is_asked_too() {
        let path = std::env::temp_dir().join(format!("vigie-wait-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        // And where the other does not listen, that does no harm.
        let asked = [Listen::Tcp(([127, 0, 0, 1], 1).into()), Listen::Unix(path.clone())];
        let server = async { answer(listener.accept().await.unwrap().0, READY_NOW).await };
        let (waited, ()) = tokio::join!(ready(&asked, None, Duration::from_secs(5)), server);
        std::fs::remove_file(path).unwrap();
        assert!(waited.is_ok(), "{waited:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_timeout_tells_what_was_last_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = [Listen::Tcp(address)];
        let server = async {
            loop {
                answer(listener.accept().await.unwrap().0, NOT_YET).await;
            }
        };
        let error = tokio::select! {
            waited = ready(&asked, None, Duration::from_millis(300)) => waited.unwrap_err(),
            () = server => unreachable!(),
        };
        assert_eq!(
            error.to_string(),
            format!("not ready after 300ms: {address} answered /health/ready with 503 Service Unavailable")
        );
        drop(listener);
        let error = ready(&asked, None, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("not ready after 50ms: {address} cannot be reached: Connection refused (os error 111)")
        );
    }

    #[test]
    fn what_cannot_be_asked_is_said_at_once() {
        let refused = |http: &Http, unit: &[Listen]| asked(http, unit).unwrap_err().to_string();
        let any = Http { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Http::default() };
        assert_eq!(refused(&any, &[]), "cannot wait for 127.0.0.1:0: the kernel chooses its port");
        let tls = Tls { cert: "c".into(), key: "k".into(), client_ca: Some("ca".into()) };
        let mut http = Http { tls: Some(tls), ..Http::default() };
        let said = refused(&http, &[":9844".parse().unwrap()]);
        assert!(said.starts_with("cannot wait for [::1]:9844: it answers who shows a certificate"), "{said}");
        http.listen.push("unix:/run/vigie/page".parse().unwrap());
        assert_eq!(asked(&http, &[]).unwrap(), http.listen[1..]);
    }

    #[test]
    fn a_socket_unit_is_asked_first() {
        let unit: [Listen; 2] = ["[::]:9100".parse().unwrap(), "unix:/run/vigie.sock".parse().unwrap()];
        let told = |http: &Http, unit: &[Listen]| {
            asked(http, unit).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(&Http::default(), &unit), ["[::1]:9100", "127.0.0.1:9844"]);
        assert_eq!(told(&Http::default(), &Http::default().listen), ["127.0.0.1:9844"]);
        let any = Http { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Http::default() };
        assert_eq!(told(&any, &unit), ["[::1]:9100"]);
    }
}
