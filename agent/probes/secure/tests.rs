use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use papers::Papers;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use super::*;
use crate::snapshot::{Labels, Reading, Value};

#[path = "../../../tests/support/papers.rs"]
mod papers;

/// Shakes hands with a server that shows these papers.
async fn shake(papers: &Papers, server: &str, tls: Tls, host: &str) -> (Result<(), ProbeError>, Arc<Reading>) {
    shake_with(papers, server, &mut Secure::new(&tls), host).await
}

async fn shake_with(
    papers: &Papers,
    server: &str,
    secure: &mut Secure,
    host: &str,
) -> (Result<(), ProbeError>, Arc<Reading>) {
    let chain = certificates(&papers.path(&format!("{server}.pem"))).unwrap();
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth();
    let config = config.with_single_cert(chain, key(&papers.path(&format!("{server}.key"))).unwrap()).unwrap();
    ask(config, secure, host).await
}

async fn ask(config: ServerConfig, secure: &mut Secure, host: &str) -> (Result<(), ProbeError>, Arc<Reading>) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let served = tokio::spawn(async move {
        // Whether it succeeds is the client's to say.
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(there).await {
            let _ = stream.write_all(b"hello").await;
            let _ = stream.shutdown().await;
        }
    });
    let mut report = Report::new(Arc::new(Reading::default()), &Labels::new(&[("probe", "x")]));
    let answer = match secure.handshake(here, host, &[], &mut report).await {
        Err(error) => Err(error),
        Ok(mut stream) => match stream.read_to_string(&mut String::new()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(secure.tell(host, Some(&error), &mut report).unwrap()),
        },
    };
    served.await.unwrap();
    (answer, report.into_reading())
}

fn trusting(papers: &Papers) -> Tls {
    Tls { ca: Some(papers.path("ca.pem")), ..Tls::default() }
}

/// Writes a certificate that nobody has signed but itself.
fn alone(papers: &Papers, name: &str, change: impl FnOnce(&mut CertificateParams)) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    change(&mut params);
    papers.write(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
    papers.write(&format!("{name}.key"), &key.serialize_pem());
}

fn value(reading: &Reading, name: &str) -> Option<Value> {
    reading.families().find(|family| family.metric.name == name).map(|family| family.points()[0].value)
}

fn label(reading: &Reading, name: &str, label: &str) -> String {
    let family = reading.families().find(|family| family.metric.name == name).unwrap();
    let pairs = family.points()[0].labels.pairs();
    pairs.into_iter().find(|(key, _)| key == label).unwrap().1
}

#[tokio::test]
async fn a_good_certificate_is_told_with_its_dates_and_names() {
    let papers = Papers::new();
    papers.issue("good", "shop.example", |params| params.not_after = date_time_ymd(2052, 2, 29));
    let (answer, reading) = shake(&papers, "good", trusting(&papers), "shop.example").await;
    assert_eq!(answer, Ok(()));
    // The authority's own end is later.
    for name in ["probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds"] {
        assert_eq!(value(&reading, name), Some(Value::Int(2_592_777_600)), "{name}");
    }
    assert_eq!(label(&reading, "probe_tls_version_info", "version"), "TLS 1.3");
    assert_eq!(label(&reading, "probe_tls_cipher_info", "cipher"), "TLS_AES_256_GCM_SHA384");
    assert_eq!(label(&reading, "probe_ssl_last_chain_info", "subjectalternative"), "shop.example");
    assert_eq!(label(&reading, "probe_ssl_last_chain_info", "probe"), "x");
    assert_eq!(label(&reading, "probe_ssl_last_chain_info", "fingerprint_sha256").len(), 64);
}

