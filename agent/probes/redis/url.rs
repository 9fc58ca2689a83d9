//! Where a server listens, and as whom it is asked: `redis://user@host:port`, `rediss://…`, `unix:/path`.

use std::str::FromStr;

use serde::Deserialize;

use crate::probes::address::Address;

/// Where Redis listens unless it is told otherwise.
const PORT: u16 = 6379;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url {
    /// Where it listens.
    pub address: Address,
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// As whom it is asked; nobody: as the default user.
    pub user: Option<String>,
}

/// A text that names no server. It does not show the text: a password may stand in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    /// It is no such URL at all.
    #[error(r#"expected a URL such as "redis://127.0.0.1:6379", "rediss://user@host" or "unix:/run/redis/redis.sock""#)]
    Other,
    /// It names a user and a password.
    #[error(r#"expected no password in the URL, where it is told to others: write password = {{ file = "…" }}"#)]
    Password,
}

impl FromStr for Url {
    type Err = NoUrl;

    fn from_str(text: &str) -> Result<Url, NoUrl> {
        if text.starts_with("unix:") {
            let address = text.replacen("unix://", "unix:", 1).parse().map_err(|_| NoUrl::Other)?;
            return Ok(Url { address, tls: false, user: None });
        }
        let (scheme, rest) = text.split_once("://").ok_or(NoUrl::Other)?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(NoUrl::Other),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(NoUrl::Password),
            Some(("", _)) => return Err(NoUrl::Other),
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, rest),
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/?#%".contains(c);
        if rest.contains(odd) {
            return Err(NoUrl::Other);
        }
        let address = place.parse().or_else(|_| format!("{place}:{PORT}").parse()).map_err(|_| NoUrl::Other)?;
        match address {
            Address::Port { .. } => Ok(Url { address, tls, user }),
            Address::Unix(_) => Err(NoUrl::Other),
        }
    }
}

impl TryFrom<String> for Url {
    type Error = NoUrl;

    fn try_from(text: String) -> Result<Url, NoUrl> {
        text.parse()
    }
}

impl Url {
    /// The host as a certificate names it.
    pub fn host(&self) -> &str {
        match &self.address {
            Address::Port { host, .. } => host,
            Address::Unix(_) => "localhost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_place_the_user_and_whether_tls_is_spoken() {
        for (text, address, tls, user) in [
            ("redis://127.0.0.1:6380", "127.0.0.1:6380", false, None),
            ("redis://cache.example/", "cache.example:6379", false, None),
            ("rediss://vigie@[::1]", "[::1]:6379", true, Some("vigie")),
            ("unix:/run/redis/redis.sock", "unix:/run/redis/redis.sock", false, None),
            ("unix:///run/redis/redis.sock", "unix:/run/redis/redis.sock", false, None),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.address.to_string(), url.tls, url.user.as_deref()), (address.to_owned(), tls, user));
        }
    }

    #[test]
    fn what_is_none_is_refused_and_a_password_is_not_repeated() {
        for text in [
            "",
            "127.0.0.1:6379",
            "http://a:1",
            "redis://",
            "redis://a:0",
            "redis://a/3",
            "redis://@a",
            "redis://unix:/x",
        ] {
            assert_eq!(text.parse::<Url>(), Err(NoUrl::Other), "{text}");
        }
        for text in ["redis://me:hunter2@a:6379", "redis://:hunter2@a"] {
            let error = text.parse::<Url>().unwrap_err();
            assert_eq!(error, NoUrl::Password);
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
