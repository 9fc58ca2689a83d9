//! The fields of INFO that are numbers: what redis_exporter calls each, and what the Collector does.
//!
//! Redis documents them with the command (`INFO`, redis.io). What is not here is not shown: a field that a later version
//! brings is no series that nobody has asked for.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::series::LABELS;
use crate::metric::{Metric, Since, Unit};
use crate::snapshot::Value;

mod clients;
mod cluster;
mod memory;
mod persistence;
mod replication;
mod server;
mod stats;

/// A field and what it is called.
pub(super) struct Field {
    key: &'static str,
    /// Its declaration.
    pub metric: Metric,
    /// What one of it is of the metric's unit.
    scale: f64,
}

const fn field(key: &'static str, metric: Metric) -> Field {
    Field { key, metric, scale: 1.0 }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::gauge(name, unit, help).labels(LABELS).since(Since::Unknown)
}

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help).labels(LABELS).since(Since::Unknown)
}

static SECTIONS: &[&[Field]] = &[
    server::FIELDS,
    clients::FIELDS,
    memory::FIELDS,
    persistence::FIELDS,
    stats::FIELDS,
    replication::FIELDS,
    cluster::FIELDS,
];

const COUNT: usize = server::FIELDS.len()
    + clients::FIELDS.len()
    + memory::FIELDS.len()
    + persistence::FIELDS.len()
    + stats::FIELDS.len()
    + replication::FIELDS.len()
    + cluster::FIELDS.len();

/// The metric of every field.
pub(super) static METRICS: [&Metric; COUNT] = metrics();

// Computed by the compiler, which refuses an index that is not there.
#[allow(clippy::indexing_slicing)]
const fn metrics() -> [&'static Metric; COUNT] {
    let mut metrics = [&server::FIELDS[0].metric; COUNT];
    let (mut section, mut at) = (0, 0);
    while section < SECTIONS.len() {
        let mut index = 0;
        while index < SECTIONS[section].len() {
            metrics[at] = &SECTIONS[section][index].metric;
            index += 1;
            at += 1;
        }
        section += 1;
    }
    metrics
}

/// The field of that name.
pub(super) fn find(key: &str) -> Option<&'static Field> {
    static BY_KEY: LazyLock<HashMap<&str, &Field>> =
        LazyLock::new(|| SECTIONS.iter().copied().flatten().map(|field| (field.key, field)).collect());
    BY_KEY.get(key).copied()
}

impl Field {
    /// What its text says: a number, or a word that stands for yes or no.
    pub(super) fn value(&self, text: &str) -> Option<Value> {
        let value = number(text)?;
        Some(match value {
            Value::Int(whole) if self.scale != 1.0 => Value::Float(whole as f64 * self.scale),
            Value::Float(float) if self.scale != 1.0 => Value::Float(float * self.scale),
            value => value,
        })
    }
}

/// A number as Redis writes it, or a word that stands for yes or no.
pub(super) fn number(text: &str) -> Option<Value> {
    match text {
        "ok" | "true" => return Some(Value::Int(1)),
        "err" | "fail" | "false" => return Some(Value::Int(0)),
        _ => {}
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::Int(whole));
    }
    text.parse().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_number_in_the_unit_of_its_metric() {
        let value = |key, text| find(key).unwrap().value(text);
        assert_eq!(value("used_memory", "994936"), Some(Value::Int(994_936)));
        assert_eq!(value("mem_fragmentation_ratio", "7.46"), Some(Value::Float(7.46)));
        assert_eq!(value("latest_fork_usec", "1500"), Some(Value::Float(0.0015)));
        assert_eq!(value("rdb_last_bgsave_status", "ok"), Some(Value::Int(1)));
        assert_eq!(value("aof_last_write_status", "err"), Some(Value::Int(0)));
        assert_eq!(value("allocator_frag_bytes", "18446744073708745280"), Some(Value::Float(18446744073708745280.0)));
        assert_eq!(value("used_memory", "1.00M"), None);
        assert!(find("lru_clock").is_none());
    }

    #[test]
    fn no_field_is_there_twice() {
        assert_eq!(SECTIONS.iter().copied().flatten().count(), COUNT);
        let keys: std::collections::HashSet<_> = SECTIONS.iter().copied().flatten().map(|field| field.key).collect();
        assert_eq!(keys.len(), COUNT);
    }
}