#[tokio::test]
async fn each_bad_certificate_is_told_with_its_remedy_and_its_dates() {
    let papers = Papers::new();
    papers.issue("old", "localhost", |params| params.not_after = date_time_ymd(2001, 2, 3));
    papers.issue("early", "localhost", |params| params.not_before = date_time_ymd(2999, 2, 3));
    alone(&papers, "alone", |_| ());
    let system = Tls::default();
    let ours = trusting(&papers);
    for (server, tls, message, remedy) in [
        ("old", &ours, "the certificate of localhost expired on Sat, 03 Feb 2001 00:00:00 GMT", "renew it there"),
        ("early", &ours, "is not valid before Sun, 03 Feb 2999 00:00:00 GMT", "set the clock"),
        ("server", &system, "signed by \"CN=tests\", which the system does not know", "whole chain"),
        ("alone", &ours, "the certificate of localhost is signed by itself alone", "name a copy of it in `tls.ca`"),
    ] {
        let (answer, reading) = shake(&papers, server, tls.clone(), "localhost").await;
        let error = answer.unwrap_err();
        assert_eq!(error.reason, Reason::Tls, "{error}");
        assert!(error.message.contains(message) && error.remedy().contains(remedy), "{error} → {}", error.remedy());
        assert!(value(&reading, "probe_ssl_earliest_cert_expiry").is_some(), "{server}");
        assert_eq!(value(&reading, "probe_ssl_last_chain_expiry_timestamp_seconds"), None, "{server}");
    }
    let (answer, _) = shake(&papers, "server", ours, "shop.example").await;
    let error = answer.unwrap_err();
    assert_eq!(error.message, "the certificate is for localhost, not for shop.example");
}

#[tokio::test]
async fn a_certificate_that_we_have_a_copy_of_needs_no_authority() {
    let papers = Papers::new();
    let openssl = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let copied = |name: &str| Tls { ca: Some(papers.path(&format!("{name}.pem"))), ..Tls::default() };
    alone(&papers, "alone", |_| ());
    alone(&papers, "openssl", openssl);
    for server in ["alone", "openssl"] {
        assert_eq!(shake(&papers, server, copied(server), "localhost").await.0, Ok(()), "{server}");
        let error = shake(&papers, server, copied(server), "shop.example").await.0.unwrap_err();
        assert_eq!(error.message, "the certificate is for localhost, not for shop.example");
    }
    alone(&papers, "old", |params| {
        openssl(params);
        params.not_after = date_time_ymd(2001, 2, 3);
    });
    let error = shake(&papers, "old", copied("old"), "localhost").await.0.unwrap_err();
    assert!(error.message.contains("expired on"), "{error}");
    let error = shake(&papers, "openssl", trusting(&papers), "localhost").await.0.unwrap_err();
    assert!(error.message.contains("is an authority's (CA:TRUE)") && error.remedy().contains("tls.ca"), "{error}");
}

#[tokio::test]
async fn any_certificate_will_do_for_who_says_so() {
    let papers = Papers::new();
    papers.issue("old", "elsewhere.example", |params| params.not_after = date_time_ymd(2001, 2, 3));
    let careless = Tls { insecure_skip_verify: true, ..Tls::default() };
    assert!(careless.warning().is_some() && Tls::default().warning().is_none());
    let (answer, reading) = shake(&papers, "old", careless, "localhost").await;
    assert_eq!(answer, Ok(()));
    assert_eq!(value(&reading, "probe_ssl_earliest_cert_expiry"), Some(Value::Int(981_158_400)));
    assert_eq!(value(&reading, "probe_ssl_last_chain_expiry_timestamp_seconds"), None);
}

#[tokio::test]
async fn who_must_show_a_certificate_shows_it_or_is_told_to() {
    let papers = Papers::new();
    let config = || {
        let roots = Arc::new(crate::tls::authorities(&papers.path("ca.pem")).unwrap());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let (chain, key) = (certificates(&papers.path("server.pem")), key(&papers.path("server.key")));
        config.with_client_cert_verifier(verifier).with_single_cert(chain.unwrap(), key.unwrap()).unwrap()
    };
    let error = ask(config(), &mut Secure::new(&trusting(&papers)), "localhost").await.0.unwrap_err();
    assert_eq!(error.message, "localhost wants to see a certificate of ours");
    let file = |name| Some(papers.path(name));
    let showing = Tls { cert: file("client.pem"), key: file("client.key"), ..trusting(&papers) };
    assert_eq!(ask(config(), &mut Secure::new(&showing), "localhost").await.0, Ok(()));
    let stranger = Papers::new();
    let cert = Some(stranger.path("client.pem"));
    let showing = Tls { cert, key: Some(stranger.path("client.key")), ..trusting(&papers) };
    let error = ask(config(), &mut Secure::new(&showing), "localhost").await.0.unwrap_err();
    assert!(error.message.contains("does not accept our certificate in"), "{error}");
}

