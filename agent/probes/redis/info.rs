//! What INFO says, line by line: its numbers by `fields`, and what has labels of its own.

use std::time::UNIX_EPOCH;

use super::commands::Commands;
use super::fields;
use super::kept::{Kept, List};
use super::metrics::{
    DB_CACHED, DB_EXPIRING, DB_KEYS, DB_SUBEXPIRY, DB_TTL, ERRORS, FRAGMENTATION, INSTANCE_INFO, LEFT_OUT, ROLE,
    START_TIME,
};
use super::replication::Replication;
use super::sentinel::Primaries;
use super::series::Series;
use crate::probes::Report;
use crate::snapshot::{Labels, Value};

/// The most databases that are shown; Redis itself has 16 unless it is told otherwise.
const DATABASES: usize = 256;

/// The most kinds of errors: as many as later versions of Redis count.
const ERROR_KINDS: usize = 128;

/// Gives each line of INFO with the section that it stands in.
pub fn parse<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str, &'a str)) {
    let mut section = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            section = title.trim_end();
        } else if let Some((key, value)) = line.split_once(':') {
            each(section, key, value);
        }
    }
}

/// The value of `key` among `key=value` parted by commas.
pub fn part<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split(',').find_map(|part| part.split_once('=').filter(|(name, _)| *name == key)).map(|(_, value)| value)
}

/// A number among them.
pub(super) fn part_number(text: &str, key: &str) -> Option<Value> {
    part(text, key).and_then(fields::number)
}

/// What the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Holds data.
    #[default]
    Server,
    /// Holds data, as a node of a cluster.
    Node,
    /// Watches those that hold data.
    Sentinel,
}

