//! One connection for many requests: kept, noticed when it is gone, made anew with what lies on disk by then.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vigie::push::client::{Accepted, Retry};

use super::collector::{Act, Code, Collector, Site, Status};
use super::http_collector::HttpCollector;
use super::{HTTP, LATER, client, send, why};

/// A server of raw sockets: each connection, by its number, is given to `serve`.
pub(crate) fn raw(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, serve) = (Arc::clone(&count), Arc::new(serve));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (number, serve) = (counted.fetch_add(1, Ordering::Relaxed), Arc::clone(&serve));
            std::thread::spawn(move || serve(number, stream));
        }
    });
    (url, count)
}

/// Reads one request of HTTP/1; says whether there was one.
fn read_post(stream: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).unwrap();
    true
}

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

#[tokio::test]
async fn a_collector_that_was_restarted_meanwhile_is_no_failure() {
    let mut collector = Collector::start();
    let port = collector.port;
    let mut client = client(&collector.url(), &[]);
    for _ in 0..3 {
        assert_eq!(send(&mut client).await, Ok(Accepted::default()));
        drop(collector);
        collector = Collector::on(Site { port, ..Site::default() });
    }
    let mut collector = HttpCollector::start();
    let port = collector.port;
    let mut client = super::client(&collector.url(), &[HTTP]);
    for _ in 0..3 {
        assert_eq!(send(&mut client).await, Ok(Accepted::default()));
        drop(collector);
        collector = HttpCollector::on(port, None);
    }
}

#[tokio::test]
async fn a_collector_may_close_connections_by_their_age() {
    let site = Site { max_age: Some(Duration::from_millis(30)), ..Site::default() };
    let collector = Collector::on(site);
    let mut client = client(&collector.url(), &[]);
    for _ in 0..100 {
        assert_eq!(send(&mut client).await, Ok(Accepted::default()));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let connections: std::collections::BTreeSet<_> = collector.calls().iter().map(|call| call.from).collect();
    assert!(connections.len() > 1, "{connections:?}");
}

#[tokio::test]
async fn a_connection_that_ends_as_the_request_comes_is_made_anew_once() {
    let (url, count) = raw(|_, mut stream| {
        if read_post(&mut stream) {
            stream.write_all(NO_CONTENT).unwrap();
            read_post(&mut stream);
        }
    });
    let mut client = client(&url, &[HTTP]);
    for connections in 1..4 {
        assert_eq!(send(&mut client).await, Ok(Accepted::default()));
        assert_eq!(count.load(Ordering::Relaxed), connections);
    }
}

#[tokio::test]
async fn a_new_connection_without_an_answer_is_a_failure_at_once() {
    let (url, count) = raw(|_, mut stream| {
        read_post(&mut stream);
    });
    let (reason, retry, sentence) = why(send(&mut client(&url, &[HTTP])).await, &url);
    assert_eq!((reason, retry), ("disconnect", LATER));
    assert_eq!(sentence, "URL closes the connection without a word; is OTLP/HTTP spoken there, as otlp.protocol says?");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_asked_for_again() {
    let (url, count) = raw(|_, mut stream| {
        if read_post(&mut stream) {
            stream.write_all(NO_CONTENT).unwrap();
            read_post(&mut stream);
            stream.write_all(b"HTTP/1.1 20").unwrap();
        }
    });
    let mut client = client(&url, &[HTTP]);
    assert_eq!(send(&mut client).await, Ok(Accepted::default()));
    let (reason, retry, sentence) = why(send(&mut client).await, &url);
    assert_eq!((reason, retry), ("disconnect", LATER));
    assert!(sentence.starts_with("URL broke the connection off: "), "{sentence}");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_is_cut_after_its_status_is_an_answer() {
    let (url, _) = raw(|_, mut stream| {
        read_post(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab").unwrap();
    });
    let accepted = send(&mut client(&url, &[HTTP])).await.unwrap();
    assert_eq!(accepted.message, "it broke its answer off");
}

/// A header that is read from a file.
fn token(file: &std::path::Path) -> String {
    format!("headers={{authorization={{file={file:?}}}}}")
}

#[tokio::test]
async fn a_token_that_was_renewed_is_taken_without_a_word() {
    let collector = Collector::start();
    let url = collector.url();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "Bearer first-token").unwrap();
    let mut client = client(&url, &[&token(file.path())]);
    send(&mut client).await.unwrap();
    std::fs::write(&file, "Bearer second-token").unwrap();
    send(&mut client).await.unwrap();
    for code in [Code::Unauthenticated, Code::PermissionDenied] {
        std::fs::write(&file, format!("Bearer token-after-{code:?}")).unwrap();
        collector.then([Act::Refuse(Status::new(code, "expired"))]);
        send(&mut client).await.unwrap();
    }
    let calls = collector.calls();
    let tokens: Vec<_> = calls.iter().map(|call| call.header("authorization")).collect();
    let expected = [
        "Bearer first-token",
        "Bearer first-token",
        "Bearer first-token",
        "Bearer token-after-Unauthenticated",
        "Bearer token-after-Unauthenticated",
        "Bearer token-after-PermissionDenied",
    ];
    assert_eq!(tokens, expected);
    // A file that is gone for a moment leaves the old one in force.
    std::fs::remove_file(&file).unwrap();
    collector.then([Act::Refuse(Status::unauthenticated("expired"))]);
    assert_eq!(why(send(&mut client).await, &url).1, Retry::Never);
    send(&mut client).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_wrong_is_sent_once_and_shown_never() {
    let collector = Collector::start();
    let url = collector.url();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "Bearer hunter2-token").unwrap();
    let mut client = client(&url, &[&token(file.path())]);
    collector.always(Act::Refuse(Status::unauthenticated("unknown token hunter2-token")));
    let (reason, retry, sentence) = why(send(&mut client).await, &url);
    assert_eq!((reason, retry), ("auth", Retry::Never));
    assert_eq!(
        sentence,
        "URL does not accept who we are, UNAUTHENTICATED: unknown token ***; are the values of otlp.headers right?"
    );
    assert_eq!(collector.calls().len(), 1);
}

#[tokio::test]
async fn a_new_connection_takes_the_token_as_it_is_then() {
    let collector = Collector::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "Bearer first-token").unwrap();
    let mut client = client(&collector.url(), &[&token(file.path())]);
    send(&mut client).await.unwrap();
    let port = collector.port;
    drop(collector);
    std::fs::write(&file, "Bearer second-token").unwrap();
    let collector = Collector::on(Site { port, ..Site::default() });
    send(&mut client).await.unwrap();
    assert_eq!(collector.calls()[0].header("authorization"), "Bearer second-token");
}
