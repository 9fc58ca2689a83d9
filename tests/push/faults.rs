//! What is no collector, or none of that protocol; and headers that nobody may send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use vigie::push::client::{Accepted, Client};

use super::collector::{Collector, Identity, ServerTlsConfig, Site};
use super::http_collector::{HttpCollector, Reply};
use super::papers::Papers;
use super::reuse::raw;
use super::support::spare_port;
use super::{HTTP, LATER, client, request, send, try_client, why};
use vigie::push::record::Encoding;

/// Says something as soon as somebody comes, and hears them out.
fn says(words: &'static [u8]) -> String {
    let (url, _) = raw(move |_, mut stream: TcpStream| {
        stream.write_all(words).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    url
}

/// What is said of `url`, by both protocols.
async fn both(url: &str) -> [(&'static str, String); 2] {
    let mut told = Vec::new();
    for sets in [&["timeout=\"2s\""][..], &["timeout=\"2s\"", HTTP]] {
        let (reason, retry, sentence) = why(send(&mut client(url, sets)).await, url);
        assert_eq!(retry, LATER, "{sentence}");
        told.push((reason, sentence));
    }
    told.try_into().unwrap()
}

#[tokio::test]
async fn nobody_is_told_from_somebody() {
    let url = format!("http://127.0.0.1:{}", spare_port());
    let place = url.strip_prefix("http://").unwrap();
    for told in both(&url).await {
        let sentence = format!("{place} refuses the connection: nobody listens there; is the collector running?");
        assert_eq!(told, ("connect", sentence));
    }
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // Which may be ::1 too, and first.
    let collector = Collector::start();
    let url = format!("http://localhost:{}", collector.port);
    assert_eq!(send(&mut client(&url, &[])).await, Ok(Accepted::default()));
}

#[tokio::test]
async fn something_else_on_the_port_is_named() {
    for (words, shown) in [
        (&b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"[..], "SSH-2.0-OpenSSH_9.2p1 Debian-2"),
        (b"-ERR unknown command 'PRI'\r\n", "-ERR unknown command 'PRI'"),
        (b"220 mail.example ESMTP\r\n", "220 mail.example ESMTP"),
        (b"\0\x01", "\u{0}"),
    ] {
        let url = says(words);
        for (reason, sentence) in both(&url).await {
            assert_eq!(reason, "protocol");
            let shown = if shown == "\u{0}" { "\u{1}" } else { shown };
            let shown = shown.trim_matches(char::is_control);
            assert_eq!(
                sentence,
                format!("URL is no collector, it says {shown:?}; is the port of otlp.endpoint right?")
            );
        }
    }
}

#[tokio::test]
async fn the_other_protocol_is_recognised() {
    let grpc = Collector::start();
    let [_, (reason, sentence)] = {
        let url = grpc.url();
        let mut http = client(&url, &[HTTP]);
        let (reason, _, sentence) = why(send(&mut http).await, &url);
        [("", String::new()), (reason, sentence)]
    };
    assert_eq!(
        (reason, sentence.as_str()),
        (
            "protocol",
            "URL speaks HTTP/2 only; if OTLP/gRPC is spoken there, set otlp.protocol to \"grpc\", else take its port \
             for OTLP/HTTP (4318)"
        )
    );
    // Go's server, word for word.
    let url = says(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request");
    let (reason, _, sentence) = why(send(&mut client(&url, &[])).await, &url);
    assert_eq!(
        (reason, sentence.as_str()),
        (
            "protocol",
            "URL speaks HTTP/1, which is not gRPC; if OTLP/HTTP is spoken there, set otlp.protocol to \"http\", else \
             take its port for gRPC (4317)"
        )
    );
}

#[tokio::test]
async fn tls_is_missed_and_recognised() {
    let papers = Papers::new();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(papers.read("server.pem"), papers.read("server.key")));
    let collector = Collector::on(Site { tls: Some(tls), ..Site::default() });
    for told in both(&collector.url()).await {
        assert_eq!(told, ("protocol", "URL speaks TLS; write https:// in otlp.endpoint".to_owned()));
    }
    let trust = format!("tls={{ca={:?}}}", papers.path("ca.pem"));
    let (plain, http) = (Collector::start(), HttpCollector::start());
    let http1 = says(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    for plain in [plain.url(), http.url(), http1] {
        let url = plain.replace("http:", "https:");
        let (reason, retry, sentence) = why(send(&mut client(&url, &[&trust, "timeout=\"2s\""])).await, &url);
        assert_eq!(retry, LATER);
        let known = [
            ("protocol", "URL speaks without TLS; write http:// in otlp.endpoint, or its port for TLS"),
            ("tls", "URL ends the connection where TLS should begin, tls handshake eof; is TLS spoken on that port?"),
        ];
        assert!(known.contains(&(reason, &sentence)), "{reason}: {sentence}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for_longer_than_the_timeout() {
    let (url, _) = raw(|_, stream| {
        std::thread::sleep(Duration::from_secs(60));
        drop(stream);
    });
    for sets in [&["timeout=\"200ms\""][..], &["timeout=\"200ms\"", HTTP]] {
        let sentence = "URL does not answer within 200ms; is it overloaded, or otlp.timeout too short?".to_owned();
        assert_eq!(why(send(&mut client(&url, sets)).await, &url), ("timeout", LATER, sentence));
    }
    let (papers, url) = (Papers::new(), url.replace("http:", "https:"));
    let trust = format!("tls={{ca={:?}}}", papers.path("ca.pem"));
    let sentence = "URL does not answer to TLS within 200ms; is it overloaded, or otlp.timeout too short?".to_owned();
    let result = send(&mut client(&url, &["timeout=\"200ms\"", &trust])).await;
    assert_eq!(why(result, &url), ("timeout", LATER, sentence));
}

#[test]
fn a_long_answer_takes_no_memory() {
    let collector = HttpCollector::start();
    let url = collector.url();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let exchange = |client: &mut Client, reply: Reply| {
        collector.then([reply]);
        let body = request("a");
        allocation_counter::measure(|| {
            drop(runtime.block_on(client.export(body.clone(), Encoding::Identity)));
        })
    };
    for (sets, good) in [(&[][..], Reply::call([0; 5], &[("grpc-status", "0")])), (&[HTTP][..], Reply::default())] {
        let mut client = client(&url, sets);
        exchange(&mut client, good.clone());
        let usual = exchange(&mut client, good.clone());
        println!("{sets:?}: {} allocations, {} bytes at most", usual.count_total, usual.bytes_max);
        let long = exchange(&mut client, Reply { body: vec![0; 4 << 20], ..good });
        assert!(long.bytes_max < 1 << 20, "{} bytes", long.bytes_max);
    }
}

#[test]
fn headers_that_cannot_be_are_refused_before_anything_is_sent() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "two\nlines-secret").unwrap();
    let place = file.path().display().to_string();
    let refusal = |header: &str| {
        let set = format!("headers={{{header}}}");
        let error = try_client("http://127.0.0.1:1", &[&set]).err().unwrap().to_string();
        error.replace(&place, "FILE")
    };
    let value = format!("{{file={place:?}}}");
    let cases = [
        (format!("x-key={value}"), "otlp.headers.x-key: expected one line of ASCII in file FILE"),
        (
            "x-key={file=\"/nowhere\"}".to_owned(),
            "otlp.headers.x-key: cannot read the secret in /nowhere: No such file or directory (os error 2)",
        ),
        (
            "x-key={credential=\"token\"}".to_owned(),
            "otlp.headers.x-key: credential token: $CREDENTIALS_DIRECTORY is not set; add \
             LoadCredential=token:/path/to/file to the unit (systemd 247 and newer)",
        ),
    ];
    for (header, sentence) in cases {
        assert_eq!(refusal(&header), sentence);
    }
}
