//! The same targets, asked by Debian's blackbox_exporter and by us: what both have a name for is the same.

use std::collections::BTreeMap;

use super::dns::Bind;
use super::icmp::with_groups;
use super::papers::Papers;
use super::support::{Nginx, Page, Peer, Series, blackbox_exporter, parse, skipped};
use super::{agent, until_probe};

/// What only one of us has, or what differs, and why: a case (or all of them) and a name.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("", "probe_tls_cipher_info", "newer than Debian's, which is 0.23"),
    ("http-stays", "probe_http_uncompressed_body_length", "we read what a redirect says, where it is the last answer"),
];

/// Labels that only ours have: who asked, and whom; and what is newer than Debian's.
const MORE: &[&str] = &["probe", "kind", "target", "serialnumber"];

/// One question, as both are told it.
struct Case {
    name: &'static str,
    kind: &'static str,
    target: String,
    /// What blackbox_exporter's module says below its prober.
    module: String,
    /// What our probe says besides its name.
    own: String,
}

impl Case {
    fn new(name: &'static str, kind: &'static str, target: String, module: &str, own: &str) -> Case {
        Case { name, kind, target, module: module.to_owned(), own: own.to_owned() }
    }

    fn http(name: &'static str, url: String, module: &str, own: &str) -> Case {
        let own = format!("url = '{url}'\nip = '4'\n{own}");
        Case::new(name, "http", url, &format!("preferred_ip_protocol: ip4\n{module}"), &own)
    }
}

