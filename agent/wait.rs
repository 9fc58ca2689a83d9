//! Waits for a running agent, by asking `/health/ready`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::quantity::Human;
use crate::config::{Http, Listen};

/// What is asked.
const READY: &str = "/health/ready";

/// From one question to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one answer may take before the question is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why nobody was waited for, or in vain.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It was not ready in time.
    #[error("not ready after {}: {listen} {last}", Human(*.timeout))]
    NotReady {
        /// Whom it asked.
        listen: Listen,
        /// How long it asked.
        timeout: Duration,
        /// What it saw last.
        last: String,
    },
    /// Nobody knows which port that is.
    #[error("cannot wait for {0}: the kernel chooses its port")]
    AnyPort(Listen),
    /// The page is not served in plain text.
    #[error("cannot wait for {0}: it is served over TLS only")]
    Tls(Listen),
    /// The system gives no event queue.
    #[error("cannot wait: {0}")]
    System(#[from] std::io::Error),
    /// The configuration has no address.
    #[error("http.listen has no address to ask")]
    NoAddress,
}

/// [`ready`], on this thread.
///
/// # Errors
/// As [`ready`], and when the system gives no event queue.
pub fn until_ready(http: &Http, timeout: Duration) -> Result<(), WaitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ready(http, timeout))
}

/// Waits until the agent on the first address of `http` says that it is ready.
///
/// # Errors
/// When it does not say so before the timeout; the message tells what was last seen.
pub async fn ready(http: &Http, timeout: Duration) -> Result<(), WaitError> {
    let listen = http.listen.first().map(reachable).ok_or(WaitError::NoAddress)?;
    if matches!(listen, Listen::Tcp(address) if address.port() == 0) {
        return Err(WaitError::AnyPort(listen));
    }
    if http.tls.is_some() {
        return Err(WaitError::Tls(listen));
    }
    let started = Instant::now();
    let end = started.checked_add(timeout).unwrap_or(started);
    loop {
        let patience = end.min(Instant::now() + PATIENCE);
        let last = match timeout_at(patience, ask(&listen)).await {
            Ok(Ok(StatusCode::OK)) => return Ok(()),
            Ok(Ok(status)) => format!("answered {READY} with {status}"),
            Ok(Err(reason)) => reason,
            Err(_) => "did not answer".to_owned(),
        };
        if Instant::now() + PAUSE >= end {
            return Err(WaitError::NotReady { listen, timeout, last });
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

async fn ask(listen: &Listen) -> Result<StatusCode, String> {
    let unreachable = |error| format!("cannot be reached: {error}");
    match listen {
        Listen::Tcp(address) => ask_over(TcpStream::connect(address).await.map_err(unreachable)?).await,
        Listen::Unix(path) => ask_over(UnixStream::connect(path).await.map_err(unreachable)?).await,
    }
}

async fn ask_over(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<StatusCode, String> {
    let odd = |error: hyper::Error| format!("does not speak HTTP: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(odd)?;
    let request = Request::get(READY)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    // The connection is driven here, without a task of its own; it ends when the sender and the answer are dropped.
    let answer = async move { sender.send_request(request).await.map(|answer| answer.status()) };
    let (answer, _) = tokio::join!(answer, connection);
    answer.map_err(odd)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    fn on(listen: Listen) -> Http {
        Http { listen: vec![listen], ..Http::default() }
    }

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
        let http = on(format!("0.0.0.0:{port}").parse().unwrap());
        let server = async {
            for text in ["", NOT_YET, READY_NOW] {
                answer(listener.accept().await.unwrap().0, text).await;
            }
        };
        let (waited, ()) = tokio::join!(ready(&http, Duration::from_secs(5)), server);
        assert!(waited.is_ok(), "{waited:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_unix_socket_is_asked_too() {
        let path = std::env::temp_dir().join(format!("vigie-wait-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let http = on(Listen::Unix(path.clone()));
        let server = async { answer(listener.accept().await.unwrap().0, READY_NOW).await };
        let (waited, ()) = tokio::join!(ready(&http, Duration::from_secs(5)), server);
        std::fs::remove_file(path).unwrap();
        assert!(waited.is_ok(), "{waited:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_timeout_tells_what_was_last_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = on(Listen::Tcp(address));
        let server = async {
            loop {
                answer(listener.accept().await.unwrap().0, NOT_YET).await;
            }
        };
        let error = tokio::select! {
            waited = ready(&http, Duration::from_millis(300)) => waited.unwrap_err(),
            () = server => unreachable!(),
        };
        assert_eq!(
            error.to_string(),
            format!("not ready after 300ms: {address} answered /health/ready with 503 Service Unavailable")
        );
        drop(listener);
        let error = ready(&http, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("not ready after 50ms: {address} cannot be reached: Connection refused (os error 111)")
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_cannot_be_asked_is_said_at_once() {
        let wait = |http: Http| async move { ready(&http, Duration::from_secs(60)).await.unwrap_err().to_string() };
        assert_eq!(
            wait(on("127.0.0.1:0".parse().unwrap())).await,
            "cannot wait for 127.0.0.1:0: the kernel chooses its port"
        );
        let tls = crate::config::Tls { cert: "c".into(), key: "k".into(), client_ca: None };
        let http = Http { tls: Some(tls), ..on(":9844".parse().unwrap()) };
        assert_eq!(wait(http).await, "cannot wait for [::1]:9844: it is served over TLS only");
    }
}
