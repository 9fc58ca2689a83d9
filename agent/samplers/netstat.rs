//! Counts of the network protocols, from `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`.

use serde::Deserialize;

use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, MetricRef, Unit};
use crate::samplers::pattern::Pattern;
use crate::snapshot::{Labels, Reading, Value};
use layout::{Choice, Layout, parse_list, parse_pairs};

pub mod layout;

/// `[samplers.netstat]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Fields to show beyond the usual ones, such as `^TcpExt_TCPAbort`.
    pub fields: Option<Pattern>,
}

const fn packets(name: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::Of("{packet}"), help).untyped()
}

const fn connections(name: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::Of("{connection}"), help).untyped()
}

const fn timeouts(name: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::Of("{timeout}"), help).untyped()
}

const fn bytes(name: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::Bytes, help).untyped()
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::One, help).untyped()
}

static OTHER: Metric =
    gauge("node_netstat_{field}", "What the kernel counts as {field}, see its snmp_counter document.");

static IN_OCTETS: Metric = bytes("node_netstat_IpExt_InOctets", "Bytes received over IPv4.");
static OUT_OCTETS: Metric = bytes("node_netstat_IpExt_OutOctets", "Bytes sent over IPv4.");

// The same numbers as the Go client library has them, of the network namespace that a process lives in.
static RECEIVED: Metric = Metric::counter(
    "process_network_receive_bytes_total",
    Unit::Bytes,
    "Bytes that the agent's network namespace, usually the host's, has received over IPv4.",
);
static TRANSMITTED: Metric = Metric::counter(
    "process_network_transmit_bytes_total",
    Unit::Bytes,
    "Bytes that the agent's network namespace, usually the host's, has sent over IPv4.",
);

