//! Memory and swap, from `/proc/meminfo`.

use super::born::Born;
use super::fields::Malformed;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Kind, Metric, MetricRef, Unit};
use crate::snapshot::{Labels, Reading};
use keys::KNOWN;

mod keys;

static UNKNOWN_BYTES: Metric = Metric::gauge(
    "node_memory_{key}_bytes",
    Unit::Bytes,
    "Memory that a kernel newer than this agent counts as {key} in /proc/meminfo.",
);
static UNKNOWN: Metric = Metric::gauge(
    "node_memory_{key}",
    Unit::One,
    "What a kernel newer than this agent counts as {key} in /proc/meminfo.",
);

/// `MemTotal - MemAvailable`, as semconv 1.44 defines the state `used` on Linux (`system.memory.state`), and as it
/// allows before kernel 3.14: what is neither free nor cache.
static USED: Metric = Metric::otel_only(
    Kind::Gauge,
    "system.memory.usage",
    Unit::Bytes,
    "Memory that programs and the kernel really use.",
)
.otel_up_down("system.memory.usage")
.otel_fixed(&[("system.memory.state", "used")]);
static SWAP_USED: Metric =
    Metric::otel_only(Kind::Gauge, "system.paging.usage", Unit::Bytes, "Swap that holds something.")
        .otel_up_down("system.paging.usage")
        .otel_fixed(&[("system.paging.state", "used")]);
static HUGE_USED: Metric = Metric::otel_only(
    Kind::Gauge,
    "system.memory.linux.hugepages.usage",
    Unit::Of("{page}"),
    "Huge pages of the default size that somebody has taken.",
)
.otel_up_down("system.memory.linux.hugepages.usage")
.otel_fixed(&[("system.memory.linux.hugepages.state", "used")]);

static METRICS: [&Metric; KNOWN.len() + 5] = {
    let mut metrics = [&UNKNOWN; KNOWN.len() + 5];
    let [_, bytes, used, swap, huge, known @ ..] = &mut metrics;
    (*bytes, *used, *swap, *huge) = (&UNKNOWN_BYTES, &USED, &SWAP_USED, &HUGE_USED);
    let mut index = 0;
    while index < KNOWN.len() {
        // The compiler runs this: an index out of range would not build.
        #[allow(clippy::indexing_slicing)]
        (known[index] = &KNOWN[index].1);
        index += 1;
    }
    metrics
};

/// The declaration of `meminfo`.
pub static SAMPLER: Declaration = Declaration {
    name: "meminfo",
    tier: Tier::Fast,
    metrics: &METRICS,
    build: |_| Box::new(Meminfo { keys: Born::default(), none: Labels::none() }),
};

/// The most keys that are read: twice what the longest file known has.
const KEYS: usize = 128;

struct Meminfo {
    keys: Born<Key>,
    none: Labels,
}

struct Key {
    metric: MetricRef,
    part: Option<Part>,
}

/// The numbers of which others are made.
#[derive(Clone, Copy)]
enum Part {
    Total,
    Available,
    Free,
    Buffers,
    Cached,
    Reclaimable,
    SwapTotal,
    SwapFree,
    HugeTotal,
    HugeFree,
}

impl Sampler for Meminfo {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let mut parts = Parts::default();
        self.keys.start();
        let text = root.proc.read("meminfo", buffer)?;
        for line in parse(text).take(KEYS) {
            let line = line.map_err(|malformed| SampleError::parse(&root.proc.at("meminfo"), malformed))?;
            let key = self.keys.meet(line.key, || bear(&line));
            match &key.metric {
                MetricRef::Static(metric) => reading.put(metric, line.value),
                MetricRef::Born(metric) => reading.put_born(metric, &self.none, line.value),
            }
            if let Some(part) = key.part {
                parts.note(part, line.value);
            }
        }
        for (metric, value) in [(&USED, parts.used()), (&SWAP_USED, parts.swap_used()), (&HUGE_USED, parts.huge_used())]
        {
            if let Some(value) = value {
                reading.put(metric, value);
            }
        }
        Ok(())
    }
}

fn bear(line: &Line<'_>) -> Key {
    let part = match line.key {
        "MemTotal" => Some(Part::Total),
        "MemAvailable" => Some(Part::Available),
        "MemFree" => Some(Part::Free),
        "Buffers" => Some(Part::Buffers),
        "Cached" => Some(Part::Cached),
        "SReclaimable" => Some(Part::Reclaimable),
        "SwapTotal" => Some(Part::SwapTotal),
        "SwapFree" => Some(Part::SwapFree),
        "HugePages_Total" => Some(Part::HugeTotal),
        "HugePages_Free" => Some(Part::HugeFree),
        _ => None,
    };
    let template = if line.in_bytes { &UNKNOWN_BYTES } else { &UNKNOWN };
    let metric = match KNOWN.iter().find(|(key, _)| *key == line.key) {
        Some((_, metric)) => MetricRef::Static(metric),
        None => MetricRef::Born(template.named(&name_of(line.key))),
    };
    Key { metric, part }
}

