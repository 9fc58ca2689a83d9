//! Sockets by protocol, from `/proc/net/sockstat` and `/proc/net/sockstat6`.

use std::sync::Arc;

use super::fields::Malformed;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, Unit};
use crate::snapshot::{Labels, Reading};

const fn sockets(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Of("{socket}"), help)
}

const fn pages(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Of("{page}"), help)
}

const fn bytes(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Bytes, help)
}

const fn queues(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Of("{queue}"), help)
}

static USED: Metric = sockets("node_sockstat_sockets_used", "Sockets of all kinds that are open.");
static TCP_INUSE: Metric =
    sockets("node_sockstat_TCP_inuse", "TCP sockets over IPv4 that listen or have a connection.");
static TCP_ORPHAN: Metric =
    sockets("node_sockstat_TCP_orphan", "TCP connections that no program holds any more but the kernel still closes.");
static TCP_TW: Metric = sockets("node_sockstat_TCP_tw", "TCP connections that are closed and sit out TIME_WAIT.");
static TCP_ALLOC: Metric = sockets("node_sockstat_TCP_alloc", "TCP sockets that exist, in whatever state.");
static TCP_MEM: Metric = pages("node_sockstat_TCP_mem", "Pages of memory that the buffers of TCP take.");
static TCP_MEM_BYTES: Metric = bytes("node_sockstat_TCP_mem_bytes", "Memory that the buffers of TCP take.");
static UDP_INUSE: Metric = sockets("node_sockstat_UDP_inuse", "UDP sockets over IPv4 that are bound.");
static UDP_MEM: Metric = pages("node_sockstat_UDP_mem", "Pages of memory that the buffers of UDP take.");
static UDP_MEM_BYTES: Metric = bytes("node_sockstat_UDP_mem_bytes", "Memory that the buffers of UDP take.");
static UDPLITE_INUSE: Metric = sockets("node_sockstat_UDPLITE_inuse", "UDP-Lite sockets over IPv4 that are bound.");
static RAW_INUSE: Metric = sockets("node_sockstat_RAW_inuse", "Raw sockets over IPv4, such as those of ping.");
static FRAG_INUSE: Metric =
    queues("node_sockstat_FRAG_inuse", "IPv4 packets that wait for the rest of their fragments.");
static FRAG_MEMORY: Metric = bytes("node_sockstat_FRAG_memory", "Bytes that waiting IPv4 fragments take.");
static TCP6_INUSE: Metric =
    sockets("node_sockstat_TCP6_inuse", "TCP sockets over IPv6 that listen or have a connection.");
static UDP6_INUSE: Metric = sockets("node_sockstat_UDP6_inuse", "UDP sockets over IPv6 that are bound.");
static UDPLITE6_INUSE: Metric = sockets("node_sockstat_UDPLITE6_inuse", "UDP-Lite sockets over IPv6 that are bound.");
static RAW6_INUSE: Metric = sockets("node_sockstat_RAW6_inuse", "Raw sockets over IPv6, such as those of ping.");
static FRAG6_INUSE: Metric =
    queues("node_sockstat_FRAG6_inuse", "IPv6 packets that wait for the rest of their fragments.");
static FRAG6_MEMORY: Metric = bytes("node_sockstat_FRAG6_memory", "Bytes that waiting IPv6 fragments take.");
static OTHER: Metric =
    Metric::gauge("node_sockstat_{field}", Unit::One, "Sockets: what this kernel counts as {field}.");

/// The declaration of `sockstat`.
pub static SAMPLER: Declaration = Declaration {
    name: "sockstat",
    tier: Tier::Standard,
    metrics: &[
        &USED,
        &TCP_INUSE,
        &TCP_ORPHAN,
        &TCP_TW,
        &TCP_ALLOC,
        &TCP_MEM,
        &TCP_MEM_BYTES,
        &UDP_INUSE,
        &UDP_MEM,
        &UDP_MEM_BYTES,
        &UDPLITE_INUSE,
        &RAW_INUSE,
        &FRAG_INUSE,
        &FRAG_MEMORY,
        &TCP6_INUSE,
        &UDP6_INUSE,
        &UDPLITE6_INUSE,
        &RAW6_INUSE,
        &FRAG6_INUSE,
        &FRAG6_MEMORY,
        &OTHER,
    ],
    build: |_| Box::new(Sockstat { others: Vec::new(), none: Labels::none() }),
};

fn known(protocol: &str, key: &str) -> Option<&'static Metric> {
    Some(match (protocol, key) {
        ("sockets", "used") => &USED,
        ("TCP", "inuse") => &TCP_INUSE,
        ("TCP", "orphan") => &TCP_ORPHAN,
        ("TCP", "tw") => &TCP_TW,
        ("TCP", "alloc") => &TCP_ALLOC,
        ("TCP", "mem") => &TCP_MEM,
        ("UDP", "inuse") => &UDP_INUSE,
        ("UDP", "mem") => &UDP_MEM,
        ("UDPLITE", "inuse") => &UDPLITE_INUSE,
        ("RAW", "inuse") => &RAW_INUSE,
        ("FRAG", "inuse") => &FRAG_INUSE,
        ("FRAG", "memory") => &FRAG_MEMORY,
        ("TCP6", "inuse") => &TCP6_INUSE,
        ("UDP6", "inuse") => &UDP6_INUSE,
        ("UDPLITE6", "inuse") => &UDPLITE6_INUSE,
        ("RAW6", "inuse") => &RAW6_INUSE,
        ("FRAG6", "inuse") => &FRAG6_INUSE,
        ("FRAG6", "memory") => &FRAG6_MEMORY,
        _ => return None,
    })
}

