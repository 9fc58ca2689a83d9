//! What it means that no answer came.

use super::failure::{ExportError, Reason};
use super::{Client, Stage};
use crate::config::Protocol;
use crate::link::{Fault, Heard, Tongue};

impl Client {
    pub(super) fn no_tls(&self, heard: &Heard, error: &std::io::Error) -> ExportError {
        let teller = self.teller();
        teller.mismatch(&Tongue::Tls, &heard.tongue()).unwrap_or_else(|| match (Fault::of(error), &self.tls) {
            (Fault::Tls(error), Some(tls)) => teller.passing(Reason::Tls, &tls.explain(&error)),
            _ => {
                let what = format!("ends the connection where TLS should begin, {error}; is TLS spoken on that port?");
                teller.passing(Reason::Tls, &what)
            }
        })
    }

    pub(super) fn broken(&self, heard: &Heard, expected: &Tongue, error: &hyper::Error) -> ExportError {
        let (teller, tongue) = (self.teller(), heard.tongue());
        // A client's certificate is refused after the handshake.
        if let (Some(Fault::Tls(error)), Some(tls)) = (heard.fault(), &self.tls) {
            return teller.passing(Reason::Tls, &tls.explain(&error));
        }
        teller.mismatch(expected, &tongue).unwrap_or_else(|| match (tongue, self.protocol) {
            (Tongue::Silence, Protocol::Grpc) => {
                let what = "closes the connection without a word; is OTLP/gRPC spoken there, as otlp.protocol says?";
                teller.passing(Reason::Disconnect, what)
            }
            (Tongue::Silence, Protocol::Http) => {
                let what = "closes the connection without a word; is OTLP/HTTP spoken there, as otlp.protocol says?";
                teller.passing(Reason::Disconnect, what)
            }
            _ if error.is_parse() => teller.passing(Reason::Protocol, &format!("does not answer in HTTP: {error}")),
            _ => {
                let why = heard.fault().map_or_else(|| error.to_string(), |fault| fault.to_string());
                teller.passing(Reason::Disconnect, &format!("broke the connection off: {why}"))
            }
        })
    }

    /// What took too long; or why it would never have come.
    pub(super) fn overdue(&self) -> ExportError {
        let (teller, limit) = (self.teller(), self.timeout);
        let overdue = |what: &str| {
            let what = format!("{what} within {limit:?}; is it overloaded, or otlp.timeout too short?");
            teller.passing(Reason::Timeout, &what)
        };
        match &self.stage {
            Stage::Connection => overdue("cannot be connected to"),
            Stage::Tls(heard) => {
                teller.mismatch(&Tongue::Tls, &heard.tongue()).unwrap_or_else(|| overdue("does not answer to TLS"))
            }
            Stage::Answer(heard, expected) => {
                teller.mismatch(expected, &heard.tongue()).unwrap_or_else(|| overdue("does not answer"))
            }
        }
    }
}
