//! The small parts of a `[[probe.http]]`: methods, versions, and lists that may be one value.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What is asked of the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Method(pub hyper::Method);

impl Default for Method {
    fn default() -> Method {
        Method(hyper::Method::GET)
    }
}

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Method, String> {
        let known = !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = hyper::Method::from_bytes(text.as_bytes()).ok();
        // CONNECT asks for a tunnel, and nothing of the server.
        let method = method.filter(|method| known && *method != hyper::Method::CONNECT);
        method
            .map(Method)
            .ok_or_else(|| format!(r#"expected a method such as "GET", "HEAD" or "POST", found {text:?}"#))
    }
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// What the server prefers over TLS, and HTTP/1.1 without.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1, or what an old server makes of it.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2, without TLS as well (RFC 9113, section 3.3).
    #[serde(rename = "2")]
    Http2,
}

/// How an answer may be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// RFC 1952.
    Gzip,
}

/// A list, of which one value is written without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<T> Default for OneOrMore<T> {
    fn default() -> OneOrMore<T> {
        OneOrMore(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<OneOrMore<T>, D::Error> {
        d.deserialize_any(Values(PhantomData))
    }
}

struct Values<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
    type Value = OneOrMore<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore<T>, E> {
        T::deserialize(text.into_deserializer()).map(|one| OneOrMore(vec![one]))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<OneOrMore<T>, E> {
        T::deserialize(number.into_deserializer()).map(|one| OneOrMore(vec![one]))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<OneOrMore<T>, M::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMore(vec![one]))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, list: S) -> Result<OneOrMore<T>, S::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_one_that_asks_something_of_a_server() {
        assert_eq!(Method::try_from("PURGE".to_owned()).unwrap().0.as_str(), "PURGE");
        for text in ["", "get", "GET ", "CONNECT", "A\r\nB"] {
            assert!(Method::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
