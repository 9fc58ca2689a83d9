//! TLS to the collector: whom we trust, what we show, and what it means when it fails.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};

use super::failure::ClientError;
use crate::config::{ClientTls, Protocol};
use crate::stream::Stream;
use crate::tls::{Stamps, TlsError, authorities, certificates, key, stamps};

/// HTTP/2's name in TLS (RFC 9113, 3.2).
const H2: &[u8] = b"h2";

/// TLS as the files have it now.
pub(super) struct Tls {
    files: ClientTls,
    protocol: Protocol,
    host: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    stamps: Stamps,
}

impl Tls {
    /// Reads the files.
    pub(super) fn load(files: &ClientTls, protocol: Protocol, host: &str) -> Result<Tls, ClientError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ClientError::Host(host.to_owned()))?;
        let stamps = stamps_of(files);
        let config = Arc::new(read(files, protocol)?);
        Ok(Tls { files: files.clone(), protocol, host: host.to_owned(), name, config, stamps })
    }

    /// Reads the files again where one has changed. A pair that is half renewed is no pair: the old one stays until the
    /// other half is there.
    pub(super) fn renew(&mut self) {
        let stamps = stamps_of(&self.files);
        if stamps == std::mem::replace(&mut self.stamps, stamps) {
            return;
        }
        match read(&self.files, self.protocol) {
            Ok(config) => {
                self.config = Arc::new(config);
                tracing::info!("the files of otlp.tls were renewed");
            }
            Err(error) => tracing::warn!(%error, "the files of otlp.tls changed and the old ones stay"),
        }
    }

    /// Makes TLS of a stream.
    pub(super) async fn wrap(&self, stream: Box<dyn Stream>) -> io::Result<TlsStream<Box<dyn Stream>>> {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await
    }

    /// Whether HTTP/2 is spoken: gRPC is even where the other end leaves it open, as what ends TLS in front of it may.
    pub(super) fn is_http2(&self, stream: &TlsStream<Box<dyn Stream>>) -> bool {
        match stream.get_ref().1.alpn_protocol() {
            Some(protocol) => protocol == H2,
            None => self.protocol == Protocol::Grpc,
        }
    }

    /// What an error means, after the name of the endpoint.
    pub(super) fn explain(&self, error: &Error) -> String {
        match error {
            Error::InvalidCertificate(error) => self.explain_certificate(error),
            Error::AlertReceived(alert) => self.explain_alert(*alert),
            Error::PeerIncompatible(_) => "speaks no TLS that is safe: expected version 1.2 or 1.3".to_owned(),
            error => format!("cannot be spoken to by TLS: {error}"),
        }
    }

    fn explain_certificate(&self, error: &CertificateError) -> String {
        use CertificateError as E;
        let host = &self.host;
        match error {
            E::NotValidForName => format!("shows a certificate that does not name {host}"),
            E::NotValidForNameContext { presented, .. } => {
                let names = if presented.is_empty() { "nobody".to_owned() } else { presented_names(presented) };
                format!(
                    "shows a certificate for {names}, not for {host}: write a name of the certificate in \
                     otlp.endpoint, or have {host} added to it (subjectAltName)"
                )
            }
            E::Expired => "shows a certificate that has expired: renew it there, or set this host's clock".to_owned(),
            E::ExpiredContext { not_after, .. } => format!(
                "shows a certificate that expired on {}: renew it there, or set this host's clock",
                date(*not_after)
            ),
            E::NotValidYet => "shows a certificate that is not valid yet: set this host's clock".to_owned(),
            E::NotValidYetContext { not_before, .. } => {
                format!("shows a certificate that is not valid before {}: set this host's clock", date(*not_before))
            }
            E::UnknownIssuer | E::BadSignature => match &self.files.ca {
                Some(path) => format!(
                    "shows a certificate that no authority in {} has signed; does otlp.tls.ca name the right file?",
                    path.display()
                ),
                None => "shows a certificate of an authority that the system does not trust: name the file of that \
                         authority's certificate in otlp.tls.ca"
                    .to_owned(),
            },
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
                "shows a certificate that is not one of a server: it lacks serverAuth (extendedKeyUsage)".to_owned()
            }
            E::Revoked => "shows a certificate that was revoked: renew it there".to_owned(),
            // webpki's error, which rustls does not name.
            E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "shows an authority's certificate (CA:TRUE) as its own: give it one with CA:FALSE \
                 (basicConstraints) that this authority has signed"
                    .to_owned()
            }
            error => format!("shows a certificate that cannot be used: {error}"),
        }
    }

    fn explain_alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as A;
        match (&self.files.cert, alert) {
            (_, A::NoApplicationProtocol) => {
                "does not speak HTTP/2 over TLS, which gRPC takes; if OTLP/HTTP is spoken there, set otlp.protocol \
                 to \"http\""
                    .to_owned()
            }
            (_, A::ProtocolVersion) => "speaks no TLS that is safe: expected version 1.2 or 1.3".to_owned(),
            (_, A::UnrecognisedName) => {
                format!("has no certificate for {}; is the host of otlp.endpoint right?", self.host)
            }
            (None, A::CertificateRequired | A::HandshakeFailure | A::BadCertificate | A::AccessDenied) => {
                "asks for a certificate of ours: name one in otlp.tls.cert, and its key in otlp.tls.key".to_owned()
            }
            (Some(path), A::CertificateExpired) => {
                format!("says that our certificate in {} has expired: renew it", path.display())
            }
            (
                Some(path),
                A::CertificateRequired
                | A::BadCertificate
                | A::UnknownCA
                | A::CertificateUnknown
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::DecryptError
                | A::AccessDenied,
            ) => {
                format!("does not accept our certificate in {}; has its authority signed it?", path.display())
            }
            (_, alert) => format!("refuses TLS: {alert:?}"),
        }
    }
}

fn presented_names(names: &[String]) -> String {
    // As rustls has them: DnsName("a.example"), IpAddress(127.0.0.1).
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').to_owned()
    };
    names.iter().take(5).map(bare).collect::<Vec<_>>().join(", ")
}

fn date(time: UnixTime) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

fn stamps_of(files: &ClientTls) -> Stamps {
    stamps([files.ca.as_ref(), files.cert.as_ref(), files.key.as_ref()])
}

fn read(files: &ClientTls, protocol: Protocol) -> Result<ClientConfig, ClientError> {
    let roots = match &files.ca {
        Some(path) => authorities(path)?,
        None => system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::unusable("ring".as_ref(), error))?
        .with_root_certificates(roots);
    let mut config = match (&files.cert, &files.key) {
        (Some(cert), Some(path)) => builder
            .with_client_auth_cert(certificates(cert)?, key(path)?)
            .map_err(|error| TlsError::of_pair(cert, path, &error))?,
        // The configuration has both, or neither.
        _ => builder.with_no_client_auth(),
    };
    // There is one server; the default keeps room for 256.
    config.resumption = Resumption::in_memory_sessions(1);
    config.alpn_protocols = match protocol {
        Protocol::Grpc => vec![H2.to_vec()],
        Protocol::Http => vec![H2.to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// Whom the system trusts. Of its many certificates some may be odd; those are left out.
fn system() -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 { Err(ClientError::NoRoots) } else { Ok(roots) }
}
