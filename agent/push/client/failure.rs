//! Why a request did not arrive, and whether it is worth another attempt.

use std::time::Duration;

use crate::config::SecretError;
use crate::tls::TlsError;

/// Why the push cannot be configured so.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nowhere to push to.
    #[error("otlp.endpoint is not set")]
    NoEndpoint,
    /// The endpoint's host is none that a certificate could name.
    #[error("otlp.endpoint: expected the name or the address of a host, found {0:?}")]
    Host(String),
    /// A header's value cannot be read.
    #[error("otlp.headers.{header}: {source}")]
    Secret {
        /// Which header.
        header: String,
        /// Why.
        source: SecretError,
    },
    /// A header's value cannot be sent.
    #[error("otlp.headers.{header}: expected one line of ASCII in {place}")]
    HeaderValue {
        /// Which header.
        header: String,
        /// Where its value is.
        place: String,
    },
    /// No header has such a name.
    #[error("otlp.headers: expected the name of a header, such as authorization or x-scope-orgid, found {0:?}")]
    HeaderName(String),
    /// A file of TLS cannot be used.
    #[error("otlp.tls: {0}")]
    Tls(#[from] TlsError),
    /// The system trusts nobody.
    #[error("the system trusts no authority: install ca-certificates, or name the collector's by otlp.tls.ca")]
    NoRoots,
    /// The environment wants a proxy that we do not speak to.
    #[error(
        "the environment wants a {0} proxy for otlp.endpoint: expected one of http://; change ALL_PROXY, HTTP_PROXY \
         or HTTPS_PROXY, or name the host in NO_PROXY"
    )]
    Proxy(String),
}

/// Whether the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would be refused again.
    Never,
    /// After a while, which the collector may have told.
    After(Option<Duration>),
}

/// Why a request did not arrive: a closed list, for a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The name has no address.
    Dns,
    /// Nobody is there.
    Connect,
    /// The proxy does not let us through.
    Proxy,
    /// TLS fails.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection ended without an answer.
    Disconnect,
    /// The answer is none of OTLP's.
    Protocol,
    /// The collector does not accept who we are.
    Auth,
    /// The collector refuses the request, or cannot take it now.
    Status,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 9] = [
        Reason::Dns,
        Reason::Connect,
        Reason::Proxy,
        Reason::Tls,
        Reason::Timeout,
        Reason::Disconnect,
        Reason::Protocol,
        Reason::Auth,
        Reason::Status,
    ];

    /// As a label has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Dns => "dns",
            Reason::Connect => "connect",
            Reason::Proxy => "proxy",
            Reason::Tls => "tls",
            Reason::Timeout => "timeout",
            Reason::Disconnect => "disconnect",
            Reason::Protocol => "protocol",
            Reason::Auth => "auth",
            Reason::Status => "status",
        }
    }
}

/// A request that did not arrive, in one sentence that names the endpoint, and the remedy where one is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct ExportError {
    reason: Reason,
    retry: Retry,
    sentence: String,
}

impl ExportError {
    /// What another attempt may mend.
    pub(super) fn passing(reason: Reason, sentence: String) -> ExportError {
        ExportError { reason, retry: Retry::After(None), sentence }
    }

    /// What the collector said of the request.
    pub(super) fn told(reason: Reason, retry: Retry, sentence: String) -> ExportError {
        ExportError { reason, retry, sentence }
    }

    /// Whether the same request may be sent again, as the OTLP specification has it. What is no answer of a collector
    /// may be mended where the collector is, so that the request is worth keeping.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The reason, as a label has it.
    pub fn reason(&self) -> &'static str {
        self.reason.as_str()
    }

    pub(super) fn map(self, change: impl FnOnce(String) -> String) -> ExportError {
        ExportError { sentence: change(self.sentence), ..self }
    }

    pub(super) fn is_auth(&self) -> bool {
        self.reason == Reason::Auth
    }
}
