//! What was measured: points, families, readings, and the snapshot that both exporters read.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::metric::{Metric, MetricRef};

pub mod durations;
mod family;
mod labels;

pub use durations::Durations;
use family::Samples;
pub use family::{Distribution, Family, Point};
pub use labels::{Joined, Labels};

/// One number. Integers stay integers to the wire: an `f64` loses bytes above 2^53.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<u64> for Value {
    /// What an `i64` cannot hold becomes a float.
    fn from(value: u64) -> Value {
        i64::try_from(value).map_or(Value::Float(value as f64), Value::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Int(value.into())
    }
}

/// What one source said at one moment.
///
/// A reading is written into again and again: [`Reading::start`] forgets the values and keeps the families, so that a
/// source that has the same series as last time allocates nothing.
#[derive(Clone, Debug)]
pub struct Reading {
    families: Vec<Family>,
    /// Where the last point went: the next goes there or one further, nearly always.
    cursor: usize,
    none: Labels,
    /// The most series it takes; what is over is counted in [`Reading::cut`].
    limit: usize,
    series: usize,
    /// How many points did not fit the limit.
    pub cut: usize,
    /// When it was taken, by the wall clock.
    pub taken: SystemTime,
    /// When it was taken, by the monotonic clock.
    pub at: Instant,
    /// How long the source took.
    pub duration: Duration,
    /// Why the source gave no points, if it failed.
    pub failure: Option<Failure>,
}

/// Why a source gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether the host simply lacks the thing: not worth a warning.
    pub absent: bool,
    /// The sentence for a person.
    pub message: String,
}

/// The most series of one source, unless its sampler has an own bound: several times what 2048 CPUs or thousands of
/// disks have.
pub const SERIES_PER_SOURCE: usize = 200_000;

/// So many families of a reading have room for no more: a probe has a few, and there may be thousands of probes.
const EXACT: usize = 32;

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            families: Vec::new(),
            cursor: 0,
            none: Labels::none(),
            limit: SERIES_PER_SOURCE,
            series: 0,
            cut: 0,
            taken: SystemTime::UNIX_EPOCH,
            at: Instant::now(),
            duration: Duration::ZERO,
            failure: None,
        }
    }
}

impl Reading {
    /// A reading without points, of now.
    pub fn failed(message: String) -> Reading {
        Reading { failure: Some(Failure { absent: false, message }), ..Reading::default() }
    }

    /// Forgets all values and the failure; keeps what was born, unless the pass before had nothing of it.
    pub fn start(&mut self, at: Instant, taken: SystemTime) {
        self.families.retain(|family| family.written > 0 || matches!(family.metric, MetricRef::Static(_)));
        for family in &mut self.families {
            family.written = 0;
        }
        (self.cursor, self.series, self.cut) = (0, 0, 0);
        (self.at, self.taken, self.failure) = (at, taken, None);
    }

    /// Takes the points of the last pass away: a source that failed has no values, never the previous ones.
    pub fn fail(&mut self, failure: Failure) {
        self.start(self.at, self.taken);
        self.failure = Some(failure);
    }

    /// Writes the one point of a metric without labels.
    pub fn put(&mut self, metric: &'static Metric, value: impl Into<Value>) {
        let none = self.none.clone();
        self.write(metric.into(), &none, value.into());
    }

    /// Writes one point.
    pub fn put_with(&mut self, metric: &'static Metric, labels: &Labels, value: impl Into<Value>) {
        self.write(metric.into(), labels, value.into());
    }

    /// Writes one point of a metric that was born while running.
    pub fn put_born(&mut self, metric: &Arc<Metric>, labels: &Labels, value: impl Into<Value>) {
        self.write(metric.into(), labels, value.into());
    }

    /// Writes the durations of a metric of [`Kind::Exponential`](crate::metric::Kind::Exponential).
    pub fn put_durations(&mut self, metric: &'static Metric, labels: &Labels, durations: &Arc<Durations>) {
        if let Some(family) = self.family(metric.into(), durations::SERIES, || Samples::Distributions(Box::default())) {
            family.put_durations(labels, durations);
        }
    }

    /// Takes what was last written of metrics that were born while running, and of which nothing is written yet, as
    /// written again, if these are `series` series; else does nothing. Says which.
    pub fn again(&mut self, series: usize, is: impl Fn(&Metric) -> bool) -> bool {
        let again = |family: &&mut Family| {
            family.written == 0 && matches!(family.metric, MetricRef::Born(_)) && is(&family.metric)
        };
        let known: usize = self.families.iter_mut().filter(again).map(|family| family.known()).sum();
        if known != series || self.series + series > self.limit {
            return false;
        }
        self.families.iter_mut().filter(again).for_each(|family| family.written = family.known());
        self.series += series;
        true
    }

    /// Takes the points of a metric out again.
    pub fn forget(&mut self, metric: &'static Metric) {
        let metric = MetricRef::from(metric);
        if let Some(family) = self.families.iter_mut().find(|family| family.metric.same(&metric)) {
            self.series = self.series.saturating_sub(family.points().len());
            family.written = 0;
        }
    }

    fn write(&mut self, metric: MetricRef, labels: &Labels, value: Value) {
        if let Some(family) = self.family(metric, 1, || Samples::Points(Box::default())) {
            family.put(labels, value);
        }
    }

    /// The family of a metric, to write so many series; nothing where they do not fit the limit.
    fn family(&mut self, metric: MetricRef, series: usize, new: impl FnOnce() -> Samples) -> Option<&mut Family> {
        if self.series + series > self.limit {
            self.cut += series;
            return None;
        }
        self.series += series;
        let is = |family: Option<&Family>| family.is_some_and(|family| family.metric.same(&metric));
        if is(self.families.get(self.cursor)) {
        } else if is(self.families.get(self.cursor + 1)) {
            self.cursor += 1;
        } else if let Some(found) = self.families.iter().position(|family| family.metric.same(&metric)) {
            self.cursor = found;
        } else {
            self.cursor = self.families.len();
            if self.families.len() < EXACT {
                self.families.reserve_exact(1);
            }
            self.families.push(Family { metric, samples: new(), written: 0 });
        }
        self.families.get_mut(self.cursor)
    }

    /// The families that have points.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.iter().filter(|family| family.written > 0)
    }

    /// How many points it has.
    pub fn series(&self) -> usize {
        self.series
    }
}

/// The latest reading of every source. Cloning copies pointers, not numbers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// One reading a source, in the sources' order.
    pub readings: Vec<Arc<Reading>>,
    /// When it was put together, by the monotonic clock.
    pub at: Instant,
    /// When it was put together, by the wall clock.
    pub taken: SystemTime,
}

impl Snapshot {
    /// Every family of every source.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.readings.iter().flat_map(|reading| reading.families())
    }
}

#[cfg(test)]
mod tests;
