//! `vigie check --connect`, and the proxies of its environment.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};

use super::collector::{Act, Collector, Identity, ServerTlsConfig, Site, Status};
use super::http_collector::{HttpCollector, Reply};
use super::papers::Papers;
use super::reuse::raw;
use super::support::{skipped, tinyproxy, vigie};

/// What `check --connect` prints about the push at `url`, and whether all is good.
#[track_caller]
fn check(url: &str, sets: &[&str], env: &[(&str, &str)]) -> (bool, String) {
    let mut command = vigie(&["check", "--connect", "--config", "/dev/null"]);
    command.args(["--set", "http.listen=\"127.0.0.1:0\"", "--set", &format!("otlp.endpoint={url:?}")]);
    for set in sets {
        command.args(["--set", &format!("otlp.{set}")]);
    }
    for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "CREDENTIALS_DIRECTORY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.envs(env.iter().copied()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let told: Vec<&str> = out.lines().filter(|line| line.starts_with("otlp")).collect();
    let good = output.status.success();
    assert_eq!(out.ends_with("good\n"), good, "{out}{err}");
    assert!(good || output.status.code() == Some(1), "{:?}", output.status);
    // What cannot be configured so is said on stderr, like every such thing.
    let told = if told.is_empty() { err.trim().to_owned() } else { told.join("\n") };
    (good, told.replace(url, "URL"))
}

const HTTP: &str = "protocol=\"http\"";

#[test]
fn a_collector_that_answers_is_good() {
    let (grpc, http) = (Collector::start(), HttpCollector::start());
    assert_eq!(check(&grpc.url(), &[], &[]), (true, "otlp: URL answers".to_owned()));
    assert_eq!(check(&http.url(), &[HTTP], &[]), (true, "otlp: URL answers".to_owned()));
    assert_eq!(grpc.calls()[0].request.resource_metrics.len(), 0, "nothing is pushed by it");
    assert_eq!(http.posts()[0].body.len(), 0);
    grpc.then([Act::Partial(0, "this port closes in May")]);
    let told = check(&grpc.url(), &[], &[]);
    assert_eq!(told, (true, "otlp: URL answers, and says: this port closes in May".to_owned()));
}

#[test]
fn one_that_does_not_is_told_with_the_remedy() {
    let (collector, http) = (Collector::start(), HttpCollector::start());
    collector.then([Act::Refuse(Status::unauthenticated("who?"))]);
    let told = "otlp: URL asks who we are, UNAUTHENTICATED: who?; name the credentials in otlp.headers";
    assert_eq!(check(&collector.url(), &[], &[]), (false, told.to_owned()));
    http.then([Reply::of(404, &[], "")]);
    let told = "otlp: URL takes no metrics at /v1/metrics, 404 Not Found; is the path of otlp.endpoint right?";
    assert_eq!(check(&http.url(), &[HTTP], &[]), (false, told.to_owned()));
    let (good, told) = check("http://no-such-host.invalid:4317", &[], &[]);
    assert!(!good && told.starts_with("otlp: the name no-such-host.invalid has no address: "), "{told}");
    let (good, told) = check(&http.url(), &["headers={x-key={file=\"/nowhere\"}}"], &[]);
    assert!(!good && told.contains("otlp.headers.x-key: cannot read the secret in /nowhere"), "{told}");
}

#[test]
fn a_credential_of_the_unit_is_said_to_be_one() {
    let collector = Collector::start();
    let header = "headers={authorization={credential=\"token\"}}";
    let note = "otlp.headers.authorization: a credential, which only the running unit can read\n";
    assert_eq!(check(&collector.url(), &[header], &[]), (true, format!("{note}otlp: URL answers")));
    collector.always(Act::Refuse(Status::unauthenticated("who?")));
    let told = format!("{note}otlp: URL answers, and asks for what only the running unit can read");
    assert_eq!(check(&collector.url(), &[header], &[]), (true, told));
}

/// A proxy whose every name is the loopback. It keeps the heads of what it is asked, and answers `refusal` if it has one.
fn proxy(refusal: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    let (url, _) = raw(move |_, mut stream| {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap_or_default().trim_start_matches("http://");
        let port = target.split('/').next().and_then(|target| target.rsplit_once(':')).map(|(_, port)| port.parse());
        kept.lock().unwrap().push(head.clone());
        let Some(Ok(port)) = port else { return };
        if !refusal.is_empty() {
            stream.write_all(refusal.as_bytes()).unwrap();
            return;
        }
        let mut there = TcpStream::connect(("127.0.0.1", port)).unwrap();
        if head.starts_with("CONNECT ") {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        } else {
            there.write_all(head.as_bytes()).unwrap();
        }
        let (mut back, mut away) = (there.try_clone().unwrap(), stream.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut back, &mut away);
            let _ = away.shutdown(Shutdown::Both);
        });
        let _ = std::io::copy(&mut stream, &mut there);
    });
    (url, heads)
}

