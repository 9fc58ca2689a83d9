//! Where the push goes, `[otlp]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::listen::SOCKET_PATH_LIMIT;
use super::{Secret, quantity, secret};
use crate::push::naming::Naming;

/// The push, `[otlp]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// The collector; none: nothing is pushed.
    pub endpoint: Option<Endpoint>,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// How often.
    #[serde(deserialize_with = "quantity::duration::<_, 1_000, 3_600_000>")]
    pub interval: Duration,
    /// The longest that a request may take.
    #[serde(deserialize_with = "quantity::duration::<_, 100, 300_000>")]
    pub timeout: Duration,
    /// How requests are made smaller.
    pub compression: Compression,
    /// Whose names are spoken.
    pub naming: Naming,
    /// What goes with each request.
    #[serde(deserialize_with = "secret::by_name")]
    pub headers: BTreeMap<String, Secret>,
    /// Files of TLS.
    pub tls: ClientTls,
    /// What waits while the collector is away.
    pub spool: Spool,
}

impl Default for Otlp {
    fn default() -> Otlp {
        Otlp {
            endpoint: None,
            protocol: Protocol::default(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            compression: Compression::default(),
            naming: Naming::default(),
            headers: BTreeMap::new(),
            tls: ClientTls::default(),
            spool: Spool::default(),
        }
    }
}

/// How the collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// How requests are made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which every collector takes.
    #[default]
    Gzip,
}

/// Files of TLS, PEM, `otlp.tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// Whose certificates the collector may show; none: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to the collector.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// What waits on disk while the collector is away, `otlp.spool`. The oldest goes first where it is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// The most, in bytes.
    #[serde(deserialize_with = "quantity::size::<_, 1_048_576, 1_099_511_627_776>")]
    pub max_bytes: u64,
    /// The longest.
    #[serde(deserialize_with = "quantity::duration::<_, 60_000, 31_536_000_000>")]
    pub max_age: Duration,
}

impl Default for Spool {
    fn default() -> Spool {
        Spool { max_bytes: 256 << 20, max_age: Duration::from_secs(7 * 86_400) }
    }
}

/// A collector's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://host:port/path`, or `https`. The port is the scheme's where none is written.
    Url {
        /// Whether TLS is spoken.
        tls: bool,
        /// A name, or an address; one of IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// What stands before `/v1/metrics`; without a slash at its end.
        path: String,
    },
    /// `unix:/path`: a unix socket, without TLS.
    Unix(PathBuf),
}

/// No endpoint; says what one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    r#"expected an endpoint such as "http://127.0.0.1:4317", "https://collector.example" or "unix:/run/otel.sock""#
)]
pub struct NoEndpoint;

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Endpoint, NoEndpoint> {
        if let Some(path) = text.strip_prefix("unix:") {
            // As gRPC's own names have it, with two slashes too.
            let path = path.strip_prefix("//").unwrap_or(path);
            let fits = Path::new(path).is_absolute() && path.len() <= SOCKET_PATH_LIMIT && !path.contains('\0');
            return fits.then(|| Endpoint::Unix(path.into())).ok_or(NoEndpoint);
        }
        let url: Uri = text.parse().map_err(|_| NoEndpoint)?;
        let (tls, default) = match url.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err(NoEndpoint),
        };
        let authority = url.authority().ok_or(NoEndpoint)?;
        let host = url.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || authority.as_str().contains('@') || url.query().is_some() || text.contains('#') {
            return Err(NoEndpoint);
        }
        let port = match (url.port(), authority.as_str().ends_with(':')) {
            (Some(port), _) => port.as_u16(),
            (None, false) if authority.as_str().ends_with(host) || authority.as_str().ends_with(']') => default,
            _ => return Err(NoEndpoint),
        };
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Endpoint::Url { tls, host: host.to_owned(), port, path })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
            Endpoint::Url { tls, host, port, path } => {
                let scheme = if *tls { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}{path}")
                } else {
                    write!(f, "{scheme}://{host}:{port}{path}")
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Endpoint, D::Error> {
        deserializer.deserialize_str(EndpointVisitor)
    }
}

struct EndpointVisitor;

impl Visitor<'_> for EndpointVisitor {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = NoEndpoint.to_string();
        f.write_str(whole.strip_prefix("expected ").unwrap_or(&whole))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Endpoint, E> {
        text.parse().map_err(|NoEndpoint| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Option<(bool, String, u16, String)> {
        match text.parse() {
            Ok(Endpoint::Url { tls, host, port, path }) => Some((tls, host, port, path)),
            _ => None,
        }
    }

    #[test]
    fn an_endpoint_is_a_url_or_a_unix_socket() {
        assert_eq!(url("http://127.0.0.1:4317"), Some((false, "127.0.0.1".into(), 4317, String::new())));
        assert_eq!(url("https://c.example/otlp/"), Some((true, "c.example".into(), 443, "/otlp".into())));
        assert_eq!(url("http://[::1]:4318/"), Some((false, "::1".into(), 4318, String::new())));
        for text in ["unix:/run/otel.sock", "unix:///run/otel.sock"] {
            assert_eq!(text.parse(), Ok(Endpoint::Unix("/run/otel.sock".into())));
        }
    }

    #[test]
    fn an_endpoint_is_written_as_it_is_read() {
        for text in ["http://127.0.0.1:4317", "https://c.example:443/otlp", "http://[::1]:4318", "unix:/run/otel.sock"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "127.0.0.1:4317",
            "localhost:4317",
            "grpc://a:1",
            "http://",
            "http://a:",
            "http://a:99999",
            "http://a:x",
            "http://u:p@a:1",
            "http://a:1/?b=c",
            "http://a:1/#b",
            "unix:run/otel.sock",
            "unix:",
            "ht tp://a",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(NoEndpoint), "{text:?}");
        }
    }
}
