//! http: against servers that answer as none should.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::servers::{nobody, serve, silent};
use super::{Said, one};

fn http(address: SocketAddr, more: &str) -> Said {
    one(&format!("[[probe.http]]\nname = 'x'\nurl = 'http://{address}/'\ntimeout = '1s'\n{more}\n"))
}

/// Reads a request's head.
fn hear(stream: &mut TcpStream) {
    let (mut heard, mut byte) = (Vec::new(), [0]);
    while !heard.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        heard.push(byte[0]);
    }
}

/// Answers so, and closes.
fn answering(answer: impl AsRef<[u8]> + Send + Sync + Clone + 'static) -> SocketAddr {
    serve(move |mut stream| {
        hear(&mut stream);
        let _ = stream.write_all(answer.as_ref());
    })
}

/// Begins so, and goes on with the same for ever, with a rest after each.
fn going_on(begin: &'static str, then: &'static [u8], rest: Duration) -> SocketAddr {
    serve(move |mut stream| {
        hear(&mut stream);
        let _ = stream.write_all(begin.as_bytes());
        while stream.write_all(then).is_ok() {
            std::thread::sleep(rest);
        }
    })
}

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn in_gzip(content: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", content.len());
    [head.as_bytes(), content].concat()
}

#[test]
fn each_has_its_reason_in_time() {
    let mute = serve(|_stream| std::thread::sleep(Duration::from_secs(5)));
    let second = Duration::from_secs(1);
    let bomb = packed(&vec![0; 50 << 20]);
    assert!(bomb.len() < 100_000);
    let gzip = "compression = 'gzip'";
    for (address, more, result, words) in [
        (nobody(), "", "connect", "refused"),
        (mute, "", "timeout", "no answer within 1s, waiting for the answer"),
        (silent(), "", "protocol", "ends the connection without an answer"),
        (going_on("HT", b"T", second), "", "timeout", "waiting for the answer"),
        (going_on("HTTP/1.1 200 OK\r\n", b"a: b\r\n", second), "", "timeout", "waiting for the answer"),
        (going_on("HTTP/1.1 200 OK\r\n\r\n", b"x", second), "", "timeout", "reading the content"),
        (going_on("HTTP/1.1 200 OK\r\n", b"a: b\r\n", Duration::ZERO), "", "protocol", "more than 100"),
        (going_on("HTTP/1.1 200 OK\r\na: ", &[b'x'; 4096], Duration::ZERO), "", "protocol", "longer than 64 KiB"),
        (going_on("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65536], Duration::ZERO), "", "size", "longer than 10485760 bytes"),
        (answering("HTTP/1.1 200 OK\r\ncontent-le"), "", "protocol", "in the middle of its answer's headers"),
        (
            answering("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhello"),
            "",
            "protocol",
            "breaks off after 5 of 99 bytes",
        ),
        (
            answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhel"),
            "",
            "protocol",
            "breaks off after 3 bytes",
        ),
        (answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello world"), "expect = '^hello$'", "good", ""),
        (
            answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
            "",
            "protocol",
            "the rules of HTTP",
        ),
        (answering("HTTP/1.0 200 OK\r\n\r\nhello"), "expect = '^hello$'", "good", ""),
        (answering("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), "", "good", ""),
        (answering("HTTP/1.1 OK\r\n\r\n"), "", "protocol", "the rules of HTTP"),
        (answering("HTTP/1.1 302 Found\r\nlocation: http://[\r\n\r\n"), "", "redirect", "which is no URL"),
        (answering("HTTP/1.1 302 Found\r\n\r\n"), "", "status", "302 Found, expected 2xx"),
        (answering("SSH-2.0-OpenSSH_9.2p1\r\n"), "", "protocol", "says \"SSH-2.0-OpenSSH_9.2p1\", which is not HTTP"),
        (answering(b"\x15\x03\x01\0\x02\x02\x16"), "", "protocol", "speaks TLS, not plain HTTP"),
    ] {
        let said = http(address, more);
        assert!(said.result == result && said.why.contains(words), "expected {result}, {words:?}: {said:?}");
        assert!(said.result == "good" || said.why.contains('→'), "{said:?}");
        assert!(said.milliseconds < 2_000.0, "{said:?}");
    }
    for (answer, result, words) in [
        (in_gzip(&packed(b"hello")), "good", ""),
        (in_gzip(b""), "good", ""),
        (in_gzip(&bomb), "size", "longer than 10485760 bytes"),
        (in_gzip(b"hello"), "body", "not the gzip that it should be"),
        (in_gzip(&packed(b"hello")[..12]), "body", "not the gzip that it should be"),
    ] {
        let said = http(answering(answer), gzip);
        assert!(said.result == result && said.why.contains(words), "expected {result}, {words:?}: {said:?}");
    }
}

#[test]
fn a_check_that_fails_is_one_connection() {
    let (count, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, late) = (Arc::clone(&count), Arc::clone(&answered));
    let address = serve(move |mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        hear(&mut stream);
        late.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(http(address, "").result, "protocol");
    assert_eq!((count.load(Ordering::Relaxed), answered.load(Ordering::Relaxed)), (1, 1));
}

#[test]
fn a_long_content_is_looked_through_to_its_end() {
    let content = format!("{}needle", "hay\n".repeat(100_000));
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len());
    let address = answering(answer);
    assert_eq!(http(address, "expect = 'needle$'").result, "good");
    assert_eq!(http(address, "expect_not = 'needle'").result, "body");
}
