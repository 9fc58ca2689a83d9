//! From when on series have counted, also those that went.

use std::collections::HashMap;

use crate::snapshot::Value;

/// From when on a series has counted, and how far it had come when it was last pushed. All times in nanoseconds
/// since 1970.
#[derive(Clone, Copy)]
pub(super) struct History {
    start: u64,
    last: Value,
    at: u64,
}

impl History {
    /// Of a series that is seen for the first time.
    pub(super) fn new(start: u64, value: Value, taken: u64) -> History {
        History { start, last: value, at: taken }
    }

    /// Goes on with the next value. A counter that fell has been reset some time after it was last seen.
    pub(super) fn next(&mut self, value: Value, taken: u64) {
        let fell = match (self.last, value) {
            (Value::Int(last), Value::Int(now)) => now < last,
            (last, now) => float(now) < float(last),
        };
        if fell {
            self.reset();
        }
        (self.last, self.at) = (value, taken);
    }

    /// Begins anew when it was last seen.
    pub(super) fn reset(&mut self) {
        self.start = self.at;
    }

    /// The start of a point of that moment: not after it. Where the clock was set back behind the start, the start goes
    /// back once and stays there; one that went with every point would be a reset each time.
    pub(super) fn start(&mut self, taken: u64) -> u64 {
        self.start = self.start.min(taken);
        self.start
    }
}

/// A value as a double.
pub(super) fn float(value: Value) -> f64 {
    match value {
        Value::Int(value) => value as f64,
        Value::Float(value) => value,
    }
}

/// The most counters that are remembered after they went: as many as one source may have.
const REMEMBERED: usize = crate::snapshot::SERIES_PER_SOURCE;

/// Counters that went. One that comes back, as a disk that was pulled or a whole source after a change of its options,
/// goes on where it was, or was reset in between.
#[derive(Default)]
pub(super) struct Past {
    series: HashMap<Box<[u8]>, History>,
}

impl Past {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    fn key(name: &str, attributes: &[u8]) -> Box<[u8]> {
        [name.as_bytes(), &[0], attributes].concat().into()
    }

    pub(super) fn keep(&mut self, name: &str, attributes: &[u8], history: History) {
        if self.series.len() >= REMEMBERED {
            // The half that went longest ago.
            let mut times: Vec<u64> = self.series.values().map(|history| history.at).collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or_default();
            self.series.retain(|_, history| history.at > middle);
        }
        self.series.insert(Past::key(name, attributes), history);
    }

    pub(super) fn take(&mut self, name: &str, attributes: &[u8]) -> Option<History> {
        if self.series.is_empty() { None } else { self.series.remove(&Past::key(name, attributes)) }
    }
}
