//! The durations of a family: each is several samples of the page and one point, an exponential histogram.

use std::collections::HashMap;
use std::ops::Range;

use super::request::Requests;
use super::track::Pushed;
use super::{attributes, field};
use crate::push::start::nanoseconds;
use crate::push::wire;
use crate::snapshot::durations::Exponential;
use crate::snapshot::{Distribution, Labels};

/// Those of one family, in its order.
#[derive(Default)]
pub(super) struct Exponentials {
    attributes: Vec<u8>,
    series: Vec<Series>,
    /// The memory that buckets are put together in.
    buckets: Vec<u8>,
}

struct Series {
    labels: Labels,
    /// Its place in the attributes.
    attributes: Range<usize>,
    start: u64,
}

impl Exponentials {
    pub(super) fn first(&self) -> Option<&Labels> {
        self.series.first().map(|series| &series.labels)
    }

    /// Writes an ExponentialHistogramDataPoint for each.
    pub(super) fn encode(
        &mut self,
        pushed: &Pushed,
        distributions: &[Distribution],
        taken: u64,
        requests: &mut Requests,
    ) {
        let same = |(series, distribution): (&Series, &Distribution)| series.labels.same(&distribution.labels);
        if self.series.len() != distributions.len() || !self.series.iter().zip(distributions).all(same) {
            self.renew(pushed, distributions);
        }
        for (series, Distribution { durations, .. }) in self.series.iter_mut().zip(distributions) {
            let attributes = self.attributes.get(series.attributes.clone()).unwrap_or_default();
            // Where the clock was set back behind it, it goes back once and stays there.
            series.start = series.start.min(taken);
            self.buckets.clear();
            buckets(&durations.exponential, &mut self.buckets);
            let out = requests.point(attributes.len() + 4 * wire::FIXED64_FIELD + self.buckets.len());
            wire::fixed64(field::START_TIME, series.start, out);
            wire::fixed64(field::TIME, taken, out);
            out.extend_from_slice(attributes);
            wire::fixed64(field::COUNT, durations.count(), out);
            wire::fixed64(field::SUM_OF, durations.seconds.to_bits(), out);
            out.extend_from_slice(&self.buckets);
        }
    }

    /// Takes what came over what went. The durations themselves tell since when they count.
    fn renew(&mut self, pushed: &Pushed, distributions: &[Distribution]) {
        let before = std::mem::take(self);
        let mut known: HashMap<usize, Series> =
            before.series.into_iter().map(|series| (series.labels.identity(), series)).collect();
        for Distribution { labels, durations } in distributions {
            let begin = self.attributes.len();
            let start = match known.remove(&labels.identity()) {
                Some(series) => {
                    let attributes = before.attributes.get(series.attributes).unwrap_or_default();
                    self.attributes.extend_from_slice(attributes);
                    series.start
                }
                None => {
                    attributes::encode(pushed, labels, &mut self.attributes);
                    nanoseconds(durations.since)
                }
            };
            let attributes = begin..self.attributes.len();
            self.series.push(Series { labels: labels.clone(), attributes, start });
        }
        self.attributes.shrink_to_fit();
        self.series.shrink_to_fit();
    }
}

/// Appends the fields of a point that tell its buckets.
fn buckets(exponential: &Exponential, out: &mut Vec<u8>) {
    wire::signed(field::SCALE, exponential.scale, out);
    if exponential.zeros > 0 {
        wire::fixed64(field::ZERO_COUNT, exponential.zeros.into(), out);
    }
    if !exponential.counts.is_empty() {
        let positive = wire::begin(field::POSITIVE, out);
        wire::signed(field::OFFSET, exponential.offset, out);
        let counts = wire::begin(field::COUNTS, out);
        exponential.counts.iter().for_each(|count| wire::varint((*count).into(), out));
        wire::end(counts, out);
        wire::end(positive, out);
    }
}

#[cfg(test)]
mod tests;
