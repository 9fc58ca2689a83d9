//! The report: each cost, what it stands beside, and the limit.

use std::time::Duration;

/// Lines for people, and whether every limit was kept.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    broken: usize,
}

impl Report {
    pub(crate) fn title(&mut self, title: &str) {
        self.lines.push(format!("\n{title}"));
    }

    pub(crate) fn fact(&mut self, what: &str, value: &str) {
        self.lines.push(format!("  {what:<58} {value:>14}"));
    }

    /// A number that may be at most `limit`.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        let kept = value <= limit;
        self.broken += usize::from(!kept);
        let verdict = if kept { "ok" } else { "BROKEN" };
        self.lines.push(format!("  {what:<58} {value:>9.3} {unit:<4} at most {limit} {unit}: {verdict}"));
    }

    pub(crate) fn skipped(&mut self, what: &str, why: &str) {
        self.lines.push(format!("  {what:<58} skipped: {why}"));
    }

    pub(crate) fn broken(&self) -> bool {
        self.broken > 0
    }

    pub(crate) fn print(&self) {
        println!("{}", self.lines.join("\n"));
        match self.broken {
            0 => println!("\nevery limit is kept"),
            broken => println!("\n{broken} limits are broken"),
        }
    }
}

pub(crate) fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

/// The first quartile of several measurements: what else goes on on the machine only ever adds.
pub(crate) fn quartile<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("measurements compare"));
    values[values.len() / 4]
}

/// The middle of several measurements.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
