//! Which samples of the page make one histogram or one summary, and whether they are one.

use std::ops::Range;

use super::Shape;
use super::past::float;
use crate::snapshot::{Labels, Point, Value};

/// Where, among the points of a family, the samples of one distribution are.
pub(super) struct Samples {
    shape: Shape,
    /// The buckets, or the quantiles.
    steps: Range<usize>,
    /// The upper bound of each bucket but the last, whose bound is infinite; or which quantiles they are.
    bounds: Vec<f64>,
    sum: Option<usize>,
    count: Option<usize>,
}

/// What all observations of a distribution are together.
#[derive(Clone, Copy)]
pub(super) struct Total {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
}

impl Samples {
    /// The samples at `range`, which have the same attributes. Nothing where they are no such distribution: buckets
    /// must be in order and the last must have everything; a summary must have its sum and its count, which over OTLP
    /// cannot be unknown.
    pub(super) fn find(shape: Shape, points: &[Point], range: Range<usize>) -> Option<Samples> {
        let mut samples = Samples { shape, steps: 0..0, bounds: Vec::new(), sum: None, count: None };
        for (index, point) in points.iter().enumerate().take(range.end).skip(range.start) {
            let twice = match point.labels.suffix() {
                "_sum" => samples.sum.replace(index).is_some(),
                "_count" => samples.count.replace(index).is_some(),
                _ => {
                    let begin = if samples.bounds.is_empty() { index } else { samples.steps.start };
                    samples.bounds.push(bound(&point.labels, shape.bound()?)?);
                    samples.steps = begin..index + 1;
                    samples.steps.len() != samples.bounds.len()
                }
            };
            if twice {
                return None;
            }
        }
        let good = samples.bounds.is_sorted_by(|one, next| one < next)
            && match shape {
                Shape::Histogram => {
                    samples.bounds.pop() == Some(f64::INFINITY) && samples.bounds.iter().all(|bound| bound.is_finite())
                }
                _ => {
                    samples.sum.is_some()
                        && samples.count.is_some()
                        && samples.bounds.iter().all(|quantile| (0.0..=1.0).contains(quantile))
                }
            };
        // Where observations may be negative, a sum may fall: OTLP wants none then.
        if shape == Shape::Histogram && samples.bounds.first().is_some_and(|bound| *bound < 0.0) {
            samples.sum = None;
        }
        good.then_some(samples)
    }

    pub(super) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// The buckets, or the quantiles.
    pub(super) fn steps<'p>(&self, points: &'p [Point]) -> &'p [Point] {
        points.get(self.steps.clone()).unwrap_or_default()
    }

    /// What they say together. Nothing where they contradict one another: counts that are no counts, a bucket that has
    /// less than the one within it, a count that is not that of the last bucket, a sum that is no number.
    pub(super) fn total(&self, points: &[Point]) -> Option<Total> {
        let value = |index: Option<usize>| index.and_then(|index| points.get(index)).map(|point| point.value);
        let told = match value(self.count) {
            Some(value) => Some(whole(value)?),
            None => None,
        };
        let count = match self.shape {
            Shape::Histogram => {
                let mut below = 0;
                for bucket in self.steps(points) {
                    below = whole(bucket.value).filter(|count| *count >= below)?;
                }
                told.is_none_or(|count| count == below).then_some(below)?
            }
            _ => told?,
        };
        let sum = value(self.sum).map(float);
        (!sum.is_some_and(f64::is_nan)).then_some(Total { count, sum })
    }
}

fn bound(labels: &Labels, label: &str) -> Option<f64> {
    labels.pairs().iter().find(|(name, _)| name == label)?.1.parse().ok()
}

/// A count, of a value that may be written as a float.
pub(super) fn whole(value: Value) -> Option<u64> {
    match value {
        Value::Int(count) => u64::try_from(count).ok(),
        Value::Float(count) => (count.fract() == 0.0 && (0.0..1.8e19).contains(&count)).then_some(count as u64),
    }
}
