//! Clock frequencies and governors of the CPUs, from `/sys/devices/system/cpu/cpu*/cpufreq`.

use super::born::Born;
use super::root::{Buffer, Dir, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

const CPU: Label = Label::new("cpu").otel_int("cpu.logical_number");

static SCALING: Metric = Metric::gauge(
    "node_cpu_scaling_frequency_hertz",
    Unit::Hertz,
    "The clock at which the CPU ran of late, or that its governor chose.",
)
.labels(&[CPU])
.otel("system.cpu.frequency");
static SCALING_MIN: Metric = Metric::gauge(
    "node_cpu_scaling_frequency_min_hertz",
    Unit::Hertz,
    "The slowest clock that the governor may choose.",
)
.labels(&[CPU]);
static SCALING_MAX: Metric = Metric::gauge(
    "node_cpu_scaling_frequency_max_hertz",
    Unit::Hertz,
    "The fastest clock that the governor may choose; below the hardware's own, somebody limited it.",
)
.labels(&[CPU]);
static HARDWARE: Metric = Metric::gauge(
    "node_cpu_frequency_hertz",
    Unit::Hertz,
    "The clock that the hardware reports; only root may read it.",
)
.labels(&[CPU]);
static HARDWARE_MIN: Metric =
    Metric::gauge("node_cpu_frequency_min_hertz", Unit::Hertz, "The slowest clock of the hardware.").labels(&[CPU]);
static HARDWARE_MAX: Metric =
    Metric::gauge("node_cpu_frequency_max_hertz", Unit::Hertz, "The fastest clock of the hardware.").labels(&[CPU]);
static GOVERNOR: Metric = Metric::gauge(
    "node_cpu_scaling_governor",
    Unit::One,
    "1 for the governor that chooses this CPU's clock, 0 for each that could.",
)
.labels(&[CPU, Label::new("governor")]);

/// The declaration of `cpufreq`. Slow, for x86 kernels before 5.19 sleep 10 ms over each CPU's frequency
/// (`arch_freq_get_on_cpu`).
pub static SAMPLER: Declaration = Declaration {
    name: "cpufreq",
    tier: Tier::Slow,
    metrics: &[&SCALING, &SCALING_MIN, &SCALING_MAX, &HARDWARE, &HARDWARE_MIN, &HARDWARE_MAX, &GOVERNOR],
    build: |_| Box::new(Cpufreq::default()),
};

const PATH: &str = "devices/system/cpu";

static FREQUENCIES: [(&Metric, &str); 6] = [
    (&SCALING, "scaling_cur_freq"),
    (&SCALING_MIN, "scaling_min_freq"),
    (&SCALING_MAX, "scaling_max_freq"),
    (&HARDWARE, "cpuinfo_cur_freq"),
    (&HARDWARE_MIN, "cpuinfo_min_freq"),
    (&HARDWARE_MAX, "cpuinfo_max_freq"),
];

#[derive(Default)]
struct Cpufreq {
    names: Vec<String>,
    cpus: Born<Place>,
}

/// Where a CPU tells its frequency, if it does.
struct Place {
    path: String,
    cpu: Option<Cpu>,
}

struct Cpu {
    dir: Dir,
    labels: Labels,
    /// The frequencies that this CPU's driver tells us.
    told: Vec<(&'static Metric, &'static str)>,
    governors: Vec<(String, Labels)>,
}

impl Sampler for Cpufreq {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        root.sys.list(PATH, &mut self.names)?;
        self.cpus.start();
        for name in &self.names {
            let Some(number) = name.strip_prefix("cpu").filter(|number| number.parse::<u32>().is_ok()) else {
                continue;
            };
            let place = self.cpus.meet(name, || Place { path: format!("{PATH}/{name}/cpufreq"), cpu: None });
            if place.cpu.as_ref().is_some_and(|cpu| cpu.write(buffer, reading)) {
                continue;
            }
            place.cpu = if root.sys.has(&place.path) { Cpu::new(&root.sys, &place.path, number, buffer) } else { None };
            if let Some(cpu) = &place.cpu {
                cpu.write(buffer, reading);
            }
        }
        Ok(())
    }
}

