//! TLS, as the kinds that begin with a connection speak it: against nginx, and against what speaks none.

use rcgen::date_time_ymd;

use super::papers::Papers;
use super::servers::{saying, silent};
use super::support::{Nginx, skipped};
use super::{Said, agent, check, one, until_probe};

fn tcp(port: u16, more: &str) -> Said {
    one(&format!("[[probe.tcp]]\nname = 'x'\naddress = 'localhost:{port}'\ntimeout = '1500ms'\n{more}\n"))
}

/// A server of nginx that shows these papers.
pub(crate) fn server(papers: &Papers, name: &str, more: &str) -> String {
    let (cert, key) = (papers.path(&format!("{name}.pem")), papers.path(&format!("{name}.key")));
    let (cert, key) = (cert.display(), key.display());
    format!("listen 127.0.0.1:PORT ssl; ssl_certificate {cert}; ssl_certificate_key {key}; {more}")
}

#[test]
fn nginx_is_talked_to_over_tls_and_every_bad_certificate_is_told() {
    let papers = Papers::new();
    papers.issue("old", "localhost", |params| params.not_after = date_time_ymd(2001, 2, 3));
    papers.issue("early", "localhost", |params| params.not_before = date_time_ymd(2999, 2, 3));
    papers.issue("other", "shop.example", |_| ());
    let ca = papers.path("ca.pem").display().to_string();
    let client = format!("ssl_verify_client on; ssl_client_certificate {ca};");
    let servers = [
        server(&papers, "server", "return 200 hello;"),
        server(&papers, "old", ""),
        server(&papers, "early", ""),
        server(&papers, "other", ""),
        server(&papers, "server", "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;"),
        server(&papers, "server", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;"),
        server(&papers, "server", &format!("{client} return 200 hello;")),
        "listen 127.0.0.1:PORT; return 200 plain;".to_owned(),
    ];
    let Some(nginx) = Nginx::start(&servers) else { return skipped("nginx is not installed") };
    let [good, old, early, other, ancient, older, shy, plain] = nginx.ports[..] else { panic!("{:?}", nginx.ports) };
    let script = r#"script = [{ send = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", expect = '^HTTP/1.1 200' }, { expect = '^hello$' }]"#;
    let trusting = format!("tls = {{ ca = '{ca}' }}\n");
    let said = tcp(good, &format!("{trusting}{script}"));
    assert_eq!(said.result, "good", "{said:?}");
    for (port, tls, message, remedy) in [
        (good, "tls = true", "signed by \"CN=tests\", which the system does not know", "name the authority's file"),
        (old, &*trusting, "expired on Sat, 03 Feb 2001 00:00:00 GMT", "renew it there"),
        (early, &*trusting, "not valid before Sun, 03 Feb 2999", "set the clock"),
        (other, &*trusting, "the certificate is for shop.example, not for localhost", "`tls.server_name`"),
        (ancient, &*trusting, "speaks no TLS 1.2 or newer", "older versions are broken"),
        (plain, &*trusting, "it says \"HTTP/1.1 400 Bad Request\"", "by http://"),
    ] {
        let said = tcp(port, tls);
        assert_eq!(said.result, "tls", "{said:?}");
        assert!(said.why.contains(message) && said.why.contains(remedy), "{said:?}");
    }
    assert_eq!(tcp(other, &format!("tls = {{ ca = '{ca}', server_name = 'shop.example' }}")).result, "good");
    assert_eq!(tcp(older, &trusting).result, "good");
    let said = tcp(older, &format!("tls = {{ ca = '{ca}', min_version = '1.3' }}"));
    assert!(said.result == "tls" && said.why.contains("no TLS 1.3 or newer"), "{said:?}");
    // nginx answers those without a certificate by a page that says so.
    let folder = papers.folder().display();
    let shown = format!("tls = {{ ca = '{ca}', cert = '{folder}/client.pem', key = '{folder}/client.key' }}\n{script}");
    assert_eq!(tcp(shy, &shown).result, "good");
    let refused = script.replace("^hello$", "No required SSL certificate was sent").replace("200", "400");
    assert_eq!(tcp(shy, &format!("{trusting}{refused}")).result, "good");
}

#[test]
fn who_accepts_and_is_silent_or_speaks_otherwise_is_told_apart() {
    let said = tcp(silent().port(), "tls = true");
    assert!(said.result == "tls" && said.why.contains("ends the connection"), "{said:?}");
    let said = tcp(saying("220 mail.example ESMTP\r\n").port(), "tls = true");
    assert!(said.result == "tls" && said.why.contains("it says \"220 mail.example ESMTP\""), "{said:?}");
    let mute = super::servers::serve(|_stream| std::thread::sleep(std::time::Duration::from_secs(5)));
    let said = tcp(mute.port(), "tls = true");
    assert!(said.result == "timeout" && said.why.contains("shaking hands"), "{said:?}");
}

#[test]
fn who_does_not_verify_is_warned_and_what_was_seen_is_on_the_page() {
    let papers = Papers::new();
    papers.issue("old", "shop.example", |params| params.not_after = date_time_ymd(2001, 2, 3));
    let Some(nginx) = Nginx::start(&[server(&papers, "old", "")]) else { return skipped("nginx is not installed") };
    let address = format!("127.0.0.1:{}", nginx.ports[0]);
    let tls = |name: &str, tls: &str| {
        format!("[[probe.tcp]]\nname = '{name}'\naddress = '{address}'\ninterval = '1s'\ntls = {{ {tls} }}\n")
    };
    let careless = tls("careless", "insecure_skip_verify = true");
    let (run, said) = check(&careless);
    assert_eq!(said[0].result, "good", "{run:?}");
    assert!(run.out.contains("warning: probe.tcp \"careless\": tls.insecure_skip_verify is on"), "{run:?}");
    let ca = papers.path("ca.pem");
    let agent = agent(&format!("{careless}{}", tls("careful", &format!("ca = '{}'", ca.display()))));
    until_probe(&agent, "careful", "down", |probe| probe["up"] == false);
    until_probe(&agent, "careless", "up", |probe| probe["up"] == true);
    assert_eq!(agent.log().matches("insecure_skip_verify").count(), 1, "{}", agent.log());
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let page = agent.page();
    for probe in ["careless", "careful"] {
        let labels = [("probe", probe), ("kind", "tcp"), ("target", &*address)];
        assert_eq!(page.value("probe_ssl_earliest_cert_expiry", &labels), 981_158_400.0);
        let info = page.of("probe_ssl_last_chain_info").find(|(series, _)| series.label("probe") == probe).unwrap().0;
        assert_eq!((info.label("subjectalternative"), info.label("issuer")), ("shop.example", "CN=tests"));
    }
    let spoken = page.of("probe_tls_version_info").map(|(series, _)| series.label("version").to_owned());
    assert_eq!(spoken.collect::<Vec<_>>(), ["TLS 1.3"]);
}
