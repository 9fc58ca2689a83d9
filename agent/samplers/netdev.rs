//! Traffic, errors and drops of network interfaces, from `/proc/net/dev`.

use super::born::Born;
use super::fields::{Fields, Malformed};
use super::interfaces::Options;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

const INTERFACE: &[Label] = &[Label::new("device").otel("network.interface.name")];
/// OpenTelemetry calls the interface a device where it counts packets.
const DEVICE: &[Label] = &[Label::new("device").otel("system.device")];
const RECEIVE: &[(&str, &str)] = &[("network.io.direction", "receive")];
const TRANSMIT: &[(&str, &str)] = &[("network.io.direction", "transmit")];

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::Of(unit), help).labels(INTERFACE)
}

static RECEIVE_BYTES: Metric = Metric::counter(
    "node_network_receive_bytes_total",
    Unit::Bytes,
    "Bytes that the interface received, headers of the link included.",
)
.labels(INTERFACE)
.otel("system.network.io")
.otel_fixed(RECEIVE);
static RECEIVE_PACKETS: Metric =
    counter("node_network_receive_packets_total", "{packet}", "Packets that the interface received.")
        .labels(DEVICE)
        .otel("system.network.packet.count")
        .otel_fixed(RECEIVE);
static RECEIVE_ERRS: Metric =
    counter("node_network_receive_errs_total", "{error}", "Packets that arrived broken or could not be received.")
        .otel("system.network.errors")
        .otel_fixed(RECEIVE);
static RECEIVE_DROP: Metric = counter(
    "node_network_receive_drop_total",
    "{packet}",
    "Good packets thrown away on arrival, by the kernel or because the hardware's buffer was full.",
)
.otel("system.network.packet.dropped")
.otel_fixed(RECEIVE);
static RECEIVE_FIFO: Metric =
    counter("node_network_receive_fifo_total", "{error}", "Receive errors by overrun of the hardware's queue.");
static RECEIVE_FRAME: Metric = counter(
    "node_network_receive_frame_total",
    "{error}",
    "Receive errors by a bad frame: its length, its checksum or its alignment.",
);
static RECEIVE_COMPRESSED: Metric = counter(
    "node_network_receive_compressed_total",
    "{packet}",
    "Packets received compressed, by links such as PPP that do so.",
);
static RECEIVE_MULTICAST: Metric =
    counter("node_network_receive_multicast_total", "{packet}", "Multicast packets that the interface received.");
static RECEIVE_NOHANDLER: Metric = counter(
    "node_network_receive_nohandler_total",
    "{packet}",
    "Packets that arrived on an inactive device, such as the passive member of a bond, and were thrown away.",
);
static TRANSMIT_BYTES: Metric = Metric::counter(
    "node_network_transmit_bytes_total",
    Unit::Bytes,
    "Bytes that the interface sent, headers of the link included.",
)
.labels(INTERFACE)
.otel("system.network.io")
.otel_fixed(TRANSMIT);
static TRANSMIT_PACKETS: Metric =
    counter("node_network_transmit_packets_total", "{packet}", "Packets that the interface sent.")
        .labels(DEVICE)
        .otel("system.network.packet.count")
        .otel_fixed(TRANSMIT);
static TRANSMIT_ERRS: Metric =
    counter("node_network_transmit_errs_total", "{error}", "Packets that could not be sent because of an error.")
        .otel("system.network.errors")
        .otel_fixed(TRANSMIT);
static TRANSMIT_DROP: Metric = counter(
    "node_network_transmit_drop_total",
    "{packet}",
    "Packets thrown away on their way out, mostly by a full queue.",
)
.otel("system.network.packet.dropped")
.otel_fixed(TRANSMIT);
static TRANSMIT_FIFO: Metric =
    counter("node_network_transmit_fifo_total", "{error}", "Transmit errors by underrun of the hardware's queue.");
static TRANSMIT_COLLS: Metric =
    counter("node_network_transmit_colls_total", "{collision}", "Collisions while sending, on half-duplex links.");
static TRANSMIT_CARRIER: Metric = counter(
    "node_network_transmit_carrier_total",
    "{error}",
    "Transmit errors by a link that was lost, aborted, late or without its heartbeat.",
);
static TRANSMIT_COMPRESSED: Metric = counter(
    "node_network_transmit_compressed_total",
    "{packet}",
    "Packets sent compressed, by links such as PPP that do so.",
);

/// The declaration of `netdev`.
pub static SAMPLER: Declaration = Declaration {
    name: "netdev",
    tier: Tier::Standard,
    metrics: &[
        &RECEIVE_BYTES,
        &RECEIVE_PACKETS,
        &RECEIVE_ERRS,
        &RECEIVE_DROP,
        &RECEIVE_FIFO,
        &RECEIVE_FRAME,
        &RECEIVE_COMPRESSED,
        &RECEIVE_MULTICAST,
        &RECEIVE_NOHANDLER,
        &TRANSMIT_BYTES,
        &TRANSMIT_PACKETS,
        &TRANSMIT_ERRS,
        &TRANSMIT_DROP,
        &TRANSMIT_FIFO,
        &TRANSMIT_COLLS,
        &TRANSMIT_CARRIER,
        &TRANSMIT_COMPRESSED,
    ],
    build: |options| Box::new(Netdev { options: options.netdev.clone(), interfaces: Born::default() }),
};