#[tokio::test]
async fn files_that_change_are_used_and_half_a_pair_is_not() {
    let papers = Papers::new();
    let other = Papers::new();
    let mut secure = Secure::new(&trusting(&papers));
    assert_eq!(shake_with(&papers, "server", &mut secure, "localhost").await.0, Ok(()));
    let before = secure.config(&[]).unwrap();
    assert!(Arc::ptr_eq(&before, &secure.config(&[]).unwrap()), "made again without a reason");
    let later = |text: &str| {
        papers.write("ca.pem", text);
        let file = std::fs::File::options().append(true).open(papers.path("ca.pem")).unwrap();
        file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
    };
    later("half a fi");
    assert!(Arc::ptr_eq(&before, &secure.config(&[]).unwrap()), "the old one did not stay");
    std::thread::sleep(std::time::Duration::from_millis(20));
    later(&other.read("ca.pem"));
    assert_eq!(shake_with(&other, "server", &mut secure, "localhost").await.0, Ok(()));
    assert!(shake_with(&papers, "server", &mut secure, "localhost").await.0.is_err());
}

#[test]
fn all_probes_that_trust_alike_share_the_authorities() {
    let papers = Papers::new();
    let path = papers.path("ca.pem");
    let (one, two) = (Authorities::shared(Some(&path)).unwrap(), Authorities::shared(Some(&path)).unwrap());
    assert!(Arc::ptr_eq(&one, &two));
    let missing = Authorities::shared(Some(&papers.path("none.pem"))).unwrap_err();
    assert!(missing.to_string().contains("none.pem"), "{missing}");
}

#[tokio::test]
async fn what_is_no_tls_is_told_by_what_it_says() {
    for (said, message) in [
        (&b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n"[..], "it says \"HTTP/1.1 400 Bad Request\""),
        (b"220 mail.example ESMTP\r\n", "it says \"220 mail.example ESMTP\""),
        (&[0xff; 100], "it says the bytes ff ff ff ff ff ff ff ff"),
        (b"", "ends the connection where TLS should begin"),
    ] {
        let (here, mut there) = tokio::io::duplex(64 << 10);
        there.write_all(said).await.unwrap();
        let ends = tokio::spawn(async move {
            let mut hello = [0; 5];
            let _ = there.read_exact(&mut hello).await;
        });
        let mut report = Report::new(Arc::new(Reading::default()), &Labels::none());
        let careless = Tls { insecure_skip_verify: true, ..Tls::default() };
        let error = Secure::new(&careless).handshake(here, "localhost", &[], &mut report).await.map(drop).unwrap_err();
        assert!(error.reason == Reason::Tls && error.message.contains(message), "{error}");
        ends.await.unwrap();
    }
}

#[test]
fn it_is_switched_on_or_a_table() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Probe {
        #[serde(default, deserialize_with = "switch")]
        tls: Option<Tls>,
    }
    let read = |text: &str| toml::from_str::<Probe>(text).map(|probe| probe.tls).map_err(|error| error.to_string());
    assert_eq!((read(""), read("tls = false")), (Ok(None), Ok(None)));
    assert_eq!(read("tls = true"), Ok(Some(Tls::default())));
    let table = Tls { min_version: Version::Tls13, ..Tls::default() };
    assert_eq!(read("tls = { min_version = '1.3' }"), Ok(Some(table)));
    assert!(read("tls = { min_version = '1.1' }").unwrap_err().contains("`1.2` or `1.3`"));
    assert!(read("tls = 5").unwrap_err().contains("true, false or a table"));
}
