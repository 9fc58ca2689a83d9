//! Where a collector is: a URL, or a unix socket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hyper::Uri;
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::listen::SOCKET_PATH_LIMIT;

/// Where OTLP/HTTP takes metrics, below a collector's base URL.
pub(super) const METRICS_PATH: &str = "/v1/metrics";

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
        /// What stands before the path of a request; without a slash at its end.
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
        if port == 0 {
            return Err(NoEndpoint);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Endpoint::Url { tls, host: host.to_owned(), port, path })
    }
}

impl Endpoint {
    /// The path that OTLP/HTTP posts to: `/v1/metrics` below its own, unless that already ends so.
    pub fn metrics_path(&self) -> String {
        match self {
            Endpoint::Url { path, .. } if path.ends_with(METRICS_PATH) => path.clone(),
            Endpoint::Url { path, .. } => format!("{path}{METRICS_PATH}"),
            Endpoint::Unix(_) => METRICS_PATH.to_owned(),
        }
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        matches!(self, Endpoint::Url { tls: true, .. })
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

/// A URL that OTLP/HTTP posts to, as it stands: the per-signal endpoint of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsEndpoint {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its path, whole; `/` where none is written.
    pub path: String,
}

impl FromStr for MetricsEndpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<MetricsEndpoint, NoEndpoint> {
        let endpoint = text.parse()?;
        if matches!(endpoint, Endpoint::Unix(_)) {
            return Err(NoEndpoint);
        }
        let url: Uri = text.parse().map_err(|_| NoEndpoint)?;
        Ok(MetricsEndpoint { endpoint, path: url.path().to_owned() })
    }
}

impl<'de> Deserialize<'de> for MetricsEndpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MetricsEndpoint, D::Error> {
        deserializer.deserialize_str(MetricsEndpointVisitor)
    }
}

/// What to write instead of `written`, which is no endpoint.
pub(in crate::config) fn remedy(written: &str) -> Option<String> {
    if written.contains('@') {
        return Some(
            "a user and password go into otlp.headers: headers = { authorization = { file = \"…\" } }".to_owned(),
        );
    }
    let url = format!("http://{written}");
    let lacks_scheme = !written.contains("://") && url.parse::<Endpoint>().is_ok();
    lacks_scheme.then(|| format!("{url:?}, or https:// to speak TLS"))
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

struct MetricsEndpointVisitor;

impl Visitor<'_> for MetricsEndpointVisitor {
    type Value = MetricsEndpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a URL to post to, such as "https://collector.example/otlp/metrics""#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MetricsEndpoint, E> {
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
    fn metrics_have_a_path_below_the_endpoint() {
        for (text, path) in [
            ("http://a", "/v1/metrics"),
            ("http://a/otlp/", "/otlp/v1/metrics"),
            ("http://a/otlp/v1/metrics", "/otlp/v1/metrics"),
            ("unix:/run/otel.sock", "/v1/metrics"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().metrics_path(), path, "{text}");
        }
    }

    #[test]
    fn a_metrics_endpoint_keeps_its_path() {
        for (text, path) in
            [("http://a", "/"), ("https://a:1/v1/metrics/", "/v1/metrics/"), ("https://a/api/push", "/api/push")]
        {
            assert_eq!(text.parse::<MetricsEndpoint>().unwrap().path, path, "{text}");
        }
        assert_eq!("unix:/run/otel.sock".parse::<MetricsEndpoint>(), Err(NoEndpoint));
    }

    #[test]
    fn what_was_meant_is_said() {
        assert_eq!(remedy("localhost:4317").unwrap(), r#""http://localhost:4317", or https:// to speak TLS"#);
        assert!(remedy("http://u:p@a").unwrap().contains("authorization"));
        assert_eq!(remedy("grpc://a"), None);
        assert_eq!(remedy("a b"), None);
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
            "http://a:0",
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
