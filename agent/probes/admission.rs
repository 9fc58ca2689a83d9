//! Whom others may have asked through the page: `http.probe_targets`. Whoever asks anybody for anybody is a hole in a
//! firewall.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

/// Where a check that somebody else wants would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The scheme, in lower case, where the target is a URL.
    pub scheme: Option<String>,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port; a ping has none.
    pub port: Option<u16>,
}

/// Targets that may be asked: `[scheme://]host[:port]`, of which the host is a name with `*` for any text, an address,
/// or a network. A network has addresses only: what a name stands for is said by others, and may change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Admission {
    scheme: Option<String>,
    host: Host,
    /// None: any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Network(IpAddr, u8),
    /// The texts between the asterisks, in lower case.
    Name(Vec<String>),
}

/// A text that says no targets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    r#"expected targets such as "https://*.example.com", "db-1:5432", "10.0.0.0/8:*" or "[2001:db8::/32]:443", found {0:?}"#
)]
pub struct NoAdmission(String);

impl Admission {
    /// Whether it admits a destination.
    pub fn admits(&self, destination: &Destination) -> bool {
        let host = destination.host.strip_suffix('.').unwrap_or(&destination.host).to_ascii_lowercase();
        let of_host = match &self.host {
            Host::Network(network, bits) => host.parse().is_ok_and(|address| within(address, *network, *bits)),
            Host::Name(parts) => is_like(&host, parts),
        };
        of_host
            && (self.scheme.is_none() || self.scheme == destination.scheme)
            && (self.port.is_none() || self.port == destination.port)
    }
}

impl FromStr for Admission {
    type Err = NoAdmission;

    fn from_str(text: &str) -> Result<Admission, NoAdmission> {
        parse(text).ok_or_else(|| NoAdmission(text.to_owned()))
    }
}

impl TryFrom<String> for Admission {
    type Error = NoAdmission;

    fn try_from(text: String) -> Result<Admission, NoAdmission> {
        text.parse()
    }
}

fn parse(text: &str) -> Option<Admission> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, text),
    };
    if scheme.as_ref().is_some_and(|scheme| scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_lowercase())) {
        return None;
    }
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = match (port, scheme.as_deref()) {
        (Some("*"), _) => None,
        (Some(port), _) => Some(port.parse().ok().filter(|port| *port != 0)?),
        (None, Some("http")) => Some(80),
        (None, Some("https")) => Some(443),
        (None, _) => None,
    };
    Some(Admission { scheme, host: host_of(host)?, port })
}

fn host_of(text: &str) -> Option<Host> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    if let Ok(address) = address.parse::<IpAddr>() {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
        return Some(Host::Network(address, bits));
    }
    let letter = |c: char| c.is_alphanumeric() || "-._*".contains(c);
    // Of digits and asterisks would be meant as a network, and be met by the name 10.0.0.1.example.com.
    let numeric = text.chars().any(|c| c.is_ascii_digit()) && !text.contains(|c: char| c.is_alphabetic());
    if text.is_empty() || bits.is_some() || numeric || !text.chars().all(letter) {
        return None;
    }
    Some(Host::Name(text.to_ascii_lowercase().split('*').map(str::to_owned).collect()))
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |one: u128, other: u128, unused: u32| one.checked_shr(unused) == other.checked_shr(unused);
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            same(address.to_bits().into(), network.to_bits().into(), 32 - u32::from(bits.min(32)))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            same(address.to_bits(), network.to_bits(), 128 - u32::from(bits.min(128)))
        }
        _ => false,
    }
}

/// Whether `text` is these parts with any texts between them.
fn is_like(text: &str, parts: &[String]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    let Some((last, middle)) = rest.split_last() else { return text == first };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some((_, after)) = text.split_once(part.as_str()) else { return false };
        text = after;
    }
    text.ends_with(last.as_str())
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        if self.host.contains(':') { write!(f, "[{}]", self.host) } else { f.write_str(&self.host) }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `https://host:443`, `[::1]:25`, `host`.
    fn destination(text: &str) -> Destination {
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let (host, port) = rest.rsplit_once(':').filter(|_| !rest.ends_with(']')).unwrap_or((rest, ""));
        let host = host.trim_matches(['[', ']']).to_owned();
        Destination { scheme: scheme.map(str::to_owned), host, port: port.parse().ok() }
    }

    #[track_caller]
    fn admits(admission: &str, good: &[&str], bad: &[&str]) {
        let admission: Admission = admission.parse().unwrap();
        for text in good {
            assert!(admission.admits(&destination(text)), "{text}");
        }
        for text in bad {
            assert!(!admission.admits(&destination(text)), "{text}");
        }
    }

    #[test]
    fn a_url_admits_its_scheme_and_the_port_of_that() {
        admits(
            "https://*.Example.com",
            &["https://a.example.com:443", "https://a.b.EXAMPLE.com.:443"],
            &["https://example.com:443", "http://a.example.com:80", "https://a.example.com:8443", "a.example.com:443"],
        );
        admits("http://status.*:*", &["http://status.x:8080"], &["http://astatus.x:80", "https://status.x:443"]);
    }

    #[test]
    fn a_network_admits_addresses_and_no_names() {
        admits(
            "10.0.0.0/8:*",
            &["10.255.0.1:1", "10.0.0.1", "http://10.1.1.1:80", "[::ffff:10.0.0.1]:1"],
            &["11.0.0.1:1", "10.0.0.1.example.com:1", "0xa000001:1", "010.0.0.1:1"],
        );
        admits("[2001:db8::/32]:25", &["[2001:db8:1::2]:25"], &["[2001:db9::1]:25", "[2001:db8::1]:26", "10.0.0.1:25"]);
        admits("192.0.2.7", &["192.0.2.7:99", "192.0.2.7"], &["192.0.2.8:99"]);
        admits("0.0.0.0/0", &["192.0.2.7:1"], &["[::1]:1", "localhost:1"]);
    }

    #[test]
    fn an_asterisk_is_any_text() {
        admits("db-*.*.example:5432", &["db-1.eu.example:5432"], &["db-1.example:5432", "db-1.eu.example.org:5432"]);
        admits("*", &["x:1", "[::1]:1", "https://a.b:443"], &[]);
        admits("db-1:5432", &["db-1:5432"], &["db-1", "db-11:5432"]);
    }

    #[test]
    fn what_says_no_targets_is_refused() {
        for text in [
            "",
            "10.*",
            "10.0.0.0/33",
            "x/8",
            "x:0",
            "x:y",
            "::1",
            "[::1",
            "[::1]x",
            "://x",
            "ht*p://x",
            "a b",
            "x:1:2",
            "1/2",
        ] {
            assert_eq!(text.parse::<Admission>(), Err(NoAdmission(text.to_owned())), "{text:?}");
        }
    }
}