/// The fields of node_exporter's default filter, and the template of those that `fields` admits.
static METRICS: &[&Metric] = &[
    &connections("node_netstat_TcpExt_ListenDrops", "Connections refused for want of room in a queue or of memory."),
    &connections(
        "node_netstat_TcpExt_ListenOverflows",
        "Connections refused because a program did not accept them in time.",
    ),
    &packets("node_netstat_TcpExt_SyncookiesFailed", "Answers with a SYN cookie that was not ours, or too old."),
    &connections("node_netstat_TcpExt_SyncookiesRecv", "Connections that came to be by a SYN cookie."),
    &packets(
        "node_netstat_TcpExt_SyncookiesSent",
        "SYN cookies sent because a queue was full: a flood, or a slow program.",
    ),
    &packets("node_netstat_TcpExt_TCPOFOQueue", "TCP packets that arrived out of order and were kept."),
    &packets("node_netstat_TcpExt_TCPRcvQDrop", "TCP packets dropped because a receive buffer was full."),
    &packets("node_netstat_TcpExt_TCPSynRetrans", "SYNs and SYN-ACKs sent again: peers that do not answer."),
    &timeouts("node_netstat_TcpExt_TCPTimeouts", "TCP retransmission timers that ran out."),
    &IN_OCTETS,
    &OUT_OCTETS,
    &gauge("node_netstat_Ip_Forwarding", "1 where this host forwards IPv4 packets, 2 where it does not."),
    &packets("node_netstat_Icmp_InErrors", "ICMP messages received that were broken."),
    &packets("node_netstat_Icmp_InMsgs", "ICMP messages received."),
    &packets("node_netstat_Icmp_OutMsgs", "ICMP messages sent."),
    &connections("node_netstat_Tcp_ActiveOpens", "TCP connections that this host began."),
    &gauge("node_netstat_Tcp_CurrEstab", "TCP connections that are established, or wait for this side to close."),
    &packets("node_netstat_Tcp_InErrs", "TCP packets received that were broken."),
    &packets("node_netstat_Tcp_InSegs", "TCP packets received, the broken ones included."),
    &packets("node_netstat_Tcp_OutRsts", "TCP resets sent: connections that this host refused or broke."),
    &packets("node_netstat_Tcp_OutSegs", "TCP packets sent, without those sent again."),
    &connections("node_netstat_Tcp_PassiveOpens", "TCP connections that others began."),
    &packets("node_netstat_Tcp_RetransSegs", "TCP packets sent again because nobody acknowledged them."),
    &packets("node_netstat_Udp_InDatagrams", "UDP datagrams that reached a program over IPv4."),
    &packets("node_netstat_Udp_InErrors", "UDP datagrams over IPv4 that could not be given to their program."),
    &packets("node_netstat_Udp_NoPorts", "UDP datagrams over IPv4 to a port where nobody listened."),
    &packets("node_netstat_Udp_OutDatagrams", "UDP datagrams sent over IPv4."),
    &packets("node_netstat_Udp_RcvbufErrors", "UDP datagrams over IPv4 dropped because a program read too slowly."),
    &packets("node_netstat_Udp_SndbufErrors", "UDP datagrams over IPv4 not sent for want of buffer."),
    &packets("node_netstat_UdpLite_InErrors", "UDP-Lite datagrams over IPv4 that could not be given to their program."),
    &bytes("node_netstat_Ip6_InOctets", "Bytes received over IPv6."),
    &bytes("node_netstat_Ip6_OutOctets", "Bytes sent over IPv6."),
    &packets("node_netstat_Icmp6_InErrors", "ICMPv6 messages received that were broken."),
    &packets("node_netstat_Icmp6_InMsgs", "ICMPv6 messages received."),
    &packets("node_netstat_Icmp6_OutMsgs", "ICMPv6 messages sent."),
    &packets("node_netstat_Udp6_InDatagrams", "UDP datagrams that reached a program over IPv6."),
    &packets("node_netstat_Udp6_InErrors", "UDP datagrams over IPv6 that could not be given to their program."),
    &packets("node_netstat_Udp6_NoPorts", "UDP datagrams over IPv6 to a port where nobody listened."),
    &packets("node_netstat_Udp6_OutDatagrams", "UDP datagrams sent over IPv6."),
    &packets("node_netstat_Udp6_RcvbufErrors", "UDP datagrams over IPv6 dropped because a program read too slowly."),
    &packets("node_netstat_Udp6_SndbufErrors", "UDP datagrams over IPv6 not sent for want of buffer."),
    &packets(
        "node_netstat_UdpLite6_InErrors",
        "UDP-Lite datagrams over IPv6 that could not be given to their program.",
    ),
    &OTHER,
    &RECEIVED,
    &TRANSMITTED,
];

/// The declaration of `netstat`.
pub static SAMPLER: Declaration = Declaration {
    name: "netstat",
    tier: Tier::Standard,
    metrics: METRICS,
    build: |options| Box::new(Netstat::new(&options.netstat)),
};

struct Netstat {
    choice: Choice,
    none: Labels,
    netstat: Layout,
    snmp: Layout,
    snmp6: Layout,
}

impl Netstat {
    fn new(options: &Options) -> Netstat {
        let [netstat, snmp, snmp6] = Default::default();
        Netstat { choice: Choice::of(options), none: Labels::none(), netstat, snmp, snmp6 }
    }
}

impl Sampler for Netstat {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let Netstat { choice, none, netstat, snmp, snmp6 } = self;
        let mut put = |metric: &MetricRef, value: Value| match metric {
            MetricRef::Static(metric) => {
                reading.put(metric, value);
                if std::ptr::eq(*metric, &IN_OCTETS) {
                    reading.put(&RECEIVED, value);
                } else if std::ptr::eq(*metric, &OUT_OCTETS) {
                    reading.put(&TRANSMITTED, value);
                }
            }
            MetricRef::Born(metric) => reading.put_born(metric, none, value),
        };
        root.proc.parse("net/netstat", buffer, |text| parse_pairs(text, choice, netstat, &mut put))?;
        root.proc.parse("net/snmp", buffer, |text| parse_pairs(text, choice, snmp, &mut put))?;
        match root.proc.parse("net/snmp6", buffer, |text| parse_list(text, choice, snmp6, &mut put)) {
            // A kernel without IPv6 has none.
            Err(SampleError::Absent(_)) => Ok(()),
            result => result,
        }
    }
}
