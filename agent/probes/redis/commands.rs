//! Each command: its calls, how long they took, and how they were spread (INFO, sections Commandstats and Latencystats;
//! LATENCY HISTOGRAM).

use std::collections::HashMap;

use super::info::{part, part_number};
use super::metrics::{
    COMMANDS, COMMANDS_DURATION, COMMANDS_FAILED, COMMANDS_REJECTED, LATENCIES, LATENCY, PERCENTILES,
};
use super::resp::Reply;
use super::series::Series;
use crate::probes::Report;
use crate::snapshot::{Labels, Value};

/// The most commands that are shown: Redis 8 has about 450 with those of its modules.
const LIMIT: usize = 640;

/// The most percentiles and buckets of one.
const STEPS: usize = 64;

/// Every command that was ever called.
pub(super) struct Commands {
    series: Series,
    known: HashMap<Box<str>, usize>,
    rows: Vec<Row>,
    check: u32,
    /// Whether it is told in this check how durations are spread; else that of before holds.
    spread: bool,
    left_out: u64,
}

struct Row {
    name: Box<str>,
    labels: Labels,
    /// The check in which it was seen last.
    seen: u32,
    calls: i64,
    microseconds: i64,
    rejected: Option<Value>,
    failed: Option<Value>,
    percentiles: Steps,
    buckets: Steps,
    /// The bucket without an upper bound, the sum and the count.
    rest: Option<[Labels; 3]>,
}

/// The samples of a summary or a histogram.
#[derive(Default)]
struct Steps {
    steps: Vec<Step>,
    /// How many of them were said in this check.
    said: usize,
    /// Calls and their microseconds when they were said.
    count: i64,
    sum: i64,
}

struct Step {
    /// Percent of the calls, or microseconds.
    at: f64,
    labels: Labels,
    /// Over OTLP.
    otel: Option<Labels>,
    value: f64,
}

impl Commands {
    pub(super) fn new(series: &Series) -> Commands {
        Commands {
            series: series.clone(),
            known: HashMap::new(),
            rows: Vec::new(),
            check: 0,
            spread: true,
            left_out: 0,
        }
    }

    /// Begins a check, in which it is told how durations are `spread`, or not.
    pub(super) fn start(&mut self, spread: bool) {
        self.spread = spread;
        self.check = self.check.wrapping_add(1);
        self.left_out = 0;
    }

    /// Whether this check is one of those in which it is told how durations are spread.
    pub(super) fn is_spread(&self) -> bool {
        self.spread
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Forgets what is no longer called, such as after CONFIG RESETSTAT.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.rows.clear();
    }

    fn row(&mut self, name: &str) -> Option<&mut Row> {
        if let Some(index) = self.known.get(name) {
            return self.rows.get_mut(*index);
        }
        if self.rows.len() == LIMIT {
            return None;
        }
        self.known.insert(name.into(), self.rows.len());
        self.rows.reserve_exact(1);
        self.rows.push(Row {
            name: name.into(),
            labels: self.series.labels(&[("cmd", name)]),
            seen: 0,
            calls: 0,
            microseconds: 0,
            rejected: None,
            failed: None,
            percentiles: Steps::default(),
            buckets: Steps::default(),
            rest: None,
        });
        self.rows.last_mut()
    }

    /// Takes a line of the section Commandstats.
    pub(super) fn stat(&mut self, key: &str, value: &str) {
        let Some(name) = key.strip_prefix("cmdstat_") else { return };
        let whole = |key| part(value, key).and_then(|number| number.parse::<i64>().ok());
        let (Some(calls), Some(microseconds)) = (whole("calls"), whole("usec")) else { return };
        let (check, spread) = (self.check, self.spread);
        let Some(row) = self.row(name) else {
            self.left_out += 1;
            return;
        };
        (row.seen, row.calls, row.microseconds) = (check, calls, microseconds);
        (row.rejected, row.failed) = (part_number(value, "rejected_calls"), part_number(value, "failed_calls"));
        if spread {
            (row.percentiles.said, row.buckets.said) = (0, 0);
        }
    }

    /// Takes a line of the section Latencystats: `p50=0.001,p99=1.003`.
    pub(super) fn percentiles(&mut self, key: &str, value: &str) {
        let Some(name) = key.strip_prefix("latency_percentiles_usec_") else { return };
        let Some(row) = self.known.get(name).and_then(|index| self.rows.get_mut(*index)) else { return };
        if row.seen != self.check {
            return;
        }
        for (percentile, value) in value.split(',').filter_map(|part| part.split_once('=')) {
            let quantile = percentile.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
            let (Some(quantile), Ok(value)) = (quantile, value.parse()) else { continue };
            let series = &self.series;
            row.percentiles.say(quantile, value, || {
                let page = series.labels(&[("cmd", &row.name), ("quantile", &format!("{quantile:?}"))]);
                Some((page, Some(series.labels(&[("cmd", &row.name), ("percentile", percentile)]))))
            });
        }
    }

