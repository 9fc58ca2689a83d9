//! Keys that the configuration names: their sizes, streams, and how many keys there are of a pattern.
//!
//! Nothing here is asked before the rest is answered. A pattern is counted by SCAN, a piece at a time: a check goes on
//! where the one before it stopped, and stops when its time is over, however many keys there are. Counts are those of the
//! last time that all keys were gone through.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use super::link::{Answers, Failure, Link};
use super::resp::{Reply, command};
use super::series::{LABELS, Series};
use super::streams::Stream;
use crate::metric::{Label, Metric, Unit};
use crate::probes::{PROBE, Report, SERVER};
use crate::snapshot::Labels;

/// How long patterns are counted in one check.
const BUDGET: Duration = Duration::from_millis(10);

/// How many keys the server looks at for one SCAN: about a tenth of a millisecond.
const PIECE: &[u8] = b"500";

/// The longest value that is read, to see whether it is a number, in bytes.
const NUMBER: i64 = 32;

pub(super) const DB: Label = Label::new("db");

static SIZE: Metric = Metric::gauge("redis_key_size", Unit::One, "The length of a key's value; 0 where there is none.")
    .labels(&[PROBE, SERVER, DB, Label::new("key")]);
static VALUE: Metric = Metric::gauge("redis_key_value", Unit::One, "The value of a key, where it is a number.")
    .labels(&[PROBE, SERVER, DB, Label::new("key")]);
static COUNT: Metric = Metric::gauge("redis_key_group_count", Unit::One, "Keys of a pattern.").labels(&[
    PROBE,
    SERVER,
    DB,
    Label::new("key_group"),
]);
static MEMORY: Metric = Metric::gauge(
    "redis_key_group_memory_usage_bytes",
    Unit::Bytes,
    "Memory that the keys of a pattern take with their values.",
)
.labels(&[PROBE, SERVER, DB, Label::new("key_group")]);
static DURATION: Metric = Metric::gauge(
    "redis_last_key_groups_scrape_duration_milliseconds",
    Unit::One,
    "How many milliseconds the last count of all patterns took; 0 without patterns.",
)
.labels(LABELS);

/// Every metric of keys.
pub(super) static METRICS: &[&Metric] = &[&SIZE, &VALUE, &COUNT, &MEMORY, &DURATION];

/// A key or a pattern of keys, and the database that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The number of the database.
    pub db: u16,
    /// The key or the pattern.
    pub key: String,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Key, D::Error> {
        d.deserialize_any(KeyVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    db: u16,
    key: String,
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a key such as "queue:mail", or { db = 1, key = "queue:mail" }"#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
        Ok(Key { db: 0, key: text.to_owned() })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Key, M::Error> {
        let Written { db, key } = Written::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Key { db, key })
    }
}

/// All that are named.
pub(super) struct Keys {
    series: Series,
    sizes: Vec<(Key, Labels)>,
    streams: Vec<Stream>,
    groups: Vec<Group>,
    /// The group that is being counted.
    turn: usize,
    /// How long the groups before it took, and all of them took the last time.
    spent: Duration,
    last: Duration,
    out: Vec<u8>,
}

/// A pattern that is counted.
struct Group {
    pattern: Key,
    labels: Labels,
    cursor: String,
    /// Keys and bytes so far.
    so_far: [i64; 2],
    /// Those of the last time.
    whole: Option<[i64; 2]>,
}

/// Why keys are not told.
pub(super) enum Trouble {
    /// The server refuses: its words.
    Refused(String),
    /// The connection is of no use any more.
    Broken,
}

impl From<Failure> for Trouble {
    fn from(_: Failure) -> Trouble {
        Trouble::Broken
    }
}

impl Keys {
    pub(super) fn new(series: &Series, keys: &[Key], streams: &[Key], groups: &[Key]) -> Keys {
        let labels = |key: &Key, name| series.labels(&[("db", &format!("db{}", key.db)), (name, &key.key)]);
        let group = |pattern: &Key| Group {
            pattern: pattern.clone(),
            labels: labels(pattern, "key_group"),
            cursor: "0".to_owned(),
            so_far: [0; 2],
            whole: None,
        };
        Keys {
            series: series.clone(),
            sizes: keys.iter().map(|key| (key.clone(), labels(key, "key"))).collect(),
            streams: streams.iter().map(|key| Stream::new(series, key)).collect(),
            groups: groups.iter().map(group).collect(),
            turn: 0,
            spent: Duration::ZERO,
            last: Duration::ZERO,
            out: Vec::new(),
        }
    }

    /// Whether there is anything to ask.
    pub(super) fn any(&self) -> bool {
        !(self.sizes.is_empty() && self.streams.is_empty() && self.groups.is_empty())
    }

    /// Asks, and writes what is said.
    pub(super) async fn ask(&mut self, link: &mut Link, report: &mut Report) -> Result<(), Trouble> {
        self.sizes(link, report).await?;
        for stream in &mut self.streams {
            stream.ask(link, &mut self.out, report).await?;
        }
        self.count(link).await
    }

