//! How metrics and attributes are called: as the semantic conventions have it, or as the Collector's `hostmetrics`.

use crate::config::Naming;

/// The conventions that the declared names keep to.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// A metric that the Collector calls otherwise, or gives another unit: declared name, its name, its unit.
type RenamedMetric = (&'static str, &'static str, &'static str);

/// Its receiver's `metadata.yaml` files. What is not here is called the same, or has no name there and keeps ours.
static METRICS: &[RenamedMetric] = &[
    ("process.thread.count", "process.threads", "{threads}"),
    ("process.unix.file_descriptor.count", "process.open_file_descriptors", "{count}"),
    ("system.disk.merged", "system.disk.merged", "{operations}"),
    ("system.disk.operations", "system.disk.operations", "{operations}"),
    ("system.disk.pending_operations", "system.disk.pending_operations", "{operations}"),
    ("system.filesystem.inodes.usage", "system.filesystem.inodes.usage", "{inodes}"),
    ("system.memory.linux.available", "system.linux.memory.available", "By"),
    ("system.memory.linux.slab.usage", "system.memory.usage", "By"),
    ("system.network.errors", "system.network.errors", "{errors}"),
    ("system.network.packet.count", "system.network.packets", "{packets}"),
    ("system.network.packet.dropped", "system.network.dropped", "{packets}"),
    ("system.paging.faults", "system.paging.faults", "{faults}"),
    ("system.paging.operations", "system.paging.operations", "{operations}"),
    ("system.process.created", "system.processes.created", "{processes}"),
];

/// How metrics begin that only the Collector knows: of its receiver `httpcheck`.
static ONLY_THERE: &str = "httpcheck.";

/// An attribute that the Collector calls otherwise.
struct Renamed {
    key: &'static str,
    to: &'static str,
    values: &'static [(&'static str, &'static str)],
    /// What stands before every value; such a value is text, whatever it was.
    prefix: &'static str,
}

const fn renamed(key: &'static str, to: &'static str) -> Renamed {
    Renamed { key, to, values: &[], prefix: "" }
}

const fn revalued(key: &'static str, to: &'static str, values: &'static [(&'static str, &'static str)]) -> Renamed {
    Renamed { key, to, values, prefix: "" }
}

static ATTRIBUTES: &[Renamed] = &[
    Renamed { key: "cpu.logical_number", to: "cpu", values: &[], prefix: "cpu" },
    revalued("cpu.mode", "state", &[("iowait", "wait")]),
    renamed("disk.io.direction", "direction"),
    renamed("network.interface.name", "device"),
    renamed("network.io.direction", "direction"),
    renamed("system.device", "device"),
    renamed("system.filesystem.mountpoint", "mountpoint"),
    renamed("system.filesystem.state", "state"),
    renamed("system.filesystem.type", "type"),
    revalued(
        "system.memory.linux.slab.state",
        "state",
        &[("reclaimable", "slab_reclaimable"), ("unreclaimable", "slab_unreclaimable")],
    ),
    revalued("system.memory.state", "state", &[("buffers", "buffered")]),
    revalued("system.paging.direction", "direction", &[("in", "page_in"), ("out", "page_out")]),
    renamed("system.paging.fault.type", "type"),
    renamed("system.paging.state", "state"),
];

impl Naming {
    /// The conventions that metrics of these names keep to, if any does.
    pub(super) fn schema_url(self) -> &'static str {
        match self {
            Naming::Semconv => SCHEMA_URL,
            Naming::Collector => "",
        }
    }

    /// Whether a metric is told at all.
    pub(super) fn knows(self, name: &str) -> bool {
        self == Naming::Collector || !name.starts_with(ONLY_THERE)
    }

    /// The name and the unit of a metric.
    pub(super) fn metric(self, name: &'static str, unit: &'static str) -> (&'static str, &'static str) {
        let found = METRICS.iter().find(|(declared, ..)| self == Naming::Collector && *declared == name);
        found.map_or((name, unit), |(_, name, unit)| (name, unit))
    }

    /// The key of an attribute, what stands before its value, and the value.
    pub(super) fn attribute<'a>(self, key: &'a str, value: &'a str) -> (&'a str, &'static str, &'a str) {
        match ATTRIBUTES.iter().find(|renamed| self == Naming::Collector && renamed.key == key) {
            None => (key, "", value),
            Some(renamed) => {
                let other = renamed.values.iter().find(|(ours, _)| *ours == value);
                (renamed.to, renamed.prefix, other.map_or(value, |(_, theirs)| theirs))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog;

    #[test]
    fn every_row_is_of_something_declared() {
        let declared: BTreeSet<&str> = catalog::all().iter().filter_map(|metric| Some(metric.otel?.name)).collect();
        let lost: Vec<&str> = METRICS.iter().map(|row| row.0).filter(|name| !declared.contains(name)).collect();
        assert_eq!(lost, [""; 0]);
        let fixed = catalog::all().into_iter().filter_map(|metric| metric.otel).flat_map(|otel| otel.fixed);
        let keys: BTreeSet<&str> = fixed
            .map(|(key, _)| *key)
            .chain(catalog::all().iter().flat_map(|metric| metric.labels).map(|label| label.otel))
            .collect();
        let lost: Vec<&str> = ATTRIBUTES.iter().map(|row| row.key).filter(|key| !keys.contains(key)).collect();
        assert_eq!(lost, [""; 0]);
    }

    #[test]
    fn the_conventions_change_nothing() {
        for (name, ..) in METRICS {
            assert_eq!(Naming::Semconv.metric(name, "x"), (*name, "x"));
        }
        assert_eq!(Naming::Semconv.attribute("cpu.mode", "iowait"), ("cpu.mode", "", "iowait"));
    }

    #[test]
    fn the_collector_has_its_own_words() {
        let naming = Naming::Collector;
        assert_eq!(naming.attribute("cpu.mode", "iowait"), ("state", "", "wait"));
        assert_eq!(naming.attribute("cpu.logical_number", "3"), ("cpu", "cpu", "3"));
        assert_eq!(naming.attribute("custom", "3"), ("custom", "", "3"));
        assert_eq!(naming.metric("system.network.packet.count", "{packet}"), ("system.network.packets", "{packets}"));
        assert_eq!(naming.metric("system.cpu.time", "s"), ("system.cpu.time", "s"));
    }
}
