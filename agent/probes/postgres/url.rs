//! Where a server is, as libpq's connection URIs write it (PostgreSQL's manual, 34.1.1.2), without a password in it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use crate::probes::address::Address;

/// Who asks, unless the URL says: the user that the unit runs as.
const USER: &str = "vigie";

/// Which database is connected to, unless the URL says: one that nearly every server has.
const DATABASE: &str = "postgres";

/// The port, unless the URL says.
const PORT: u16 = 5432;

/// A server, a database of it, and who asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url {
    /// Its port, or its socket.
    pub address: Address,
    /// `host:port`, as postgres_exporter calls the server; the host is a directory where there is a socket.
    pub server: String,
    /// Who asks.
    pub user: String,
    /// The database that is connected to.
    pub database: String,
    /// Whether the way there is encrypted, and who must be at its end.
    pub ssl_mode: SslMode,
}

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted where the server can.
    Prefer,
    /// Encrypted, whoever is at its end.
    Require,
    /// Encrypted, and the certificate is this host's, of an authority that is trusted.
    VerifyFull,
}

const SSL_MODES: [(&str, SslMode); 4] = [
    ("disable", SslMode::Disable),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-full", SslMode::VerifyFull),
];

/// A text that is no URL of a server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    /// It begins or ends as none does.
    #[error(
        "expected a URL such as \"postgresql://vigie@db-1:5432/postgres\" or \
         \"postgresql:///postgres?host=/run/postgresql\""
    )]
    Odd,
    /// There is a password in it.
    #[error("a password is not written in the URL; take it out and write `password = {{ file = \"…\" }}` beside it")]
    Password,
    /// Several hosts.
    #[error("expected one host; give each server a [[probe.postgres]] of its own")]
    Hosts,
    /// A host and no address.
    #[error("expected a name, an address or the directory of a socket, found {0:?}")]
    Host(String),
    /// A parameter that is not known here.
    #[error("the parameter {0:?} is not known here; known are host, port, user, dbname and sslmode")]
    Parameter(String),
    /// A mode of TLS that is not known.
    #[error(
        "expected sslmode to be disable, prefer, require or verify-full, found {0:?}; for verify-ca, write verify-full \
         and the name that the certificate has in `tls.server_name`"
    )]
    SslMode(String),
}

#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    database: Option<String>,
    ssl_mode: Option<SslMode>,
}

impl Parts {
    fn set(&mut self, key: &str, value: String) -> Result<(), NoUrl> {
        let place = match key {
            "host" => &mut self.host,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "dbname" => &mut self.database,
            "password" => return Err(NoUrl::Password),
            "sslmode" => {
                let mode = SSL_MODES.iter().find(|(word, _)| *word == value).map(|(_, mode)| *mode);
                self.ssl_mode = Some(mode.ok_or(NoUrl::SslMode(value))?);
                return Ok(());
            }
            _ => return Err(NoUrl::Parameter(key.to_owned())),
        };
        if !value.is_empty() {
            *place = Some(value);
        }
        Ok(())
    }
}

impl FromStr for Url {
    type Err = NoUrl;

    fn from_str(text: &str) -> Result<Url, NoUrl> {
        let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")).ok_or(NoUrl::Odd)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        if who.contains(':') {
            return Err(NoUrl::Password);
        }
        if authority.contains(',') {
            return Err(NoUrl::Hosts);
        }
        let (host, port) = match place.rfind(']') {
            Some(end) => place.split_at_checked(end + 1).unwrap_or((place, "")),
            None => place.find(':').and_then(|colon| place.split_at_checked(colon)).unwrap_or((place, "")),
        };
        let mut parts = Parts::default();
        parts.set("user", decoded(who)?)?;
        parts.set("host", decoded(host)?)?;
        parts.set("port", decoded(port.strip_prefix(':').unwrap_or(port))?)?;
        parts.set("dbname", decoded(database)?)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(NoUrl::Odd)?;
            parts.set(&decoded(key)?, decoded(value)?)?;
        }
        Url::of(parts)
    }
}

impl Url {
    fn of(parts: Parts) -> Result<Url, NoUrl> {
        let host = parts.host.unwrap_or_else(|| "localhost".to_owned());
        let number = parts.port.as_deref().map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port != 0));
        let port = number.ok_or(NoUrl::Odd)?;
        let (address, near) = if host.starts_with('/') {
            (Address::Unix(PathBuf::from(&host).join(format!(".s.PGSQL.{port}"))), true)
        } else if host.contains(',') {
            return Err(NoUrl::Hosts);
        } else {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
            let near = bare == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
            let written = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") };
            (written.parse().map_err(|_| NoUrl::Host(host.clone()))?, near)
        };
        let server = match &address {
            Address::Port { .. } => address.to_string(),
            Address::Unix(_) => format!("{host}:{port}"),
        };
        // What leaves the host is encrypted and goes to the right one, unless somebody says otherwise.
        let ssl_mode = parts.ssl_mode.unwrap_or(if near { SslMode::Prefer } else { SslMode::VerifyFull });
        let user = parts.user.unwrap_or_else(|| USER.to_owned());
        let database = parts.database.unwrap_or_else(|| DATABASE.to_owned());
        Ok(Url { address, server, user, database, ssl_mode })
    }
}

/// Takes `%20` and the like for what they stand for (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String, NoUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        bytes.push(match byte {
            b'%' => {
                digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok()).ok_or(NoUrl::Odd)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control)).ok_or(NoUrl::Odd)
}

impl TryFrom<String> for Url {
    type Error = NoUrl;

    fn try_from(text: String) -> Result<Url, NoUrl> {
        text.parse()
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SSL_MODES.iter().find(|(_, mode)| mode == self).map_or("", |(word, _)| *word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match text.parse::<Url>() {
            Ok(url) => format!("{} {} {}@{} {}", url.address, url.server, url.user, url.database, url.ssl_mode),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        for (text, expected) in [
            ("postgresql://", "localhost:5432 localhost:5432 vigie@postgres prefer"),
            ("postgres://m@db-1/shop", "db-1:5432 db-1:5432 m@shop verify-full"),
            ("postgresql://127.0.0.1:6432", "127.0.0.1:6432 127.0.0.1:6432 vigie@postgres prefer"),
            ("postgresql://[::1]:1/a%20b", "[::1]:1 [::1]:1 vigie@a b prefer"),
            (
                "postgresql:///x?host=/run/postgresql&user=%22q",
                "unix:/run/postgresql/.s.PGSQL.5432 /run/postgresql:5432 \"q@x prefer",
            ),
            ("postgresql://%2Frun%2Fpg:7/", "unix:/run/pg/.s.PGSQL.7 /run/pg:7 vigie@postgres prefer"),
            ("postgresql://db?sslmode=require", "db:5432 db:5432 vigie@postgres require"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_says_what_to_do() {
        for (text, words) in [
            ("mysql://db", "expected a URL such as"),
            ("postgresql://db:x", "expected a URL such as"),
            ("postgresql://db:0", "expected a URL such as"),
            ("postgresql://d%zz", "expected a URL such as"),
            ("postgresql://u:secret@db", "write `password = { file"),
            ("postgresql://db?password=secret", "write `password = { file"),
            ("postgresql://a,b/", "a [[probe.postgres]] of its own"),
            ("postgresql://a?target_session_attrs=any", "\"target_session_attrs\" is not known"),
            ("postgresql://a?sslmode=on", "found \"on\""),
        ] {
            let said = told(text);
            assert!(said.contains(words) && !said.contains("secret"), "{text}: {said}");
        }
    }
}