/// The columns of `/proc/net/dev` after the name. `drop`, `frame` and `carrier` are sums of several counters of the
/// kernel (`net/core/net-procfs.c`), the same sums under which node_exporter shows what it gets by netlink.
static COLUMNS: [(&str, &Metric); 16] = [
    ("the bytes received", &RECEIVE_BYTES),
    ("the packets received", &RECEIVE_PACKETS),
    ("the receive errors", &RECEIVE_ERRS),
    ("the packets dropped on arrival", &RECEIVE_DROP),
    ("the receive overruns", &RECEIVE_FIFO),
    ("the frame errors", &RECEIVE_FRAME),
    ("the compressed packets received", &RECEIVE_COMPRESSED),
    ("the multicast packets received", &RECEIVE_MULTICAST),
    ("the bytes sent", &TRANSMIT_BYTES),
    ("the packets sent", &TRANSMIT_PACKETS),
    ("the transmit errors", &TRANSMIT_ERRS),
    ("the packets dropped before sending", &TRANSMIT_DROP),
    ("the transmit underruns", &TRANSMIT_FIFO),
    ("the collisions", &TRANSMIT_COLLS),
    ("the carrier errors", &TRANSMIT_CARRIER),
    ("the compressed packets sent", &TRANSMIT_COMPRESSED),
];

struct Netdev {
    options: Options,
    interfaces: Born<Interface>,
}

struct Interface {
    shown: bool,
    labels: Labels,
    /// Where the one counter is that `/proc/net/dev` lacks.
    nohandler: String,
}

impl Sampler for Netdev {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        self.interfaces.start();
        root.proc.parse("net/dev", buffer, |text| {
            parse(text, |name, counts| {
                let interface = self.interfaces.meet(name, || Interface {
                    shown: self.options.admit(name),
                    labels: Labels::new(&[("device", name)]),
                    nohandler: format!("class/net/{name}/statistics/rx_nohandler"),
                });
                if interface.shown {
                    for ((_, metric), count) in COLUMNS.iter().zip(counts) {
                        reading.put_with(metric, &interface.labels, count);
                    }
                }
            })
        })?;
        for interface in self.interfaces.met().filter(|interface| interface.shown) {
            let count = root.sys.attribute(&interface.nohandler, buffer).and_then(|text| text.parse::<u64>().ok());
            if let Some(count) = count {
                reading.put_with(&RECEIVE_NOHANDLER, &interface.labels, count);
            }
        }
        Ok(())
    }
}

/// Parses `/proc/net/dev` (proc(5)): two lines of header, then `eth0: 1296 12 0 …`, with or without the space.
pub fn parse(text: &str, mut each: impl FnMut(&str, [u64; COLUMNS.len()])) -> Result<(), Malformed> {
    let mut lines = text.lines();
    let header = lines.nth(1).unwrap_or(text);
    if !header.trim_ascii_start().starts_with("face |bytes") {
        return Err(Malformed::new("the header of the columns", header));
    }
    for line in lines {
        let (name, rest) = line.rsplit_once(':').ok_or_else(|| Malformed::new("the name of an interface", line))?;
        let mut fields = Fields::of(rest);
        let mut counts = [0; COLUMNS.len()];
        for ((expected, _), count) in COLUMNS.iter().zip(&mut counts) {
            *count = fields.number(expected)?;
        }
        each(name.trim_ascii(), counts);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Inter-|   Receive      |  Transmit\n face |bytes    packets errs …|bytes …\n";

    fn names_and_ends(lines: &str) -> Result<Vec<(String, u64, u64)>, String> {
        let mut found = Vec::new();
        let parsed = parse(&format!("{HEADER}{lines}"), |name, counts| {
            found.push((name.to_owned(), counts[0], counts[15]));
        });
        parsed.map(|()| found).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_may_touch_the_name() {
        let lines =
            "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\nenp5s0f0:17 2 3 4 5 6 7 8 9 10 11 12 13 14 15 18\n";
        assert_eq!(names_and_ends(lines), Ok(vec![("lo".into(), 1, 16), ("enp5s0f0".into(), 17, 18)]));
    }

    #[test]
    fn a_host_without_interfaces_is_no_error() {
        assert_eq!(names_and_ends(""), Ok(vec![]));
    }

    #[test]
    fn a_line_cut_short_names_what_is_missing() {
        let error = names_and_ends("  lo: 1 2 3").unwrap_err();
        assert_eq!(error, r#"expected the packets dropped on arrival in " 1 2 3""#);
    }

    #[test]
    fn another_file_is_refused() {
        assert!(parse("", |_, _| ()).is_err());
        assert!(parse("eth0: 1\nlo: 2\n", |_, _| ()).is_err());
    }

    #[test]
    fn the_largest_count_is_read() {
        let line = format!("eth0: {}", [u64::MAX.to_string().as_str(); 16].join(" "));
        assert_eq!(names_and_ends(&line), Ok(vec![("eth0".into(), u64::MAX, u64::MAX)]));
    }
}
