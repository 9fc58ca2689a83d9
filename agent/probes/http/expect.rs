//! What an answer must be: its status, its headers, its content.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use hyper::header::{HeaderMap, HeaderName};
use hyper::{StatusCode, header};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::headers::ByHeader;
use super::url::Url;
use super::written::OneOrMore;
use crate::link::shown;
use crate::probes::failure::{ProbeError, Reason};
use crate::samplers::pattern::Pattern;

/// How much of a stranger's text a message shows, in characters.
const SHOWN: usize = 80;

/// Statuses that are expected: one, all of a class such as `2xx`, or all from one to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(RangeInclusive<u16>);

impl Codes {
    /// All of 2xx.
    pub fn good() -> Codes {
        Codes(200..=299)
    }
}

/// A text that tells no statuses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(r#"expected statuses such as 200, "2xx" or "200-204""#)]
pub struct NoCodes;

impl FromStr for Codes {
    type Err = NoCodes;

    fn from_str(text: &str) -> Result<Codes, NoCodes> {
        let number = |text: &str| match text.len() {
            3 => text.parse().ok().filter(|code| (100..=999).contains(code)),
            _ => None,
        };
        let class =
            text.strip_suffix("xx").filter(|class| class.len() == 1).and_then(|class| class.parse::<u16>().ok());
        let range = match (class.filter(|class| (1..=9).contains(class)), text.split_once('-')) {
            (Some(class), _) => Some(class * 100..=class * 100 + 99),
            (None, Some((from, to))) => number(from).zip(number(to)).map(|(from, to)| from..=to),
            (None, None) => number(text).map(|code| code..=code),
        };
        range.filter(|range| !range.is_empty()).map(Codes).ok_or(NoCodes)
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Codes, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Codes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"statuses such as 200, "2xx" or "200-204""#)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Codes, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Codes, E> {
                text.parse().map_err(|error: NoCodes| E::custom(format!("{error}, found {text:?}")))
            }
        }
        d.deserialize_any(NumberOrText)
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.0.start(), self.0.end());
        match to - from {
            0 => write!(f, "{from}"),
            99 if from % 100 == 0 => write!(f, "{}xx", from / 100),
            _ => write!(f, "{from}-{to}"),
        }
    }
}

/// An answer without its content, and what is needed to tell of it.
pub(super) struct Head<'a> {
    pub(super) url: &'a Url,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// How the content begins.
    pub(super) begins: &'a [u8],
    /// Whether it was told who asks.
    pub(super) asked_by_name: bool,
}

