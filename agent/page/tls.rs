//! TLS for the page, and the certificates of clients where they are asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};

use crate::config;

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
    /// It is well-formed, and unusable all the same.
    #[error("cannot use {}: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What TLS said.
        reason: String,
    },
}

/// How often the files are looked at: a renewed certificate is served soon after, without a reload.
const LOOK: Duration = Duration::from_secs(10);

/// TLS as the files have it now.
pub struct Tls {
    files: config::Tls,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    stamps: Stamps,
    looked: Instant,
}

type Stamps = [Option<SystemTime>; 3];

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them is missing, or holds something else.
    pub fn load(files: config::Tls) -> Result<Tls, TlsError> {
        let stamps = files.stamps();
        let config = Arc::new(files.config()?);
        Ok(Tls { files, current: Mutex::new(Current { config, stamps, looked: Instant::now() }) })
    }

    /// What makes TLS of a stream, with the certificate that lies there now.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK {
            self.look(&mut current);
        }
        Arc::clone(&current.config).into()
    }

    /// A pair of files that is half renewed is no pair: the old one stays until the other half is there.
    fn look(&self, current: &mut Current) {
        current.looked = Instant::now();
        let stamps = self.files.stamps();
        if stamps == std::mem::replace(&mut current.stamps, stamps) {
            return;
        }
        match self.files.config() {
            Ok(config) => {
                current.config = Arc::new(config);
                tracing::info!(cert = %self.files.cert.display(), "the certificate of the page was renewed");
            }
            Err(error) => tracing::warn!(%error, "the certificate of the page changed and the old one stays"),
        }
    }
}

impl config::Tls {
    fn stamps(&self) -> Stamps {
        let stamp = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        [stamp(&self.cert), stamp(&self.key), self.client_ca.as_ref().and_then(stamp)]
    }

    fn config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let unusable = |path: &Path, error: &dyn std::fmt::Display| TlsError::Unusable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.cert, &error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| unusable(path, &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| unusable(path, &error))?)
            }
        };
        let (chain, key) = (certificates(&self.cert)?, key(&self.key)?);
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { cert: self.cert.clone(), key: self.key.clone() }
            }
            Error::InvalidCertificate(_) => unusable(&self.cert, &error),
            _ => unusable(&self.key, &error),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if chain.is_empty() {
        let hint = if holds(&text, "PRIVATE KEY") { ", found a private key: are the two swapped?" } else { "" };
        return Err(TlsError::NoCertificate { path: path.to_owned(), hint });
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
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