    /// Writes the counts as they are known.
    pub(super) fn write(&self, report: &mut Report) {
        for (group, [keys, _]) in self.groups.iter().filter_map(|group| Some((group, group.whole?))) {
            report.put_with(&COUNT, &group.labels, keys);
        }
        for (group, [_, bytes]) in self.groups.iter().filter_map(|group| Some((group, group.whole?))) {
            report.put_with(&MEMORY, &group.labels, bytes);
        }
        report.put_with(&DURATION, &self.series.own, self.last.as_secs_f64() * 1e3);
    }

    /// Types first, as the length of each is asked for in another way.
    async fn sizes(&mut self, link: &mut Link, report: &mut Report) -> Result<(), Trouble> {
        if self.sizes.is_empty() {
            return Ok(());
        }
        self.out.clear();
        for (Key { db, key }, _) in &self.sizes {
            select(*db, &mut self.out);
            command(&[b"TYPE", key.as_bytes()], &mut self.out);
        }
        let types = answers(link, &self.out, 2 * self.sizes.len()).await?;
        self.out.clear();
        for ((Key { db, key }, _), kind) in self.sizes.iter().zip(types.iter().skip(1).step_by(2)) {
            select(*db, &mut self.out);
            command(&[length_of(kind.text().unwrap_or_default()), key.as_bytes()], &mut self.out);
            // A number or nothing, whatever the type.
            match kind.text() {
                Some("string") => {
                    let last = (NUMBER - 1).to_string();
                    command(&[b"GETRANGE", key.as_bytes(), b"0", last.as_bytes()], &mut self.out);
                }
                _ => command(&[b"EXISTS", key.as_bytes()], &mut self.out),
            }
        }
        let told = answers(link, &self.out, 3 * self.sizes.len()).await?;
        let mut replies = told.iter();
        for ((_, labels), kind) in self.sizes.iter().zip(types.iter().skip(1).step_by(2)) {
            let [_, size, text] = std::array::from_fn(|_| replies.next().unwrap_or(Reply::Null));
            let Reply::Number(size) = size else { continue };
            // Of no key, EXISTS is asked in place of a length, and says 0.
            report.put_with(&SIZE, labels, size);
            let number = text.text().filter(|_| kind.text() == Some("string") && size <= NUMBER);
            if let Some(number) = number.and_then(|text| text.trim().parse::<f64>().ok()) {
                report.put_with(&VALUE, labels, number);
            }
        }
        Ok(())
    }

    /// Goes on counting until the time is over, or all is counted once.
    async fn count(&mut self, link: &mut Link) -> Result<(), Trouble> {
        let begun = Instant::now();
        while let Some(group) = self.groups.get_mut(self.turn) {
            let piece = Instant::now();
            let whole = group.go_on(link, &mut self.out).await?;
            self.spent += piece.elapsed();
            if whole {
                self.turn += 1;
            }
            if self.turn == self.groups.len() {
                (self.last, self.spent, self.turn) = (self.spent, Duration::ZERO, 0);
                return Ok(());
            }
            if begun.elapsed() >= BUDGET {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Group {
    /// Counts a piece; says whether that was the last.
    async fn go_on(&mut self, link: &mut Link, out: &mut Vec<u8>) -> Result<bool, Trouble> {
        out.clear();
        let Key { db, key } = &self.pattern;
        select(*db, out);
        command(&[b"SCAN", self.cursor.as_bytes(), b"MATCH", key.as_bytes(), b"COUNT", PIECE], out);
        let scanned = answers(link, out, 2).await?;
        let mut parts = scanned.iter().nth(1).unwrap_or(Reply::Null).items();
        let cursor = parts.next().and_then(Reply::text).unwrap_or("0").to_owned();
        out.clear();
        let mut count = 0;
        for found in parts.next().unwrap_or(Reply::Null).items() {
            if let Reply::Bulk(name) = found {
                command(&[b"MEMORY", b"USAGE", name], out);
                count += 1;
            }
        }
        if count > 0 {
            let sizes = answers(link, out, count).await?;
            let [keys, bytes] = &mut self.so_far;
            // One that went meanwhile has none.
            for size in sizes.iter().filter_map(Reply::number) {
                *keys += 1;
                *bytes += size;
            }
        }
        let last = cursor == "0";
        self.cursor = cursor;
        if last {
            self.whole = Some(std::mem::take(&mut self.so_far));
        }
        Ok(last)
    }
}

/// The command that tells the length of such a value.
fn length_of(kind: &str) -> &'static [u8] {
    match kind {
        "string" => b"STRLEN",
        "list" => b"LLEN",
        "set" => b"SCARD",
        "zset" => b"ZCARD",
        "hash" => b"HLEN",
        "stream" => b"XLEN",
        // None, or a module's: whether it is there.
        _ => b"EXISTS",
    }
}

pub(super) fn select(db: u16, out: &mut Vec<u8>) {
    command(&[b"SELECT", itoa::Buffer::new().format(db).as_bytes()], out);
}

/// The answers, unless one says that this user may not ask, or the server will not be asked.
pub(super) async fn answers(link: &mut Link, questions: &[u8], count: usize) -> Result<Answers, Trouble> {
    let answers = link.ask(questions, count).await?;
    let refused = |reply| match reply {
        Reply::Error(error) if error.starts_with("NOPERM") || error.starts_with("ERR ") => Some(error.to_owned()),
        _ => None,
    };
    let refused = answers.iter().find_map(refused);
    refused.map_or(Ok(answers), |error| Err(Trouble::Refused(error)))
}
