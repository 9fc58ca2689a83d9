//! A variable that is set.

use std::ops::Range;
use std::sync::Arc;

use crate::config::source::{Origin, Place, Source};

pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) value: String,
    source: Arc<Source>,
}

impl Variable {
    /// The source of this rank. Only its owner, and root, can read the environment of a process.
    pub(super) fn new(name: &'static str, value: &str, order: usize) -> Variable {
        let (origin, text) = (Origin::Variable(name), format!("{name}={value}"));
        let source = Arc::new(Source { origin, text, order, private: true });
        Variable { name, value: value.to_owned(), source }
    }

    /// Where a part of its value stands.
    pub(super) fn place(&self, part: Range<usize>) -> Place {
        let before = self.name.len() + 1;
        Place { source: Arc::clone(&self.source), span: before + part.start..before + part.end }
    }

    pub(super) fn whole(&self) -> Place {
        self.place(0..self.value.len())
    }
}
