//! TLS to the collector: whom we trust, whom it trusts, and what is said when it fails.

use std::sync::Arc;

use hyper::Version;
use rcgen::date_time_ymd;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use vigie::push::client::Accepted;

use super::collector::{Certificate, Collector, Identity, ServerTlsConfig, Site};
use super::http_collector::HttpCollector;
use super::papers::Papers;
use super::{HTTP, LATER, client, send, try_client, why};

/// A gRPC collector with the certificate `name`, that asks for one of ours where `asks`.
fn collector(papers: &Papers, name: &str, asks: bool) -> Collector {
    let (cert, key) = (papers.read(&format!("{name}.pem")), papers.read(&format!("{name}.key")));
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(cert, key));
    if asks {
        tls = tls.client_ca_root(Certificate::from_pem(papers.read("ca.pem")));
    }
    Collector::on(Site { tls: Some(tls), ..Site::default() })
}

/// An HTTP collector that offers these protocols.
fn http_collector(papers: &Papers, offers: &[&str]) -> HttpCollector {
    let chain = vec![CertificateDer::from_pem_file(papers.path("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(papers.path("server.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = offers.iter().map(|offer| offer.as_bytes().to_vec()).collect();
    HttpCollector::on(0, Some(config))
}

fn url(port: u16) -> String {
    format!("https://localhost:{port}")
}

/// `otlp.tls` with files of `papers`: option, then name.
fn files(papers: &Papers, files: &[(&str, &str)]) -> String {
    let files: Vec<String> = files.iter().map(|(option, name)| format!("{option}={:?}", papers.path(name))).collect();
    format!("tls={{{}}}", files.join(","))
}

#[tokio::test]
async fn a_collector_of_our_authority_is_trusted() {
    let papers = Papers::new();
    let trust = files(&papers, &[("ca", "ca.pem")]);
    let grpc = collector(&papers, "server", false);
    let mut client = client(&url(grpc.port), &[&trust]);
    assert_eq!(send(&mut client).await, Ok(Accepted::default()));
    assert_eq!(send(&mut client).await, Ok(Accepted::default()));
    assert_eq!(grpc.calls().len(), 2);
}

#[tokio::test]
async fn http_takes_what_is_offered() {
    let papers = Papers::new();
    let trust = files(&papers, &[("ca", "ca.pem")]);
    for (offers, version) in
        [(&["h2", "http/1.1"][..], Version::HTTP_2), (&["http/1.1"], Version::HTTP_11), (&[], Version::HTTP_11)]
    {
        let http = http_collector(&papers, offers);
        let mut client = client(&url(http.port), &[HTTP, &trust]);
        assert_eq!(send(&mut client).await, Ok(Accepted::default()));
        assert_eq!(send(&mut client).await, Ok(Accepted::default()));
        let posts = http.posts();
        assert_eq!((posts[0].version, posts[0].port), (version, posts[1].port), "{offers:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_do_is_told_with_the_remedy() {
    let papers = Papers::new();
    papers.issue("other", "collector.example", |_| ());
    papers.issue("old", "localhost", |params| params.not_after = date_time_ymd(2020, 2, 1));
    papers.issue("new", "localhost", |params| params.not_before = date_time_ymd(2090, 2, 1));
    let strangers = Papers::new();
    strangers.write("authority.pem", &papers.read("ca.pem"));
    let trust = files(&papers, &[("ca", "ca.pem")]);
    let cases = [
        (
            "other",
            trust.clone(),
            "shows a certificate for collector.example, not for localhost: write a name of the certificate in \
             otlp.endpoint, or have localhost added to it (subjectAltName)"
                .to_owned(),
        ),
        (
            "old",
            trust.clone(),
            "shows a certificate that expired on Sat, 01 Feb 2020 00:00:00 GMT: renew it there, or set this host's \
             clock"
                .to_owned(),
        ),
        (
            "new",
            trust.clone(),
            "shows a certificate that is not valid before Wed, 01 Feb 2090 00:00:00 GMT: set this host's clock"
                .to_owned(),
        ),
        (
            "server",
            files(&strangers, &[("ca", "ca.pem")]),
            format!(
                "shows a certificate that no authority in {} has signed; does otlp.tls.ca name the right file?",
                strangers.path("ca.pem").display()
            ),
        ),
        (
            "ca",
            trust,
            "shows an authority's certificate (CA:TRUE) as its own: give it one with CA:FALSE (basicConstraints) \
             that this authority has signed"
                .to_owned(),
        ),
    ];
    for (name, trust, sentence) in cases {
        let collector = collector(&papers, name, false);
        let url = url(collector.port);
        let result = send(&mut client(&url, &[&trust])).await;
        assert_eq!(why(result, &url), ("tls", LATER, format!("URL {sentence}")), "{name}");
    }
}

#[tokio::test]
async fn an_authority_that_the_system_does_not_know_is_told() {
    let papers = Papers::new();
    let collector = collector(&papers, "server", false);
    let url = url(collector.port);
    match try_client(&url, &[]) {
        Ok(mut client) => {
            let sentence = "URL shows a certificate of an authority that the system does not trust: name the file of \
                            that authority's certificate in otlp.tls.ca";
            assert_eq!(why(send(&mut client).await, &url), ("tls", LATER, sentence.to_owned()));
        }
        // A system without any, as a small container is.
        Err(error) => assert!(error.to_string().starts_with("the system trusts no authority: "), "{error}"),
    }
}

#[tokio::test]
async fn a_collector_that_wants_to_know_us_is_shown_our_certificate() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    let collector = collector(&papers, "server", true);
    let url = url(collector.port);
    let trust = files(&papers, &[("ca", "ca.pem")]);
    let sentence =
        "URL asks for a certificate of ours: name one in otlp.tls.cert, and its key in otlp.tls.key".to_owned();
    assert_eq!(why(send(&mut client(&url, &[&trust])).await, &url), ("tls", LATER, sentence));
    papers.write("own.pem", &strangers.read("client.pem"));
    papers.write("own.key", &strangers.read("client.key"));
    let ours = files(&papers, &[("ca", "ca.pem"), ("cert", "own.pem"), ("key", "own.key")]);
    let mut client = client(&url, &[&ours]);
    let sentence = format!(
        "URL does not accept our certificate in {}; has its authority signed it?",
        papers.path("own.pem").display()
    );
    assert_eq!(why(send(&mut client).await, &url), ("tls", LATER, sentence));
    // Half of a pair changes nothing; the whole one is taken at the next connection.
    papers.write("own.pem", &papers.read("client.pem"));
    assert_eq!(why(send(&mut client).await, &url).0, "tls");
    papers.write("own.key", &papers.read("client.key"));
    assert_eq!(send(&mut client).await, Ok(Accepted::default()));
}

#[tokio::test]
async fn http2_is_missed_where_it_is_not_offered() {
    let papers = Papers::new();
    let http = http_collector(&papers, &["http/1.1"]);
    let url = url(http.port);
    let result = send(&mut client(&url, &[&files(&papers, &[("ca", "ca.pem")])])).await;
    let sentence = "URL does not speak HTTP/2 over TLS, which gRPC takes; if OTLP/HTTP is spoken there, set \
                    otlp.protocol to \"http\"";
    assert_eq!(why(result, &url), ("tls", LATER, sentence.to_owned()));
}

#[test]
fn files_that_do_not_do_are_told_before_anything_is_sent() {
    let papers = Papers::new();
    let refusal = |url: &str, files: &str| {
        let error = try_client(url, &[files]).err().unwrap().to_string();
        error.replace(&format!("{}/", papers.folder().display()), "")
    };
    let cases = [
        (
            vec![("cert", "client.pem"), ("key", "server.key")],
            "otlp.tls: the private key in server.key does not belong to the first certificate in client.pem",
        ),
        (vec![("ca", "none.pem")], "otlp.tls: cannot read none.pem: No such file or directory (os error 2)"),
    ];
    for (mut named, sentence) in cases {
        if !named.iter().any(|(option, _)| *option == "ca") {
            named.push(("ca", "ca.pem"));
        }
        assert_eq!(refusal("https://localhost:1", &files(&papers, &named)), sentence);
    }
}
