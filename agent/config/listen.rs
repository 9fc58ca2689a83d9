//! Addresses that the page listens on.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// The longest path of a unix socket, in bytes: `sun_path` of unix(7), less the zero at its end.
pub(super) const SOCKET_PATH_LIMIT: usize = 107;

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Whether the kernel would refuse to bind both.
    pub fn overlaps(&self, other: &Listen) -> bool {
        match (self, other) {
            (Listen::Unix(one), Listen::Unix(two)) => one == two,
            (Listen::Tcp(one), Listen::Tcp(two)) => {
                // Port 0 is another port each time.
                one.port() == two.port()
                    && one.port() != 0
                    && (covers(one.ip(), two.ip()) || covers(two.ip(), one.ip()))
            }
            _ => false,
        }
    }
}

/// `::` takes IPv4's connections too (ipv6(7), `bindv6only`).
fn covers(wide: IpAddr, narrow: IpAddr) -> bool {
    wide == narrow || wide == Ipv6Addr::UNSPECIFIED || (wide.is_unspecified() && wide.is_ipv4() && narrow.is_ipv4())
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// No address; says what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(r#"expected an address such as "127.0.0.1:9844", "[::1]:9844", ":9844" or "unix:/run/vigie/page.sock""#)]
pub struct NoAddress;

impl FromStr for Listen {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Listen, NoAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = Path::new(path).is_absolute() && path.len() <= SOCKET_PATH_LIMIT && !path.contains('\0');
            return fits.then(|| Listen::Unix(path.into())).ok_or(NoAddress);
        }
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| NoAddress)?;
            return Ok(Listen::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))));
        }
        text.parse().map(Listen::Tcp).map_err(|_| NoAddress)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
        deserializer.deserialize_str(One)
    }
}

struct One;

impl Visitor<'_> for One {
    type Value = Listen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = NoAddress.to_string();
        f.write_str(whole.strip_prefix("expected ").unwrap_or(&whole))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Listen, E> {
        text.parse().map_err(|NoAddress| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Deserializes one address or a list, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// For anything else, and for an empty list.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listen>, D::Error> {
    deserializer.deserialize_any(OneOrMany)
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Vec<Listen>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        One.expecting(f)?;
        f.write_str(", or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<Listen>, E> {
        One.visit_str(text).map(|address| vec![address])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Listen>, A::Error> {
        let mut addresses = Vec::new();
        while let Some(address) = list.next_element()? {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["127.0.0.1:9844", "[::1]:9844", "[::]:9844", "unix:/run/vigie/page.sock"] {
            assert_eq!(text.parse::<Listen>().map(|listen| listen.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(":9844".parse::<Listen>(), "[::]:9844".parse());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("unix:/{}", "x".repeat(SOCKET_PATH_LIMIT));
        for text in ["", "9844", "127.0.0.1", "localhost:9844", "::1:9844x", ":99999", "unix:", "unix:page.sock", &long]
        {
            assert_eq!(text.parse::<Listen>(), Err(NoAddress), "{text}");
        }
    }

    #[test]
    fn a_wildcard_covers_the_addresses_of_its_port() {
        let overlap = |one: &str, two: &str| one.parse::<Listen>().unwrap().overlaps(&two.parse().unwrap());
        assert!(overlap("127.0.0.1:1", "127.0.0.1:1"));
        assert!(overlap(":1", "127.0.0.1:1"));
        assert!(overlap("[::1]:1", ":1"));
        assert!(overlap("0.0.0.0:1", "127.0.0.1:1"));
        assert!(overlap("unix:/a", "unix:/a"));
        assert!(!overlap("0.0.0.0:1", "[::1]:1"));
        assert!(!overlap("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!overlap("127.0.0.1:0", "127.0.0.1:0"));
    }
}
