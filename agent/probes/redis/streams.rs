//! Streams that the configuration names, and the groups that read them (XINFO).

use super::kept::List;
use super::keys::{DB, Key, Trouble, answers, select};
use super::link::Link;
use super::resp::{Items, Reply, command};
use super::series::Series;
use crate::metric::{Label, Metric, Unit};
use crate::probes::{PROBE, Report, SERVER};
use crate::snapshot::Labels;

/// The most groups of a stream that are shown.
const GROUPS: usize = 64;

const OF_STREAM: &[Label] = &[PROBE, SERVER, DB, Label::new("stream")];
const OF_GROUP: &[Label] = &[PROBE, SERVER, DB, Label::new("stream"), Label::new("group")];

const fn of_stream(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::One, help).labels(OF_STREAM)
}

const fn of_group(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::One, help).labels(OF_GROUP)
}

static LENGTH: Metric = of_stream("redis_stream_length", "Entries of a stream.");
static TREE_KEYS: Metric = of_stream("redis_stream_radix_tree_keys", "Keys of the tree that holds a stream.");
static TREE_NODES: Metric = of_stream("redis_stream_radix_tree_nodes", "Nodes of the tree that holds a stream.");
static GROUP_COUNT: Metric = of_stream("redis_stream_groups", "Groups that read a stream.");
static LAST_GENERATED: Metric =
    of_stream("redis_stream_last_generated_id", "When the newest entry was made, in milliseconds since 1970.");
static MAX_DELETED: Metric =
    of_stream("redis_stream_max_deleted_entry_id", "When the newest that was deleted was made, likewise.");
static FIRST: Metric = of_stream("redis_stream_first_entry_id", "When the oldest entry was made, likewise.");
static LAST: Metric = of_stream("redis_stream_last_entry_id", "When the newest that is there was made, likewise.");
static CONSUMERS: Metric = of_group("redis_stream_group_consumers", "Consumers of a group.");
static PENDING: Metric =
    of_group("redis_stream_group_messages_pending", "Entries that a group was given and has not acknowledged.");
static DELIVERED: Metric = of_group(
    "redis_stream_group_last_delivered_id",
    "When the newest entry that a group was given was made, in milliseconds since 1970.",
);
static READ: Metric = of_group("redis_stream_group_entries_read", "Entries that a group was given in all.");
static LAG: Metric = of_group("redis_stream_group_lag", "Entries that a group is yet to be given.");

/// Every metric of streams.
pub(super) static METRICS: &[&Metric] = &[
    &LENGTH,
    &TREE_KEYS,
    &TREE_NODES,
    &GROUP_COUNT,
    &LAST_GENERATED,
    &MAX_DELETED,
    &FIRST,
    &LAST,
    &CONSUMERS,
    &PENDING,
    &DELIVERED,
    &READ,
    &LAG,
];

/// A stream.
pub(super) struct Stream {
    series: Series,
    key: Key,
    db: String,
    labels: Labels,
    groups: List,
    /// Whether it answers with entries that are too large to be read: then only its length is asked for.
    heavy: bool,
}

impl Stream {
    pub(super) fn new(series: &Series, key: &Key) -> Stream {
        let db = format!("db{}", key.db);
        let labels = series.labels(&[("db", &db), ("stream", &key.key)]);
        Stream { series: series.clone(), key: key.clone(), db, labels, groups: List::of(GROUPS), heavy: false }
    }

    /// Asks, and writes what is said. Of a stream that is not there nothing is written.
    pub(super) async fn ask(&mut self, link: &mut Link, out: &mut Vec<u8>, report: &mut Report) -> Result<(), Trouble> {
        out.clear();
        let key = self.key.key.as_bytes();
        select(self.key.db, out);
        command(&[b"EXISTS", key], out);
        let there = answers(link, out, 2).await?;
        if there.iter().nth(1).and_then(Reply::number) != Some(1) {
            return Ok(());
        }
        out.clear();
        command(&[b"XLEN", key], out);
        command(&[b"XINFO", b"GROUPS", key], out);
        if !self.heavy {
            command(&[b"XINFO", b"STREAM", key], out);
        }
        // The answer holds the first and the last entry, which may be as large as they like.
        let told = match answers(link, out, if self.heavy { 2 } else { 3 }).await {
            Err(Trouble::Broken) => {
                self.heavy = true;
                return Err(Trouble::Broken);
            }
            told => told?,
        };
        let [length, groups, stream] = {
            let mut replies = told.iter();
            std::array::from_fn(|_| replies.next().unwrap_or(Reply::Null))
        };
        if let Reply::Number(length) = length {
            report.put_with(&LENGTH, &self.labels, length);
        }
        for (metric, name) in [
            (&TREE_KEYS, "radix-tree-keys"),
            (&TREE_NODES, "radix-tree-nodes"),
            (&GROUP_COUNT, "groups"),
            (&LAST_GENERATED, "last-generated-id"),
            (&MAX_DELETED, "max-deleted-entry-id"),
            (&FIRST, "first-entry"),
            (&LAST, "last-entry"),
        ] {
            if let Some(number) = whole(stream.items(), name) {
                report.put_with(metric, &self.labels, number);
            }
        }
        self.groups.start();
        for group in groups.items() {
            self.group(group.items(), report);
        }
        Ok(())
    }

    fn group(&mut self, group: Items, report: &mut Report) {
        let Some(name) = field(group, "name").and_then(Reply::text) else { return };
        let Some(kept) = self.groups.next() else { return };
        let labels = kept.of(&self.series, &["db", "stream", "group"], &[&self.db, &self.key.key, name]);
        for (metric, name) in [
            (&CONSUMERS, "consumers"),
            (&PENDING, "pending"),
            (&DELIVERED, "last-delivered-id"),
            (&READ, "entries-read"),
            (&LAG, "lag"),
        ] {
            if let Some(number) = whole(group, name) {
                report.put_with(metric, labels, number);
            }
        }
    }
}

/// The value of `key` in a list of names and values.
fn field<'a>(mut list: Items<'a>, key: &str) -> Option<Reply<'a>> {
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        if name.text() == Some(key) {
            return Some(value);
        }
    }
    None
}

/// The same as a number: of an id, `1526919030474-55`, or of an entry, which begins with one, the milliseconds.
fn whole(list: Items, key: &str) -> Option<i64> {
    let value = match field(list, key)? {
        Reply::Array(mut entry) => entry.next()?,
        value => value,
    };
    match value {
        Reply::Number(number) => Some(number),
        value => value.text()?.split('-').next()?.parse().ok(),
    }
}
