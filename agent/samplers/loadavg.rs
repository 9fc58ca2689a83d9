//! Load averages, from `/proc/loadavg`.

use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

/// As the Collector has it.
const THREAD: Unit = Unit::Of("{thread}");

static LOAD1: Metric =
    Metric::gauge("node_load1", Unit::One, "Tasks that run or wait for a CPU or for disk, averaged over one minute.")
        .otel("system.cpu.load_average.1m")
        .otel_unit(THREAD);
static LOAD5: Metric =
    Metric::gauge("node_load5", Unit::One, "Tasks that run or wait for a CPU or for disk, averaged over five minutes.")
        .otel("system.cpu.load_average.5m")
        .otel_unit(THREAD);
static LOAD15: Metric = Metric::gauge(
    "node_load15",
    Unit::One,
    "Tasks that run or wait for a CPU or for disk, averaged over a quarter of an hour.",
)
.otel("system.cpu.load_average.15m")
.otel_unit(THREAD);

/// The declaration of `loadavg`.
pub static SAMPLER: Declaration = Declaration {
    name: "loadavg",
    tier: Tier::Fast,
    metrics: &[&LOAD1, &LOAD5, &LOAD15],
    build: |_| Box::new(Loadavg),
};

struct Loadavg;

impl Sampler for Loadavg {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let [one, five, fifteen] = root.proc.parse("loadavg", buffer, parse)?;
        reading.put(&LOAD1, one);
        reading.put(&LOAD5, five);
        reading.put(&LOAD15, fifteen);
        Ok(())
    }
}

/// Parses `0.20 0.18 0.12 1/80 11206` (proc(5)).
pub fn parse(text: &str) -> Result<[f64; 3], Malformed> {
    let mut fields = Fields::of(text);
    Ok([
        fields.number("the load of one minute")?,
        fields.number("the load of five minutes")?,
        fields.number("the load of fifteen minutes")?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_averages_are_read() {
        assert_eq!(parse("0.20 0.18 0.12 1/80 11206\n"), Ok([0.20, 0.18, 0.12]));
    }

    #[test]
    fn the_collector_counts_threads() {
        let unit = |metric: &&Metric| metric.otel.and_then(|otel| otel.unit);
        assert!(SAMPLER.metrics.iter().all(|metric| unit(metric) == Some(Unit::Of("{thread}"))));
    }

    #[test]
    fn a_short_file_is_named() {
        let error = parse("0.20 0.18").unwrap_err();
        assert_eq!(error.to_string(), r#"expected the load of fifteen minutes in "0.20 0.18""#);
    }
}
