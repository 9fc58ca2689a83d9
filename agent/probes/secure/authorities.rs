//! Whom probes trust: what the system trusts, or the authorities of a file; each read once, however many probes ask.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use ::ring::digest::{SHA256, digest};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

use super::certificate::{self, Certificate};
use crate::tls::{TlsError, certificates};

/// How long the system's authorities are kept before they are read again: a few change in a year.
const SYSTEM_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The most certificates of a target that are looked at.
pub(super) const CHAIN: usize = 10;

/// The same ciphers for all.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// Authorities, and who verifies that they have signed something.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) verifier: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    /// Up to when each of `roots` holds, in seconds since 1970, as the file has it.
    ends: Vec<i64>,
    /// The SHA-256 of each certificate of a file: one that the target shows itself needs nobody to vouch for it.
    named: Vec<Fingerprint>,
}

/// The SHA-256 of a certificate.
pub(super) type Fingerprint = [u8; 32];

pub(super) fn fingerprint(der: &[u8]) -> Fingerprint {
    digest(&SHA256, der).as_ref().try_into().unwrap_or_default()
}

/// What is held by some probe.
struct Held {
    /// `None` for the system's.
    path: Option<PathBuf>,
    authorities: Weak<Authorities>,
    changed: Option<SystemTime>,
    read: Instant,
}

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

impl Authorities {
    /// Those of a file, or without one the system's, as they are now. Where a file has changed and cannot be used any
    /// more, the old ones stay for those who have them.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn shared(path: Option<&Path>) -> Result<Arc<Authorities>, TlsError> {
        let changed = path.and_then(|path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok());
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.iter_mut().find(|held| held.path.as_deref() == path);
        let known = known.and_then(|known| Some((known.authorities.upgrade()?, known)));
        let Some((authorities, known)) = known else {
            let authorities = Arc::new(Authorities::read(path)?);
            held.retain(|held| held.authorities.strong_count() > 0);
            let (path, weak) = (path.map(Path::to_owned), Arc::downgrade(&authorities));
            held.push(Held { path, authorities: weak, changed, read: Instant::now() });
            return Ok(authorities);
        };
        let old = path.is_none() && known.read.elapsed() > SYSTEM_KEPT;
        if changed == known.changed && !old {
            return Ok(authorities);
        }
        (known.changed, known.read) = (changed, Instant::now());
        match Authorities::read(path) {
            Ok(renewed) => {
                let renewed = Arc::new(renewed);
                known.authorities = Arc::downgrade(&renewed);
                Ok(renewed)
            }
            Err(error) => {
                tracing::warn!(%error, "the authorities of probes changed and the old ones stay");
                Ok(authorities)
            }
        }
    }

    fn read(path: Option<&Path>) -> Result<Authorities, TlsError> {
        let given = match path {
            Some(path) => certificates(path)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let named = path.map_or(Vec::new(), |_| given.iter().map(|der| fingerprint(der)).collect());
        let (mut roots, mut ends) = (RootCertStore::empty(), Vec::new());
        for der in given {
            let end = certificate::parse(&der).map_or(i64::MAX, |certificate| certificate.not_after_seconds);
            match (roots.add(der), path) {
                (Ok(()), _) => ends.push(end),
                (Err(error), Some(path)) => return Err(TlsError::unusable(path, error)),
                // Of the system's many some may be odd; those are left out.
                (Err(_), None) => {}
            }
        }
        if roots.is_empty() {
            return Err(TlsError::NoAuthorities);
        }
        roots.roots.shrink_to_fit();
        ends.shrink_to_fit();
        let roots = Arc::new(roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider()).build();
        let verifier = verifier.map_err(|error| TlsError::unusable(path.unwrap_or(Path::new("/etc/ssl")), error))?;
        Ok(Authorities { verifier, roots, ends, named })
    }

    /// Whether the file has this very certificate.
    pub(super) fn name(&self, der: &[u8]) -> bool {
        !self.named.is_empty() && self.named.contains(&fingerprint(der))
    }

    /// Up to when the first of `chain` can be trusted, in seconds since 1970: of the ways from it to an authority the
    /// one that lasts longest, which lasts as long as its shortest certificate. Who signed what goes by the names: the
    /// signatures were verified before.
    pub(super) fn last_end(&self, chain: &[Certificate<'_>]) -> Option<i64> {
        let chain = chain.get(..CHAIN).unwrap_or(chain);
        let root = |issuer: &[u8]| {
            let roots = self.roots.roots.iter().zip(&self.ends);
            roots.filter(|(root, _)| root.subject.as_ref() == issuer).map(|(_, end)| *end).max()
        };
        let mut ends: Vec<Option<i64>> = chain.iter().map(|certificate| root(certificate.issuer)).collect();
        // Each round is one more step from an authority; there are no more steps than certificates.
        for _ in chain {
            let signed_by = |issuer: &[u8]| {
                let signers = chain.iter().zip(&ends).filter(|(signer, _)| signer.subject == issuer);
                signers.filter_map(|(signer, end)| Some((*end)?.min(signer.not_after_seconds))).max()
            };
            let next = chain.iter().map(|certificate| root(certificate.issuer).max(signed_by(certificate.issuer)));
            ends = next.collect();
        }
        Some((*ends.first()?)?.min(chain.first()?.not_after_seconds))
    }
}
