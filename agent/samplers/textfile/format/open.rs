//! A family while its file is read, and the order of the samples of histograms and summaries.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::words::{Pairs, bound_text};
use super::{Family, Type};
use crate::snapshot::{Labels, Value};

/// A family to which further lines may add.
pub(super) struct Open {
    pub(super) name: String,
    pub(super) help: Option<String>,
    pub(super) kind: Option<Type>,
    pub(super) samples: Vec<Sample>,
}

pub(super) struct Sample {
    pub(super) suffix: &'static str,
    pub(super) labels: Pairs,
    /// Of a bucket its `le`, of a summary's value its `quantile`.
    pub(super) bound: Option<f64>,
    pub(super) value: Value,
}

impl Open {
    pub(super) fn close(mut self) -> Family {
        let bound_label = match self.kind {
            Some(Type::Histogram) => "le",
            Some(Type::Summary) => "quantile",
            _ => "",
        };
        if !bound_label.is_empty() {
            self.group();
        }
        let series = self.samples.into_iter().map(|sample| {
            let bound = sample.bound.map(bound_text);
            let labels = sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let labels: Vec<(&str, &str)> = labels.chain(bound.as_deref().map(|bound| (bound_label, bound))).collect();
            (Labels::part(sample.suffix, &labels), sample.value)
        });
        let series = series.collect();
        Family { name: self.name, help: self.help, kind: self.kind.unwrap_or(Type::Untyped), series }
    }

    /// Puts the samples of one histogram or summary together, buckets in order, and the bucket of all where it lacks.
    fn group(&mut self) {
        let mut groups: HashMap<Pairs, usize> = HashMap::new();
        let mut keyed: Vec<(usize, u8, Sample)> = Vec::new();
        for sample in self.samples.drain(..) {
            let next = groups.len();
            let group = *groups.entry(sample.labels.clone()).or_insert(next);
            let rank = match sample.suffix {
                "_sum" => 1,
                "_count" => 2,
                _ => 0,
            };
            keyed.push((group, rank, sample));
        }
        if self.kind == Some(Type::Histogram) {
            let of_all = keyed.iter().filter(|(_, _, sample)| sample.bound == Some(f64::INFINITY));
            let have: HashSet<usize> = of_all.map(|(group, _, _)| *group).collect();
            let counts = keyed.iter().filter(|(group, rank, _)| *rank == 2 && !have.contains(group));
            let all: Vec<(usize, u8, Sample)> =
                counts.map(|(group, _, count)| (*group, 0, count.as_bucket())).collect();
            keyed.extend(all);
        }
        keyed.sort_by(|(group, rank, sample), (other_group, other_rank, other)| {
            let bounds =
                sample.bound.zip(other.bound).map_or(Ordering::Equal, |(bound, other)| bound.total_cmp(&other));
            group.cmp(other_group).then(rank.cmp(other_rank)).then(bounds)
        });
        self.samples = keyed.into_iter().map(|(_, _, sample)| sample).collect();
    }
}

impl Sample {
    fn as_bucket(&self) -> Sample {
        Sample { suffix: "_bucket", labels: self.labels.clone(), bound: Some(f64::INFINITY), value: self.value }
    }
}
