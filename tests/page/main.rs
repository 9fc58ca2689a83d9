//! The page over real sockets: what a scraper, a browser, an orchestrator and an enemy see of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/papers.rs"]
mod papers;
mod tls;
mod users;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use vigie::config::Listen;
use vigie::metric::{Metric, Unit};
use vigie::page::listener::Listener;
use vigie::page::server::{Options, Server};
use vigie::page::{Lookout, ROUTES};
use vigie::snapshot::{Labels, Reading, Snapshot};
use vigie::supervisor::Health;

static READ: Metric = Metric::counter("disk_read_bytes_total", Unit::Bytes, "Bytes read.");

/// A supervisor that is as slow or as broken as a test wants it.
#[derive(Clone)]
struct Stub {
    snapshot: Arc<Snapshot>,
    takes: Duration,
    panics: bool,
    ready: bool,
}

impl Default for Stub {
    fn default() -> Stub {
        let mut reading = Reading::default();
        reading.start(Instant::now(), SystemTime::now());
        for disk in 0..100 {
            reading.put_with(&READ, &Labels::new(&[("device", &format!("vd{disk}"))]), 512 * disk as i64);
        }
        let snapshot = Snapshot { readings: vec![Arc::new(reading)], at: Instant::now(), taken: SystemTime::now() };
        Stub { snapshot: Arc::new(snapshot), takes: Duration::ZERO, panics: false, ready: true }
    }
}

impl Lookout for Stub {
    fn snapshot(&self, _: Duration, deadline: Duration) -> impl Future<Output = Arc<Snapshot>> + Send {
        let takes = self.takes.min(deadline);
        async move {
            assert!(!self.panics, "as the test wants it");
            tokio::time::sleep(takes).await;
            Arc::clone(&self.snapshot)
        }
    }

    fn health(&self) -> Health {
        let reason = (!self.ready).then(|| "no source has been read".to_owned());
        Health { version: "1.2.3", started: true, live: true, ready: self.ready, reason, ..Health::default() }
    }
}

fn options() -> Options {
    Options {
        max_age: Duration::from_secs(1),
        deadline: Duration::from_millis(250),
        max_connections: 8,
        tls: None,
        users: BTreeMap::new(),
    }
}

/// A server in a thread of its own, as in the daemon.
struct Running {
    addresses: Vec<Listen>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(stub: Stub, options: Options) -> Running {
        Running::on(&Listen::Tcp("127.0.0.1:0".parse().unwrap()), stub, options)
    }

