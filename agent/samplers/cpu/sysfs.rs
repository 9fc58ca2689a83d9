//! Throttled, isolated and unplugged CPUs, from `/sys/devices/system/cpu`.

use std::collections::BTreeSet;

use crate::metric::{Label, Metric, Unit};
use crate::samplers::cpu::MOST_CPUS;
use crate::samplers::fields::{self, Malformed};
use crate::samplers::root::{Buffer, Dir, Root};
use crate::snapshot::{Labels, Reading};

const CPU: Label = Label::new("cpu");
const CORE: Label = Label::new("core");
const PACKAGE: Label = Label::new("package");

pub(super) static CORE_THROTTLES: Metric = Metric::counter(
    "node_cpu_core_throttles_total",
    Unit::Of("{event}"),
    "Times that this core was slowed down because it was too hot.",
)
.labels(&[CORE, PACKAGE]);
pub(super) static PACKAGE_THROTTLES: Metric = Metric::counter(
    "node_cpu_package_throttles_total",
    Unit::Of("{event}"),
    "Times that this package was slowed down because it was too hot.",
)
.labels(&[PACKAGE]);
pub(super) static ISOLATED: Metric =
    Metric::gauge("node_cpu_isolated", Unit::One, "1 for each CPU that is kept out of the scheduler's balancing.")
        .labels(&[CPU]);
pub(super) static ONLINE: Metric =
    Metric::gauge("node_cpu_online", Unit::One, "Whether this CPU is switched on (1) or unplugged (0).").labels(&[CPU]);

const PATH: &str = "devices/system/cpu";

/// How many passes go by before sysfs is searched again: which files there are changes with plugging only.
const PASSES: u32 = 60;

/// What was found of `/sys/devices/system/cpu` when it was last searched.
#[derive(Default)]
pub(super) struct Sysfs {
    dir: Option<Dir>,
    passes: u32,
    throttles: Vec<Throttle>,
    isolated: Vec<Labels>,
    /// Every CPU, where this host can unplug them.
    pluggable: Vec<Pluggable>,
    /// The list of the CPUs that are online, as it was last read.
    online: String,
}

struct Throttle {
    path: String,
    metric: &'static Metric,
    labels: Labels,
}

struct Pluggable {
    number: u32,
    labels: Labels,
    online: bool,
}

impl Sysfs {
    pub(super) fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) {
        if self.passes == 0 {
            self.search(root, buffer);
            self.passes = PASSES;
        }
        self.passes -= 1;
        let Some(dir) = &self.dir else { return };

        for throttle in &self.throttles {
            match dir.attribute(&throttle.path, buffer).and_then(|text| text.parse::<u64>().ok()) {
                Some(count) => reading.put_with(throttle.metric, &throttle.labels, count),
                // Its CPU was unplugged; a sibling may tell the same.
                None => self.passes = 0,
            }
        }
        for labels in &self.isolated {
            reading.put_with(&ISOLATED, labels, 1_i64);
        }
        if self.pluggable.is_empty() {
            return;
        }
        let Some(text) = dir.attribute("online", buffer) else { return };
        if text != self.online {
            let Ok(numbers) = parse_list(text) else { return };
            for cpu in &mut self.pluggable {
                cpu.online = numbers.binary_search(&cpu.number).is_ok();
            }
            text.clone_into(&mut self.online);
        }
        for cpu in &self.pluggable {
            reading.put_with(&ONLINE, &cpu.labels, cpu.online);
        }
    }

    fn search(&mut self, root: &Root, buffer: &mut Buffer) {
        *self = Sysfs::default();
        let Ok(dir) = root.sys.dir(PATH) else { return };
        let mut names = Vec::new();
        if dir.list(".", &mut names).is_err() {
            return;
        }
        let is_cpu = |name: &String| name.strip_prefix("cpu").is_some_and(|rest| rest.parse::<u32>().is_ok());
        names.retain(is_cpu);

        let of_cpu = |number: u32| Labels::new(&[("cpu", &number.to_string())]);
        let isolated = dir.attribute("isolated", buffer).and_then(|text| parse_list(text).ok()).unwrap_or_default();
        self.isolated = isolated.into_iter().map(of_cpu).collect();
        self.throttles = throttles(&dir, &names, buffer);
        if dir.attribute("cpu0/online", buffer).is_some() {
            let numbers = names.iter().filter_map(|name| name.strip_prefix("cpu")?.parse().ok());
            let pluggable = |number| Pluggable { number, labels: of_cpu(number), online: false };
            self.pluggable = numbers.map(pluggable).collect();
        }
        self.dir = Some(dir);
    }
}

