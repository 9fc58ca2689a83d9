//! Time lost waiting for CPU, I/O and memory (PSI), from `/proc/pressure`.

use nix::errno::Errno;

use super::fields::{self, Fields, Malformed};
use super::root::{Buffer, Dir, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

static CPU_WAITING: Metric = Metric::counter(
    "node_pressure_cpu_waiting_seconds_total",
    Unit::Seconds,
    "Time that some task was ready to run and had no CPU.",
)
.otel("system.cpu.linux.pressure.total")
.otel_fixed(&[("system.pressure.stall_type", "some")]);
static IO_WAITING: Metric =
    Metric::counter("node_pressure_io_waiting_seconds_total", Unit::Seconds, "Time that some task waited for I/O.")
        .otel("system.io.linux.pressure.total")
        .otel_fixed(&[("system.pressure.stall_type", "some")]);
static IO_STALLED: Metric = Metric::counter(
    "node_pressure_io_stalled_seconds_total",
    Unit::Seconds,
    "Time that nothing ran because every task waited for I/O.",
)
.otel("system.io.linux.pressure.total")
.otel_fixed(&[("system.pressure.stall_type", "full")]);
static IRQ_STALLED: Metric = Metric::counter(
    "node_pressure_irq_stalled_seconds_total",
    Unit::Seconds,
    "Time that tasks stood still because their CPU served interrupts.",
)
.otel("system.irq.linux.pressure.total")
.otel_fixed(&[("system.pressure.stall_type", "full")]);
static MEMORY_WAITING: Metric = Metric::counter(
    "node_pressure_memory_waiting_seconds_total",
    Unit::Seconds,
    "Time that some task waited for memory to be freed or read back.",
)
.otel("system.memory.linux.pressure.total")
.otel_fixed(&[("system.pressure.stall_type", "some")]);
static MEMORY_STALLED: Metric = Metric::counter(
    "node_pressure_memory_stalled_seconds_total",
    Unit::Seconds,
    "Time that nothing ran because every task waited for memory: the host thrashes.",
)
.otel("system.memory.linux.pressure.total")
.otel_fixed(&[("system.pressure.stall_type", "full")]);

/// The declaration of `pressure`.
pub static SAMPLER: Declaration = Declaration {
    name: "pressure",
    tier: Tier::Fast,
    metrics: &[&CPU_WAITING, &IO_WAITING, &IO_STALLED, &IRQ_STALLED, &MEMORY_WAITING, &MEMORY_STALLED],
    build: |_| Box::new(Pressure::default()),
};

/// Each file with the metrics of its two lines; `full` of `cpu` is undefined for a whole host and always 0
/// (Documentation/accounting/psi.rst).
static FILES: [(&str, Option<&Metric>, Option<&Metric>); 4] = [
    ("cpu", Some(&CPU_WAITING), None),
    ("io", Some(&IO_WAITING), Some(&IO_STALLED)),
    ("irq", None, Some(&IRQ_STALLED)),
    ("memory", Some(&MEMORY_WAITING), Some(&MEMORY_STALLED)),
];

/// The directory, and which of the files it has: that does not change while a kernel runs.
#[derive(Default)]
struct Pressure {
    dir: Option<Dir>,
    names: Vec<String>,
}

impl Sampler for Pressure {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        if self.dir.is_none() {
            root.proc.list("pressure", &mut self.names)?;
            self.dir = Some(root.proc.dir("pressure")?);
        }
        let Some(dir) = &self.dir else { return Ok(()) };
        let (mut answered, mut silent) = (false, None);
        for (file, some, full) in FILES {
            if self.names.iter().all(|name| name != file) {
                continue;
            }
            let stalls = match dir.parse(file, buffer, parse).map_err(switched_off) {
                Ok(stalls) => stalls,
                Err(SampleError::Absent(path)) => {
                    silent = Some(path);
                    continue;
                }
                Err(error) => return Err(error),
            };
            answered = true;
            for (metric, microseconds) in [(some, stalls.some_microseconds), (full, stalls.full_microseconds)] {
                if let (Some(metric), Some(microseconds)) = (metric, microseconds) {
                    reading.put(metric, microseconds as f64 / 1e6);
                }
            }
        }
        match silent {
            Some(path) if !answered => Err(SampleError::Absent(path)),
            _ => Ok(()),
        }
    }
}