/// The most counts that are taken beyond the known ones. No kernel has so many: it bounds what rubbish can take.
const OTHERS_LIMIT: usize = 64;

struct Sockstat {
    others: Vec<Other>,
    none: Labels,
}

/// A count that this kernel has and we did not foresee.
struct Other {
    protocol: Box<str>,
    key: Box<str>,
    metric: Arc<Metric>,
}

impl Sampler for Sockstat {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let page_bytes = i64::try_from(root.calls.page_size()).unwrap_or(i64::MAX);
        let mut read = |file, reading: &mut Reading| {
            let put = |protocol: &str, key: &str, value| self.put(protocol, key, value, page_bytes, reading);
            root.proc.parse(file, buffer, |text| parse(text, put))
        };
        read("net/sockstat", reading)?;
        match read("net/sockstat6", reading) {
            // A kernel without IPv6.
            Err(SampleError::Absent(_)) => Ok(()),
            result => result,
        }
    }
}

impl Sockstat {
    fn put(&mut self, protocol: &str, key: &str, value: i64, page_bytes: i64, reading: &mut Reading) {
        let Some(metric) = known(protocol, key) else { return self.put_other(protocol, key, value, reading) };
        reading.put(metric, value);
        match (protocol, key) {
            ("TCP", "mem") => reading.put(&TCP_MEM_BYTES, value.saturating_mul(page_bytes)),
            ("UDP", "mem") => reading.put(&UDP_MEM_BYTES, value.saturating_mul(page_bytes)),
            _ => {}
        }
    }

    fn put_other(&mut self, protocol: &str, key: &str, value: i64, reading: &mut Reading) {
        let is = |other: &Other| &*other.protocol == protocol && &*other.key == key;
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if let Some(other) = self.others.iter().find(|other| is(other)) {
            reading.put_born(&other.metric, &self.none, value);
        } else if self.others.len() < OTHERS_LIMIT && protocol.bytes().chain(key.bytes()).all(valid) {
            let metric = OTHER.named(&format!("{protocol}_{key}"));
            reading.put_born(&metric, &self.none, value);
            self.others.push(Other { protocol: protocol.into(), key: key.into(), metric });
        }
    }
}

/// Parses `TCP: inuse 27 orphan 1 tw 23 alloc 31 mem 3` (proc(5)) and gives each pair with its protocol.
pub fn parse(text: &str, mut each: impl FnMut(&str, &str, i64)) -> Result<(), Malformed> {
    if text.trim_ascii().is_empty() {
        return Err(Malformed::new("the sockets of a protocol", text));
    }
    for line in text.lines() {
        let expected = || Malformed::new("the name of a protocol", line);
        let (protocol, pairs) = line.split_once(':').ok_or_else(expected)?;
        let mut words = pairs.split_ascii_whitespace();
        while let Some(key) = words.next() {
            let value = words.next().and_then(|word| word.parse().ok());
            each(protocol, key, value.ok_or_else(|| Malformed::new("a number of sockets or pages", line))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(text: &str) -> Result<Vec<String>, String> {
        let (mut sampler, mut reading) = (Sockstat { others: Vec::new(), none: Labels::none() }, Reading::default());
        parse(text, |protocol, key, value| sampler.put(protocol, key, value, 4096, &mut reading))
            .map_err(|error| error.to_string())?;
        let value = |points: &[crate::snapshot::Point]| points[0].value;
        let families = reading.families();
        Ok(families.map(|family| format!("{} {:?}", family.metric.name, value(family.points()))).collect())
    }

    #[test]
    fn pages_are_shown_as_bytes_too() {
        let expected = ["UDP_inuse Int(2)", "UDP_mem Int(3)", "UDP_mem_bytes Int(12288)"];
        assert_eq!(pass("UDP: inuse 2 mem 3\n"), Ok(expected.map(|line| format!("node_sockstat_{line}")).to_vec()));
    }

    #[test]
    fn what_a_new_kernel_counts_is_shown_under_its_name() {
        assert_eq!(pass("MPTCP: inuse 1\n"), Ok(vec!["node_sockstat_MPTCP_inuse Int(1)".into()]));
        assert_eq!(pass("TCP\": inuse 1\n"), Ok(vec![]));
    }

    #[test]
    fn every_known_field_carries_its_name() {
        let names = SAMPLER.metrics.iter().filter_map(|metric| metric.name.strip_prefix("node_sockstat_"));
        for (protocol, key) in names.filter_map(|name| name.split_once('_')) {
            let derived = key == "mem_bytes" || protocol.contains('{');
            assert!(derived || known(protocol, key).is_some(), "{protocol} {key}");
        }
    }

    #[test]
    fn odd_lines_are_errors() {
        assert_eq!(pass("TCP: inuse").unwrap_err(), r#"expected a number of sockets or pages in "TCP: inuse""#);
        assert!(pass("TCP: inuse x").is_err());
        assert!(pass("TCP").is_err());
        assert!(pass("").is_err());
    }

    #[test]
    fn the_largest_number_of_pages_does_not_overflow() {
        assert!(pass(&format!("TCP: mem {}", i64::MAX)).is_ok());
    }
}
