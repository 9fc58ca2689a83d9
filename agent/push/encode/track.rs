//! The series of one family: their attributes, encoded, and from when on each has counted.

use std::collections::HashMap;
use std::ops::Range;

use super::{Shape, attributes, field};
use crate::metric::MetricRef;
use crate::push::naming::Naming;
use crate::push::wire;
use crate::snapshot::{Family, Labels, Point, Value};

/// How a metric is pushed.
pub(super) struct Pushed {
    pub(super) metric: MetricRef,
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) shape: Shape,
    pub(super) naming: Naming,
    /// From when on it has counted, where that is known.
    pub(super) start: Option<u64>,
}

/// What is known of the series of one family, in the order of its points.
pub(super) struct Track {
    pushed: Pushed,
    attributes: Vec<u8>,
    series: Vec<Series>,
}

struct Series {
    labels: Labels,
    /// Its place in the attributes.
    attributes: Range<usize>,
    history: History,
}

/// From when on a series has counted, and how far it had come when it was last pushed. All times in nanoseconds
/// since 1970.
#[derive(Clone, Copy)]
struct History {
    start: u64,
    last: Value,
    at: u64,
}

impl History {
    /// Goes on with the next value. A counter that fell has been reset some time after it was last seen.
    fn next(&mut self, value: Value, taken: u64) {
        let fell = match (self.last, value) {
            (Value::Int(last), Value::Int(now)) => now < last,
            (last, now) => float(now) < float(last),
        };
        if fell {
            self.start = self.at;
        }
        (self.last, self.at) = (value, taken);
    }
}

fn float(value: Value) -> f64 {
    match value {
        Value::Int(value) => value as f64,
        Value::Float(value) => value,
    }
}

impl Track {
    pub(super) fn new(pushed: Pushed) -> Track {
        Track { pushed, attributes: Vec::new(), series: Vec::new() }
    }

    pub(super) fn pushed(&self) -> &Pushed {
        &self.pushed
    }

    pub(super) fn metric(&self) -> &MetricRef {
        &self.pushed.metric
    }

    /// Whether it has the first series of `family` at its beginning.
    pub(super) fn begins_like(&self, family: &Family) -> bool {
        let first = family.points().first();
        self.series.first().zip(first).is_some_and(|(series, point)| series.labels.same(&point.labels))
    }

    /// Appends the points, all taken at one moment, as fields of a Gauge or a Sum.
    pub(super) fn encode(&mut self, points: &[Point], taken: u64, past: &mut Past, out: &mut Vec<u8>) {
        let same = |(series, point): (&Series, &Point)| series.labels.same(&point.labels);
        if self.series.len() != points.len() || !self.series.iter().zip(points).all(same) {
            self.renew(points, taken, past);
        }
        for (series, point) in self.series.iter_mut().zip(points) {
            let attributes = self.attributes.get(series.attributes.clone()).unwrap_or_default();
            let sum = match self.pushed.shape {
                Shape::Gauge => false,
                Shape::Sum { monotonic } => {
                    if monotonic {
                        series.history.next(point.value, taken);
                    }
                    true
                }
            };
            let length = attributes.len() + if sum { 3 } else { 2 } * wire::FIXED64_FIELD;
            wire::head(field::DATA_POINTS, length, out);
            out.extend_from_slice(attributes);
            if sum {
                // The clock may have been set back.
                wire::fixed64(field::START_TIME, series.history.start.min(taken), out);
            }
            wire::fixed64(field::TIME, taken, out);
            match point.value {
                Value::Int(int) => wire::fixed64(field::AS_INT, int.cast_unsigned(), out),
                Value::Float(float) => wire::fixed64(field::AS_DOUBLE, float.to_bits(), out),
            }
        }
    }

    /// Takes what came over what went: series that are known keep their attributes, others are born.
    fn renew(&mut self, points: &[Point], taken: u64, past: &mut Past) {
        let encoded = std::mem::take(&mut self.attributes);
        let attributes_of = |series: &Series| encoded.get(series.attributes.clone()).unwrap_or_default();
        let series = std::mem::take(&mut self.series).into_iter();
        let mut known: HashMap<usize, Series> = series.map(|series| (series.labels.identity(), series)).collect();
        let met: Vec<Option<Series>> = points.iter().map(|point| known.remove(&point.labels.identity())).collect();
        let counts = self.pushed.shape == Shape::Sum { monotonic: true };
        for gone in known.values().filter(|_| counts) {
            past.keep(&self.pushed.name, attributes_of(gone), gone.history);
        }
        for (point, met) in points.iter().zip(met) {
            let begin = self.attributes.len();
            let history = match met {
                Some(series) => {
                    self.attributes.extend_from_slice(attributes_of(&series));
                    series.history
                }
                None => {
                    attributes::encode(&self.pushed, &point.labels, &mut self.attributes);
                    let before = self.attributes.get(begin..).filter(|_| counts);
                    let before = before.and_then(|attributes| past.take(&self.pushed.name, attributes));
                    let start = self.pushed.start.unwrap_or(taken);
                    before.unwrap_or(History { start, last: point.value, at: taken })
                }
            };
            let attributes = begin..self.attributes.len();
            self.series.push(Series { labels: point.labels.clone(), attributes, history });
        }
    }

    /// Leaves to the past what may come back.
    pub(super) fn end(self, past: &mut Past) {
        if self.pushed.shape == (Shape::Sum { monotonic: true }) {
            for series in self.series {
                let attributes = self.attributes.get(series.attributes.clone()).unwrap_or_default();
                past.keep(&self.pushed.name, attributes, series.history);
            }
        }
    }
}

/// The most counters that are remembered after they went: as many as one source may have.
const REMEMBERED: usize = crate::snapshot::SERIES_PER_SOURCE;

/// Counters that went. One that comes back, as a disk that was pulled or a whole source after a change of its options,
/// goes on where it was, or was reset in between.
#[derive(Default)]
pub(super) struct Past {
    series: HashMap<Box<[u8]>, History>,
}

impl Past {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    fn key(name: &str, attributes: &[u8]) -> Box<[u8]> {
        [name.as_bytes(), &[0], attributes].concat().into()
    }

    fn keep(&mut self, name: &str, attributes: &[u8], history: History) {
        if self.series.len() >= REMEMBERED {
            // The half that went longest ago.
            let mut times: Vec<u64> = self.series.values().map(|history| history.at).collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or_default();
            self.series.retain(|_, history| history.at > middle);
        }
        self.series.insert(Past::key(name, attributes), history);
    }

    fn take(&mut self, name: &str, attributes: &[u8]) -> Option<History> {
        if self.series.is_empty() { None } else { self.series.remove(&Past::key(name, attributes)) }
    }
}