/// What is switched off has a file that cannot be read: all of them with `psi=0`, `irq` alone where the kernel does not
/// account for the time of interrupts (`psi_show`).
fn switched_off(error: SampleError) -> SampleError {
    match error {
        SampleError::Read { path, source } if source.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => {
            SampleError::Absent(path)
        }
        other => other,
    }
}

/// The totals of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalls {
    /// Time that some task waited.
    pub some_microseconds: Option<u64>,
    /// Time that all tasks waited.
    pub full_microseconds: Option<u64>,
}

/// Parses `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the line `full`, of which a file may have but one.
pub fn parse(text: &str) -> Result<Stalls, Malformed> {
    let mut stalls = Stalls::default();
    for line in text.lines() {
        let mut fields = Fields::of(line);
        let slot = match fields.word("some or full")? {
            "some" => &mut stalls.some_microseconds,
            "full" => &mut stalls.full_microseconds,
            _ => continue,
        };
        fields.skip(3);
        let total = fields.word("the total time")?.strip_prefix("total=").unwrap_or_default();
        *slot = Some(fields::number(total, "the total time").map_err(|_| Malformed::new("the total time", line))?);
    }
    if stalls == Stalls::default() {
        return Err(Malformed::new("a line some or full", text));
    }
    Ok(stalls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    const SOME: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n";
    const FULL: &str = "full avg10=0.00 avg60=0.00 avg300=0.00 total=250000\n";

    #[test]
    fn kernel_microseconds_become_seconds() {
        let host = Host::new(&[("proc/pressure/cpu", &[SOME, FULL].concat()), ("proc/pressure/irq", FULL)]);
        let expected = ["node_pressure_cpu_waiting_seconds_total 1.5", "node_pressure_irq_stalled_seconds_total 0.25"];
        assert_eq!(host.pass(&mut Pressure::default()).unwrap(), expected);
    }

    #[test]
    fn a_kernel_without_psi_or_with_psi_switched_off_is_a_state() {
        assert!(matches!(Host::new(&[]).pass(&mut Pressure::default()), Err(SampleError::Absent(_))));
        let error = SampleError::Read { path: "cpu".into(), source: Errno::EOPNOTSUPP.into() };
        assert!(matches!(switched_off(error), SampleError::Absent(_)));
        let error = SampleError::Read { path: "cpu".into(), source: Errno::EIO.into() };
        assert!(matches!(switched_off(error), SampleError::Read { .. }));
    }

    #[test]
    fn a_file_that_does_not_answer_hides_no_other() {
        let (host, mut pressure) =
            (Host::new(&[("proc/pressure/cpu", SOME), ("proc/pressure/irq", FULL)]), Pressure::default());
        host.pass(&mut pressure).unwrap();
        host.remove("proc/pressure/irq");
        assert_eq!(host.pass(&mut pressure).unwrap(), ["node_pressure_cpu_waiting_seconds_total 1.5"]);
        host.remove("proc/pressure/cpu");
        assert!(matches!(host.pass(&mut pressure), Err(SampleError::Absent(_))));
        host.write("proc/pressure/cpu", "rubbish");
        assert!(matches!(host.pass(&mut pressure), Err(SampleError::Parse { .. })));
    }

    #[test]
    fn odd_lines_are_refused() {
        let refused = |text| parse(text).unwrap_err().to_string();
        assert_eq!(
            refused("some avg10=0 avg60=0 avg300=0 x=1"),
            r#"expected the total time in "some avg10=0 avg60=0 avg300=0 x=1""#
        );
        assert_eq!(refused("none"), r#"expected a line some or full in "none""#);
    }
}