#[test]
fn a_proxy_lets_grpc_through_and_passes_http_on() {
    let (grpc, http, (proxy, heads)) = (Collector::start(), HttpCollector::start(), proxy(""));
    let with_password = proxy.replace("http://", "http://us%40er:pass@");
    let answers = (true, "otlp: URL answers".to_owned());
    let url = format!("http://collector.example:{}", grpc.port);
    assert_eq!(check(&url, &[], &[("HTTP_PROXY", &with_password)]), answers);
    let url = format!("http://collector.example:{}", http.port);
    assert_eq!(check(&url, &[HTTP], &[("all_proxy", &with_password)]), answers);
    let grpc_place = format!("collector.example:{}", grpc.port);
    let asked = std::mem::take(&mut *heads.lock().unwrap());
    let secret = "Basic dXNAZXI6cGFzcw==\r\n";
    let expected = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nProxy-Authorization: {secret}\r\n", grpc_place);
    assert_eq!(asked[0], expected);
    assert!(asked[1].starts_with(&format!("POST {url}/v1/metrics HTTP/1.1\r\n")), "{}", asked[1]);
    assert!(asked[1].contains(&format!("proxy-authorization: {secret}")), "{}", asked[1]);
    assert_eq!(http.posts()[0].header("host"), url.strip_prefix("http://").unwrap());
    // Never for this host itself, nor for whom it is told not to.
    assert_eq!(check(&grpc.url(), &[], &[("HTTP_PROXY", &proxy)]), answers);
    let (good, told) = check(&url, &[HTTP], &[("HTTP_PROXY", &proxy), ("NO_PROXY", "example")]);
    assert!(!good && told.contains("has no address"), "{told}");
    assert_eq!(heads.lock().unwrap().len(), 0);
}

#[test]
fn tls_goes_through_a_proxy_unseen() {
    let (papers, (proxy, heads)) = (Papers::new(), proxy(""));
    papers.issue("far", "collector.example", |_| ());
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(papers.read("far.pem"), papers.read("far.key")));
    let collector = Collector::on(Site { tls: Some(tls), ..Site::default() });
    let url = format!("https://collector.example:{}", collector.port);
    let trust = format!("tls={{ca={:?}}}", papers.path("ca.pem"));
    let answers = (true, "otlp: URL answers".to_owned());
    assert_eq!(check(&url, &[&trust], &[("HTTPS_PROXY", &proxy), ("HTTP_PROXY", "http://127.0.0.1:1")]), answers);
    assert_eq!((collector.calls().len(), heads.lock().unwrap().len()), (1, 1));
}

#[test]
fn a_proxy_that_refuses_is_told_with_the_remedy() {
    let (open, _) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    let (closed, _) = proxy("HTTP/1.1 403 Filtered\r\n\r\n");
    let (odd, _) = proxy("SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
    let place = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let url = "http://collector.example:4317";
    let with_password = open.replace("http://", "http://user:hunter2@");
    let cases = [
        (
            &open,
            format!(
                "the proxy {} asks for a user and password: write them as user:password@ into its URL",
                place(&open)
            ),
        ),
        (&with_password, format!("the proxy {} does not accept the user and password in its URL", place(&open))),
        (
            &closed,
            format!(
                "the proxy {} opens no way to collector.example:4317: 403 Filtered; is the port allowed there?",
                place(&closed)
            ),
        ),
        (&odd, format!("the proxy {} does not answer in HTTP; is its URL in the environment right?", place(&odd))),
    ];
    for (proxy, told) in cases {
        assert_eq!(check(url, &[], &[("http_proxy", proxy)]), (false, format!("otlp: {told}")));
    }
    let told = format!(
        "otlp: the proxy {} asks for a user and password: write them as user:password@ into its URL",
        place(&open)
    );
    assert_eq!(check(url, &[HTTP], &[("http_proxy", &open)]), (false, told));
    let (good, told) = check(url, &[], &[("ALL_PROXY", "socks5://user:hunter2@127.0.0.1:1080")]);
    assert!(!good && told.contains("the environment wants a socks5:// proxy for otlp.endpoint"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_real_proxy_does_too() {
    let Some(proxy) = tinyproxy("user", "hunter2") else { return skipped("tinyproxy is not installed") };
    // The kernel says which address it would send from; nothing is sent.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(own) = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()) else {
        return skipped("this host has no address but the loopback");
    };
    let grpc = Collector::on(Site { public: true, ..Site::default() });
    let http = HttpCollector::public();
    let place = format!("127.0.0.1:{}", proxy.port);
    let (good, bad) = (format!("http://user:hunter2@{place}"), format!("http://user:wrong@{place}"));
    let bare = format!("http://{place}");
    for (port, sets) in [(grpc.port, &[][..]), (http.port, &[HTTP])] {
        let url = format!("http://{}:{port}", own.ip());
        assert_eq!(check(&url, sets, &[("http_proxy", &good)]), (true, "otlp: URL answers".to_owned()));
        let told =
            format!("otlp: the proxy {place} asks for a user and password: write them as user:password@ into its URL");
        assert_eq!(check(&url, sets, &[("http_proxy", &bare)]), (false, told));
    }
    let told = format!("otlp: the proxy {place} does not accept the user and password in its URL");
    assert_eq!(check(&format!("http://{}:{}", own.ip(), grpc.port), &[], &[("http_proxy", &bad)]), (false, told));
    assert_eq!((grpc.calls().len(), http.posts().len()), (1, 1));
}
