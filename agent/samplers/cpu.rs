//! What each CPU spent its time on, from `/proc/stat`, and what sysfs tells of the CPUs.

use super::born::Born;
use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier, stat};
use crate::metric::{Kind, Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

pub mod sysfs;

const CPU: Label = Label::new("cpu").otel_int("cpu.logical_number");
const MODE: Label = Label::new("mode").otel("cpu.mode").otel_values(&[("irq", "interrupt")]);

static TIME: Metric = Metric::counter(
    "node_cpu_seconds_total",
    Unit::Seconds,
    "Time that each CPU spent in each mode; user and nice include what guests used.",
)
.labels(&[CPU, MODE])
.otel("system.cpu.time");
/// Without an OpenTelemetry name: the same time is in `system.cpu.time`, as user and nice.
static GUEST_TIME: Metric = Metric::counter(
    "node_cpu_guest_seconds_total",
    Unit::Seconds,
    "Time that each CPU spent running virtual machines; it is part of user and nice.",
)
.labels(&[CPU, MODE]);
static COUNT: Metric =
    Metric::otel_only(Kind::Gauge, "system.cpu.logical.count", Unit::Of("{cpu}"), "CPUs that the scheduler uses.")
        .otel_up_down("system.cpu.logical.count");

/// The declaration of `cpu`.
pub static SAMPLER: Declaration = Declaration {
    name: "cpu",
    tier: Tier::Fast,
    metrics: &[
        &TIME,
        &GUEST_TIME,
        &COUNT,
        &sysfs::CORE_THROTTLES,
        &sysfs::PACKAGE_THROTTLES,
        &sysfs::ISOLATED,
        &sysfs::ONLINE,
    ],
    build: |_| Box::new(Cpus::default()),
};

/// The columns of a `cpu` line, as proc(5) has them.
static COLUMNS: [(&Metric, &str); 10] = [
    (&TIME, "user"),
    (&TIME, "nice"),
    (&TIME, "system"),
    (&TIME, "idle"),
    (&TIME, "iowait"),
    (&TIME, "irq"),
    (&TIME, "softirq"),
    (&TIME, "steal"),
    (&GUEST_TIME, "user"),
    (&GUEST_TIME, "nice"),
];

/// The ticks of one CPU, column by column; an older kernel has fewer columns.
pub type Ticks = [Option<u64>; COLUMNS.len()];

/// How far idle may step back and still be the kernel's inexact bookkeeping of sleeping CPUs (`get_cpu_idle_time_us`),
/// in seconds. More, and the CPU was unplugged and came back.
const IDLE_STEP_SECONDS: u64 = 3;

/// The most CPUs that a kernel is built for (`CONFIG_NR_CPUS`): numbers from here on are rubbish.
pub(super) const MOST_CPUS: u32 = 8192;

#[derive(Default)]
struct Cpus {
    cpus: Born<Cpu>,
    sysfs: sysfs::Sysfs,
}

struct Cpu {
    labels: [Labels; COLUMNS.len()],
    held: Ticks,
}

impl Sampler for Cpus {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let ticks_a_second = root.calls.clock_ticks().max(1);
        let mut count = 0_u64;
        self.cpus.start();
        let text = root.proc.read("stat", buffer)?;
        root.stat.leave(reading.at, stat::parse(text).ok());
        parse(text, |number, ticks| {
            let cpu = self.cpus.meet(number, || Cpu::new(number));
            hold(&mut cpu.held, &ticks, ticks_a_second.saturating_mul(IDLE_STEP_SECONDS));
            for ((metric, _), (labels, ticks)) in COLUMNS.iter().zip(cpu.labels.iter().zip(cpu.held)) {
                if let Some(ticks) = ticks {
                    reading.put_with(metric, labels, ticks as f64 / ticks_a_second as f64);
                }
            }
            count += 1;
        })
        .map_err(|malformed| SampleError::parse(&root.proc.at("stat"), malformed))?;
        reading.put(&COUNT, count);
        self.sysfs.sample(root, buffer, reading);
        Ok(())
    }
}

impl Cpu {
    fn new(number: &str) -> Cpu {
        let labels = COLUMNS.map(|(_, mode)| Labels::new(&[("cpu", number), ("mode", mode)]));
        Cpu { labels, held: Ticks::default() }
    }
}