/// Asks everything twice and compares what is said.
fn compare(cases: &[Case]) {
    let indented = |text: &str| text.lines().map(|line| format!("      {line}\n")).collect::<String>();
    let modules: String = cases
        .iter()
        .map(|case| {
            let Case { name, kind, module, .. } = case;
            format!("  {name}:\n    prober: {kind}\n    timeout: 5s\n    {kind}:\n{}", indented(module))
        })
        .collect();
    let Some(peer) = blackbox_exporter(&format!("modules:\n{modules}")) else {
        return skipped("prometheus-blackbox-exporter is not installed");
    };
    let probes: String = cases
        .iter()
        .map(|Case { name, kind, own, .. }| format!("[[probe.{kind}]]\nname = '{name}'\ninterval = '1s'\n{own}\n"))
        .collect();
    let agent = agent(&probes);
    for case in cases {
        until_probe(&agent, case.name, "asked", |probe| !probe["success"].is_null());
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let page = agent.page();
    let differences: Vec<String> =
        cases.iter().flat_map(|case| differences(case, &theirs(&peer, case), &page)).collect();
    assert!(differences.is_empty(), "ours is not blackbox_exporter's:\n  {}", differences.join("\n  "));
}

fn theirs(peer: &Peer, case: &Case) -> Page {
    let target: String = case.target.bytes().map(|byte| format!("%{byte:02x}")).collect();
    parse(&peer.get(&format!("/probe?module={}&target={target}", case.name)).text())
}

/// A series without the labels that only ours have.
fn bare(series: &Series) -> Series {
    let mut bare = series.clone();
    bare.labels.retain(|label, _| !MORE.contains(&label.as_str()));
    bare
}

fn differences(case: &Case, theirs: &Page, page: &Page) -> Vec<String> {
    let known = |name: &str| {
        EXCEPTIONS.iter().any(|(of, exception, _)| *exception == name && (of.is_empty() || *of == case.name))
    };
    let of_probes = |series: &Series| series.name.starts_with("probe_") && !known(&series.name);
    let ours: BTreeMap<Series, f64> = page
        .series
        .iter()
        .filter(|(series, _)| series.label("probe") == case.name && of_probes(series))
        .map(|(series, value)| (bare(series), *value))
        .collect();
    let theirs_too: BTreeMap<&Series, f64> =
        theirs.series.iter().filter(|(series, _)| of_probes(series)).map(|(series, value)| (series, *value)).collect();
    let mut found = Vec::new();
    for (series, value) in &theirs_too {
        // How long something takes is never the same twice.
        let took = series.name.contains("duration") || series.name.ends_with("lookup_time_seconds");
        match ours.get(series) {
            None => found.push(format!("{}: we have no {series}, which is {value}", case.name)),
            Some(own) if took && (0.0..5.0).contains(own) => {}
            Some(own) if own == value => {}
            Some(own) => found.push(format!("{}: {series} is {own} of ours, {value} of theirs", case.name)),
        }
        let (own, their) = (page.type_of(&series.name), theirs.type_of(&series.name));
        if own != their {
            found.push(format!("{}: {} is a {own:?} of ours, a {their:?} of theirs", case.name, series.name));
        }
    }
    let more = ours.keys().filter(|series| !theirs_too.contains_key(series));
    found.extend(more.map(|series| format!("{}: they have no {series}", case.name)));
    found
}

#[test]
fn servers_of_http_and_ports_are_told_alike() {
    let papers = Papers::new();
    let (folder, ca) = (papers.folder().display().to_string(), papers.path("ca.pem").display().to_string());
    let tls = format!("ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;");
    let servers = [
        r#"listen 127.0.0.1:PORT; default_type text/plain;
           location = / { return 200 "hello from nginx\n"; }
           location = /one { return 301 /two; }
           location = /two { return 302 /; }
           location = /away { return 302 http://localhost:PORT/; }
           location = /circle { return 301 /circle; }
           location = /broken { return 503 "out of order"; }
           location = /none { return 204; }
           location = /gzip { gzip on; gzip_types text/plain; return 200 "hay hay hay hay hay hay hay hay hay hay"; }"#
            .to_owned(),
        format!("listen 127.0.0.1:PORT ssl http2; {tls} location / {{ return 200 hello; }}"),
        format!("listen 127.0.0.1:PORT ssl; {tls} location / {{ return 200 hello; }}"),
    ];
    let Some(nginx) = Nginx::start(&servers) else { return skipped("nginx is not installed") };
    let [plain, secure, older] = nginx.ports[..] else { panic!("{:?}", nginx.ports) };
    let at = |path: &str| format!("http://127.0.0.1:{plain}{path}");
    let trusted = format!("tls_config:\n  ca_file: {ca}");
    let trusting = format!("tls = {{ ca = '{ca}' }}");
    let greeting = "query_response:\n  - send: \"GET / HTTP/1.0\\r\\n\\r\"\n  - expect: \"^HTTP/1.1 200\"";
    let script = r#"script = [{ send = "GET / HTTP/1.0\r\n\r\n" }, { expect = '^HTTP/1.1 200' }]"#;
    let ip4 = |module: &str| format!("preferred_ip_protocol: ip4\n{module}");
    let port = |port: u16| format!("localhost:{port}");
    let address = |port: u16, more: &str| format!("address = 'localhost:{port}'\n{more}");
    compare(&[
        Case::http("http", at("/"), "", ""),
        Case::http("http-by-name", format!("http://localhost:{plain}/"), "", ""),
        Case::http("http-file", at("/nginx.conf"), "", ""),
        Case::http("http-head", at("/nginx.conf"), "method: HEAD", "method = 'HEAD'"),
        Case::http("http-none", at("/none"), "", ""),
        Case::http("http-broken", at("/broken"), "", ""),
        Case::http("http-broken-as-it-should", at("/broken"), "valid_status_codes: [503]", "status = 503"),
        Case::http("http-redirects", at("/one"), "", ""),
        Case::http("http-away", at("/away"), "", ""),
        Case::http("http-circle", at("/circle"), "", ""),
        Case::http("http-stays", at("/two"), "follow_redirects: false", "follow_redirects = false"),
        Case::http(
            "http-gzip",
            at("/gzip"),
            "compression: gzip\nheaders:\n  Accept-Encoding: gzip",
            "compression = 'gzip'",
        ),
        Case::http(
            "http-packed",
            at("/gzip"),
            "headers:\n  Accept-Encoding: gzip",
            "headers = { accept-encoding = 'gzip' }",
        ),
        Case::http("http-like", at("/"), "fail_if_body_not_matches_regexp: [nginx]", "expect = 'nginx'"),
        Case::http("http-unlike", at("/"), "fail_if_body_not_matches_regexp: [apache]", "expect = 'apache'"),
        Case::http(
            "http-header",
            at("/"),
            "fail_if_header_not_matches: [{header: Server, regexp: apache}]",
            "expect_headers = { server = 'apache' }",
        ),
        Case::http("http-nobody", "http://127.0.0.1:1/".to_owned(), "", ""),
        Case::http("https", format!("https://localhost:{secure}/"), &trusted, &trusting),
        Case::http("https-older", format!("https://localhost:{older}/"), &trusted, &trusting),
        Case::new("tcp", "tcp", port(plain), &ip4(""), &address(plain, "")),
        Case::new("tcp-script", "tcp", port(plain), &ip4(greeting), &address(plain, script)),
        Case::new("tcp-tls", "tcp", port(older), &ip4(&format!("tls: true\n{trusted}")), &address(older, &trusting)),
    ]);
}

#[test]
fn servers_of_dns_are_told_alike() {
    let Some(bind) = Bind::start() else { return skipped("no named (bind9)") };
    let server = format!("127.0.0.1:{}", bind.port);
    let case = |name, question: &str, kind: &str, more: &str, own: &str| {
        let module = format!("preferred_ip_protocol: ip4\nquery_name: {question}\nquery_type: {kind}\n{more}");
        let own = format!("server = '{server}'\nquery = '{question}'\ntype = '{kind}'\n{own}");
        Case::new(name, "dns", server.clone(), &module, &own)
    };
    compare(&[
        case("dns", "mail.example.test", "A", "", ""),
        case("dns-soa", "example.test", "SOA", "", ""),
        case("dns-tcp", "example.test", "MX", "transport_protocol: tcp", "transport = 'tcp'"),
        case("dns-none", "none.example.test", "A", "", ""),
    ]);
}

#[test]
fn hosts_that_answer_a_ping_are_told_alike() {
    with_groups("0 2147483647", || {
        let target = "127.0.0.1".to_owned();
        compare(&[Case::new("icmp", "icmp", target, "preferred_ip_protocol: ip4", "host = '127.0.0.1'")]);
    });
}
