//! How each CPU copes with the packets that come in, from `/proc/net/softnet_stat`.

use std::num::ParseIntError;
use std::str::FromStr;

use super::cpu::MOST_CPUS;
use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

const CPU: Label = Label::new("cpu");

static PROCESSED: Metric = Metric::counter(
    "node_softnet_processed_total",
    Unit::Of("{packet}"),
    "Packets that this CPU took from the network.",
)
.labels(&[CPU]);
static DROPPED: Metric = Metric::counter(
    "node_softnet_dropped_total",
    Unit::Of("{packet}"),
    "Packets dropped because this CPU's backlog was full (net.core.netdev_max_backlog).",
)
.labels(&[CPU]);
static SQUEEZED: Metric = Metric::counter(
    "node_softnet_times_squeezed_total",
    Unit::Of("{event}"),
    "Times that packets were left because the budget was spent (net.core.netdev_budget).",
)
.labels(&[CPU]);
static COLLISION: Metric = Metric::counter(
    "node_softnet_cpu_collision_total",
    Unit::Of("{event}"),
    "Times that a transmit queue was locked by another CPU; newer kernels say 0.",
)
.labels(&[CPU]);
static RECEIVED_RPS: Metric = Metric::counter(
    "node_softnet_received_rps_total",
    Unit::Of("{event}"),
    "Times that another CPU woke this one to take packets (receive packet steering).",
)
.labels(&[CPU]);
static FLOW_LIMIT: Metric = Metric::counter(
    "node_softnet_flow_limit_count_total",
    Unit::Of("{event}"),
    "Packets dropped because one flow took more than its share of the backlog.",
)
.labels(&[CPU]);
static BACKLOG: Metric = Metric::gauge(
    "node_softnet_backlog_len",
    Unit::Of("{packet}"),
    "Packets that wait in this CPU's backlog, right now.",
)
.labels(&[CPU]);

/// The declaration of `softnet`.
pub static SAMPLER: Declaration = Declaration {
    name: "softnet",
    tier: Tier::Standard,
    metrics: &[&PROCESSED, &DROPPED, &SQUEEZED, &COLLISION, &RECEIVED_RPS, &FLOW_LIMIT, &BACKLOG],
    build: |_| Box::new(Softnet::default()),
};

#[derive(Default)]
struct Softnet {
    /// By the number of the CPU.
    cpus: Vec<Labels>,
}

impl Sampler for Softnet {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        root.proc.parse("net/softnet_stat", buffer, |text| parse(text, |cpu, row| self.write(cpu, &row, reading)))
    }
}

impl Softnet {
    fn write(&mut self, cpu: u32, row: &Row, reading: &mut Reading) {
        for born in self.cpus.len()..=cpu as usize {
            self.cpus.push(Labels::new(&[("cpu", &born.to_string())]));
        }
        let Some(labels) = self.cpus.get(cpu as usize) else { return };
        for (metric, value) in [
            (&PROCESSED, Some(row.processed)),
            (&DROPPED, Some(row.dropped)),
            (&SQUEEZED, Some(row.squeezed)),
            (&COLLISION, Some(row.collision)),
            (&RECEIVED_RPS, row.received_rps),
            (&FLOW_LIMIT, row.flow_limit),
            (&BACKLOG, row.backlog),
        ] {
            if let Some(value) = value {
                reading.put_with(metric, labels, i64::from(value));
            }
        }
    }
}

/// What is read of one line. The kernel counts in 32 bits: a counter that wraps looks like one that was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Packets taken.
    pub processed: u32,
    /// Packets dropped.
    pub dropped: u32,
    /// Times that the budget was spent.
    pub squeezed: u32,
    /// Times that a transmit queue was locked.
    pub collision: u32,
    /// Times woken by another CPU, since Linux 2.6.36.
    pub received_rps: Option<u32>,
    /// Packets over a flow's share, since Linux 3.11.
    pub flow_limit: Option<u32>,
    /// Packets that wait, since Linux 5.10.
    pub backlog: Option<u32>,
}

/// Parses one line for each CPU that is online, in hexadecimal (`softnet_seq_show`); the 13th column is the number of
/// the CPU, and a kernel that lacks it names them in order.
pub fn parse(text: &str, mut each: impl FnMut(u32, Row)) -> Result<(), Malformed> {
    let mut next = 0;
    for line in text.lines() {
        let mut fields = Fields::of(line);
        let Hexadecimal(processed) = fields.number("the packets processed")?;
        let Hexadecimal(dropped) = fields.number("the packets dropped")?;
        let Hexadecimal(squeezed) = fields.number("the times squeezed")?;
        fields.skip(5);
        let Hexadecimal(collision) = fields.number("the collisions")?;
        let mut further = |expected| fields.further(expected).map(|word| word.map(|Hexadecimal(number)| number));
        let row = Row {
            processed,
            dropped,
            squeezed,
            collision,
            received_rps: further("the wake-ups by other CPUs")?,
            flow_limit: further("the packets over the flow limit")?,
            backlog: further("the length of the backlog")?,
        };
        let cpu = further("the number of the CPU")?.unwrap_or(next);
        if cpu < next || cpu >= MOST_CPUS {
            return Err(Malformed::new("CPUs in ascending order", line));
        }
        next = cpu + 1;
        each(cpu, row);
    }
    if next > 0 { Ok(()) } else { Err(Malformed::new("a line for each CPU", text)) }
}

struct Hexadecimal(u32);

impl FromStr for Hexadecimal {
    type Err = ParseIntError;

    fn from_str(word: &str) -> Result<Hexadecimal, ParseIntError> {
        u32::from_str_radix(word, 16).map(Hexadecimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u32, Row)> {
        let mut rows = Vec::new();
        parse(text, |cpu, row| rows.push((cpu, row))).unwrap();
        rows
    }

    #[test]
    fn columns_are_hexadecimal_and_the_last_names_the_cpu() {
        let text = "0000001f 1 2 0 0 0 0 0 3 4 5 6 0000000a 0 0\n";
        let row = Row {
            processed: 31,
            dropped: 1,
            squeezed: 2,
            collision: 3,
            received_rps: Some(4),
            flow_limit: Some(5),
            backlog: Some(6),
        };
        assert_eq!(rows(text), [(10, row)]);
    }

    #[test]
    fn an_old_kernel_names_its_cpus_in_order() {
        let rows = rows("1 0 0 0 0 0 0 0 0\n2 0 0 0 0 0 0 0 0 7\n");
        let told: Vec<_> = rows.iter().map(|(cpu, row)| (*cpu, row.processed, row.received_rps, row.backlog)).collect();
        assert_eq!(told, [(0, 1, None, None), (1, 2, Some(7), None)]);
    }

    #[test]
    fn odd_lines_are_refused() {
        let refused = |text| parse(text, |_, _| ()).unwrap_err().expected;
        assert_eq!(refused("1 2 3 4 5 6 7 8"), "the collisions");
        assert_eq!(refused("1 g"), "the packets dropped");
        assert_eq!(refused("0 0 0 0 0 0 0 0 0 0 0 0 2000"), "CPUs in ascending order");
        assert_eq!(refused(""), "a line for each CPU");
    }
}
