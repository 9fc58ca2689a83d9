//! Who is asked: as the configuration or the host's `resolv.conf` names him.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer};

use crate::probes::address::Address;

/// The port of DNS.
const PORT: u16 = 53;

/// Who is asked: a host, at port 53 unless another is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Server, D::Error> {
        let text = String::deserialize(d)?;
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Server { host: text, port: PORT });
        }
        let address = text.parse::<Address>().or_else(|_| format!("{text}:{PORT}").parse::<Address>());
        match address {
            Ok(Address::Port { host, port }) => Ok(Server { host, port }),
            _ => Err(serde::de::Error::custom(format!(
                "expected a server such as \"192.0.2.53\", \"ns1.example.org\" or \"127.0.0.1:5353\", found {text:?}"
            ))),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Address::Port { host: self.host.clone(), port: self.port })
    }
}

impl Server {
    /// The server at an address.
    pub(super) fn at(address: IpAddr) -> Server {
        Server { host: address.to_string(), port: PORT }
    }
}

/// The servers that `/etc/resolv.conf` names (resolv.conf(5)).
pub fn parse_servers(text: &str) -> impl Iterator<Item = IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse().ok()
    };
    text.lines().filter_map(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Written {
        server: Server,
    }

    fn read(text: &str) -> Option<String> {
        let written = toml::from_str(&format!("server = '{text}'")).ok();
        written.map(|Written { server }| server.to_string())
    }

    #[test]
    fn a_server_is_written_with_or_without_its_port() {
        for (written, told) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("::1", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
            ("ns1.example.org", "ns1.example.org:53"),
            ("localhost:5353", "localhost:5353"),
        ] {
            assert_eq!(read(written).as_deref(), Some(told));
        }
        assert_eq!((read("unix:/x"), read(""), read("a b")), (None, None, None));
    }

    #[test]
    fn the_hosts_own_servers_are_found() {
        let text = "# nameserver 1.1.1.1\noptions edns0\nnameserver 127.0.0.53\nnameserver ::1\nnameserver x\n";
        let servers: Vec<String> = parse_servers(text).map(|server| server.to_string()).collect();
        assert_eq!(servers, ["127.0.0.53", "::1"]);
    }
}
