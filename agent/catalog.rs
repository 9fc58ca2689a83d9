//! What can be measured: every metric of every source, and the reference of them.

use crate::metric::Metric;
use crate::{instruments, probes, push, samplers, supervisor};

pub use reference::{reference_json, reference_markdown};

mod reference;

/// Every metric that vigie can show, source by source.
pub fn all() -> Vec<&'static Metric> {
    let asked = probes::ALL.iter().flat_map(|kind| kind.metrics);
    samplers::ALL
        .iter()
        .flat_map(|source| source.metrics)
        .chain(supervisor::PROBE_METRICS)
        .chain(probes::connect::METRICS)
        .chain(probes::secure::METRICS)
        .chain(asked)
        .chain(supervisor::METRICS)
        .chain(push::status::METRICS)
        .chain(instruments::METRICS)
        .copied()
        .collect()
}
