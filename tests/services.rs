//! A unit of known load in a real control group, beside what the kernel says of the same processes by other ways.

// Helpers of a test may panic as the test may. Tests may run other programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_types
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use support::{Cgroups, skipped};
use vigie::samplers::root::{Buffer, Root};
use vigie::samplers::{Options, services};
use vigie::snapshot::{Reading, Value};

const UNIT: &str = "burner.service";

/// It enters the cgroups in its arguments, then lets three hundred processes burn for a few milliseconds each, and one
/// hold 64 MiB.
const LOAD: &str = r#"for cgroup; do echo $$ > "$cgroup/cgroup.procs"; done
i=0
while [ $i -lt 300 ]; do
    (j=0; while [ $j -lt 2000 ]; do j=$((j+1)); done)
    i=$((i+1))
done
dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null
"#;

/// CPU time of all children that have ended, and of theirs.
fn children_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

/// The values of one pass over this machine: those of the metric, by the unit's name.
fn pass(include: String) -> impl Fn(&str, &str) -> Option<f64> {
    let mut options = Options::default();
    options.services.include = Some(include.parse().unwrap());
    let mut sampler = (services::SAMPLER.build)(&options);
    let root = Root::open(Path::new("/proc"), Path::new("/sys"), Path::new("/")).unwrap();
    let mut reading = Reading::default();
    reading.start(Instant::now(), SystemTime::now());
    sampler.sample(&root, &mut Buffer::default(), &mut reading).unwrap();
    move |metric, unit| {
        let family = reading.families().find(|family| family.metric.name == metric)?;
        let name = format!("name=\"{unit}\"");
        let of_unit = family.points().iter().filter(|point| point.labels.page().contains(&name));
        let number = |value| match value {
            Value::Int(int) => int as f64,
            Value::Float(float) => float,
        };
        of_unit.map(|point| number(point.value)).reduce(|sum, value| sum + value)
    }
}

#[test]
fn children_that_lived_for_milliseconds_count() {
    let slice = format!("vigietest{}.slice", std::process::id());
    let cgroups = match Cgroups::new(&slice, &[UNIT]) {
        Ok(cgroups) => cgroups,
        Err(why) => return skipped(&why),
    };
    let before = children_seconds();
    let mut load = Command::new("sh");
    load.args(["-ec", LOAD, "sh"]).args(cgroups.of(UNIT));
    assert!(load.status().unwrap().success());
    let burnt = children_seconds() - before;

    let value = pass(format!("^({slice}|{})$", UNIT.replace('.', "\\.")));
    let told = value("vigie_unit_cpu_usage_seconds_total", UNIT).expect("the kernel accounts for CPU time");
    // What is missing is the shell's start, before it was in the cgroup; what is too much, the end of each process,
    // which its parent no longer sees.
    assert!((told - burnt).abs() < 0.03 * burnt + 0.02, "{told} s of {burnt}");
    let modes = value("systemd_unit_cpu_seconds_total", UNIT).unwrap();
    assert!((modes - told).abs() < 0.03 * told + 0.02, "{modes} s in all modes, {told} s in total");
    let whole = value("vigie_unit_cpu_usage_seconds_total", &slice).unwrap();
    assert!((whole - told).abs() < 1e-6, "the slice has {whole} s, its only unit {told}");
    assert_eq!(value("systemd_unit_tasks_current", UNIT).unwrap_or(0.0), 0.0, "all of them are gone");
    match value("vigie_unit_memory_peak_bytes", UNIT) {
        Some(peak) => assert!((64e6..200e6).contains(&peak), "a peak of {peak} bytes"),
        None => skipped("the kernel tells no peak of a cgroup's memory"),
    }
}
