//! What goes with each request, `otlp.headers`: names that are checked, and values that are secrets.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::ClientError;
use crate::config::Secret;

/// Those that belong to the protocol, and what begins as they do: HTTP's own (RFC 9110, 7.6.1), gRPC's own.
const OURS: [&str; 14] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "host",
    "expect",
    "accept-encoding",
    "user-agent",
    "http2-settings",
    "content-",
    "grpc-",
];

/// Shorter words are no secrets, and too common: "Bearer".
const SHORT: usize = 7;

/// The headers as the secrets were when they were last read.
pub(super) struct Headers {
    secrets: Vec<(HeaderName, Secret)>,
    values: Vec<HeaderValue>,
}

impl Headers {
    /// Reads every secret.
    pub(super) fn load(headers: &BTreeMap<String, Secret>) -> Result<Headers, ClientError> {
        let checked = headers.iter().map(|(name, secret)| Ok((check(name)?, secret.clone())));
        let secrets = checked.collect::<Result<Vec<_>, ClientError>>()?;
        let values = read(&secrets)?;
        Ok(Headers { secrets, values })
    }

    /// Reads every secret again: somebody may have renewed one. Says whether one is another now.
    pub(super) fn renew(&mut self) -> bool {
        match read(&self.secrets) {
            Ok(values) => std::mem::replace(&mut self.values, values) != self.values,
            Err(error) => {
                tracing::debug!(%error, "the headers of the push stay as they were");
                false
            }
        }
    }

    pub(super) fn put(&self, headers: &mut HeaderMap) {
        for ((name, _), value) in self.secrets.iter().zip(&self.values) {
            headers.append(name, value.clone());
        }
    }

    /// A sentence without our secrets: a collector may repeat what it did not accept.
    pub(super) fn hide(&self, mut sentence: String) -> String {
        let values = self.values.iter().filter_map(|value| value.to_str().ok());
        for word in values.flat_map(str::split_ascii_whitespace).filter(|word| word.len() >= SHORT) {
            if sentence.contains(word) {
                sentence = sentence.replace(word, "***");
            }
        }
        sentence
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }
}

fn check(name: &str) -> Result<HeaderName, ClientError> {
    let lower = name.to_ascii_lowercase();
    if name == "proxy-authorization" {
        return Err(ClientError::ProxyHeader);
    }
    let ours = |own: &&str| if own.ends_with('-') { lower.starts_with(*own) } else { lower == **own };
    if OURS.iter().any(ours) {
        return Err(ClientError::OwnHeader(name.to_owned()));
    }
    HeaderName::from_bytes(lower.as_bytes()).map_err(|_| ClientError::HeaderName(name.to_owned()))
}

fn read(secrets: &[(HeaderName, Secret)]) -> Result<Vec<HeaderValue>, ClientError> {
    let read = |(name, secret): &(HeaderName, Secret)| {
        let text = secret.load().map_err(|source| ClientError::Secret { header: name.to_string(), source })?;
        // The parser's error would show what it did not take.
        let mut value = HeaderValue::from_str(text.expose())
            .map_err(|_| ClientError::HeaderValue { header: name.to_string(), place: secret.place() })?;
        value.set_sensitive(true);
        Ok(value)
    };
    secrets.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_belong_to_the_protocol_are_refused() {
        for name in ["Content-Type", "content-length", "TE", "Host", "connection", "grpc-timeout", "User-Agent"] {
            let error = check(name).unwrap_err().to_string();
            assert!(error.starts_with(&format!("otlp.headers.{name} belongs to the protocol")), "{error}");
        }
        for name in [":path", "", "a b", "ä", "a:"] {
            assert!(matches!(check(name), Err(ClientError::HeaderName(_))), "{name}");
        }
        for name in ["Authorization", "x-scope-orgid", "api-key", "contents", "hostname"] {
            assert_eq!(check(name).unwrap().as_str(), name.to_ascii_lowercase());
        }
    }
}