/// Takes over the new ticks where they grew. Where idle fell by `reset` or more, all of them are new.
fn hold(held: &mut Ticks, new: &Ticks, reset: u64) {
    let idle = |ticks: &Ticks| ticks.get(3).copied().flatten().unwrap_or_default();
    if idle(held).saturating_sub(idle(new)) >= reset {
        *held = *new;
    }
    for (held, new) in held.iter_mut().zip(new) {
        *held = new.map(|new| held.map_or(new, |held| held.max(new)));
    }
}

/// Parses the `cpuN` lines of `/proc/stat` (proc(5)): the number of each CPU, and its ticks.
pub fn parse<'a>(text: &'a str, mut each: impl FnMut(&'a str, Ticks)) -> Result<(), Malformed> {
    let mut next = 0_u32;
    for line in text.lines() {
        let Some(row) = line.strip_prefix("cpu").filter(|row| row.starts_with(|first: char| first.is_ascii_digit()))
        else {
            continue;
        };
        let mut fields = Fields::of(row);
        let number = fields.word("the number of a CPU")?;
        next = ascending(number, next).ok_or_else(|| Malformed::new("CPUs in ascending order", line))?;
        let mut ticks = Ticks::default();
        for (index, slot) in ticks.iter_mut().enumerate() {
            // The first four are as old as the file.
            *slot = match index {
                0..4 => Some(fields.number("the ticks of a mode")?),
                _ => fields.further("the ticks of a mode")?,
            };
        }
        each(number, ticks);
    }
    if next > 0 { Ok(()) } else { Err(Malformed::new("a line cpu0", text)) }
}

/// The least number that may come after `number`, where that is one and at least `next`: no CPU is told twice.
pub(super) fn ascending(number: &str, next: u32) -> Option<u32> {
    let number = number.parse::<u32>().ok()?;
    (next..MOST_CPUS).contains(&number).then(|| number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(&str, Ticks)> {
        let mut rows = Vec::new();
        parse(text, |number, ticks| rows.push((number, ticks))).unwrap();
        rows
    }

    #[test]
    fn the_sum_of_all_cpus_is_left_to_the_reader_of_the_page() {
        let text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu3 1 2 3 4 5 6 7 8 9 10\nintr 5\n";
        assert_eq!(rows(text), [("3", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(Some))]);
    }

    #[test]
    fn columns_that_a_kernel_lacks_stay_absent() {
        let expected = [Some(1), Some(2), Some(3), Some(4), None, None, None, None, None, None];
        assert_eq!(rows("cpu0 1 2 3 4\n"), [("0", expected)]);
    }

    #[test]
    fn odd_text_is_refused_with_the_line() {
        let refused = |text| parse(text, |_, _| ()).unwrap_err().to_string();
        assert_eq!(refused("cpu0 1 2 3"), r#"expected the ticks of a mode in "0 1 2 3""#);
        assert_eq!(refused("cpu0 1 2 x 4"), r#"expected the ticks of a mode in "0 1 2 x 4""#);
        assert_eq!(refused("cpu1 1 2 3 4\ncpu1 1 2 3 4"), r#"expected CPUs in ascending order in "cpu1 1 2 3 4""#);
        assert_eq!(refused("cpu4294967295 1"), r#"expected CPUs in ascending order in "cpu4294967295 1""#);
        assert_eq!(refused("hello"), r#"expected a line cpu0 in "hello""#);
    }

    #[test]
    fn a_small_step_back_is_held_and_the_others_go_on() {
        let mut held = [100, 0, 0, 1000, 50, 0, 0, 0, 0, 0].map(Some);
        hold(&mut held, &[101, 0, 0, 990, 49, 0, 0, 0, 0, 0].map(Some), 300);
        assert_eq!(held, [101, 0, 0, 1000, 50, 0, 0, 0, 0, 0].map(Some));
    }

    #[test]
    fn a_cpu_that_was_plugged_in_again_starts_anew() {
        let mut held = [100, 0, 0, 1000, 50, 0, 0, 0, 0, 0].map(Some);
        let new = [3, 0, 0, 700, 1, 0, 0, 0, 0, 0].map(Some);
        hold(&mut held, &new, 300);
        assert_eq!(held, new);
    }
}
