//! The series of one family, from push to push.

use super::Shape;
use super::distributions::Distributions;
use super::exponentials::Exponentials;
use super::numbers::Numbers;
use super::past::Past;
use super::request::Requests;
use crate::config::Naming;
use crate::metric::MetricRef;
use crate::snapshot::{Family, Labels};

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

/// What is known of the series of one family.
pub(super) struct Track {
    pushed: Pushed,
    series: Series,
    /// When what was written last was taken.
    written: Option<u64>,
}

enum Series {
    Numbers(Numbers),
    Distributions(Distributions),
    Exponentials(Exponentials),
}

impl Track {
    pub(super) fn new(pushed: Pushed) -> Track {
        let series = match pushed.shape {
            Shape::Gauge | Shape::Sum { .. } => Series::Numbers(Numbers::default()),
            Shape::Histogram | Shape::Summary => Series::Distributions(Distributions::default()),
            Shape::Exponential => Series::Exponentials(Exponentials::default()),
        };
        Track { pushed, series, written: None }
    }

    pub(super) fn pushed(&self) -> &Pushed {
        &self.pushed
    }

    pub(super) fn metric(&self) -> &MetricRef {
        &self.pushed.metric
    }

    /// The labels of the series at its beginning.
    pub(super) fn first(&self) -> Option<&Labels> {
        match &self.series {
            Series::Numbers(numbers) => numbers.first(),
            Series::Distributions(distributions) => distributions.first(),
            Series::Exponentials(exponentials) => exponentials.first(),
        }
    }

    /// Writes the points of `family`, all taken at one moment.
    ///
    /// What was written already is not written again: a source of the slow tier is in several snapshots.
    pub(super) fn encode(&mut self, family: &Family, taken: u64, past: &mut Past, requests: &mut Requests) {
        if self.written.replace(taken) == Some(taken) {
            return;
        }
        let (pushed, points) = (&self.pushed, family.points());
        match &mut self.series {
            Series::Numbers(numbers) => numbers.encode(pushed, points, taken, past, requests),
            Series::Distributions(distributions) => distributions.encode(pushed, points, taken, past, requests),
            Series::Exponentials(exponentials) => {
                exponentials.encode(pushed, family.distributions(), taken, requests);
            }
        }
    }

    /// Leaves to the past what may come back.
    pub(super) fn end(self, past: &mut Past) {
        match self.series {
            Series::Numbers(numbers) => numbers.end(&self.pushed, past),
            Series::Distributions(distributions) => distributions.end(&self.pushed, past),
            // They tell themselves since when they count.
            Series::Exponentials(_) => {}
        }
    }
}
