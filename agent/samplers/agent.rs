//! The agent's own process, from `/proc/self`.

use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::snapshot::{Labels, Reading};

static CPU: Metric =
    Metric::counter("process_cpu_seconds_total", Unit::Seconds, "CPU time that the agent itself has used.")
        .since(Since::Process);
static CPU_BY_MODE: Metric =
    Metric::otel_only(Kind::Counter, "process.cpu.time", Unit::Seconds, "CPU time that the agent itself has used.")
        .labels(&[Label::new("mode").otel("cpu.mode")])
        .since(Since::Process);
static OPEN_FDS: Metric =
    Metric::gauge("process_open_fds", Unit::Of("{file_descriptor}"), "File descriptors that the agent has open.")
        .otel_up_down("process.unix.file_descriptor.count")
        .since(Since::Process);
static MAX_FDS: Metric = Metric::gauge(
    "process_max_fds",
    Unit::Of("{file_descriptor}"),
    "File descriptors that the agent may have open at most.",
);
static RESIDENT: Metric =
    Metric::gauge("process_resident_memory_bytes", Unit::Bytes, "RAM that the agent itself takes.")
        .otel_up_down("process.memory.usage")
        .since(Since::Process);
static VIRTUAL: Metric =
    Metric::gauge("process_virtual_memory_bytes", Unit::Bytes, "Address space that the agent has mapped, used or not.")
        .otel_up_down("process.memory.virtual")
        .since(Since::Process);
static VIRTUAL_MAX: Metric = Metric::gauge(
    "process_virtual_memory_max_bytes",
    Unit::Bytes,
    "Address space that the agent may map at most; 2^64 without a limit.",
);
static START_TIME: Metric = Metric::gauge(
    "process_start_time_seconds",
    Unit::Seconds,
    "When the agent was started, in seconds since 1970; a change is a restart.",
);
static THREADS: Metric =
    Metric::otel_only(Kind::Gauge, "process.thread.count", Unit::Of("{thread}"), "Threads of the agent.")
        .otel_up_down("process.thread.count")
        .since(Since::Process);

/// The declaration of `agent`.
pub static SAMPLER: Declaration = Declaration {
    name: "agent",
    tier: Tier::Standard,
    metrics: &[&CPU, &CPU_BY_MODE, &RESIDENT, &VIRTUAL, &THREADS, &START_TIME, &OPEN_FDS, &MAX_FDS, &VIRTUAL_MAX],
    build: |_| {
        let mode = |mode| Labels::new(&[("mode", mode)]);
        Box::new(Agent { boot_seconds: None, limits: None, passes: 0, user: mode("user"), system: mode("system") })
    },
};

/// Passes between two looks at the limits, which only another process can change.
const LIMITS_EVERY: u32 = 60;

struct Agent {
    /// Read once: it moves with every step of the clock, and a process that ran on would seem to have restarted.
    boot_seconds: Option<u64>,
    limits: Option<Limits>,
    passes: u32,
    user: Labels,
    system: Labels,
}

impl Sampler for Agent {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let ticks = root.calls.clock_ticks().max(1) as f64;
        let stat = root.proc.parse("self/stat", buffer, parse_stat)?;
        let (user, system) = (stat.user_ticks as f64 / ticks, stat.system_ticks as f64 / ticks);
        reading.put(&CPU, stat.user_ticks.saturating_add(stat.system_ticks) as f64 / ticks);
        reading.put_with(&CPU_BY_MODE, &self.user, user);
        reading.put_with(&CPU_BY_MODE, &self.system, system);
        reading.put(&RESIDENT, stat.resident_pages.saturating_mul(root.calls.page_size()));
        reading.put(&VIRTUAL, stat.virtual_bytes);
        reading.put(&THREADS, stat.threads);
        if self.boot_seconds.is_none() {
            self.boot_seconds = root.proc.parse("stat", buffer, parse_boot_time).ok();
        }
        if let Some(boot_seconds) = self.boot_seconds {
            reading.put(&START_TIME, boot_seconds as f64 + stat.start_ticks as f64 / ticks);
        }
        if let Ok(count) = root.proc.count("self/fd") {
            reading.put(&OPEN_FDS, count);
        }
        if self.passes.is_multiple_of(LIMITS_EVERY) {
            self.limits = root.proc.parse("self/limits", buffer, parse_limits).ok();
        }
        self.passes = self.passes.wrapping_add(1);
        if let Some(limits) = self.limits {
            reading.put(&MAX_FDS, limits.open_files);
            reading.put(&VIRTUAL_MAX, limits.address_space_bytes);
        }
        Ok(())
    }
}

