//! The histograms or the summaries of a family: each is several samples of the page and one point.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::past::{History, Past, float};
use super::request::Requests;
use super::samples::{Samples, Total, whole};
use super::track::Pushed;
use super::{Shape, attributes, field};
use crate::push::wire;
use crate::snapshot::{Labels, Point, Value};

/// Those of one family.
#[derive(Default)]
pub(super) struct Distributions {
    /// The labels of every sample of the family, in order.
    labels: Vec<Labels>,
    attributes: Vec<u8>,
    series: Vec<Distribution>,
}

struct Distribution {
    samples: Samples,
    /// Its place in the attributes.
    attributes: Range<usize>,
    /// What each of its buckets had counted when it was last pushed.
    buckets: Vec<u64>,
    history: History,
}

impl Distributions {
    pub(super) fn first(&self) -> Option<&Labels> {
        self.labels.first()
    }

    /// Writes a point for each distribution whose samples are one; the others are left out.
    pub(super) fn encode(
        &mut self,
        pushed: &Pushed,
        points: &[Point],
        taken: u64,
        past: &mut Past,
        requests: &mut Requests,
    ) {
        let same = |(labels, point): (&Labels, &Point)| labels.same(&point.labels);
        if self.labels.len() != points.len() || !self.labels.iter().zip(points).all(same) {
            self.renew(pushed, points, taken, past);
        }
        for series in &mut self.series {
            let attributes = self.attributes.get(series.attributes.clone()).unwrap_or_default();
            match pushed.shape {
                Shape::Histogram => series.histogram(points, attributes, taken, requests),
                _ => series.summary(points, attributes, taken, requests),
            }
        }
    }

    /// Finds the distributions among the samples anew. One that was there before goes on, as it does after an absence.
    fn renew(&mut self, pushed: &Pushed, points: &[Point], taken: u64, past: &mut Past) {
        let before = std::mem::take(self);
        let attributes_of = |series: &Distribution| before.attributes.get(series.attributes.clone());
        let mut known: HashMap<&[u8], Distribution> = HashMap::new();
        for series in before.series {
            known.insert(attributes_of(&series).unwrap_or_default(), series);
        }
        self.labels = points.iter().map(|point| point.labels.clone()).collect();
        let mut seen = HashSet::new();
        for (range, attributes) in groups(pushed, points) {
            let samples = Samples::find(pushed.shape, points, range).filter(|_| !seen.contains(&attributes));
            // Of two that are called the same, the first counts.
            if let Some(samples) = samples {
                let (history, buckets) = match known.remove(&*attributes) {
                    Some(series) if series.samples.bounds() == samples.bounds() => (series.history, series.buckets),
                    Some(series) => (series.history, Vec::new()),
                    None => {
                        let count = samples.total(points).map_or(Value::Int(0), |total| total.count.into());
                        let first = || History::new(pushed.start.unwrap_or(taken), count, taken);
                        (past.take(&pushed.name, &attributes).unwrap_or_else(first), Vec::new())
                    }
                };
                let begin = self.attributes.len();
                self.attributes.extend_from_slice(&attributes);
                let attributes = begin..self.attributes.len();
                self.series.push(Distribution { samples, attributes, buckets, history });
            }
            seen.insert(attributes);
        }
        for (attributes, gone) in known {
            past.keep(&pushed.name, attributes, gone.history);
        }
    }

    pub(super) fn end(self, pushed: &Pushed, past: &mut Past) {
        for series in &self.series {
            let attributes = self.attributes.get(series.attributes.clone()).unwrap_or_default();
            past.keep(&pushed.name, attributes, series.history);
        }
    }
}

/// The ranges of points that have the same attributes, with those.
fn groups(pushed: &Pushed, points: &[Point]) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut groups: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let mut attributes = Vec::new();
        attributes::encode(pushed, &point.labels, &mut attributes);
        match groups.last_mut() {
            Some((range, same)) if *same == attributes => range.end = index + 1,
            _ => groups.push((index..index + 1, attributes)),
        }
    }
    groups
}

impl Distribution {
    /// Writes a HistogramDataPoint, unless the samples contradict one another.
    fn histogram(&mut self, points: &[Point], attributes: &[u8], taken: u64, requests: &mut Requests) {
        let Some(Total { count, sum }) = self.samples.total(points) else { return };
        let below = || self.samples.steps(points).iter().map(|bucket| whole(bucket.value).unwrap_or_default());
        if self.buckets.iter().zip(below()).any(|(last, now)| now < *last) {
            self.history.reset();
        }
        self.history.next(count.into(), taken);
        self.buckets.clear();
        self.buckets.extend(below());

        let bounds = self.samples.bounds();
        let fixed = if sum.is_some() { 4 } else { 3 } * wire::FIXED64_FIELD;
        let packed = wire::packed_length(bounds.len()) + wire::packed_length(self.buckets.len());
        let out = requests.point(attributes.len() + fixed + packed);
        wire::fixed64(field::START_TIME, self.history.start(taken), out);
        wire::fixed64(field::TIME, taken, out);
        out.extend_from_slice(attributes);
        wire::packed(field::EXPLICIT_BOUNDS, bounds.len(), bounds.iter().map(|bound| bound.to_bits()), out);
        wire::fixed64(field::COUNT, count, out);
        if let Some(sum) = sum {
            wire::fixed64(field::SUM_OF, sum.to_bits(), out);
        }
        let lower = std::iter::once(&0).chain(&self.buckets);
        let counts = self.buckets.iter().zip(lower).map(|(upper, lower)| upper.saturating_sub(*lower));
        wire::packed(field::BUCKET_COUNTS, self.buckets.len(), counts, out);
    }

    /// Writes a SummaryDataPoint, unless the samples contradict one another. Of its quantiles those that are known:
    /// without observations they are no numbers, and negative ones OTLP does not take.
    fn summary(&mut self, points: &[Point], attributes: &[u8], taken: u64, requests: &mut Requests) {
        let Some(Total { count, sum: Some(sum) }) = self.samples.total(points) else { return };
        self.history.next(count.into(), taken);
        let values = self.samples.steps(points).iter().map(|step| float(step.value));
        let known = || self.samples.bounds().iter().zip(values.clone()).filter(|(_, value)| *value >= 0.0);
        const QUANTILE: usize = 2 * wire::FIXED64_FIELD;
        let quantiles = known().count() * wire::field_length(QUANTILE);
        let out = requests.point(attributes.len() + 4 * wire::FIXED64_FIELD + quantiles);
        wire::fixed64(field::START_TIME, self.history.start(taken), out);
        wire::fixed64(field::TIME, taken, out);
        out.extend_from_slice(attributes);
        wire::fixed64(field::COUNT, count, out);
        wire::fixed64(field::SUM_OF, sum.to_bits(), out);
        for (quantile, value) in known() {
            wire::head(field::QUANTILE_VALUES, QUANTILE, out);
            wire::fixed64(field::QUANTILE, quantile.to_bits(), out);
            wire::fixed64(field::QUANTILE_VALUE, value.to_bits(), out);
        }
    }
}

#[cfg(test)]
mod tests;
