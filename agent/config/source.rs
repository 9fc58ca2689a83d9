//! A text that a configuration is made of, and the places in it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml::de::DeValue;

/// A text that keys came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) origin: Origin,
    pub(super) text: String,
    /// Its rank among the sources.
    pub(super) order: usize,
    /// Whether only its owner reads it.
    pub(super) private: bool,
}

/// Where a text was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    /// A `--set`.
    Argument,
    /// A variable of the environment, with its name; the text is `NAME=value`.
    Variable(&'static str),
}

/// A part of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
}

impl Place {
    /// Whether the value on its line is a bare word that TOML does not know.
    pub(super) fn lacks_quotes(&self) -> bool {
        let before = self.source.text.get(..self.span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.source.text.get(line_start..).and_then(|rest| rest.lines().next());
        let written = line.and_then(|line| line.split_once('=')).map(|(_, written)| written.trim());
        written.is_some_and(|written| {
            !written.is_empty()
                && is_bare(written)
                && !written.contains(['"', '\''])
                && DeValue::parse(written).is_err()
        })
    }
}

/// Whether a value that is no TOML was meant as the text that it is.
pub(super) fn is_bare(written: &str) -> bool {
    let written = written.trim();
    let list = written.starts_with('[') && written.ends_with(']');
    !list && !written.starts_with(['"', '\'', '{']) && !written.contains(char::is_control)
}
