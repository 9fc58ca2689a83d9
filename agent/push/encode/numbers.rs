//! The series of a counter or a gauge: each is one sample of the page and one point.

use std::collections::HashMap;
use std::ops::Range;

use super::past::{History, Past};
use super::request::Requests;
use super::track::Pushed;
use super::{Shape, attributes, field};
use crate::push::start::nanoseconds;
use crate::push::wire;
use crate::snapshot::{Labels, Point, Value};

/// Those of one family, in the order of its points.
#[derive(Default)]
pub(super) struct Numbers {
    attributes: Vec<u8>,
    series: Vec<Number>,
}

struct Number {
    labels: Labels,
    /// Its place in the attributes.
    attributes: Range<usize>,
    history: History,
}

impl Numbers {
    pub(super) fn first(&self) -> Option<&Labels> {
        self.series.first().map(|series| &series.labels)
    }

    /// Writes the points.
    ///
    /// What the point before had as well goes first, and the value last, whose bytes are no other's: a compressor then
    /// finds one long match a point.
    pub(super) fn encode(
        &mut self,
        pushed: &Pushed,
        points: &[Point],
        taken: u64,
        past: &mut Past,
        requests: &mut Requests,
    ) {
        let same = |(series, point): (&Number, &Point)| series.labels.same(&point.labels);
        if self.series.len() != points.len() || !self.series.iter().zip(points).all(same) {
            self.renew(pushed, points, taken, past);
        }
        let (counts, sum) = (pushed.shape.counts(), pushed.shape != Shape::Gauge);
        for (series, point) in self.series.iter_mut().zip(points) {
            let attributes = self.attributes.get(series.attributes.clone()).unwrap_or_default();
            if counts {
                series.history.next(point.value, taken);
            }
            let out = requests.point(attributes.len() + if sum { 3 } else { 2 } * wire::FIXED64_FIELD);
            if sum {
                wire::fixed64(field::START_TIME, series.history.start(taken), out);
            }
            wire::fixed64(field::TIME, taken, out);
            out.extend_from_slice(attributes);
            match point.value {
                Value::Int(int) => wire::fixed64(field::AS_INT, int.cast_unsigned(), out),
                Value::Float(float) => wire::fixed64(field::AS_DOUBLE, float.to_bits(), out),
            }
        }
    }

    /// Takes what came over what went: series that are known keep their attributes, others are born.
    fn renew(&mut self, pushed: &Pushed, points: &[Point], taken: u64, past: &mut Past) {
        let encoded = std::mem::take(&mut self.attributes);
        let attributes_of = |series: &Number| encoded.get(series.attributes.clone()).unwrap_or_default();
        let series = std::mem::take(&mut self.series).into_iter();
        let mut known: HashMap<usize, Number> = series.map(|series| (series.labels.identity(), series)).collect();
        let met: Vec<Option<Number>> = points.iter().map(|point| known.remove(&point.labels.identity())).collect();
        let counts = pushed.shape.counts();
        for gone in known.values().filter(|_| counts) {
            past.keep(&pushed.name, attributes_of(gone), gone.history);
        }
        self.series.reserve_exact(points.len());
        for (point, met) in points.iter().zip(met) {
            let begin = self.attributes.len();
            let history = match met {
                Some(series) => {
                    self.attributes.extend_from_slice(attributes_of(&series));
                    series.history
                }
                None => {
                    attributes::encode(pushed, &point.labels, &mut self.attributes);
                    let before = self.attributes.get(begin..).filter(|_| counts);
                    let before = before.and_then(|attributes| past.take(&pushed.name, attributes));
                    // What is known to be new does not go on where another of its name was.
                    match point.labels.since().map(nanoseconds) {
                        Some(born) => History::new(born, point.value, taken),
                        None => {
                            before.unwrap_or_else(|| History::new(pushed.start.unwrap_or(taken), point.value, taken))
                        }
                    }
                }
            };
            let attributes = begin..self.attributes.len();
            self.series.push(Number { labels: point.labels.clone(), attributes, history });
        }
        self.attributes.shrink_to_fit();
    }

    pub(super) fn end(self, pushed: &Pushed, past: &mut Past) {
        for series in self.series.iter().filter(|_| pushed.shape.counts()) {
            let attributes = self.attributes.get(series.attributes.clone()).unwrap_or_default();
            past.keep(&pushed.name, attributes, series.history);
        }
    }
}
