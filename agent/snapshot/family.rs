//! The points of one metric, as one source wrote them.

use std::sync::Arc;

use super::{Durations, Labels, Value};
use crate::metric::MetricRef;

/// Interned labels and one number.
#[derive(Clone, Debug)]
pub struct Point {
    /// Which series.
    pub labels: Labels,
    /// Its number now.
    pub value: Value,
}

/// Interned labels and durations, which are several series of the page and one point of the push.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Those that all of its series have.
    pub labels: Labels,
    /// What was counted so far.
    pub durations: Arc<Durations>,
}

/// One metric's points.
#[derive(Debug)]
pub struct Family {
    /// The declaration.
    pub metric: MetricRef,
    pub(super) samples: Samples,
    /// How many of them this pass has written.
    pub(super) written: usize,
}

/// The memory for them; what is over holds anything. No vectors, which are a word larger: a thousand probes have tens
/// of thousands of these.
#[derive(Debug)]
pub(super) enum Samples {
    /// Most families have one point: it stands here, as a piece of memory of its own is larger than it.
    One(Point),
    Points(Box<[Point]>),
    Distributions(Box<[Distribution]>),
}

impl Clone for Family {
    /// A copy of what was written, with room for that.
    fn clone(&self) -> Family {
        let samples = match &self.samples {
            Samples::One(point) => Samples::One(point.clone()),
            Samples::Points(_) => Samples::Points(self.points().into()),
            Samples::Distributions(_) => Samples::Distributions(self.distributions().into()),
        };
        Family { metric: self.metric.clone(), samples, written: self.written }
    }
}

impl Family {
    /// The points, in the order in which they were written.
    pub fn points(&self) -> &[Point] {
        let points = match &self.samples {
            Samples::One(point) => std::slice::from_ref(point),
            Samples::Points(points) => points,
            Samples::Distributions(_) => &[],
        };
        points.get(..self.written).unwrap_or_default()
    }

    /// The distributions, in the order in which they were written, of a metric of [`Kind::Exponential`].
    ///
    /// [`Kind::Exponential`]: crate::metric::Kind::Exponential
    pub fn distributions(&self) -> &[Distribution] {
        match &self.samples {
            Samples::Distributions(distributions) => distributions.get(..self.written).unwrap_or_default(),
            Samples::One(_) | Samples::Points(_) => &[],
        }
    }

    /// The labels of what was written first.
    pub fn first(&self) -> Option<&Labels> {
        let point = self.points().first().map(|point| &point.labels);
        point.or_else(|| self.distributions().first().map(|distribution| &distribution.labels))
    }

    /// How many it has room for.
    pub(super) fn known(&self) -> usize {
        match &self.samples {
            Samples::One(_) => 1,
            Samples::Points(points) => points.len(),
            Samples::Distributions(distributions) => distributions.len(),
        }
    }

    pub(super) fn put(&mut self, labels: &Labels, value: Value) {
        let point = match &mut self.samples {
            Samples::One(point) if self.written == 0 => Some(point),
            Samples::One(_) => None,
            Samples::Points(points) => points.get_mut(self.written),
            Samples::Distributions(_) => return,
        };
        match point {
            Some(point) => {
                if !point.labels.same(labels) {
                    point.labels = labels.clone();
                }
                point.value = value;
            }
            None => self.push(Point { labels: labels.clone(), value }),
        }
        self.written += 1;
    }

    /// Makes room for one more point than ever before.
    fn push(&mut self, point: Point) {
        match &mut self.samples {
            Samples::One(first) => self.samples = Samples::Points(Box::new([first.clone(), point])),
            Samples::Points(points) if points.is_empty() => self.samples = Samples::One(point),
            Samples::Points(points) => grow(points, point),
            Samples::Distributions(_) => {}
        }
    }

    pub(super) fn put_durations(&mut self, labels: &Labels, durations: &Arc<Durations>) {
        let Samples::Distributions(distributions) = &mut self.samples else { return };
        let new = || Distribution { labels: labels.clone(), durations: Arc::clone(durations) };
        match distributions.get_mut(self.written) {
            Some(known) if known.labels.same(labels) => known.durations = Arc::clone(durations),
            Some(other) => *other = new(),
            None => {
                let new = new();
                grow(distributions, new);
            }
        }
        self.written += 1;
    }
}

/// Appends, and makes room for half as many again.
fn grow<T: Clone>(all: &mut Box<[T]>, new: T) {
    let mut more = std::mem::take(all).into_vec();
    let room = more.len() + 1 + more.len() / 2;
    more.reserve_exact(room - more.len());
    more.resize(room, new);
    *all = more.into_boxed_slice();
}
