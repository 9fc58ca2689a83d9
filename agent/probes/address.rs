//! What a probe connects to: a host and a port, or a unix socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::admission::Destination;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
const NAME_LIMIT: usize = 253;

/// Where a service listens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// A port of a host.
    Port {
        /// A name, or an address without brackets.
        host: String,
        /// Its number.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// A text that is no address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(r#"expected an address such as "db-1:5432", "[::1]:25" or "unix:/run/service.sock", found {0:?}"#)]
pub struct NoAddress(String);

impl Address {
    /// Where it is in the network, if it is there.
    pub fn destination(&self) -> Option<Destination> {
        match self {
            Address::Port { host, port } => Some(Destination { scheme: None, host: host.clone(), port: Some(*port) }),
            Address::Unix(_) => None,
        }
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let no_address = || NoAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Address::Unix(path)) } else { Err(no_address()) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(no_address)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let odd = |c: char| c.is_whitespace() || c.is_control() || "[]/@".contains(c);
        let (host, bracketed) = (bare.unwrap_or(host), bare.is_some());
        if host.is_empty() || host.len() > NAME_LIMIT || host.contains(odd) || host.contains(':') != bracketed {
            return Err(no_address());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(no_address)?;
        Ok(Address::Port { host: host.to_owned(), port })
    }
}

impl TryFrom<String> for Address {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Address, NoAddress> {
        text.parse()
    }
}

impl Address {
    /// The name or the address of the host; empty for a unix socket.
    pub fn host(&self) -> &str {
        match self {
            Address::Port { host, .. } => host,
            Address::Unix(_) => "",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Port { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Port { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["127.0.0.1:25", "[::1]:25", "[fe80::1%eth0]:25", "db-1.example:5432", "unix:/run/x.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "db", ":25", "db:", "db:0", "db:65536", "::1:25", "[db]:25", "http://db:25", "unix:x", "a b:1"]
        {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
