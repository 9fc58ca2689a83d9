//! TLS of probes: whom a probe trusts, what it shows, what it saw, and what it means when it fails.
//!
//! Every check shakes hands anew: a session that is resumed shows no certificate.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ClientConfig, SupportedProtocolVersion};

use super::Report;
use super::failure::{ProbeError, Reason};
use crate::link::Heard;
use crate::stream::Stream;
use crate::tls::{Stamps, TlsError, certificates, key, stamps};
use authorities::{Authorities, provider};
use explain::Asked;
pub(super) use explain::date_of;
pub(super) use seen::EARLIEST;
pub use seen::METRICS;
use seen::Seen;
use witness::Witness;

mod authorities;
pub mod certificate;
mod der;
mod explain;
mod name;
mod seen;
mod witness;

/// A stream over TLS.
pub(super) type TlsStream = tokio_rustls::client::TlsStream<Box<dyn Stream>>;

/// The `tls` table of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Whose certificates the target may show; none: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to the target.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// The name that the target's certificate must have, and that it is asked for; none: the host's.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: Version,
    /// Whether any certificate will do: whoever is in between can read and change everything.
    pub insecure_skip_verify: bool,
}

/// A version of TLS. Older ones are spoken by nobody here: they are broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// Of 2008.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// Of 2018.
    #[serde(rename = "1.3")]
    Tls13,
}

impl Version {
    const fn word(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }

    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Version::Tls12 => &BOTH,
            Version::Tls13 => &NEWEST,
        }
    }
}

impl Tls {
    /// What a person must know who starts a probe with these.
    pub fn warning(&self) -> Option<&'static str> {
        self.insecure_skip_verify.then_some(
            "tls.insecure_skip_verify is on: whoever is between can read and change all that is said, and what the \
             probe says of itself; name the target's authority in tls.ca instead",
        )
    }
}

/// Reads `tls = true`, `tls = false` or the table, for kinds that speak without TLS as well.
///
/// # Errors
/// Where it is neither.
pub fn switch<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Tls>, D::Error> {
    struct Switch;
    impl<'de> Visitor<'de> for Switch {
        type Value = Option<Tls>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("true, false or a table")
        }

        fn visit_bool<E>(self, on: bool) -> Result<Option<Tls>, E> {
            Ok(on.then(Tls::default))
        }

        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Option<Tls>, M::Error> {
            Tls::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    d.deserialize_any(Switch)
}

/// What of TLS one probe keeps from check to check: the client's configuration, made again when a file changed.
pub struct Secure {
    tls: Tls,
    made: Option<Made>,
    seen: Seen,
}

struct Made {
    config: Arc<ClientConfig>,
    witness: Arc<Witness>,
    /// Of the certificate and the key, when they were read last.
    stamps: Stamps,
}

impl Secure {
    /// Reads nothing yet.
    pub fn new(tls: &Tls) -> Secure {
        Secure { tls: tls.clone(), made: None, seen: Seen::default() }
    }

    /// The configuration for these protocols of ALPN, as the files have it now. A pair of files that is half renewed is
    /// no pair: the old one stays until the other half is there.
    ///
    /// # Errors
    /// [`Reason::Tls`], where a file cannot be used, or the system has no authorities.
    pub fn config(&mut self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, ProbeError> {
        let authorities = match self.tls.insecure_skip_verify {
            true => None,
            false => Some(Authorities::shared(self.tls.ca.as_deref())?),
        };
        let stamps = stamps([None, self.tls.cert.as_ref(), self.tls.key.as_ref()]);
        if let Some(made) = &mut self.made {
            let before = made.witness.authorities().map(Arc::as_ptr);
            let alike = made.config.alpn_protocols == alpn && before == authorities.as_ref().map(Arc::as_ptr);
            let renewed = std::mem::replace(&mut made.stamps, stamps) != stamps;
            if !alike || renewed {
                match make(&self.tls, authorities, alpn) {
                    Ok((config, witness)) => *made = Made { config, witness, stamps },
                    Err(error) if alike => {
                        tracing::warn!(%error, "the certificate of a probe changed and the old one stays");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(Arc::clone(&made.config));
        }
        let (config, witness) = make(&self.tls, authorities, alpn)?;
        Ok(Arc::clone(&self.made.insert(Made { config, witness, stamps }).config))
    }

    /// Shakes hands as `host` (or `server_name`), and writes what was seen, also where it is not good.
    ///
    /// # Errors
    /// [`Reason::Tls`], with what is wrong and what mends it.
    pub(super) async fn handshake(
        &mut self,
        stream: impl Stream + 'static,
        host: &str,
        alpn: &[&[u8]],
        report: &mut Report,
    ) -> Result<TlsStream, ProbeError> {
        let config = self.config(alpn)?;
        let host = self.tls.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned()).map_err(|_| {
            let what = if host.is_empty() { "a socket".to_owned() } else { format!("{host:?}") };
            ProbeError::new(Reason::Tls, format!("{what} has no name that a certificate could be for"))
                .mend("write the name that the target's certificate has in `tls.server_name`")
        })?;
        report.doing("shaking hands");
        let heard = Heard::default();
        let shaken = TlsConnector::from(config).connect(name, heard.listen(stream)).await;
        let Some(made) = &self.made else { return Err(ProbeError::new(Reason::Internal, "no TLS was made")) };
        let shown = self.seen.tell(&made.witness, shaken.as_ref().ok().map(|stream| stream.get_ref().1), report);
        shaken
            .map_err(|error| Asked { host, tls: &self.tls, chain: &shown.chain, first: &heard.first() }.explain(&error))
    }

    /// Up to when the certificate that was shown last can be trusted, in seconds since 1970: by the chain to an authority
    /// that lasts longest, or where nobody verified it, up to when the first of what was shown ends.
    pub fn end_seconds(&self) -> Option<i64> {
        self.seen.end_seconds
    }

    /// Writes of the certificates that the target has shown, for those who shake hands by [`Secure::config`] themselves;
    /// and says what `failed`, if it was TLS that did, as `host` was asked. With version 1.3, who is refused for the
    /// certificate that they show learns it after the handshake, from whatever is read next.
    pub fn tell(&mut self, host: &str, failed: Option<&io::Error>, report: &mut Report) -> Option<ProbeError> {
        let made = self.made.as_ref()?;
        let shown = self.seen.tell(&made.witness, None, report);
        let failed = failed.filter(|error| error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()))?;
        let host = self.tls.server_name.as_deref().unwrap_or(host);
        Some(Asked { host, tls: &self.tls, chain: &shown.chain, first: &[] }.explain(failed))
    }
}

type Configured = (Arc<ClientConfig>, Arc<Witness>);

fn make(tls: &Tls, authorities: Option<Arc<Authorities>>, alpn: &[&[u8]]) -> Result<Configured, TlsError> {
    let witness = Arc::new(Witness::new(authorities));
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(tls.min_version.and_newer())
        .map_err(|error| TlsError::unusable("ring".as_ref(), error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<_>);
    let mut config = match (&tls.cert, &tls.key) {
        (Some(cert), Some(path)) => builder
            .with_client_auth_cert(certificates(cert)?, key(path)?)
            .map_err(|error| TlsError::of_pair(cert, path, &error))?,
        // The configuration has both, or neither.
        _ => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok((Arc::new(config), witness))
}

impl From<TlsError> for ProbeError {
    fn from(error: TlsError) -> ProbeError {
        ProbeError::new(Reason::Tls, error.to_string())
            .mend("check that `tls.ca`, `tls.cert` and `tls.key` name the right files, and that vigie may read them")
    }
}

#[cfg(test)]
mod tests;
