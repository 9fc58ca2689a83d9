//! What it means where TLS fails, and what mends it.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::Tls;
use super::certificate::{self, Certificate};
use crate::probes::failure::{ProbeError, Reason};

/// The most names of a certificate that a message shows.
const NAMES: usize = 5;

/// What was asked, and what came.
pub(super) struct Asked<'a> {
    /// The name that the target is asked for.
    pub(super) host: &'a str,
    pub(super) tls: &'a Tls,
    /// The certificates that it showed.
    pub(super) chain: &'a [CertificateDer<'static>],
    /// What it said first.
    pub(super) first: &'a [u8],
}

fn trouble(message: String, remedy: impl Into<String>) -> ProbeError {
    ProbeError::new(Reason::Tls, message).mend(remedy)
}

impl Asked<'_> {
    /// The failure that an error of the stream is.
    pub(super) fn explain(&self, error: &io::Error) -> ProbeError {
        let host = self.host;
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(_) if !self.first.is_empty() && !is_tls(self.first) => self.no_tls(),
            Some(Error::InvalidCertificate(error)) => self.certificate(error),
            Some(Error::AlertReceived(alert)) => self.alert(*alert),
            Some(Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            )) => self.too_old(),
            Some(error) => trouble(
                format!("{host} cannot be spoken to by TLS: {error}"),
                "check with openssl s_client what it speaks",
            ),
            None if self.first.is_empty() => trouble(
                format!("{host} ends the connection where TLS should begin: {error}"),
                "check that TLS is spoken on this port, and the log of the service",
            ),
            None => trouble(format!("{host} ends the connection amid the handshake: {error}"), "check its log"),
        }
    }

    fn no_tls(&self) -> ProbeError {
        let remedy = match self.first {
            [b'H', b'T', b'T', b'P', b'/', ..] => "check the port, or ask it without TLS: by http://",
            _ => "check the port; where a service begins in plain text and is asked for TLS, use `starttls`",
        };
        trouble(format!("{} speaks no TLS: it says {}", self.host, shown(self.first)), remedy)
    }

    fn too_old(&self) -> ProbeError {
        let (host, least) = (self.host, self.tls.min_version.word());
        trouble(
            format!("{host} speaks no TLS {least} or newer"),
            "allow TLS 1.2 and 1.3 there: older versions are broken",
        )
    }

    fn certificate(&self, error: &CertificateError) -> ProbeError {
        use CertificateError as E;
        let host = self.host;
        let clock = "renew it there, or set this host's clock";
        match error {
            E::Expired => trouble(format!("the certificate of {host} has expired"), clock),
            E::ExpiredContext { not_after, .. } => {
                trouble(format!("the certificate of {host} expired on {}", date(*not_after)), clock)
            }
            E::NotValidYet => trouble(
                format!("the certificate of {host} is not valid yet"),
                "set the clock, here or where it was made",
            ),
            E::NotValidYetContext { not_before, .. } => trouble(
                format!("the certificate of {host} is not valid before {}", date(*not_before)),
                "set the clock, here or where it was made",
            ),
            E::NotValidForName | E::NotValidForNameContext { .. } => {
                let names = match error {
                    E::NotValidForNameContext { presented, .. } => listed(presented),
                    _ => "other names".to_owned(),
                };
                trouble(
                    format!("the certificate is for {names}, not for {host}"),
                    "write a name of the certificate in `tls.server_name`, or have this one added to it \
                     (subjectAltName)",
                )
            }
            E::UnknownIssuer | E::BadSignature => self.unknown_issuer(),
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => trouble(
                format!("the certificate of {host} is not one of a server"),
                "have it issued with serverAuth (extendedKeyUsage)",
            ),
            E::Revoked => trouble(format!("the certificate of {host} was revoked"), "renew it there"),
            // webpki's error, which rustls does not name.
            E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => trouble(
                format!("the certificate of {host} is an authority's (CA:TRUE)"),
                "give it one with CA:FALSE (basicConstraints) that this authority has signed, or name a copy of it in \
                 `tls.ca`",
            ),
            error => trouble(
                format!("the certificate of {host} cannot be used: {error}"),
                "look at it with openssl s_client -showcerts",
            ),
        }
    }

    fn unknown_issuer(&self) -> ProbeError {
        let host = self.host;
        let chain: Vec<_> = self.chain.iter().filter_map(|der| certificate::parse(der)).collect();
        let Some(top) = top_of(&chain) else {
            return trouble(format!("the certificate of {host} is signed by nobody known"), "look at its authority");
        };
        if top.is_own_issuer() && chain.first() == Some(top) {
            return trouble(
                format!("the certificate of {host} is signed by itself alone"),
                "have an authority sign it, or name a copy of it in `tls.ca`",
            );
        }
        let issuer = top.issuer();
        match &self.tls.ca {
            Some(path) => trouble(
                format!("the certificate of {host} is signed by {issuer:?}, not by one of {}", path.display()),
                "check that `tls.ca` names the right file, and that the server sends its whole chain",
            ),
            None if chain.len() == 1 => trouble(
                format!("the certificate of {host} is signed by {issuer:?}, which the system does not know"),
                "have the server send its whole chain (fullchain.pem), or name the authority's file in `tls.ca`",
            ),
            None => trouble(
                format!("the certificate of {host} is signed by {issuer:?}, which the system does not trust"),
                "name the file of this authority's certificate in `tls.ca`",
            ),
        }
    }

    fn alert(&self, alert: AlertDescription) -> ProbeError {
        use AlertDescription as A;
        let host = self.host;
        match (&self.tls.cert, alert) {
            (_, A::ProtocolVersion) => self.too_old(),
            (_, A::UnrecognisedName) => {
                trouble(format!("{host} is no name that the server knows"), "write another in `tls.server_name`")
            }
            (_, A::NoApplicationProtocol) => trouble(
                format!("{host} speaks none of the protocols that it is asked for (ALPN)"),
                "check that the right service listens there",
            ),
            (None, A::CertificateRequired | A::BadCertificate | A::AccessDenied) => trouble(
                format!("{host} wants to see a certificate of ours"),
                "name one in `tls.cert`, and its key in `tls.key`",
            ),
            (None, A::HandshakeFailure) => trouble(
                format!("{host} has no cipher in common with us, or wants to see a certificate of ours"),
                "check its ciphers, or name a certificate in `tls.cert`, and its key in `tls.key`",
            ),
            (Some(path), A::CertificateExpired) => {
                trouble(format!("{host} says that our certificate in {} has expired", path.display()), "renew it")
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
            ) => trouble(
                format!("{host} does not accept our certificate in {}", path.display()),
                "check that an authority has signed it that is trusted there",
            ),
            (_, alert) => trouble(format!("{host} refuses TLS: {alert:?}"), "check its log"),
        }
    }
}