impl Cpu {
    fn new(sys: &Dir, path: &str, number: &str, buffer: &mut Buffer) -> Option<Cpu> {
        let dir = sys.dir(path).ok()?;
        let mut told = FREQUENCIES.to_vec();
        told.retain(|(_, file)| dir.attribute(file, buffer).is_some());
        let available = dir.attribute("scaling_available_governors", buffer).unwrap_or_default().to_owned();
        let chosen = dir.attribute("scaling_governor", buffer)?;
        let mut names: Vec<&str> = available.split_ascii_whitespace().collect();
        if !names.contains(&chosen) {
            names.push(chosen);
        }
        let labels = |governor: &str| Labels::new(&[("cpu", number), ("governor", governor)]);
        let governors = names.into_iter().map(|name| (name.to_owned(), labels(name))).collect();
        Some(Cpu { dir, labels: Labels::new(&[("cpu", number)]), told, governors })
    }

    /// Nothing where this is no longer the CPU that was born: it was unplugged, or got another driver.
    fn write(&self, buffer: &mut Buffer, reading: &mut Reading) -> bool {
        let chosen = self.dir.attribute("scaling_governor", buffer).unwrap_or_default();
        let Some(chosen) = self.governors.iter().position(|(name, _)| name == chosen) else { return false };
        for (metric, file) in &self.told {
            if let Some(hertz) = self.dir.attribute(file, buffer).and_then(hertz) {
                reading.put_with(metric, &self.labels, hertz);
            }
        }
        for (index, (_, labels)) in self.governors.iter().enumerate() {
            reading.put_with(&GOVERNOR, labels, index == chosen);
        }
        true
    }
}

/// The kernel's kilohertz as hertz; nothing for `<unknown>`, which it says of a CPU that it cannot ask.
pub fn hertz(kilohertz: &str) -> Option<u64> {
    kilohertz.parse::<u64>().ok()?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    fn host() -> Host {
        let cpufreq = |file| format!("sys/{PATH}/cpu0/cpufreq/{file}");
        let host = Host::new(&[("sys/devices/system/cpu/cpuidle/x", "")]);
        host.write(&cpufreq("scaling_cur_freq"), "2100000\n");
        host.write(&cpufreq("cpuinfo_max_freq"), "3000000\n");
        host.write(&cpufreq("scaling_available_governors"), "performance powersave \n");
        host.write(&cpufreq("scaling_governor"), "powersave\n");
        host
    }

    #[test]
    fn kernel_kilohertz_become_hertz() {
        let expected = [
            r#"node_cpu_scaling_frequency_hertz{cpu="0"} 2100000000"#,
            r#"node_cpu_frequency_max_hertz{cpu="0"} 3000000000"#,
            r#"node_cpu_scaling_governor{cpu="0",governor="performance"} 0"#,
            r#"node_cpu_scaling_governor{cpu="0",governor="powersave"} 1"#,
        ];
        assert_eq!(host().pass(&mut Cpufreq::default()).unwrap(), expected);
    }

    #[test]
    fn a_governor_that_appears_is_born() {
        let (host, mut cpufreq) = (host(), Cpufreq::default());
        host.pass(&mut cpufreq).unwrap();
        host.write(&format!("sys/{PATH}/cpu0/cpufreq/scaling_governor"), "schedutil\n");
        let page = host.pass(&mut cpufreq).unwrap();
        assert_eq!(page.last().unwrap(), r#"node_cpu_scaling_governor{cpu="0",governor="schedutil"} 1"#);
    }

    #[test]
    fn a_frequency_that_is_no_number_gives_no_point() {
        assert_eq!((hertz("<unknown>"), hertz("18446744073709551615")), (None, None));
    }

    #[test]
    fn a_host_without_frequencies_is_no_failure() {
        let host = Host::new(&[("sys/devices/system/cpu/cpu0/topology/core_id", "0")]);
        assert_eq!(host.pass(&mut Cpufreq::default()).unwrap(), [""; 0]);
    }
}
