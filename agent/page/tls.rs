//! TLS for the page, and the certificates of clients where they are asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use crate::config;
use crate::tls::{Stamps, TlsError, authorities, certificates, key, stamps};

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
        stamps([Some(&self.cert), Some(&self.key), self.client_ca.as_ref()])
    }

    fn config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::unusable(&self.cert, error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::unusable(path, error))?)
            }
        };
        let (chain, secret) = (certificates(&self.cert)?, key(&self.key)?);
        let mut config = builder
            .with_single_cert(chain, secret)
            .map_err(|error| TlsError::of_pair(&self.cert, &self.key, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