/// What is told here of a process' `stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    threads: u64,
    pub(crate) start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Parses `/proc/PID/stat` (proc_pid_stat(5)); the name in parentheses may itself hold spaces and parentheses.
pub fn parse_stat(text: &str) -> Result<Stat, Malformed> {
    let (_, rest) = text.rsplit_once(')').ok_or_else(|| Malformed::new("the name in parentheses", text))?;
    let mut fields = Fields::of(rest);
    fields.skip(11);
    let (user_ticks, system_ticks) = (fields.number("the user time")?, fields.number("the system time")?);
    fields.skip(4);
    let threads = fields.number("the number of threads")?;
    fields.skip(1);
    Ok(Stat {
        user_ticks,
        system_ticks,
        threads,
        start_ticks: fields.number("the start time")?,
        virtual_bytes: fields.number("the virtual size")?,
        resident_pages: fields.number("the resident pages")?,
    })
}

/// Finds the boot time in `/proc/stat`.
pub fn parse_boot_time(text: &str) -> Result<u64, Malformed> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    super::fields::number(line.unwrap_or_default(), "the boot time after btime")
}

/// What is told here of a process' `limits`; no limit is `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    open_files: u64,
    address_space_bytes: u64,
}

/// Parses `/proc/PID/limits` for the soft limits.
pub fn parse_limits(text: &str) -> Result<Limits, Malformed> {
    let soft = |name: &str, expected| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        match Fields::of(line).word(expected)? {
            "unlimited" => Ok(u64::MAX),
            limit => limit.parse().map_err(|_| Malformed::new(expected, line)),
        }
    };
    Ok(Limits {
        open_files: soft("Max open files", "the limit of open files")?,
        address_space_bytes: soft("Max address space", "the limit of address space")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::trial::{CAPTURE, sampled};

    const STAT: &str = "7 (a (b) c) S 1 7 7 0 -1 4 900 0 2 0 150 50 0 0 20 0 3 0 1234 8192000 500 1844 1 1 0";
    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max open files            1024                 524288               files     \n\
        Max address space         unlimited            unlimited            bytes     \n";

    #[test]
    fn the_agent_tells_what_it_costs() {
        let files = [
            CAPTURE,
            ("proc/self/stat", STAT),
            ("proc/self/limits", LIMITS),
            ("proc/self/fd/0", ""),
            ("proc/self/fd/1", ""),
            ("proc/stat", "cpu 1 2\nbtime 1000\n"),
        ];
        let expected = [
            "process_cpu_seconds_total 2",
            r#"process.cpu.time{mode="user"} 1.5"#,
            r#"process.cpu.time{mode="system"} 0.5"#,
            "process_resident_memory_bytes 2048000",
            "process_virtual_memory_bytes 8192000",
            "process.thread.count 3",
            "process_start_time_seconds 1012.34",
            "process_open_fds 2",
            "process_max_fds 1024",
            "process_virtual_memory_max_bytes 18446744073709552000",
        ];
        assert_eq!(sampled(&SAMPLER, &files).unwrap(), expected);
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        assert_eq!(parse_stat(STAT).unwrap().user_ticks, 150);
        assert_eq!(parse_stat("7 (a) S 1").unwrap_err().expected, "the user time");
        assert_eq!(parse_stat("").unwrap_err().expected, "the name in parentheses");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parse_limits("Max open files 1 2").unwrap_err().expected, "the limit of address space");
        assert_eq!(parse_boot_time("cpu 1\n").unwrap_err().expected, "the boot time after btime");
    }
}
