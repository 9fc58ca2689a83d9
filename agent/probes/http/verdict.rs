//! What it means when no answer comes, or only a part of one.

use super::content::{Bounds, Content, Flaw};
use super::expect::speaks_tls;
use super::telling::Telling;
use super::url::Url;
use crate::link::{Fault, Heard, Tongue};
use crate::probes::failure::{ProbeError, Reason};
use crate::probes::secure::Secure;

/// A request that got no answer.
pub(super) struct Unanswered<'a> {
    pub(super) url: &'a Url,
    /// Whether HTTP/2 was spoken to it.
    pub(super) http2: bool,
    pub(super) heard: &'a Heard,
}

impl Unanswered<'_> {
    /// Why none came.
    pub(super) fn explain(&self, error: &hyper::Error, secure: &mut Secure, telling: &mut Telling<'_>) -> ProbeError {
        let fault = self.heard.fault();
        if let Some(error) = fault.as_ref().and_then(|fault| self.of_tls(fault, secure, telling)) {
            return error;
        }
        let whom = &self.url.authority;
        let protocol = |message: String| ProbeError::new(Reason::Protocol, message);
        match (self.heard.tongue(), self.http2) {
            (Tongue::Tls, _) => speaks_tls(self.url),
            (Tongue::Http1, true) => protocol(format!("{whom} speaks HTTP/1, not HTTP/2"))
                .mend("let `version` be \"1.1\", or turn HTTP/2 on there"),
            (Tongue::Http2, false) => protocol(format!("{whom} speaks HTTP/2 only")).mend("let `version` be \"2\""),
            (Tongue::Other(words), _) => protocol(format!("{whom} says {words:?}, which is not HTTP"))
                .mend("check the port: another service listens there"),
            (Tongue::Silence, _) => {
                let how = fault.map_or_else(String::new, |fault| format!(": {fault}"));
                protocol(format!("{whom} ends the connection without an answer{how}"))
                    .mend("check the server's log, and whether it speaks HTTP there")
            }
            (Tongue::Http1, false) if error.is_parse_too_large() => {
                protocol(format!("the headers of {}'s answer are longer than 64 KiB, or more than 100", self.url))
                    .mend("check what the server sends")
            }
            (Tongue::Http1, false) if error.is_incomplete_message() => {
                protocol(format!("{whom} ends the connection in the middle of its answer's headers"))
            }
            _ => protocol(format!("{}: the answer breaks the rules of HTTP: {}", self.url, cause(error)))
                .mend("check the server's log"),
        }
    }

    /// With version 1.3, who is refused for their certificate learns it by what is read next.
    fn of_tls(&self, fault: &Fault, secure: &mut Secure, telling: &mut Telling<'_>) -> Option<ProbeError> {
        let Fault::Tls(error) = fault else { return None };
        secure.tell(&self.url.host, Some(&std::io::Error::other(error.clone())), telling.report)
    }
}

/// Why a content was not read to its end.
pub(super) fn of_content(url: &Url, flaw: &Flaw, content: &Content, said: Option<u64>, bounds: Bounds) -> ProbeError {
    match flaw {
        Flaw::TooLong => {
            let message = format!("the content of {url} is longer than {} bytes", bounds.read);
            ProbeError::new(Reason::Size, message).mend("ask for less, or raise `max_body`")
        }
        Flaw::Packing(error) => {
            let message = format!("the content of {url} is not the gzip that it should be: {error}");
            ProbeError::new(Reason::Body, message).mend("check what compresses it, or leave `compression` out")
        }
        Flaw::Broken(error) => {
            let of = said.map_or_else(String::new, |length| format!(" of {length}"));
            let message = format!("the content of {url} breaks off after {}{of} bytes: {}", content.wire, cause(error));
            ProbeError::new(Reason::Protocol, message).mend("check the server's log")
        }
    }
}

/// The innermost words of an error: hyper's own say little.
fn cause(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