/// What is kept of INFO from check to check.
pub(super) struct Info {
    series: Series,
    instance: Kept,
    role: Kept,
    errors: List,
    databases: Vec<Database>,
    pub(super) commands: Commands,
    pub(super) replication: Replication,
    pub(super) primaries: Primaries,
    left_out: [(&'static str, Labels); 5],
    /// How many databases there are, as far as is known.
    pub(super) database_count: usize,
    /// The version's first number, 0 before it is known.
    pub(super) version: u32,
    pub(super) mode: Mode,
}

struct Database {
    labels: Labels,
    seen: bool,
}

/// What tells one instance from another.
const INSTANCE: [&str; 13] = [
    "role",
    "redis_version",
    "redis_build_id",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
    "master_replid",
    "valkey_version",
    "valkey_release_stage",
    "availability_zone",
];

/// Those of them that every server has; the rest is left off where there is none.
const ALWAYS: usize = 10;

impl Info {
    pub(super) fn new(series: &Series) -> Info {
        let what = ["commands", "databases", "errors", "replicas", "masters"];
        Info {
            series: series.clone(),
            instance: Kept::default(),
            role: Kept::default(),
            errors: List::of(ERROR_KINDS),
            databases: Vec::new(),
            commands: Commands::new(series),
            replication: Replication::new(series),
            primaries: Primaries::new(series),
            left_out: what.map(|what| (what, series.labels(&[("what", what)]))),
            database_count: 16,
            version: 0,
            mode: Mode::Server,
        }
    }

    /// Writes what INFO says.
    pub(super) fn write(&mut self, text: &str, report: &mut Report) {
        let mut instance = [""; INSTANCE.len()];
        let mut left_out_databases = 0;
        self.errors.start();
        self.replication.start();
        self.primaries.start();
        self.databases.iter_mut().for_each(|database| database.seen = false);
        self.mode = Mode::Server;
        parse(text, |section, key, value| {
            match section {
                "Commandstats" => return self.commands.stat(key, value),
                "Latencystats" => return self.commands.percentiles(key, value),
                "Errorstats" => return self.error(key, value, report),
                "Keyspace" => {
                    left_out_databases += u64::from(!self.database(key, value, report));
                    return;
                }
                "Replication" if self.replication.line(key, value, report) => return,
                "Sentinel" if self.primaries.line(key, value, report) => return,
                // Asked for by CLUSTER INFO, which every version has.
                "Cluster Info" => return,
                _ => {}
            }
            // Valkey's word for it.
            let key_there = if key == "server_mode" { "redis_mode" } else { key };
            if let Some(index) = INSTANCE.iter().position(|name| *name == key_there)
                && let Some(known) = instance.get_mut(index)
            {
                *known = value;
            }
            match (key, value) {
                ("cluster_enabled", "1") => self.mode = Mode::Node,
                ("redis_mode" | "server_mode", "sentinel") => self.mode = Mode::Sentinel,
                ("uptime_in_seconds", seconds) => self.started(seconds, report),
                _ => {}
            }
            self.field(key, value, report);
        });
        self.told(&instance, report);
        self.replication.end(report);
        let left_out = [
            self.commands.left_out(),
            left_out_databases,
            self.errors.left_out,
            self.replication.left_out(),
            self.primaries.left_out(),
        ];
        for ((_, labels), count) in self.left_out.iter().zip(left_out) {
            if count > 0 {
                report.put_with(&LEFT_OUT, labels, count);
            }
        }
    }

    /// Writes a number.
    fn field(&self, key: &str, value: &str, report: &mut Report) {
        let Some(field) = fields::find(key) else { return };
        let Some(value) = field.value(value) else { return };
        report.put_with(&field.metric, &self.series.own, value);
        if key == "mem_fragmentation_ratio" {
            report.put_with(&FRAGMENTATION, &self.series.own, value);
        }
    }

    /// Writes what CLUSTER INFO says.
    pub(super) fn cluster(&self, text: &str, report: &mut Report) {
        parse(text, |_, key, value| self.field(key, value, report));
    }

    fn started(&self, uptime: &str, report: &mut Report) {
        let taken = report.reading().and_then(|reading| reading.taken.duration_since(UNIX_EPOCH).ok());
        if let (Some(taken), Ok(uptime)) = (taken, uptime.parse::<i64>()) {
            let started = i64::try_from(taken.as_secs()).unwrap_or(i64::MAX).saturating_sub(uptime);
            report.put_with(&START_TIME, &self.series.own, started);
        }
    }

    fn told(&mut self, instance: &[&str; INSTANCE.len()], report: &mut Report) {
        let shown = INSTANCE
            .iter()
            .zip(instance)
            .enumerate()
            .filter(|(index, (_, value))| *index < ALWAYS || !value.is_empty());
        let (mut names, mut values) = ([""; INSTANCE.len()], [""; INSTANCE.len()]);
        let mut count = 0;
        for ((_, (name, value)), (name_to, value_to)) in shown.zip(names.iter_mut().zip(&mut values)) {
            (*name_to, *value_to) = (*name, *value);
            count += 1;
        }
        let (names, values) = (names.get(..count).unwrap_or_default(), values.get(..count).unwrap_or_default());
        report.put_with(&INSTANCE_INFO, self.instance.of(&self.series, names, values), 1_i64);
        let [role, version, ..] = instance;
        if !role.is_empty() {
            report.put_with(&ROLE, self.role.of(&self.series, &["role"], &[*role]), 1_i64);
        }
        self.version = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    }

    fn error(&mut self, key: &str, value: &str, report: &mut Report) {
        let Some(kind) = key.strip_prefix("errorstat_") else { return };
        let Some(count) = part_number(value, "count") else { return };
        if let Some(kept) = self.errors.next() {
            report.put_with(&ERRORS, kept.of(&self.series, &["err"], &[kind]), count);
        }
    }

    /// Writes a database; says whether it is one of those that are shown.
    fn database(&mut self, key: &str, value: &str, report: &mut Report) -> bool {
        let Some(index) = key.strip_prefix("db").and_then(|number| number.parse::<usize>().ok()) else { return true };
        let (Some(keys), Some(expiring)) = (part_number(value, "keys"), part_number(value, "expires")) else {
            return true;
        };
        if index >= DATABASES {
            return false;
        }
        self.bear(index + 1);
        let Some(database) = self.databases.get_mut(index) else { return true };
        database.seen = true;
        let labels = &database.labels;
        report.put_with(&DB_KEYS, labels, keys);
        report.put_with(&DB_EXPIRING, labels, expiring);
        if let Some(milliseconds) = part(value, "avg_ttl").and_then(|ttl| ttl.parse::<f64>().ok()) {
            report.put_with(&DB_TTL, labels, milliseconds / 1e3);
        }
        if let Some(cached) = part_number(value, "cached_keys") {
            report.put_with(&DB_CACHED, labels, cached);
        }
        if let Some(items) = part_number(value, "subexpiry").or_else(|| part_number(value, "keys_with_volatile_items"))
        {
            report.put_with(&DB_SUBEXPIRY, labels, items);
        }
        true
    }

    fn bear(&mut self, count: usize) {
        for index in self.databases.len()..count {
            let labels = self.series.labels(&[("db", &format!("db{index}"))]);
            self.databases.push(Database { labels, seen: false });
        }
    }

    /// Writes the databases that hold nothing, of which INFO says nothing.
    pub(super) fn empty_databases(&mut self, report: &mut Report) {
        let count = match self.mode {
            Mode::Server => self.database_count.min(DATABASES),
            Mode::Node => 1,
            Mode::Sentinel => 0,
        };
        self.bear(count);
        for database in self.databases.iter().take(count).filter(|database| !database.seen) {
            report.put_with(&DB_KEYS, &database.labels, 0_i64);
            report.put_with(&DB_EXPIRING, &database.labels, 0_i64);
        }
    }
}

#[cfg(test)]
mod tests;
