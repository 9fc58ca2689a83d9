//! Families: a statement, and what becomes of its columns. Each is declared in a file of its own.

use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::probes::{PROBE, SERVER};

/// What one statement asks, and what its answer is called.
pub(super) struct Family {
    /// The word for it: the label `family` of what is said about it.
    pub(super) name: &'static str,
    /// How often it is asked.
    pub(super) pace: Pace,
    /// Which version its variants go by.
    pub(super) of: VersionOf,
    /// All labels of its metrics; the first two are the probe's.
    pub(super) labels: &'static [Label],
    /// The SQL of the others.
    pub(super) keys: &'static [&'static str],
    /// What it counts and measures.
    pub(super) columns: &'static [Column],
    /// Everything from FROM on. `{top}` is how many rows may be shown; `{statements}` is the schema of
    /// pg_stat_statements.
    pub(super) from: Variants,
    /// How many rows there are, shown or not, where the statement is cut at `{top}`.
    pub(super) total: &'static str,
    /// The privilege that it takes, as `GRANT … TO` names it.
    pub(super) grant: &'static str,
}

/// How often a family is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// With each check.
    Check,
    /// Each `slow_interval`: it costs the server more, or changes less. Between, it says what it said.
    Slow,
}

/// Whose version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VersionOf {
    /// `server_version_num`.
    Server,
    /// That of the extension pg_stat_statements: 1.8 is 108.
    Statements,
}

/// SQL by the version from which on it is so; nothing where that version has no such thing.
pub(super) type Variants = &'static [(u32, &'static str)];

/// The one that `version` has.
pub(super) fn variant(variants: Variants, version: u32) -> Option<&'static str> {
    let last = variants.iter().rev().find(|(from, _)| *from <= version);
    last.map(|(_, sql)| *sql).filter(|sql| !sql.is_empty())
}

/// One column of a statement, and its metric.
pub(super) struct Column {
    pub(super) metric: Metric,
    pub(super) sql: Variants,
}

/// What tells probe and server.
pub(super) const OWN: [Label; 2] = [PROBE, SERVER];

/// A database, by its name.
pub(super) const DATNAME: Label = Label::new("datname").otel("db.namespace");

impl Column {
    pub(super) const fn counter(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
        Column { metric: Metric::counter(name, unit, help).since(Since::Unknown), sql }
    }

    pub(super) const fn gauge(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
        Column { metric: Metric::gauge(name, unit, help), sql }
    }

    pub(super) const fn labels(mut self, labels: &'static [Label]) -> Column {
        self.metric.labels = labels;
        self
    }

    /// postgres_exporter calls it untyped.
    pub(super) const fn untyped(mut self) -> Column {
        self.metric.page_type = crate::metric::PageType::Untyped;
        self
    }

    /// As the Collector's receiver `postgresql` calls it; what may fall is a sum there.
    pub(super) const fn otel(mut self, name: &'static str, unit: &'static str) -> Column {
        let up_down = matches!(self.metric.kind, Kind::Gauge);
        let unit = Some(Unit::Of(unit));
        self.metric.otel = Some(crate::metric::Otel { name, up_down, unit, fixed: &[] });
        self.metric.since = Since::Unknown;
        self
    }

    /// The same, where it is a gauge there as well.
    pub(super) const fn otel_gauge(self, name: &'static str, unit: &'static str) -> Column {
        let mut column = self.otel(name, unit);
        if let Some(otel) = &mut column.metric.otel {
            otel.up_down = false;
        }
        column
    }

    pub(super) const fn fixed(mut self, fixed: &'static [(&'static str, &'static str)]) -> Column {
        if let Some(otel) = &mut self.metric.otel {
            otel.fixed = fixed;
        }
        self
    }
}

/// How many rows there are, of a statement whose LIMIT is its last word.
pub(super) const ALL_ROWS: &str = "pg_catalog.count(*) OVER ()";

/// The most rows of one statement that are shown, whatever it says.
pub(super) const ROWS: usize = 2_000;

impl Family {
    /// Whether its rows may be more than are asked for, so that those left out are counted.
    pub(super) fn is_cut(&self) -> bool {
        self.from.iter().any(|(_, sql)| sql.contains("{top}"))
    }

    /// The statement for `version`, and which of the columns it has; nothing where that version has none of them.
    pub(super) fn statement(&self, version: u32, top: usize, schema: &str) -> Option<(String, Vec<&'static Metric>)> {
        let from = variant(self.from, version)?;
        let columns = || self.columns.iter().filter_map(|column| Some((&column.metric, variant(column.sql, version)?)));
        let mut metrics: Vec<&'static Metric> = columns().map(|(metric, _)| metric).collect();
        metrics.shrink_to_fit();
        if metrics.is_empty() {
            return None;
        }
        let total = self.is_cut().then_some(self.total);
        let list = total.into_iter().chain(self.keys.iter().copied()).chain(columns().map(|(_, sql)| sql));
        let list = list.collect::<Vec<_>>().join(", ");
        let from = from.replace("{top}", &top.to_string()).replace("{statements}", schema);
        Some((format!("SELECT {list} {from}"), metrics))
    }
}
