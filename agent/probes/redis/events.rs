//! What was slow: SLOWLOG and LATENCY LATEST.

use super::kept::List;
use super::metrics::{SLOWLOG_DURATION, SLOWLOG_ID, SLOWLOG_LENGTH, SPIKE_DURATION, SPIKE_LAST};
use super::resp::Reply;
use super::series::Series;
use crate::probes::Report;

/// The most kinds of events; Redis has about twenty.
const KINDS: usize = 64;

/// What is kept of it from check to check.
pub(super) struct Events {
    series: Series,
    kinds: List,
}

impl Events {
    pub(super) fn new(series: &Series) -> Events {
        Events { series: series.clone(), kinds: List::of(KINDS) }
    }

    pub(super) fn start(&mut self) {
        self.kinds.start();
    }

    pub(super) fn slowlog_length(&self, reply: Reply, report: &mut Report) {
        if let Some(length) = reply.number() {
            report.put_with(&SLOWLOG_LENGTH, &self.series.own, length);
        }
    }

    /// Takes the newest entry: its number, when it was, how many microseconds it took, and what it was, which is nobody's
    /// business here. Without one it is all 0, as redis_exporter has it.
    pub(super) fn slowlog_last(&self, reply: Reply, report: &mut Report) {
        let mut entry = reply.items().next().map(Reply::items);
        let mut number = |nth| entry.as_mut().and_then(|entry| entry.nth(nth)).and_then(Reply::number).unwrap_or(0);
        let (id, microseconds) = (number(0), number(1));
        report.put_with(&SLOWLOG_ID, &self.series.own, id);
        report.put_with(&SLOWLOG_DURATION, &self.series.own, microseconds as f64 / 1e6);
    }

    /// Takes a list of events: name, when it was last, how many milliseconds that took.
    pub(super) fn spikes(&mut self, reply: Reply, report: &mut Report) {
        for event in reply.items() {
            let mut event = event.items();
            let (Some(name), Some(last), Some(milliseconds)) = (
                event.next().and_then(Reply::text),
                event.next().and_then(Reply::number),
                event.next().and_then(Reply::number),
            ) else {
                continue;
            };
            let Some(kept) = self.kinds.next() else { return };
            let labels = kept.of(&self.series, &["event_name"], &[name]);
            report.put_with(&SPIKE_LAST, labels, last);
            report.put_with(&SPIKE_DURATION, labels, milliseconds as f64 / 1e3);
        }
    }
}
