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
use std::process::{Command, Output};
use std::time::{Instant, SystemTime};

use support::{Cgroups, skipped, vm};
use vigie::samplers::root::{Buffer, Root};
use vigie::samplers::{Options, services};
use vigie::snapshot::{Reading, Value};

const UNIT: &str = "burner.service";
const BYTES: u64 = 8 << 20;

/// A hundred processes that burn for a few milliseconds each, and one that holds 64 MiB.
const LOAD: &str = r#"i=0
while [ $i -lt 100 ]; do
    (j=0; while [ $j -lt 2000 ]; do j=$((j+1)); done)
    i=$((i+1))
done
dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null
times
"#;

/// What `times` of a shell prints: user and system time of its own, and of its children, such as `0m1.25s`.
fn seconds(times: &str) -> f64 {
    let time = |word: &str| -> Option<f64> {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    times.split_whitespace().map(|word| time(word).unwrap()).sum()
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

/// A shell in the unit's cgroups that runs this script to its end.
fn run(cgroups: &Cgroups, script: &str) -> Output {
    let enter = "for cgroup; do echo $$ > \"$cgroup/cgroup.procs\"; done\n";
    Command::new("sh").args(["-c", &format!("{enter}{script}"), "sh"]).args(cgroups.of(UNIT)).output().unwrap()
}

/// A slice with one unit, and the values of one pass over both.
fn unit(test: &str) -> Result<(Cgroups, String), String> {
    let slice = format!("vigietest{test}{}.slice", std::process::id());
    Ok((Cgroups::new(&slice, &[UNIT])?, format!("^({slice}|{})$", UNIT.replace('.', "\\."))))
}

/// Writes a file of the unit.
fn set(cgroups: &Cgroups, file: &str, text: &str) {
    let cgroup = cgroups.of(UNIT).find(|cgroup| cgroup.join(file).exists()).unwrap();
    std::fs::write(cgroup.join(file), text).unwrap();
}

/// The tests that want all of version 2, on a kernel that has it.
#[test]
fn a_kernel_with_all_of_version_2_tells_all_of_it() {
    let tests = [
        "children_that_lived_for_milliseconds_count",
        "bytes_from_and_to_a_disk_are_its_own",
        "memory_at_its_limit_is_told_and_what_was_killed_for_it",
        "a_quota_throttles_and_is_waited_for",
    ];
    match vm::run(&tests) {
        Ok(said) => assert!(!said.contains("skipped: "), "{said}"),
        Err(why) => skipped(&why),
    }
}

#[test]
#[ignore = "for a kernel with all of version 2"]
fn bytes_from_and_to_a_disk_are_its_own() {
    let (cgroups, include) = unit("disk").unwrap();
    // Past the page cache, so that what is asked for is what the disk does.
    let dd = |from: &str, to: &str, flag| {
        format!("dd if={from} of={to} bs=1M count={} {flag}=direct 2>/dev/null\n", BYTES >> 20)
    };
    let disk = format!("/dev/{}", vm::DISK);
    let write = dd("/dev/zero", &disk, "oflag");
    assert!(run(&cgroups, &format!("{write}{write}{}", dd(&disk, "/dev/null", "iflag"))).status.success());
    let value = pass(include);
    let told = |metric: &str| value(&format!("systemd_unit_io_{metric}_total"), UNIT).unwrap();
    assert_eq!((told("read_bytes"), told("write_bytes")), (BYTES as f64, 2.0 * BYTES as f64));
    assert!(told("read_operations") >= 8.0 && told("write_operations") >= 16.0);
    let stat = std::fs::read_to_string(format!("/sys/block/{}/stat", vm::DISK)).unwrap();
    let written: f64 = stat.split_whitespace().nth(6).unwrap().parse().unwrap();
    assert_eq!(told("write_bytes"), written * 512.0, "the disk says otherwise");
}

#[test]
#[ignore = "for a kernel with all of version 2"]
fn memory_at_its_limit_is_told_and_what_was_killed_for_it() {
    let (cgroups, include) = unit("memory").unwrap();
    set(&cgroups, "memory.max", &(32 << 20).to_string());
    let script = "dd if=/dev/zero of=/dev/null bs=16M count=1 2>/dev/null || exit 9\n\
                  dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null\n[ $? -gt 128 ]";
    assert!(run(&cgroups, script).status.success());
    let value = pass(include);
    let told = |metric: &str| value(&format!("vigie_unit_{metric}"), UNIT).unwrap();
    assert_eq!(told("memory_limit_bytes"), f64::from(32 << 20));
    assert!((16e6..=f64::from(32 << 20)).contains(&told("memory_peak_bytes")), "{}", told("memory_peak_bytes"));
    assert_eq!(told("oom_kills_total"), 1.0);
    assert!(told("memory_limit_hits_total") >= 1.0 && told("oom_events_total") >= 1.0);
    let kinds = ["anon", "file", "kernel"].map(|kind| told(&format!("memory_{kind}_bytes")));
    let current = value("systemd_unit_memory_bytes", UNIT).unwrap();
    assert!(kinds.iter().sum::<f64>() <= current + 1e6, "{kinds:?} of {current}");
}

#[test]
#[ignore = "for a kernel with all of version 2"]
fn a_quota_throttles_and_is_waited_for() {
    let (cgroups, include) = unit("quota").unwrap();
    // A tenth of a CPU.
    set(&cgroups, "cpu.max", "10000 100000");
    let begun = Instant::now();
    assert!(run(&cgroups, "i=0; while [ $i -lt 6000 ]; do i=$((i+1)); done").status.success());
    let passed = begun.elapsed().as_secs_f64();
    let value = pass(include);
    let told = |metric: &str| value(&format!("vigie_unit_{metric}_seconds_total"), UNIT).unwrap();
    let (used, throttled, waited) = (told("cpu_usage"), told("cpu_throttled"), told("pressure_cpu_waiting"));
    let periods = ["cpu_periods_total", "cpu_throttled_periods_total"]
        .map(|metric| value(&format!("vigie_unit_{metric}"), UNIT).unwrap());
    assert!(periods[0] >= periods[1] && periods[1] >= 1.0, "{periods:?}");
    // What it did not run, it was throttled; each CPU may overdraw a period by a slice.
    assert!(used + throttled <= passed * 1.1 + 0.1, "{used} s and {throttled} s of {passed} s");
    assert!(throttled > 0.5 * passed, "{throttled} s of {passed} s");
    assert!(waited > 0.3 * throttled && waited <= passed, "{waited} s waited, {throttled} s throttled");
}

#[test]
fn children_that_lived_for_milliseconds_count() {
    let (cgroups, include) = match unit("") {
        Ok(made) => made,
        Err(why) => return skipped(&why),
    };
    let slice = cgroups.slice().to_owned();
    let said = run(&cgroups, LOAD);
    let burnt = seconds(&String::from_utf8(said.stdout).unwrap());

    let value = pass(include);
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
