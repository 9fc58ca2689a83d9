//! TLS to our own page: whoever shows the certificate of `http.tls` and has its key is the agent that is configured so.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::tls::certificates;

/// Shakes hands with who must show the first certificate of this file. The name in it is that of the host, to which
/// nobody connects here, and its dates are the business of those who scrape.
///
/// # Errors
/// A sentence that goes on from the address: when the file is none of certificates, or the other side is somebody else.
pub(super) async fn shake(stream: TcpStream, cert: &Path) -> Result<TlsStream<TcpStream>, String> {
    let named = |error: &dyn std::fmt::Display| format!("cannot be asked over TLS: {error}");
    let certificate = certificates(cert).map_err(|error| named(&error))?.swap_remove(0);
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| named(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Own { certificate, provider }))
        .with_no_client_auth();
    let local = ServerName::try_from("localhost").map_err(|error| named(&error))?;
    TlsConnector::from(Arc::new(config)).connect(local, stream).await.map_err(|error| named(&error))
}

#[derive(Debug)]
struct Own {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("it shows another certificate than that of http.tls".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