    fn on(listen: &Listen, stub: Stub, options: Options) -> Running {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let listener = Listener::bind(listen).unwrap();
        let addresses = listener.address().into_iter().collect();
        let server = Server::over(vec![listener], options);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let stopped = async { stopped.await.unwrap_or_default() };
            runtime.block_on(server.serve(stub, stopped)).unwrap();
        });
        Running { addresses, stop: Some(stop), thread: Some(thread) }
    }

    fn address(&self) -> SocketAddr {
        match &self.addresses[0] {
            Listen::Tcp(address) => *address,
            Listen::Unix(path) => panic!("{path:?}"),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(&mut stream, request.starts_with("HEAD"))
    }

    fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n"))
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut impl Read, head_only: bool) -> Answer {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if !head_only {
            answer.body.resize(length, 0);
            stream.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

#[test]
fn a_plain_scrape_is_the_text_format() {
    let server = Running::start(Stub::default(), options());
    let answer = server.get("/metrics?collect[]=disk", "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("vary"), Some("accept, accept-encoding"));
    assert!(
        answer.text().starts_with("# HELP disk_read_bytes_total Bytes read.\n# TYPE disk_read_bytes_total counter\n")
    );
    assert!(answer.text().ends_with("disk_read_bytes_total{device=\"vd99\"} 50688\n"));
}

#[test]
fn prometheus_gets_openmetrics_in_gzip() {
    let server = Running::start(Stub::default(), options());
    let answer = server.get(
        "/metrics",
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\
         accept-encoding: gzip\r\nx-prometheus-scrape-timeout-seconds: 10\r\n",
    );
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut page = String::new();
    flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut page).unwrap();
    assert!(page.starts_with("# TYPE disk_read_bytes counter\n# UNIT disk_read_bytes bytes\n"));
    assert!(page.ends_with("\n# EOF\n"));
}

#[test]
fn head_is_get_without_the_body() {
    let server = Running::start(Stub::default(), options());
    let get = server.get("/metrics", "");
    let mut stream = server.connect();
    stream.write_all(b"HEAD /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let head = Answer::read(&mut stream, true);
    assert_eq!((head.status, head.header("content-length")), (200, get.header("content-length")));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn every_route_answers_and_others_list_them() {
    let server = Running::start(Stub::default(), options());
    for (path, _) in ROUTES {
        // Nobody admits a target here.
        let expected = if *path == "/probe" { 403 } else { 200 };
        assert_eq!(server.get(path, "").status, expected, "{path}");
    }
    let lost = server.get("/nothing", "");
    assert_eq!(lost.status, 404);
    assert!(ROUTES.iter().all(|(path, _)| lost.text().contains(path)), "{}", lost.text());
    let post = server.ask("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!((post.status, post.header("allow")), (405, Some("get, head")));
}

#[test]
fn an_orchestrator_hears_no_and_why() {
    let server = Running::start(Stub { ready: false, ..Stub::default() }, options());
    for path in ["/health/ready", "/-/ready"] {
        let answer = server.get(path, "");
        assert_eq!((answer.status, answer.text()), (503, "not ready: no source has been read\n"));
    }
    assert_eq!(server.get("/health/live", "").status, 200);
    let health: serde_json::Value = serde_json::from_slice(&server.get("/health", "").body).unwrap();
    assert_eq!((&health["version"], &health["ready"]), (&"1.2.3".into(), &false.into()));
}

#[test]
fn one_connection_carries_many_requests() {
    let server = Running::start(Stub::default(), options());
    let mut stream = server.connect();
    for _ in 0..100 {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(Answer::read(&mut stream, false).status, 200);
    }
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(Answer::read(&mut stream, false).text().contains("<h1>vigie</h1>"));
    assert_eq!(Answer::read(&mut stream, false).header("content-type"), Some("application/json"));
}

#[test]
fn a_connection_too_many_is_told_and_a_freed_place_is_given_again() {
    let server = Running::start(Stub::default(), options());
    let mut held: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(Answer::read(stream, false).status, 200);
    }
    let refused = server.get("/metrics", "");
    assert_eq!((refused.status, refused.header("connection")), (503, Some("close")));
    assert_eq!(refused.text(), "too many connections: http.max_connections bounds them\n");
    drop(held);
    let end = Instant::now() + Duration::from_secs(5);
    while server.get("/metrics", "").status != 200 {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_slow_supervisor_is_waited_for_no_longer_than_the_scraper_waits() {
    let server = Running::start(Stub { takes: Duration::from_secs(10), ..Stub::default() }, options());
    let took = |headers: &str| {
        let start = Instant::now();
        assert_eq!(server.get("/metrics", headers).status, 200);
        start.elapsed()
    };
    assert!((250..1000).contains(&took("").as_millis()));
    assert!((30..200).contains(&took("x-prometheus-scrape-timeout-seconds: 0.05\r\n").as_millis()));
    assert!((250..1000).contains(&took("x-prometheus-scrape-timeout-seconds: 30\r\n").as_millis()));
}

#[test]
fn a_panic_costs_its_connection_only() {
    let server = Running::start(Stub { panics: true, ..Stub::default() }, options());
    for _ in 0..20 {
        let mut stream = server.connect();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert!(!matches!(stream.read(&mut [0; 16]), Ok(1..)));
    }
    assert_eq!(server.get("/health/live", "").status, 200);
}

#[test]
fn a_head_too_long_and_rubbish_are_refused() {
    let server = Running::start(Stub::default(), options());
    let mut stream = server.connect();
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000)).as_bytes());
    assert_eq!(Answer::read(&mut stream, false).status, 431);
    let mut seed = 1_u32;
    let mut rubbish = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    for length in [1, 10, 100, 1000, 100_000] {
        let mut stream = server.connect();
        let bytes: Vec<u8> = (0..length).map(|_| rubbish()).collect();
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(server.get("/metrics", "accept: \u{ff}\r\naccept-encoding: ;;,=q\r\n").status, 200);
}

#[test]
fn stopping_finishes_what_is_in_flight_and_waits_for_nobody_else() {
    let stub = Stub { takes: Duration::from_millis(400), ..Stub::default() };
    let mut server = Running::start(stub, Options { deadline: Duration::from_secs(10), ..options() });
    let mut silent = server.connect();
    let mut idle = server.connect();
    idle.write_all(b"GET /-/ready HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut idle, false).status, 200);
    let mut busy = server.connect();
    busy.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let address = server.address();
    let (answered, answer) = mpsc::channel();
    std::thread::spawn(move || answered.send(Answer::read(&mut busy, false).status));
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(answer.recv_timeout(Duration::from_secs(1)), Ok(200));
    assert_eq!(idle.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let stub = Stub { takes: Duration::from_secs(30), ..Stub::default() };
    let mut server = Running::start(stub, Options { deadline: Duration::from_secs(30), ..options() });
    let mut busy = server.connect();
    busy.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_unix_socket_serves_the_same_and_is_gone_at_the_end() {
    let path = std::env::temp_dir().join(format!("vigie-page-{}.sock", std::process::id()));
    let mut server = Running::on(&Listen::Unix(path.clone()), Stub::default(), options());
    assert_eq!(server.addresses, [Listen::Unix(path.clone())]);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut stream, false).status, 200);
    server.stop();
    assert!(!path.exists());
}
