//! The page over TLS.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use vigie::config;
use vigie::page::server::Options;
use vigie::page::tls::Tls;
use vigie::tls::TlsError;

use super::papers::Papers;
use super::{Answer, Running, Stub, options};

impl Papers {
    fn tls(&self, cert: &str, key: &str, client_ca: Option<&str>) -> Result<Tls, TlsError> {
        Tls::load(config::Tls {
            cert: self.path(cert),
            key: self.path(key),
            client_ca: client_ca.map(|name| self.path(name)),
        })
    }

    fn refusal(&self, cert: &str, key: &str) -> String {
        let error = self.tls(cert, key, None).err().unwrap();
        error.to_string().replace(&format!("{}/", self.folder().display()), "")
    }

    fn client(&self, certificate: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(certificate_of(&self.path("ca.pem"))).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
                let chain = vec![certificate_of(&self.path(&format!("{name}.pem")))];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }
}

fn certificate_of(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

fn scrape(server: &Running, client: ClientConfig) -> std::io::Result<u16> {
    let connection = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, server.connect());
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")?;
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(Answer::read(&mut stream, false).status)
}

#[test]
fn the_page_is_served_over_tls_and_to_nobody_without() {
    let papers = Papers::new();
    let tls = Some(Arc::new(papers.tls("server.pem", "server.key", None).unwrap()));
    let server = Running::start(Stub::default(), Options { tls, ..options() });
    assert_eq!(scrape(&server, papers.client(None)).unwrap(), 200);
    let mut plain = TcpStream::connect(server.address()).unwrap();
    plain.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut heard);
    assert!(!heard.starts_with(b"HTTP"));
    assert_eq!(scrape(&server, papers.client(None)).unwrap(), 200);
}

#[test]
fn a_client_without_its_certificate_is_sent_away() {
    let papers = Papers::new();
    let strangers = Papers::new();
    let tls = Some(Arc::new(papers.tls("server.pem", "server.key", Some("ca.pem")).unwrap()));
    let server = Running::start(Stub::default(), Options { tls, ..options() });
    assert_eq!(scrape(&server, papers.client(Some("client"))).unwrap(), 200);
    assert!(scrape(&server, papers.client(None)).is_err());
    std::fs::copy(strangers.path("client.pem"), papers.path("stranger.pem")).unwrap();
    std::fs::copy(strangers.path("client.key"), papers.path("stranger.key")).unwrap();
    assert!(scrape(&server, papers.client(Some("stranger"))).is_err());
}

#[test]
fn a_wrong_file_is_named_with_what_is_wrong() {
    let papers = Papers::new();
    papers.write("empty.pem", "");
    papers.write("secret.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    papers.write("torn.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    papers.write("rubbish.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let cases = [
        ("none.pem", "server.key", "cannot read none.pem: No such file or directory (os error 2)"),
        ("empty.pem", "server.key", "no certificate in empty.pem: expected a block BEGIN CERTIFICATE"),
        (
            "server.key",
            "server.pem",
            "no certificate in server.key: expected a block BEGIN CERTIFICATE, found a private key: are the two swapped?",
        ),
        (
            "server.pem",
            "ca.pem",
            "no private key in ca.pem: expected a block BEGIN PRIVATE KEY, found a certificate: are the two swapped?",
        ),
        (
            "server.pem",
            "secret.key",
            "no private key in secret.key: expected a block BEGIN PRIVATE KEY, found an encrypted one: decrypt it with openssl pkey",
        ),
        (
            "server.pem",
            "client.key",
            "the private key in client.key does not belong to the first certificate in server.pem",
        ),
    ];
    for (cert, key, expected) in cases {
        assert_eq!(papers.refusal(cert, key), expected);
    }
    for cert in ["torn.pem", "rubbish.pem"] {
        let refusal = papers.refusal(cert, "server.key");
        assert!(refusal.starts_with("cannot ") && refusal.contains(cert), "{refusal}");
    }
}
