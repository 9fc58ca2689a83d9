//! Where a request goes: a URL of http or https, and what a reference such as a redirect's makes of it (RFC 3986).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use hyper::http::uri::{Authority, PathAndQuery};
use serde::Deserialize;

use crate::probes::admission::Destination;

/// The longest URL, in bytes; servers take 8 KiB, nearly all of them.
const LENGTH_LIMIT: usize = 8 << 10;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
const NAME_LIMIT: usize = 253;

/// A URL of http or https.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url {
    /// Whether it is one of https.
    pub secure: bool,
    /// A name in lower case or an address, without brackets.
    pub host: String,
    /// The port, also where it is not written.
    pub port: u16,
    /// Host and port as a request names them: without the port where it is the scheme's own.
    pub authority: Authority,
    /// What is asked for there.
    pub path: PathAndQuery,
}

/// A text that is no URL which a probe can ask.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    /// It is of another scheme.
    #[error("expected a URL of http:// or https://, found one of {0}:")]
    Scheme(String),
    /// It has a user in it.
    #[error("expected a URL without user and password: write them in `basic_auth`, where they are not shown")]
    User,
    /// It is none, or too long.
    #[error(r#"expected a URL such as "https://shop.example.org/health", found {0:?}"#)]
    Garbage(String),
}

impl FromStr for Url {
    type Err = NoUrl;

    fn from_str(text: &str) -> Result<Url, NoUrl> {
        let garbage = || NoUrl::Garbage(text.chars().take(100).collect());
        let (scheme, rest) = scheme_of(text).ok_or_else(garbage)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            other => return Err(NoUrl::Scheme(other.to_owned())),
        };
        let rest = rest.strip_prefix("//").ok_or_else(garbage)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or_else(garbage)?;
        if authority.contains('@') {
            return Err(NoUrl::User);
        }
        let (host, port) = host_and_port(authority).ok_or_else(garbage)?;
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        Url::new(secure, host, port, path).filter(|_| text.len() <= LENGTH_LIMIT).ok_or_else(garbage)
    }
}

impl TryFrom<String> for Url {
    type Error = NoUrl;

    fn try_from(text: String) -> Result<Url, NoUrl> {
        text.parse()
    }
}

impl Url {
    /// Where it leads.
    pub fn destination(&self) -> Destination {
        Destination { scheme: Some(self.scheme().to_owned()), host: self.host.clone(), port: Some(self.port) }
    }

    fn new(secure: bool, host: String, port: u16, path: &str) -> Option<Url> {
        let own = if secure { 443 } else { 80 };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let authority = if port == own { bracketed } else { format!("{bracketed}:{port}") };
        Some(Url { secure, host, port, authority: authority.parse().ok()?, path: encoded(path)?.parse().ok()? })
    }

    /// Where a reference leads from here, such as that of `Location`.
    ///
    /// # Errors
    /// Where it leads to no URL of http or https.
    pub fn join(&self, reference: &str) -> Result<Url, NoUrl> {
        let garbage = || NoUrl::Garbage(reference.chars().take(100).collect());
        if scheme_of(reference).is_some() {
            return reference.parse();
        }
        if reference.starts_with("//") {
            return format!("{}:{reference}", self.scheme()).parse();
        }
        let reference = reference.split('#').next().unwrap_or_default();
        let (path, query) = split_at(reference, '?');
        let own = self.path.path();
        let path = match path {
            "" if query.is_empty() => self.path.as_str().to_owned(),
            "" => format!("{own}{query}"),
            _ if path.starts_with('/') => format!("{}{query}", without_dots(path)),
            _ => {
                let folder = own.rfind('/').and_then(|slash| own.get(..=slash)).unwrap_or("/");
                format!("{}{query}", without_dots(&format!("{folder}{path}")))
            }
        };
        let url = Url::new(self.secure, self.host.clone(), self.port, &path);
        url.filter(|_| path.len() <= LENGTH_LIMIT).ok_or_else(garbage)
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Whether a request there goes to the same server by the same way.
    pub fn same_origin(&self, other: &Url) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// Whether what may be said there may be said at `next` as well: at the same origin, or at the same host that only
    /// asks for TLS.
    pub fn trusts(&self, next: &Url) -> bool {
        let upgraded = !self.secure && next.secure && (self.port, next.port) == (80, 443);
        self.same_origin(next) || upgraded && self.host == next.host
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)
    }
}

/// The scheme and what comes after its colon (RFC 3986, section 3.1).
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    good.then_some((scheme, rest))
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            (host.parse::<Ipv6Addr>().ok()?.to_string(), rest)
        }
        None => {
            let (host, rest) = split_at(authority, ':');
            let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            let fits = !host.is_empty() && host.len() <= NAME_LIMIT && host.chars().all(good);
            (fits.then(|| host.to_ascii_lowercase())?, rest)
        }
    };
    match rest.strip_prefix(':') {
        None if !rest.is_empty() => None,
        None | Some("") => Some((host, None)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).map(|port| (host, Some(port)))
        }
        Some(_) => None,
    }
}

/// What is before the first `mark`, and the rest with it.
fn split_at(text: &str, mark: char) -> (&str, &str) {
    text.split_at_checked(text.find(mark).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// The path and the query as a request has them: without the fragment, and with what no request may have encoded.
fn encoded(path: &str) -> Option<String> {
    let path = path.split('#').next().unwrap_or_default();
    let mut out = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        out.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'`' | b'{' | b'|' | b'}' | 0..=b' ' | 0x7f.. => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                let digit = |half: u8| DIGITS.get(usize::from(half)).map(|digit| char::from(*digit));
                out.extend([Some('%'), digit(byte >> 4), digit(byte & 15)].into_iter().flatten());
            }
            _ => out.push(char::from(byte)),
        }
    }
    (out.len() <= LENGTH_LIMIT).then_some(out)
}

/// Takes `.` and `..` out of an absolute path (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(part) = rest.next() {
        let last = rest.peek().is_none();
        match part {
            "." if last => parts.push(""),
            "." => {}
            ".." => {
                parts.pop();
                if last {
                    parts.push("");
                }
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests;
