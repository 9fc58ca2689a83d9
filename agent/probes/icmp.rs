//! A host that must answer a ping, over the kernel's ping socket: no capability is needed, where the sysctl
//! `net.ipv4.ping_group_range` admits us (icmp(7)). Where it does not, a raw socket does the same with CAP_NET_RAW.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, recvmsg,
    setsockopt, socket, sockopt,
};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Deserializer};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::admission::Destination;
use super::connect::{Connector, told};
use super::ip::Ip;
use super::module::{self, Admitted, Aim};
use super::{Ask, Checking, KIND as KIND_LABEL, Kind, PROBE, Plan, Probe, ProbeError, Reason, Report, Setting, TARGET};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::Labels;

static DURATION: Metric = Metric::gauge(
    "probe_icmp_duration_seconds",
    Unit::Seconds,
    "How long each phase of the ping took: resolve of the name, setup of the socket, rtt there and back.",
)
.labels(&[PROBE, KIND_LABEL, TARGET, Label::new("phase").otel("vigie.probe.phase")])
.otel("vigie.probe.icmp.phase.duration");
static HOP_LIMIT: Metric = Metric::gauge(
    "probe_icmp_reply_hop_limit",
    Unit::One,
    "What was left of the answer's hop limit: when it changes, so has the way.",
)
.labels(super::LABELS);

/// This kind.
pub static KIND: Kind =
    Kind { name: "icmp", metrics: &[&DURATION, &HOP_LIMIT], plans: |options| Plan::each(KIND.name, &options.icmp) };

/// `[[probe.icmp]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Icmp {
    /// A name or an address.
    #[serde(deserialize_with = "host")]
    pub host: String,
    /// Over which IP.
    #[serde(default)]
    pub ip: Ip,
}

fn host<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let host = String::deserialize(d)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/[]@".contains(c);
    if host.is_empty() || host.len() > 253 || host.contains(odd) {
        return Err(serde::de::Error::custom("expected a name or an address such as \"192.0.2.1\""));
    }
    Ok(host)
}

impl Ask for Icmp {
    fn target(&self) -> String {
        self.host.clone()
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        let phases = ["resolve", "setup", "rtt"].map(|phase| setting.labels(&[("phase", phase)]));
        Box::new(Asking { host: self.host.clone(), connector: Connector::over(self.ip), phases })
    }
}

impl Aim for Icmp {
    const TARGET: &'static str = "host";
    const NOWHERE: Option<&'static str> = Some("nowhere.invalid");

    fn aim(&self, target: &str, _: &Admitted) -> Result<(Icmp, Destination), String> {
        let host = module::read(target, |target| host(target))?;
        let mut icmp = self.clone();
        icmp.host.clone_from(&host);
        Ok((icmp, Destination { scheme: None, host, port: None }))
    }
}

struct Asking {
    host: String,
    connector: Connector,
    phases: [Labels; 3],
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            let [resolve, setup, rtt] = &self.phases;
            let begun = Instant::now();
            let addresses = self.connector.resolve(&self.host, 0, report).await?;
            let none = || ProbeError::new(Reason::Dns, format!("{} has no address", self.host));
            let address = *addresses.first().ok_or_else(none)?;
            report.put_with(&DURATION, resolve, begun.elapsed().as_secs_f64());
            told(address.ip(), report);
            let begun = Instant::now();
            let socket = open(address).map_err(|error| cannot(address.ip(), error))?;
            let request = request(address.ip())?;
            report.put_with(&DURATION, setup, begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            report.doing("waiting for the answer");
            socket.send(&request).await.map_err(|error| cannot(address.ip(), error))?;
            let hop_limit = answer(&socket, &request).await.map_err(|error| cannot(address.ip(), error))?;
            report.put_with(&DURATION, rtt, begun.elapsed().as_secs_f64());
            if let Some(hop_limit) = hop_limit {
                report.put(&HOP_LIMIT, i64::from(hop_limit));
            }
            Ok(())
        })
    }
}

/// A socket which only that host's answers and refusals come to.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (family, protocol) = match address {
        SocketAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        SocketAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    // Not the raw one first: every answer that comes to this host is copied to it.
    let ping = socket(family, SockType::Datagram, flags, protocol);
    let socket = match ping {
        Err(Errno::EACCES) => socket(family, SockType::Raw, flags, protocol).map_err(|_| Errno::EACCES)?,
        ping => ping?,
    };
    match address {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?,
    }
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    // It is none of UDP, and is waited for and written to like one.
    UdpSocket::from_std(socket.into())
}

