//! Files of TLS: certificates and keys in PEM, and when they last changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore};

/// What is wrong with a file of TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It does not let itself be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is no PEM file.
    #[error("cannot parse {}: {source}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        source: pem::Error,
    },
    /// It has no certificate in it.
    #[error("no certificate in {}: expected a block BEGIN CERTIFICATE{hint}", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
        /// What is there instead.
        hint: &'static str,
    },
    /// It has no private key in it.
    #[error("no private key in {}: expected a block BEGIN PRIVATE KEY{hint}", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// What is there instead.
        hint: &'static str,
    },
    /// The two do not belong together.
    #[error("the private key in {} does not belong to the first certificate in {}", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The system trusts nobody.
    #[error("the system trusts no authority: install ca-certificates")]
    NoAuthorities,
    /// It is well-formed, and unusable all the same.
    #[error("cannot use {}: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What TLS said.
        reason: String,
    },
}

impl TlsError {
    pub(crate) fn unusable(path: &Path, reason: impl ToString) -> TlsError {
        TlsError::Unusable { path: path.to_owned(), reason: reason.to_string() }
    }

    /// What rustls says of a certificate and its key.
    pub(crate) fn of_pair(cert: &Path, key: &Path, error: &Error) -> TlsError {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned() }
            }
            Error::InvalidCertificate(_) => TlsError::unusable(cert, error),
            _ => TlsError::unusable(key, error),
        }
    }
}

/// When files last changed: a certificate that was renewed is seen by it.
pub(crate) type Stamps = [Option<SystemTime>; 3];

pub(crate) fn stamps(files: [Option<&PathBuf>; 3]) -> Stamps {
    files.map(|path| std::fs::metadata(path?).and_then(|metadata| metadata.modified()).ok())
}

/// The authorities of a file, to be trusted.
///
/// # Errors
/// When it has none, or one that is none.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::unusable(path, error))?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// The certificates of a file, in its order; at least one.
///
/// # Errors
/// When it has none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if chain.is_empty() {
        let hint = if holds(&text, "PRIVATE KEY") { ", found a private key: are the two swapped?" } else { "" };
        return Err(TlsError::NoCertificate { path: path.to_owned(), hint });
    }
    Ok(chain)
}

/// The first private key of a file.
///
/// # Errors
/// When it has none.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| match source {
        pem::Error::NoItemsFound => {
            let hint = if holds(&text, "ENCRYPTED PRIVATE KEY") {
                ", found an encrypted one: decrypt it with openssl pkey"
            } else if holds(&text, "CERTIFICATE") {
                ", found a certificate: are the two swapped?"
            } else {
                ""
            };
            TlsError::NoKey { path: path.to_owned(), hint }
        }
        source => TlsError::Pem { path: path.to_owned(), source },
    })
}

fn holds(text: &[u8], block: &str) -> bool {
    String::from_utf8_lossy(text).contains(&format!("-----BEGIN {block}-----"))
}