/// Where the throttles of each core and of each package are counted: every CPU of a core tells the same.
fn throttles(dir: &Dir, names: &[String], buffer: &mut Buffer) -> Vec<Throttle> {
    let (mut cores, mut packages, mut found) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for name in names {
        let core_path = format!("{name}/thermal_throttle/core_throttle_count");
        let package_path = format!("{name}/thermal_throttle/package_throttle_count");
        let has_core = dir.attribute(&core_path, buffer).is_some();
        let has_package = dir.attribute(&package_path, buffer).is_some();
        if !has_core && !has_package {
            continue;
        }
        let mut number = |path| dir.attribute(&format!("{name}/topology/{path}"), buffer)?.parse::<u64>().ok();
        let (Some(package), Some(core)) = (number("physical_package_id"), number("core_id")) else { continue };
        if has_core && cores.insert((package, core)) {
            let labels = Labels::new(&[("core", &core.to_string()), ("package", &package.to_string())]);
            found.push(Throttle { path: core_path, metric: &CORE_THROTTLES, labels });
        }
        if has_package && packages.insert(package) {
            let labels = Labels::new(&[("package", &package.to_string())]);
            found.push(Throttle { path: package_path, metric: &PACKAGE_THROTTLES, labels });
        }
    }
    found
}

/// Parses a list of CPUs such as `0-3,8` (cputopology): ascending, and empty where there is none.
pub fn parse_list(text: &str) -> Result<Vec<u32>, Malformed> {
    let mut numbers = Vec::new();
    let mut next = 0;
    for part in text.trim_ascii().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first = fields::number::<u32>(first, "the number of a CPU")?;
        let last = fields::number::<u32>(last, "the number of a CPU")?;
        if first < next || last < first || last >= MOST_CPUS {
            return Err(Malformed::new("CPUs in ascending order", part));
        }
        numbers.extend(first..=last);
        next = last + 1;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::{Host, lines};

    #[test]
    fn lists_of_cpus_are_ranges_and_numbers() {
        assert_eq!(parse_list("0-3,8\n"), Ok(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_list("\n"), Ok(vec![]));
    }

    #[test]
    fn a_list_that_would_never_end_is_refused() {
        assert!(parse_list("0-4294967295").is_err());
        assert!(parse_list("0-9,0-9").is_err());
        assert!(parse_list("3-1").is_err());
        assert!(parse_list("a").is_err());
    }

    fn pass(files: &[(&str, &str)]) -> Vec<String> {
        let host = Host::new(&[]);
        for (path, content) in files {
            host.write(&format!("sys/{PATH}/{path}"), content);
        }
        let mut reading = Reading::default();
        Sysfs::default().sample(&host.root, &mut Buffer::default(), &mut reading);
        lines(&reading)
    }

    #[test]
    fn each_core_and_package_counts_once() {
        let files = [
            ("cpu0/topology/physical_package_id", "0\n"),
            ("cpu0/topology/core_id", "5\n"),
            ("cpu0/thermal_throttle/core_throttle_count", "7\n"),
            ("cpu0/thermal_throttle/package_throttle_count", "9\n"),
        ];
        let sibling = files.map(|(path, content)| (path.replace("cpu0", "cpu1"), content));
        let both: Vec<_> = files.into_iter().chain(sibling.iter().map(|(path, content)| (&**path, *content))).collect();
        let expected = [
            r#"node_cpu_core_throttles_total{core="5",package="0"} 7"#,
            r#"node_cpu_package_throttles_total{package="0"} 9"#,
        ];
        assert_eq!(pass(&both), expected);
    }

    #[test]
    fn isolated_and_unplugged_cpus_are_told() {
        let files = [("cpu0/online", "1\n"), ("cpu1/online", "0\n"), ("online", "0\n"), ("isolated", "1\n")];
        let expected =
            [r#"node_cpu_isolated{cpu="1"} 1"#, r#"node_cpu_online{cpu="0"} 1"#, r#"node_cpu_online{cpu="1"} 0"#];
        assert_eq!(pass(&files), expected);
    }

    #[test]
    fn a_host_that_cannot_unplug_its_first_cpu_tells_nothing() {
        assert_eq!(pass(&[("cpu0/topology/core_id", "0"), ("cpu1/online", "1"), ("online", "0-1")]), [""; 0]);
        assert_eq!(pass(&[]), [""; 0]);
    }
}