    /// Takes the answer of LATENCY HISTOGRAM: names, each with `calls` and `histogram_usec`.
    pub(super) fn histograms(&mut self, reply: Reply) {
        let mut items = reply.items();
        while let (Some(name), Some(said)) = (items.next().and_then(Reply::text), items.next()) {
            let Some(row) = self.known.get(name).and_then(|index| self.rows.get_mut(*index)) else { continue };
            if row.seen != self.check {
                continue;
            }
            let mut pairs = said.items();
            while let (Some(key), Some(value)) = (pairs.next().and_then(Reply::text), pairs.next()) {
                match key {
                    "calls" => {
                        row.buckets.count = value.number().unwrap_or(0);
                        row.buckets.sum = row.microseconds;
                    }
                    "histogram_usec" => {
                        let mut buckets = value.items();
                        while let (Some(bound), Some(count)) =
                            (buckets.next().and_then(Reply::number), buckets.next().and_then(Reply::number))
                        {
                            let series = &self.series;
                            row.buckets.say(bound as f64, count as f64, || {
                                let bound = format!("{:?}", bound as f64);
                                Some((series.part("_bucket", &[("cmd", &row.name), ("le", &bound)]), None))
                            });
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Writes all of it, a metric after the other: so each finds its place at once.
    pub(super) fn write(&mut self, report: &mut Report) {
        let (check, series) = (self.check, &self.series);
        let rows = || self.rows.iter().filter(|row| row.seen == check);
        for row in rows() {
            report.put_with(&COMMANDS, &row.labels, row.calls);
        }
        for row in rows() {
            report.put_with(&COMMANDS_DURATION, &row.labels, row.microseconds as f64 / 1e6);
        }
        for (row, rejected) in rows().filter_map(|row| Some((row, row.rejected?))) {
            report.put_with(&COMMANDS_REJECTED, &row.labels, rejected);
        }
        for (row, failed) in rows().filter_map(|row| Some((row, row.failed?))) {
            report.put_with(&COMMANDS_FAILED, &row.labels, failed);
        }
        for row in rows() {
            for step in row.percentiles.said() {
                if let Some(otel) = &step.otel {
                    report.put_with(&LATENCY, otel, step.value / 1e6);
                }
            }
        }
        for row in self.rows.iter_mut().filter(|row| row.seen == check && row.percentiles.said > 0) {
            for step in row.percentiles.said() {
                report.put_with(&PERCENTILES, &step.labels, step.value);
            }
            let [_, sum, count] = rest(&mut row.rest, series, &row.name);
            report.put_with(&PERCENTILES, sum, row.microseconds);
            report.put_with(&PERCENTILES, count, row.calls);
        }
        for row in self.rows.iter_mut().filter(|row| row.seen == check && row.buckets.said > 0) {
            for step in row.buckets.said() {
                report.put_with(&LATENCIES, &step.labels, step.value as i64);
            }
            let Steps { count: calls, sum: microseconds, .. } = row.buckets;
            let [infinite, sum, count] = rest(&mut row.rest, series, &row.name);
            report.put_with(&LATENCIES, infinite, calls);
            report.put_with(&LATENCIES, sum, microseconds);
            report.put_with(&LATENCIES, count, calls);
        }
    }
}

impl Steps {
    fn said(&self) -> &[Step] {
        self.steps.get(..self.said).unwrap_or_default()
    }

    /// Notes the next step; `bear` makes its labels where it is another than it was.
    fn say(&mut self, at: f64, value: f64, bear: impl FnOnce() -> Option<(Labels, Option<Labels>)>) {
        match self.steps.get_mut(self.said) {
            Some(step) if step.at.to_bits() == at.to_bits() => step.value = value,
            _ if self.said == STEPS => return,
            _ => {
                let Some((labels, otel)) = bear() else { return };
                self.steps.reserve_exact(1);
                self.steps.insert(self.said, Step { at, labels, otel, value });
                self.steps.truncate(STEPS);
            }
        }
        self.said += 1;
    }
}

fn rest<'r>(rest: &'r mut Option<[Labels; 3]>, series: &Series, name: &str) -> &'r [Labels; 3] {
    rest.get_or_insert_with(|| {
        [
            series.part("_bucket", &[("cmd", name), ("le", "+Inf")]),
            series.part("_sum", &[("cmd", name)]),
            series.part("_count", &[("cmd", name)]),
        ]
    })
}
