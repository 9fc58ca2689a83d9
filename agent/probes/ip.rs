//! Over which IP a target is asked, where its name has addresses of both.

use std::net::SocketAddr;

use serde::Deserialize;

/// Which of a name's addresses are tried, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Ip {
    /// All of them, in the order that the system prefers (RFC 6724).
    #[default]
    #[serde(rename = "any")]
    Any,
    /// Those of version 4.
    #[serde(rename = "4")]
    Only4,
    /// Those of version 6.
    #[serde(rename = "6")]
    Only6,
    /// All of them, those of version 4 first.
    #[serde(rename = "prefer-4")]
    Prefer4,
    /// All of them, those of version 6 first.
    #[serde(rename = "prefer-6")]
    Prefer6,
}

impl Ip {
    /// Leaves the addresses that may be tried, in their order.
    pub fn choose(self, addresses: &mut Vec<SocketAddr>) {
        match self {
            Ip::Any => {}
            Ip::Only4 => addresses.retain(SocketAddr::is_ipv4),
            Ip::Only6 => addresses.retain(SocketAddr::is_ipv6),
            Ip::Prefer4 => addresses.sort_by_key(SocketAddr::is_ipv6),
            Ip::Prefer6 => addresses.sort_by_key(SocketAddr::is_ipv4),
        }
    }

    /// The version that alone is wanted.
    pub fn only(self) -> Option<u8> {
        match self {
            Ip::Only4 => Some(4),
            Ip::Only6 => Some(6),
            Ip::Any | Ip::Prefer4 | Ip::Prefer6 => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_systems_order_within_what_is_wanted() {
        let all = ["[::2]:1", "10.0.0.1:1", "[::1]:1", "10.0.0.2:1"];
        let chosen = |ip: Ip| {
            let mut addresses = all.iter().map(|text| text.parse().unwrap()).collect();
            ip.choose(&mut addresses);
            addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(chosen(Ip::Any), all);
        assert_eq!(chosen(Ip::Only4), ["10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(chosen(Ip::Only6), ["[::2]:1", "[::1]:1"]);
        assert_eq!(chosen(Ip::Prefer4), ["10.0.0.1:1", "10.0.0.2:1", "[::2]:1", "[::1]:1"]);
        assert_eq!(chosen(Ip::Prefer6), ["[::2]:1", "[::1]:1", "10.0.0.1:1", "10.0.0.2:1"]);
    }
}
