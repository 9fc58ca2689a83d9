//! How long tasks ran on each CPU and waited for it, from `/proc/schedstat`.

use super::born::Born;
use super::cpu::ascending;
use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

const CPU: Label = Label::new("cpu");

static RUNNING: Metric =
    Metric::counter("node_schedstat_running_seconds_total", Unit::Seconds, "Time that tasks ran on this CPU.")
        .labels(&[CPU]);
static WAITING: Metric = Metric::counter(
    "node_schedstat_waiting_seconds_total",
    Unit::Seconds,
    "Time that tasks were ready and waited for this CPU, summed over the tasks.",
)
.labels(&[CPU]);
static TIMESLICES: Metric = Metric::counter(
    "node_schedstat_timeslices_total",
    Unit::Of("{timeslice}"),
    "Times that a task was put on this CPU.",
)
.labels(&[CPU]);

/// The declaration of `schedstat`.
pub static SAMPLER: Declaration = Declaration {
    name: "schedstat",
    tier: Tier::Standard,
    metrics: &[&RUNNING, &WAITING, &TIMESLICES],
    build: |_| Box::new(Schedstat::default()),
};

#[derive(Default)]
struct Schedstat {
    cpus: Born<Labels>,
}

impl Sampler for Schedstat {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        self.cpus.start();
        root.proc.parse("schedstat", buffer, |text| {
            parse(text, |number, row| {
                let labels = self.cpus.meet(number, || Labels::new(&[("cpu", number)]));
                reading.put_with(&RUNNING, labels, row.running_nanoseconds as f64 / 1e9);
                reading.put_with(&WAITING, labels, row.waiting_nanoseconds as f64 / 1e9);
                reading.put_with(&TIMESLICES, labels, row.timeslices);
            })
        })
    }
}

/// What is read of a `cpu` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Time that tasks ran.
    pub running_nanoseconds: u64,
    /// Time that tasks waited.
    pub waiting_nanoseconds: u64,
    /// Times that a task was put on.
    pub timeslices: u64,
}

/// Parses the `cpuN` lines of versions 15 to 17 (Documentation/scheduler/sched-stats.rst, which calls the times
/// jiffies: they are nanoseconds).
pub fn parse<'a>(text: &'a str, mut each: impl FnMut(&'a str, Row)) -> Result<(), Malformed> {
    let mut next = 0;
    for line in text.lines() {
        let Some(row) = line.strip_prefix("cpu") else { continue };
        let mut fields = Fields::of(row);
        let number = fields.word("the number of a CPU")?;
        next = ascending(number, next).ok_or_else(|| Malformed::new("CPUs in ascending order", line))?;
        fields.skip(6);
        let row = Row {
            running_nanoseconds: fields.number("the time that tasks ran")?,
            waiting_nanoseconds: fields.number("the time that tasks waited")?,
            timeslices: fields.number("the number of timeslices")?,
        };
        each(number, row);
    }
    if next > 0 { Ok(()) } else { Err(Malformed::new("a line cpu0", text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    #[test]
    fn kernel_nanoseconds_become_seconds() {
        let text = "version 15\ntimestamp 4295\ncpu1 0 0 0 0 0 0 2500000000 500000000 7\ndomain0 03 0 0\n";
        let host = Host::new(&[("proc/schedstat", text)]);
        let expected = [
            r#"node_schedstat_running_seconds_total{cpu="1"} 2.5"#,
            r#"node_schedstat_waiting_seconds_total{cpu="1"} 0.5"#,
            r#"node_schedstat_timeslices_total{cpu="1"} 7"#,
        ];
        assert_eq!(host.pass(&mut Schedstat::default()).unwrap(), expected);
    }

    #[test]
    fn a_kernel_without_the_file_is_a_state() {
        assert!(matches!(Host::new(&[]).pass(&mut Schedstat::default()), Err(SampleError::Absent(_))));
    }

    #[test]
    fn a_short_line_is_refused() {
        let error = parse("cpu0 0 0 0 0 0 0 1 2", |_, _| ()).unwrap_err();
        assert_eq!(error.to_string(), r#"expected the number of timeslices in "0 0 0 0 0 0 0 1 2""#);
        assert!(parse("version 15\n", |_, _| ()).is_err());
    }
}
