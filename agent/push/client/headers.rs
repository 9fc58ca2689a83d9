//! What goes with each request, `otlp.headers`: the values are secrets.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::ClientError;
use crate::config::Secret;

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
        let named = headers.iter().map(|(name, secret)| {
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ClientError::HeaderName(name.clone()))?;
            Ok((header, secret.clone()))
        });
        let secrets = named.collect::<Result<Vec<_>, ClientError>>()?;
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
