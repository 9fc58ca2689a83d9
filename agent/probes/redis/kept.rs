//! Labels that are interned once, and anew only where what they say changed.

use super::series::Series;
use crate::snapshot::Labels;

/// Labels of one series, and the values that they were made of.
#[derive(Debug, Default)]
pub(super) struct Kept {
    values: Vec<Box<str>>,
    labels: Option<Labels>,
}

impl Kept {
    /// The labels of these names and values.
    pub(super) fn of(&mut self, series: &Series, names: &[&str], values: &[&str]) -> &Labels {
        if self.labels.is_some() && !self.values.iter().map(|value| &**value).eq(values.iter().copied()) {
            self.labels = None;
        }
        self.labels.get_or_insert_with(|| {
            self.values = values.iter().map(|value| (*value).into()).collect();
            let pairs: Vec<(&str, &str)> = names.iter().copied().zip(values.iter().copied()).collect();
            series.labels(&pairs)
        })
    }
}

/// Those of a list that stays nearly as it is from check to check.
#[derive(Debug, Default)]
pub(super) struct List {
    kept: Vec<Kept>,
    at: usize,
    /// The most that it holds.
    limit: usize,
    /// How many more there were.
    pub(super) left_out: u64,
}

impl List {
    /// One of at most `limit`.
    pub(super) fn of(limit: usize) -> List {
        List { kept: Vec::new(), at: 0, limit, left_out: 0 }
    }

    /// Begins again.
    pub(super) fn start(&mut self) {
        self.kept.truncate(self.at);
        (self.at, self.left_out) = (0, 0);
    }

    /// The next, unless there were too many already.
    pub(super) fn next(&mut self) -> Option<&mut Kept> {
        if self.at == self.limit {
            self.left_out += 1;
            return None;
        }
        self.at += 1;
        if self.kept.len() < self.at {
            self.kept.push(Kept::default());
        }
        self.kept.get_mut(self.at - 1)
    }
}