impl Head<'_> {
    /// Whether the status is one of these.
    pub(super) fn judge_status(&self, expected: &[Codes]) -> Result<(), ProbeError> {
        let Head { url, status, begins, .. } = self;
        if expected.iter().any(|codes| codes.0.contains(&status.as_u16())) {
            return Ok(());
        }
        // nginx and Go answer so.
        let says = |words: &[u8]| begins.windows(words.len()).any(|part| part == words);
        if !url.secure && *status == StatusCode::BAD_REQUEST && (says(b"HTTPS server") || says(b"HTTPS port")) {
            return Err(speaks_tls(url));
        }
        let all = expected.iter().map(Codes::to_string).collect::<Vec<_>>().join(", ");
        let message = format!("{url} answers {status}, expected {all}");
        let (reason, remedy) = match *status {
            StatusCode::UNAUTHORIZED if self.asked_by_name => {
                (Reason::Auth, "check the user, the password or the token that is sent")
            }
            StatusCode::UNAUTHORIZED => (Reason::Auth, "say who asks, by `basic_auth`, `bearer_token` or a header"),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => (Reason::Auth, "a proxy answers: check the address"),
            StatusCode::FORBIDDEN => (Reason::Status, "check who may ask for it there"),
            StatusCode::NOT_FOUND | StatusCode::GONE => (Reason::Status, "check the path, and what the server serves"),
            StatusCode::METHOD_NOT_ALLOWED => (Reason::Status, "check `method`"),
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                (Reason::Status, "check the service behind this one")
            }
            status if status.is_redirection() && self.headers.contains_key(header::LOCATION) => {
                (Reason::Status, "write where it redirects to, or set `follow_redirects`")
            }
            _ => return Err(ProbeError::new(Reason::Status, message)),
        };
        Err(ProbeError::new(reason, message).mend(remedy))
    }

    /// Whether each header is there, and is like every expression for it.
    pub(super) fn judge_headers(&self, expected: &ByHeader<OneOrMore<Pattern>>) -> Result<(), ProbeError> {
        for (name, OneOrMore(patterns)) in &expected.0 {
            let missed = patterns.iter().find(|pattern| !self.values(name).any(|value| pattern.is_match(&value)));
            if let Some(pattern) = missed {
                let found = match self.values(name).next() {
                    Some(value) => format!("is {:?}", cut(&value)),
                    None => "is not there".to_owned(),
                };
                let message =
                    format!("{}: the header {name} {found}, expected it like {:?}", self.url, pattern.as_str());
                return Err(ProbeError::new(Reason::Header, message));
            }
        }
        Ok(())
    }

    /// Whether no header is like an expression for it.
    pub(super) fn judge_headers_not(&self, expected: &ByHeader<OneOrMore<Pattern>>) -> Result<(), ProbeError> {
        for (name, OneOrMore(patterns)) in &expected.0 {
            for value in self.values(name) {
                if let Some(pattern) = patterns.iter().find(|pattern| pattern.is_match(&value)) {
                    let value = cut(&value);
                    let message = format!("{}: the header {name} is {value:?}, like {:?}", self.url, pattern.as_str());
                    return Err(ProbeError::new(Reason::Header, message));
                }
            }
        }
        Ok(())
    }

    fn values(&self, name: &HeaderName) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
    }
}

/// Whether a content is like each of `expect`, and like none of `expect_not`.
pub(super) fn judge_content(http: &super::Asked, url: &Url, content: &[u8], packed: bool) -> Result<(), ProbeError> {
    let text = String::from_utf8_lossy(content);
    let wrong = |message: String| {
        let error = ProbeError::new(Reason::Body, message);
        if packed { error.mend("it comes compressed: set `compression` to \"gzip\"") } else { error }
    };
    if let Some(pattern) = http.expect.0.iter().find(|pattern| !pattern.is_match(&text)) {
        let begins = match content {
            [] => "it is empty".to_owned(),
            content => format!("it begins with {:?}", cut(&shown(content))),
        };
        return Err(wrong(format!("{url}: nothing in the content is like {:?}; {begins}", pattern.as_str())));
    }
    match http.expect_not.0.iter().find(|pattern| pattern.is_match(&text)) {
        Some(pattern) => Err(wrong(format!("{url}: something in the content is like {:?}", pattern.as_str()))),
        None => Ok(()),
    }
}

pub(super) fn speaks_tls(url: &Url) -> ProbeError {
    ProbeError::new(Reason::Protocol, format!("{} speaks TLS, not plain HTTP", url.authority))
        .mend("write https:// in `url`, or the port without TLS")
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_numbers_classes_and_ranges() {
        for (text, first, last, shown) in
            [("200", 200, 200, "200"), ("2xx", 200, 299, "2xx"), ("200-204", 200, 204, "200-204")]
        {
            let codes: Codes = text.parse().unwrap();
            assert_eq!((codes.clone(), codes.to_string().as_str()), (Codes(first..=last), shown));
        }
        for text in ["", "2", "20", "2000", "0xx", "xxx", "2xx-3xx", "204-200", "+20", "-200", "200-", "2XX"] {
            assert_eq!(text.parse::<Codes>(), Err(NoCodes), "{text:?}");
        }
    }
}