/// The last certificate on the way from the first one up, as far as the target sent it.
fn top_of<'a, 'c>(chain: &'a [Certificate<'c>]) -> Option<&'a Certificate<'c>> {
    let mut top = chain.first()?;
    for _ in chain {
        match chain.iter().find(|signer| signer.subject == top.issuer && *signer != top) {
            Some(signer) => top = signer,
            None => break,
        }
    }
    Some(top)
}

/// Whether this is how a record of TLS begins (RFC 8446, 5.1).
fn is_tls(said: &[u8]) -> bool {
    matches!(said, [20..=24] | [20..=24, 3, ..])
}

/// What was said, for a person: the first line, or the bytes.
fn shown(said: &[u8]) -> String {
    let line = said.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    if !line.is_empty() && line.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return format!("{:?}", String::from_utf8_lossy(line));
    }
    said.iter().take(8).fold("the bytes".to_owned(), |mut text, byte| {
        // A String takes every write.
        let _ = write!(text, " {byte:02x}");
        text
    })
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nobody".to_owned();
    }
    // As rustls has them: DnsName("a.example"), IpAddress(127.0.0.1).
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').to_owned()
    };
    let mut text = names.iter().take(NAMES).map(bare).collect::<Vec<_>>().join(", ");
    if names.len() > NAMES {
        // A String takes every write.
        let _ = write!(text, " and {} more", names.len() - NAMES);
    }
    text
}

fn date(moment: UnixTime) -> String {
    date_of(i64::try_from(moment.as_secs()).unwrap_or(i64::MAX))
}

/// A moment for a person, in seconds since 1970; httpdate knows none before that, nor after the year 9999.
pub(in crate::probes) fn date_of(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or_default().min(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}
