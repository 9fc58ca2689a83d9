//! Where requests go: the endpoint, and what stands behind it for each protocol.

use hyper::Uri;
use hyper::header::HeaderValue;

use super::connect::Place;
use super::failure::ClientError;
use super::grpc;
use crate::config::{Endpoint, Otlp, Protocol};

/// The two forms of the address of a request, and what the host is called.
pub(super) struct Uris {
    /// For HTTP/2, and for a proxy.
    pub(super) absolute: Uri,
    /// For HTTP/1.
    pub(super) path: Uri,
    pub(super) host: HeaderValue,
}

impl Uris {
    pub(super) fn of(config: &Otlp) -> Result<Uris, ClientError> {
        let (scheme, authority, path) = match config.collector().ok_or(ClientError::NoEndpoint)? {
            Endpoint::Unix(_) => ("http", "localhost".to_owned(), ""),
            Endpoint::Url { tls, host, port, path } => {
                let (scheme, default) = if *tls { ("https", 443) } else { ("http", 80) };
                let whole = Place { host: host.clone(), port: *port }.to_string();
                let bare = whole.strip_suffix(&format!(":{default}")).filter(|_| *port == default);
                (scheme, bare.unwrap_or(&whole).to_owned(), path.as_str())
            }
        };
        let path = match config.protocol {
            Protocol::Grpc => format!("{path}{}", grpc::METHOD),
            Protocol::Http => config.metrics_path(),
        };
        let odd = || ClientError::Host(authority.clone());
        Ok(Uris {
            absolute: format!("{scheme}://{authority}{path}").parse().map_err(|_| odd())?,
            path: path.parse().map_err(|_| odd())?,
            host: HeaderValue::from_str(&authority).map_err(|_| odd())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uris(endpoint: &str, protocol: Protocol) -> (String, String, String) {
        told(&Otlp { endpoint: Some(endpoint.parse().unwrap()), protocol, ..Otlp::default() })
    }

    fn told(config: &Otlp) -> (String, String, String) {
        let uris = Uris::of(config).unwrap();
        (uris.absolute.to_string(), uris.path.to_string(), uris.host.to_str().unwrap().to_owned())
    }

    #[test]
    fn metrics_have_a_path_below_the_endpoint() {
        let cases = [
            ("http://a:4318", "http://a:4318/v1/metrics", "/v1/metrics", "a:4318"),
            ("https://a/otlp/", "https://a/otlp/v1/metrics", "/otlp/v1/metrics", "a"),
            ("https://a:443/x/v1/metrics", "https://a/x/v1/metrics", "/x/v1/metrics", "a"),
            ("http://[::1]:80", "http://[::1]/v1/metrics", "/v1/metrics", "[::1]"),
            ("unix:/run/otel.sock", "http://localhost/v1/metrics", "/v1/metrics", "localhost"),
        ];
        for (endpoint, absolute, path, host) in cases {
            let found = uris(endpoint, Protocol::Http);
            assert_eq!(found, (absolute.to_owned(), path.to_owned(), host.to_owned()), "{endpoint}");
        }
        let (absolute, ..) = uris("http://a:4317/tenant", Protocol::Grpc);
        assert_eq!(absolute, "http://a:4317/tenant/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
        let exact = "https://a/otlp/metrics".parse().ok();
        let (absolute, ..) = told(&Otlp { metrics_endpoint: exact, protocol: Protocol::Http, ..Otlp::default() });
        assert_eq!(absolute, "https://a/otlp/metrics");
    }
}
