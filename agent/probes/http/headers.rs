//! What goes with a request: headers, and who asks, of which the secrets are read anew for each check.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::secret::Secret;
use crate::probes::failure::{ProbeError, Reason};

/// Headers of these names are secrets, however they are written.
const SECRET: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Headers of these names are about the connection, which is not the configuration's.
const OWN: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Shorter words are no secrets, and too common: "Bearer".
const SHORT: usize = 7;

/// Values by the names of headers, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct ByHeader<T>(pub Vec<(HeaderName, T)>);

impl<T> Default for ByHeader<T> {
    fn default() -> ByHeader<T> {
        ByHeader(Vec::new())
    }
}

/// The value of a header: as it stands, or a secret.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// As it stands.
    Plain(HeaderValue),
    /// A secret.
    Secret(Secret),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Plain(value) => value.fmt(f),
            Value::Secret(secret) => f.write_str(&secret.place()),
        }
    }
}

/// A user and a password, `basic_auth` (RFC 7617).
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user; without a colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.user, self.password.place())
    }
}

/// A token, `bearer_token` (RFC 6750).
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Bearer(pub Secret);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.place())
    }
}

/// A name of a header that may be configured.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(HeaderName);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Name, String> {
        match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if OWN.contains(&name) => Err(format!("expected another header: vigie writes {name} itself")),
            Ok(name) => Ok(Name(name)),
            Err(_) => Err(format!(r#"expected the name of a header such as "x-api-key", found {text:?}"#)),
        }
    }
}

/// What is read for a header of a certain name.
pub trait OfHeader<'de>: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is something else.
    fn read<M: MapAccess<'de>>(name: &HeaderName, map: &mut M) -> Result<Self, M::Error>;
}

impl<'de> OfHeader<'de> for Value {
    fn read<M: MapAccess<'de>>(name: &HeaderName, map: &mut M) -> Result<Value, M::Error> {
        if SECRET.contains(name) { map.next_value().map(Value::Secret) } else { map.next_value() }
    }
}

impl<'de, T: Deserialize<'de>> OfHeader<'de> for super::written::OneOrMore<T> {
    fn read<M: MapAccess<'de>>(_: &HeaderName, map: &mut M) -> Result<Self, M::Error> {
        map.next_value()
    }
}

impl<'de, T: OfHeader<'de>> Deserialize<'de> for ByHeader<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<ByHeader<T>, D::Error> {
        d.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: OfHeader<'de>> Visitor<'de> for Entries<T> {
    type Value = ByHeader<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of headers")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ByHeader<T>, M::Error> {
        let mut entries = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            let value = T::read(&name, &mut map)?;
            entries.push((name, value));
        }
        Ok(ByHeader(entries))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Value, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"one line of ASCII, or a secret such as { file = "…" }"#)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                HeaderValue::from_str(text).map(Value::Plain).map_err(|_| E::custom("expected one line of ASCII"))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Value, M::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map)).map(Value::Secret)
            }
        }
        d.deserialize_any(Either)
    }
}

/// What is sent with the requests of one probe.
pub(super) struct Sent {
    plain: Vec<(HeaderName, HeaderValue)>,
    secret: Vec<(HeaderName, Credential)>,
}

enum Credential {
    Whole(Secret),
    Basic(Basic),
    Bearer(Secret),
}

impl Sent {
    pub(super) fn of(http: &super::Asked) -> Sent {
        let mut sent = Sent { plain: Vec::new(), secret: Vec::new() };
        for (name, value) in &http.headers.0 {
            match value {
                Value::Plain(value) => sent.plain.push((name.clone(), value.clone())),
                Value::Secret(secret) => sent.secret.push((name.clone(), Credential::Whole(secret.clone()))),
            }
        }
        let basic = http.basic_auth.iter().map(|basic| Credential::Basic(basic.clone()));
        let bearer = http.bearer_token.iter().map(|token| Credential::Bearer(token.0.clone()));
        sent.secret.extend(basic.chain(bearer).map(|credential| (header::AUTHORIZATION, credential)));
        sent
    }

    /// The configured value of a header that is no secret.
    pub(super) fn plain(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.plain.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Whether it says who asks.
    pub(super) fn has_secrets(&self) -> bool {
        !self.secret.is_empty()
    }

    /// Writes what is no secret, over what is there.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.plain {
            headers.insert(name, value.clone());
        }
    }

    /// Reads the secrets.
    ///
    /// # Errors
    /// [`Reason::Auth`], where one is not there, or cannot be sent.
    pub(super) fn reveal(&self) -> Result<Secrets, ProbeError> {
        self.secret.iter().map(|(name, credential)| Ok((name.clone(), credential.read()?))).collect()
    }
}

/// Secrets as they are sent now.
#[derive(Default)]
pub(super) struct Secrets(Vec<(HeaderName, HeaderValue)>);

impl FromIterator<(HeaderName, HeaderValue)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(values: I) -> Secrets {
        Secrets(values.into_iter().collect())
    }
}

impl Secrets {
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name, value.clone());
        }
    }

    /// The message without them: a server may repeat what it was told.
    pub(super) fn hide(&self, mut error: ProbeError) -> ProbeError {
        let values = self.0.iter().filter_map(|(_, value)| value.to_str().ok());
        for word in values.flat_map(str::split_ascii_whitespace).filter(|word| word.len() >= SHORT) {
            if error.message.contains(word) {
                error.message = error.message.replace(word, "***");
            }
        }
        error
    }
}

impl Credential {
    fn read(&self) -> Result<HeaderValue, ProbeError> {
        let (Credential::Whole(secret)
        | Credential::Bearer(secret)
        | Credential::Basic(Basic { password: secret, .. })) = self;
        let told =
            |what: String| ProbeError::new(Reason::Auth, what).mend("check the secret, and that vigie may read it");
        let revealed = secret.load().map_err(|error| told(error.to_string()))?;
        let text = revealed.expose();
        let value = match self {
            Credential::Whole(_) => HeaderValue::from_str(text),
            Credential::Bearer(_) => HeaderValue::from_str(&format!("Bearer {text}")),
            Credential::Basic(Basic { user, .. }) => {
                HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{text}"))))
            }
        };
        // The parser's error would show what it did not take.
        let mut value = value.map_err(|_| told(format!("expected one line of ASCII in {}", secret.place())))?;
        value.set_sensitive(true);
        Ok(value)
    }
}