/// The part of the metric's name that comes from a key: `Active(anon)` becomes `Active_anon`.
fn name_of(key: &str) -> String {
    let key = key.strip_suffix(')').unwrap_or(key);
    key.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect()
}

#[derive(Default)]
struct Parts([Option<u64>; 10]);

impl Parts {
    fn note(&mut self, part: Part, value: u64) {
        if let Some(slot) = self.0.get_mut(part as usize) {
            *slot = Some(value);
        }
    }

    fn of(&self, part: Part) -> Option<u64> {
        self.0.get(part as usize).copied().flatten()
    }

    fn used(&self) -> Option<u64> {
        let caches = || {
            let cached = self.of(Part::Cached)?.saturating_add(self.of(Part::Reclaimable).unwrap_or(0));
            Some(self.of(Part::Free)?.saturating_add(self.of(Part::Buffers)?).saturating_add(cached))
        };
        Some(self.of(Part::Total)?.saturating_sub(self.of(Part::Available).or_else(caches)?))
    }

    fn swap_used(&self) -> Option<u64> {
        Some(self.of(Part::SwapTotal)?.saturating_sub(self.of(Part::SwapFree)?))
    }

    fn huge_used(&self) -> Option<u64> {
        Some(self.of(Part::HugeTotal)?.saturating_sub(self.of(Part::HugeFree)?))
    }
}

/// One line: a number of bytes, or a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    key: &'a str,
    value: u64,
    in_bytes: bool,
}

/// Parses `MemTotal:       24684092 kB` and `HugePages_Total:       0` (proc_meminfo(5)); its `kB` are KiB.
pub fn parse(text: &str) -> impl Iterator<Item = Result<Line<'_>, Malformed>> {
    text.lines().map(|line| {
        let (key, rest) = line.split_once(':').ok_or_else(|| Malformed::new("a key and a colon", line))?;
        let (digits, in_bytes) = match rest.trim_ascii().strip_suffix("kB") {
            Some(digits) => (digits, true),
            None => (rest, false),
        };
        let malformed = |_| Malformed::new("a number, plain or in kB", line);
        let value: u64 = digits.trim_ascii().parse().map_err(malformed)?;
        Ok(Line { key, value: if in_bytes { value.saturating_mul(1024) } else { value }, in_bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::trial::sampled;

    #[test]
    fn kernel_kilobytes_become_bytes() {
        let page = sampled(&SAMPLER, &[("proc/meminfo", "MemFree:  2 kB\nHugePages_Total:   3\n")]).unwrap();
        assert_eq!(page, ["node_memory_MemFree_bytes 2048", "node_memory_HugePages_Total 3"]);
    }

    #[test]
    fn parentheses_become_part_of_the_name() {
        let page = sampled(&SAMPLER, &[("proc/meminfo", "Active(anon):  1 kB\n")]).unwrap();
        assert_eq!(page, ["node_memory_Active_anon_bytes 1024"]);
    }

    #[test]
    fn a_key_of_a_newer_kernel_gets_a_metric() {
        let page = sampled(&SAMPLER, &[("proc/meminfo", "Gpu-Active(x):  1 kB\nWidgets: 7\n")]).unwrap();
        assert_eq!(page, ["node_memory_Gpu_Active_x_bytes 1024", "node_memory_Widgets 7"]);
    }

    #[test]
    fn used_is_what_is_not_available() {
        let text = "MemTotal: 100 kB\nMemFree: 20 kB\nMemAvailable: 60 kB\nBuffers: 5 kB\nCached: 30 kB\n";
        let page = sampled(&SAMPLER, &[("proc/meminfo", text)]).unwrap();
        assert_eq!(page.last().unwrap(), "system.memory.usage 40960");
        let page = sampled(&SAMPLER, &[("proc/meminfo", &text.replace("MemAvailable", "Other"))]).unwrap();
        assert_eq!(page.last().unwrap(), "system.memory.usage 46080");
    }

    #[test]
    fn what_is_missing_gives_no_point() {
        let page = sampled(&SAMPLER, &[("proc/meminfo", "MemTotal: 100 kB\nSwapTotal: 0 kB\n")]).unwrap();
        assert_eq!(page, ["node_memory_MemTotal_bytes 102400", "node_memory_SwapTotal_bytes 0"]);
    }

    #[test]
    fn rubbish_is_named_and_shown() {
        let error = |text| parse(text).find_map(Result::err).unwrap().to_string();
        assert_eq!(error("MemFree: 1 kB\nMemFree"), r#"expected a key and a colon in "MemFree""#);
        assert_eq!(error("MemFree: many kB"), r#"expected a number, plain or in kB in "MemFree: many kB""#);
        assert_eq!(error("MemFree: 1 MB"), r#"expected a number, plain or in kB in "MemFree: 1 MB""#);
    }

    #[test]
    fn a_number_too_large_stays_large() {
        let line = parse("MemFree: 18446744073709551615 kB").next().unwrap().unwrap();
        assert_eq!(line.value, u64::MAX);
    }
}
