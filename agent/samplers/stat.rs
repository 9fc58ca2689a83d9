//! Interrupts, context switches, forks and the boot time, from `/proc/stat`, and the uptime, from `/proc/uptime`.

use super::fields::{Fields, Malformed};
use super::root::handover::Totals;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Kind, Metric, Unit};
use crate::snapshot::Reading;

static INTERRUPTS: Metric =
    Metric::counter("node_intr_total", Unit::Of("{interrupt}"), "Interrupts served since boot, by all CPUs.");
static CONTEXT_SWITCHES: Metric = Metric::counter(
    "node_context_switches_total",
    Unit::Of("{context_switch}"),
    "Times that a CPU went from one task to another.",
);
static FORKS: Metric =
    Metric::counter("node_forks_total", Unit::Of("{process}"), "Processes and threads started since boot.")
        .otel("system.process.created");
static BOOT_TIME: Metric = Metric::gauge(
    "node_boot_time_seconds",
    Unit::Seconds,
    "When the kernel started, in seconds since 1970; it moves when the clock is set.",
);
static RUNNING: Metric =
    Metric::gauge("node_procs_running", Unit::Of("{thread}"), "Threads that run or are ready to, right now.");
static BLOCKED: Metric =
    Metric::gauge("node_procs_blocked", Unit::Of("{thread}"), "Threads that wait for I/O to end, right now.");
static UPTIME: Metric =
    Metric::otel_only(Kind::Gauge, "system.uptime", Unit::Seconds, "How long the system has been running.");

/// The declaration of `stat`.
pub static SAMPLER: Declaration = Declaration {
    name: "stat",
    tier: Tier::Fast,
    metrics: &[&INTERRUPTS, &CONTEXT_SWITCHES, &FORKS, &BOOT_TIME, &RUNNING, &BLOCKED, &UPTIME],
    build: |_| Box::new(Stat),
};

struct Stat;

impl Sampler for Stat {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let totals = match root.stat.take(reading.at) {
            Some(totals) => totals,
            None => root.proc.parse("stat", buffer, parse)?,
        };
        let Totals { busy_ticks: _, interrupts, context_switches, boot_time_seconds, forks, running, blocked } = totals;
        for (metric, value) in [
            (&INTERRUPTS, interrupts),
            (&CONTEXT_SWITCHES, context_switches),
            (&FORKS, forks),
            (&BOOT_TIME, boot_time_seconds),
            (&RUNNING, running),
            (&BLOCKED, blocked),
        ] {
            if let Some(value) = value {
                reading.put(metric, value);
            }
        }
        // Not the clock's time since `btime`: a clock that is set would move it.
        match root.proc.parse("uptime", buffer, parse_uptime) {
            Ok(seconds) => reading.put(&UPTIME, seconds),
            Err(SampleError::Absent(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Parses all of `/proc/stat` but what it tells of each CPU (proc(5)).
pub fn parse(text: &str) -> Result<Totals, Malformed> {
    let mut totals = Totals::default();
    for line in text.lines() {
        if line.starts_with("cpu") {
            totals.busy_ticks = totals.busy_ticks.or_else(|| busy_ticks(line));
            continue;
        }
        let mut fields = Fields::of(line);
        let (slot, expected) = match fields.word("a name").unwrap_or_default() {
            "intr" => (&mut totals.interrupts, "the number of interrupts"),
            "ctxt" => (&mut totals.context_switches, "the number of context switches"),
            "btime" => (&mut totals.boot_time_seconds, "the time of boot"),
            "processes" => (&mut totals.forks, "the number of forks"),
            "procs_running" => (&mut totals.running, "the number of running threads"),
            "procs_blocked" => (&mut totals.blocked, "the number of blocked threads"),
            _ => continue,
        };
        *slot = Some(fields.number(expected)?);
    }
    if (Totals { busy_ticks: None, ..totals }) == Totals::default() {
        return Err(Malformed::new("a line such as ctxt or btime", text));
    }
    Ok(totals)
}

/// User, nice and system of the line of all CPUs.
fn busy_ticks(line: &str) -> Option<u64> {
    let mut fields = Fields::of(line.strip_prefix("cpu ")?);
    let mut ticks = || fields.number::<u64>("the ticks of a mode").ok();
    ticks()?.checked_add(ticks()?)?.checked_add(ticks()?)
}

/// Parses `350735.47 234388.90`, of which the first is the uptime (proc_uptime(5)).
pub fn parse_uptime(text: &str) -> Result<f64, Malformed> {
    Fields::of(text).number("the seconds since boot")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers;
    use crate::samplers::{cpu, host::Host};

    #[test]
    fn only_the_sum_of_the_interrupts_is_read() {
        let totals = parse("cpu  1 2\ncpu0 1 2\nintr 120 7 0 x\nctxt 30\nbtime 1700000000\nprocesses 9\n").unwrap();
        assert_eq!((totals.interrupts, totals.context_switches, totals.forks), (Some(120), Some(30), Some(9)));
        assert_eq!((totals.boot_time_seconds, totals.busy_ticks), (Some(1_700_000_000), None));
        assert_eq!(parse("cpu  1 2 3 4\ncpu0 1 1 1 1\nctxt 30\n").unwrap().busy_ticks, Some(6));
    }

    #[test]
    fn what_a_kernel_lacks_stays_absent() {
        assert_eq!(parse("ctxt 1\n").unwrap(), Totals { context_switches: Some(1), ..Totals::default() });
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        assert!(parse("").is_err());
        assert!(parse("hello\nworld\n").is_err());
        assert_eq!(parse("ctxt -3").unwrap_err().expected, "the number of context switches");
    }

    #[test]
    fn the_uptime_is_the_kernels_whatever_the_clock_shows() {
        let host = Host::new(&[("proc/stat", "btime 99999999999\n"), ("proc/uptime", "86412.25 328365.60\n")]);
        let expected = ["node_boot_time_seconds 99999999999", "system.uptime 86412.25"];
        assert_eq!(host.pass(&mut Stat).unwrap(), expected);
        host.remove("proc/uptime");
        assert_eq!(host.pass(&mut Stat).unwrap(), expected[..1]);
        assert_eq!(parse_uptime("long").unwrap_err().expected, "the seconds since boot");
    }

    #[test]
    fn one_reading_of_the_file_serves_cpu_and_stat() {
        let host = Host::new(&[("proc/stat", "cpu0 1 2 3 4\nctxt 30\n")]);
        let build = |declaration: &Declaration| (declaration.build)(&samplers::Options::default());
        let (mut cpu, mut stat) = (build(&cpu::SAMPLER), build(&SAMPLER));
        host.pass(&mut *cpu).unwrap();
        host.write("proc/stat", "ctxt 31\n");
        assert_eq!(host.pass(&mut *stat).unwrap(), ["node_context_switches_total 30"]);
        assert_eq!(host.pass(&mut *stat).unwrap(), ["node_context_switches_total 31"]);
    }
}
