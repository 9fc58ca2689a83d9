//! Who looks at the certificates of a target: keeps them to be told of, and leaves it to rustls whether they are good.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::authorities::{Authorities, CHAIN, provider};
use super::certificate;

/// The witness of one probe, which asks one target at a time.
#[derive(Debug)]
pub(super) struct Witness {
    /// `None` where any certificate will do.
    authorities: Option<Arc<Authorities>>,
    shown: Mutex<Shown>,
}

/// What a target has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Its certificate, and those that it sent with it.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// Whether an authority vouches for it.
    pub(super) trusted: bool,
}

impl Witness {
    pub(super) fn new(authorities: Option<Arc<Authorities>>) -> Witness {
        Witness { authorities, shown: Mutex::default() }
    }

    /// The authorities that are trusted.
    pub(super) fn authorities(&self) -> Option<&Arc<Authorities>> {
        self.authorities.as_ref()
    }

    /// Takes what was shown since it was taken last.
    pub(super) fn take(&self) -> Shown {
        std::mem::take(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).take(CHAIN);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        let verified = match &self.authorities {
            Some(authorities) => {
                let verifier = &authorities.verifier;
                match verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                    Err(Error::InvalidCertificate(CertificateError::Other(_))) if authorities.name(end_entity) => {
                        verify_named(end_entity, server_name, now)
                    }
                    verified => verified,
                }
            }
            None => Ok(ServerCertVerified::assertion()),
        };
        let trusted = self.authorities.is_some() && verified.is_ok();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Shown { chain, trusted };
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies a certificate that the file of authorities has itself. `openssl req -x509` makes it an authority's, and
/// webpki takes none of those for a server's.
fn verify_named(der: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<ServerCertVerified, Error> {
    let certificate = certificate::parse(der).ok_or(CertificateError::BadEncoding)?;
    let unix = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    let (not_before, not_after) = (unix(certificate.not_before_seconds), unix(certificate.not_after_seconds));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    verify_server_name(&ParsedCertificate::try_from(der)?, name)?;
    Ok(ServerCertVerified::assertion())
}
