//! A port of this host on which something must listen, as `/proc/net/tcp` and `/proc/net/udp` have it (proc(5)). Nobody
//! is connected to: no service logs a visitor who says nothing, and UDP can be watched too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::Deserialize;

use super::aside::Aside;
use super::{Ask, Checking, Kind, LABELS, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::config::quantity;
use crate::metric::{Metric, Since, Unit};
use crate::samplers::SampleError;
use crate::samplers::fields::{Fields, Malformed};
use crate::samplers::root::{Buffer, Root};

static LISTENERS: Metric =
    Metric::gauge("vigie_probe_port_listeners", Unit::Of("{socket}"), "Sockets that listen on the port.")
        .labels(LABELS)
        .otel_up_down("vigie.probe.port.listener.count")
        .since(Since::Agent);

/// This kind.
pub static KIND: Kind =
    Kind { name: "port", metrics: &[&LISTENERS], plans: |options| Plan::each(KIND.name, &options.port) };

/// `[[probe.port]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its number.
    #[serde(deserialize_with = "quantity::count::<_, 1, 65_535>")]
    pub port: usize,
    /// Whose port it is.
    #[serde(default)]
    pub protocol: Protocol,
    /// The address that must be served; none: any.
    pub address: Option<IpAddr>,
}

/// Whose ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP's.
    #[default]
    Tcp,
    /// UDP's.
    Udp,
}

impl Protocol {
    const fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }

    /// The state of a socket that listens: TCP_LISTEN, and TCP_CLOSE, which for UDP is one that is not connected
    /// (`include/net/tcp_states.h`).
    const fn listens(self) -> u8 {
        match self {
            Protocol::Tcp => 0x0a,
            Protocol::Udp => 0x07,
        }
    }
}

impl Ask for Port {
    fn target(&self) -> String {
        let (port, protocol) = (self.port, self.protocol.word());
        match self.address {
            None => format!("{port}/{protocol}"),
            Some(IpAddr::V4(address)) => format!("{address}:{port}/{protocol}"),
            Some(IpAddr::V6(address)) => format!("[{address}]:{port}/{protocol}"),
        }
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Box::new(Looking { port: self.clone(), root: Arc::clone(&setting.root), aside: Aside::default() })
    }
}

struct Looking {
    port: Port,
    root: Arc<Root>,
    aside: Aside,
}

/// One socket of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own address.
    pub address: IpAddr,
    /// Its own port.
    pub port: u16,
    /// Its state, as `include/net/tcp_states.h` numbers them.
    pub state: u8,
}

/// Parses a line of `/proc/net/tcp`, `tcp6`, `udp` or `udp6`: `0: 0100007F:0035 00000000:0000 0A …`.
///
/// # Errors
/// [`Malformed`] where the address, the port or the state is missing or odd.
pub fn parse(line: &str) -> Result<Socket, Malformed> {
    let mut fields = Fields::of(line);
    fields.skip(1);
    let odd = || Malformed::new("an address and a port in hexadecimal", line);
    let (address, port) = fields.word("the address of a socket")?.split_once(':').ok_or_else(odd)?;
    fields.skip(1);
    let state = fields.word("the state of a socket")?;
    let state = u8::from_str_radix(state, 16).map_err(|_| Malformed::new("the state of a socket", line))?;
    let port = u16::from_str_radix(port, 16).map_err(|_| odd())?;
    // Words of 32 bits, each as the memory of this machine has it.
    let word = |at: usize| {
        let word = address.get(at * 8..at * 8 + 8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        word.map(|word| u32::from_be_bytes(word.to_ne_bytes())).ok_or_else(odd)
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from_bits(word(0)?)),
        32 => {
            let bits = (0..4).try_fold(0_u128, |bits, at| Ok(bits << 32 | u128::from(word(at)?)))?;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        _ => return Err(odd()),
    };
    Ok(Socket { address, port, state })
}

impl Port {
    fn serves(&self, socket: &Socket) -> bool {
        let here = usize::from(socket.port) == self.port && socket.state == self.protocol.listens();
        // Who listens on [::] serves IPv4 too, unless it asked not to: the table does not say.
        let wildcard =
            |wanted: IpAddr| socket.address.is_unspecified() && (socket.address.is_ipv6() || wanted.is_ipv4());
        here && self.address.is_none_or(|wanted| wanted == socket.address.to_canonical() || wildcard(wanted))
    }

    /// How many sockets listen there.
    ///
    /// # Errors
    /// When the host has no such table.
    pub(crate) fn count(&self, root: &Root) -> Result<u64, ProbeError> {
        let (mut buffer, mut count, mut tables) = (Buffer::default(), 0, 0);
        for version in ["", "6"] {
            match root.proc.read(&format!("net/{}{version}", self.protocol.word()), &mut buffer) {
                Ok(table) => {
                    tables += 1;
                    let sockets = table.lines().skip(1).filter_map(|line| parse(line).ok());
                    count += sockets.filter(|socket| self.serves(socket)).count() as u64;
                }
                // A host may lack one version of IP, not both.
                Err(SampleError::Absent(_)) if version == "6" && tables > 0 => {}
                Err(SampleError::Absent(_)) if version.is_empty() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(count)
    }
}

impl Probe for Looking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            report.doing("looking through the sockets");
            let (port, root) = (self.port.clone(), Arc::clone(&self.root));
            let count = self.aside.run(move || port.count(&root)).await??;
            report.put(&LISTENERS, count);
            if count > 0 {
                return Ok(());
            }
            Err(ProbeError::new(Reason::Absent, format!("nobody listens on {}", self.port.target()))
                .mend("check that the service runs, and on which address it listens: ss -lntu"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue …
   0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000   101        0 1 1 0 100 0 0 10 0
";
    const TCP6: &str = "  sl  local_address                         remote_address                        st …
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 0
   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 0
";

    fn count(text: &str) -> u64 {
        let host = Host::new(&[("proc/net/tcp", TCP), ("proc/net/tcp6", TCP6)]);
        toml::from_str::<Port>(text).unwrap().count(&host.root).unwrap()
    }

    #[test]
    fn addresses_are_as_the_kernel_means_them() {
        let lines = TCP.lines().chain(TCP6.lines()).filter_map(|line| parse(line).ok());
        let told: Vec<String> = lines.map(|socket| format!("{} {}", socket.address, socket.port)).collect();
        assert_eq!(told, ["127.0.0.1 53", "127.0.0.1 8080", ":: 22", "::1 631"]);
    }

    #[test]
    fn a_connection_does_not_listen() {
        assert_eq!((count("port = 53"), count("port = 8080"), count("port = 54")), (1, 0, 0));
    }

    #[test]
    fn who_listens_everywhere_listens_at_each_address() {
        for address in ["127.0.0.1", "::1", "192.0.2.7"] {
            assert_eq!(count(&format!("port = 22\naddress = '{address}'")), 1, "{address}");
        }
        assert_eq!(count("port = 53\naddress = '192.0.2.7'"), 0);
        assert_eq!(count("port = 631\naddress = '::1'"), 1);
    }

    #[test]
    fn odd_lines_are_errors() {
        for line in ["", "0:", "0: 0100007F 0 0A", "0: 0100:0035 0 0A", "0: 0100007F:0035 0 xx", "0: é100007:0035 0 0A"]
        {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