fn cannot(host: IpAddr, error: io::Error) -> ProbeError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let mend = "link /usr/share/vigie/drop-ins/icmp.conf into vigie.service.d, or let everybody: \
                    sysctl net.ipv4.ping_group_range=\"0 2147483647\", and keep it in /etc/sysctl.d";
        return ProbeError::new(Reason::Permission, "the kernel does not let this group ping").mend(mend);
    }
    ProbeError::connect(&host.to_string(), &error)
}

/// Types of messages (RFC 792 and RFC 4443).
const fn types(host: IpAddr) -> (u8, u8) {
    match host {
        IpAddr::V4(_) => (8, 0),
        IpAddr::V6(_) => (128, 129),
    }
}

/// An echo request. What is sent along nobody can guess, so the identifier, which a ping socket replaces, need tell
/// nothing. The checksum is what a raw socket of IPv4 wants to be told; everywhere else it is the kernel's.
fn request(host: IpAddr) -> Result<[u8; 40], ProbeError> {
    let mut request = [0; 40];
    let (head, rest) = request.split_at_mut(8);
    if let Some(first) = head.first_mut() {
        *first = types(host).0;
    }
    let random = SystemRandom::new().fill(rest);
    random.map_err(|_| ProbeError::new(Reason::Internal, "the system gives no random number"))?;
    let checksum = checksum(&request).to_be_bytes();
    if let Some(place) = request.get_mut(2..4) {
        place.copy_from_slice(&checksum);
    }
    Ok(request)
}

/// The internet checksum of a message whose own is 0 (RFC 1071).
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The message of ICMP in what came: a raw socket of IPv4 gives the header before it too, whose first half byte is its
/// version, and the second its length in words (RFC 791). No message of ICMP that we wait for begins like that.
fn message(received: &[u8]) -> &[u8] {
    match received.first() {
        Some(first) if first >> 4 == 4 => received.get(usize::from(first & 0x0f) * 4..).unwrap_or_default(),
        _ => received,
    }
}

/// Whether `message` is the answer to `request`.
fn is_answer(message: &[u8], request: &[u8]) -> bool {
    let kind = match request.first() {
        Some(128) => types(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)).1,
        _ => types(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)).1,
    };
    message.first() == Some(&kind) && message.get(6..) == request.get(6..)
}

/// Waits for the answer, and tells what is left of its hop limit where the kernel does.
async fn answer(socket: &UdpSocket, request: &[u8]) -> io::Result<Option<i32>> {
    loop {
        let received = socket.async_io(Interest::READABLE, || {
            let mut bytes = [0; 128];
            let mut space = nix::cmsg_space!(i32);
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
            let hop_limit = received.cmsgs().ok().into_iter().flatten().find_map(|told| match told {
                ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => Some(limit),
                _ => None,
            });
            let length = received.bytes;
            Ok((is_answer(message(bytes.get(..length).unwrap_or_default()), request), hop_limit))
        });
        if let (true, hop_limit) = received.await? {
            return Ok(hop_limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_very_request_counts() {
        let request = request("192.0.2.1".parse().unwrap()).unwrap();
        let mut answer = request;
        answer[0] = 0;
        answer[4..6].copy_from_slice(&[7, 7]);
        assert!(is_answer(&answer, &request) && !is_answer(&request, &request));
        answer[20] ^= 1;
        assert!(!is_answer(&answer, &request) && !is_answer(&[], &request));
    }

    #[test]
    fn the_header_of_ip_that_a_raw_socket_gives_is_passed_over() {
        let mut received = vec![0x46; 24];
        received.extend([0, 0, 7, 7]);
        assert_eq!(message(&received), [0, 0, 7, 7]);
        assert_eq!((message(&[0, 0, 7]), message(&[0x4f, 0]), message(&[])), (&[0, 0, 7][..], &[][..], &[][..]));
    }

    #[test]
    fn a_message_with_its_checksum_sums_to_nothing() {
        // The example of RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&request("192.0.2.1".parse().unwrap()).unwrap()), 0);
        assert_eq!(checksum(&[0xff; 41]), 0x00ff);
    }
}
