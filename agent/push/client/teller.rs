//! Sentences about the endpoint.

use hyper::StatusCode;
use hyper::header::{HeaderMap, LOCATION};

use super::failure::{ExportError, Reason, Retry};
use super::proxy::Proxy;
use crate::link::{Tongue, shown};

/// Tells what went wrong with whom.
pub(super) struct Teller<'a> {
    /// As the configuration has it.
    pub(super) endpoint: &'a str,
    /// Where requests go there.
    pub(super) path: &'a str,
    /// Whether headers are configured, in which credentials may be.
    pub(super) headers: bool,
    pub(super) proxy: Option<&'a Proxy>,
}

impl Teller<'_> {
    /// What another attempt may mend.
    pub(super) fn passing(&self, reason: Reason, what: &str) -> ExportError {
        ExportError::passing(reason, format!("{} {what}", self.endpoint))
    }

    pub(super) fn told(&self, reason: Reason, retry: Retry, what: &str) -> ExportError {
        ExportError::told(reason, retry, format!("{} {what}", self.endpoint))
    }

    /// The collector does not know us, or does not let us.
    pub(super) fn unknown(&self, said: &str) -> ExportError {
        let what = if self.headers {
            format!("does not accept who we are, {said}; are the values of otlp.headers right?")
        } else {
            format!("asks who we are, {said}; name the credentials in otlp.headers")
        };
        self.told(Reason::Auth, Retry::Never, &what)
    }

    /// The proxy does not know us.
    pub(super) fn unknown_to_the_proxy(&self) -> ExportError {
        let sentence = match self.proxy {
            Some(proxy) => format!("the proxy {} {}", proxy.place, proxy.refusal()),
            None => format!("{} answers as a proxy; is it one?", self.endpoint),
        };
        ExportError::passing(Reason::Proxy, sentence)
    }

    /// A redirect is not followed: what it names may be anybody, and our credentials would go there.
    pub(super) fn redirected(&self, status: StatusCode, headers: &HeaderMap) -> ExportError {
        let place = headers.get(LOCATION).map(|place| shown(place.as_bytes())).unwrap_or_default();
        let place = if place.is_empty() { "elsewhere".to_owned() } else { format!("to {place}") };
        let what = format!("redirects {place}, {status}, which is not followed; write the right URL in otlp.endpoint");
        self.told(Reason::Status, Retry::Never, &what)
    }

    /// Something else is spoken there than we expect.
    pub(super) fn mismatch(&self, expected: &Tongue, found: &Tongue) -> Option<ExportError> {
        let what = match (expected, found) {
            (Tongue::Tls, Tongue::Http1 | Tongue::Http2) => {
                "speaks without TLS; write http:// in otlp.endpoint, or its port for TLS".to_owned()
            }
            (Tongue::Http1 | Tongue::Http2, Tongue::Tls) => "speaks TLS; write https:// in otlp.endpoint".to_owned(),
            (Tongue::Http2, Tongue::Http1) => "speaks HTTP/1, which is not gRPC; if OTLP/HTTP is spoken there, set \
                                               otlp.protocol to \"http\", else take its port for gRPC (4317)"
                .to_owned(),
            (Tongue::Http1, Tongue::Http2) => "speaks HTTP/2 only; if OTLP/gRPC is spoken there, set otlp.protocol to \
                                               \"grpc\", else take its port for OTLP/HTTP (4318)"
                .to_owned(),
            (_, Tongue::Other(words)) => {
                format!("is no collector, it says {words:?}; is the port of otlp.endpoint right?")
            }
            _ => return None,
        };
        Some(self.passing(Reason::Protocol, &what))
    }
}
