//! What a Sentinel knows of the primaries that it watches (INFO, section Sentinel; SENTINEL MASTERS and what follows it).

use super::info::{part, part_number};
use super::kept::{Kept, List};
use super::resp::{Items, Reply, command};
use super::series::Series;
use crate::metric::{Label, Metric, Unit};
use crate::probes::{PROBE, Report, SERVER};
use crate::snapshot::{Labels, Value};

/// The most primaries that are shown.
const LIMIT: usize = 64;

/// What is asked of each primary: CKQUORUM, SENTINELS, SLAVES.
pub(super) const ASKED: usize = 3;

const NAME: Label = Label::new("master_name");
const ADDRESS: Label = Label::new("master_address");
const OF_PRIMARY: &[Label] = &[PROBE, SERVER, NAME, ADDRESS];

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::One, help).labels(OF_PRIMARY)
}

static STATUS: Metric = Metric::gauge("redis_sentinel_master_status", Unit::One, "Whether a primary is well.")
    .labels(&[PROBE, SERVER, NAME, ADDRESS, Label::new("master_status")]);
static REPLICAS: Metric = gauge("redis_sentinel_master_slaves", "Replicas of a primary that are known.");
static SENTINELS: Metric = gauge("redis_sentinel_master_sentinels", "Sentinels that watch a primary.");
static OK_REPLICAS: Metric = gauge("redis_sentinel_master_ok_slaves", "Replicas of a primary that are well.");
static OK_SENTINELS: Metric =
    gauge("redis_sentinel_master_ok_sentinels", "Sentinels that watch a primary and are well, this one too.");
static QUORUM_STATUS: Metric = Metric::gauge(
    "redis_sentinel_master_ckquorum_status",
    Unit::One,
    "Whether enough Sentinels are there to make a replica the primary.",
)
.labels(&[PROBE, SERVER, NAME, Label::new("message")]);
static QUORUM: Metric =
    gauge("redis_sentinel_master_setting_ckquorum", "How many Sentinels must agree that a primary is down.");
static FAILOVER_TIMEOUT: Metric =
    gauge("redis_sentinel_master_setting_failover_timeout", "How many milliseconds a failover may take.");
static PARALLEL_SYNCS: Metric =
    gauge("redis_sentinel_master_setting_parallel_syncs", "How many replicas copy the new primary at a time.");
static DOWN_AFTER: Metric = gauge(
    "redis_sentinel_master_setting_down_after_milliseconds",
    "After how many milliseconds without an answer a primary is held to be down.",
);
static EPOCH: Metric = gauge("redis_sentinel_master_config_epoch", "The epoch of a primary's configuration.");
static LAST_REPLY: Metric = Metric::gauge(
    "redis_sentinel_master_last_ok_ping_reply_seconds",
    Unit::Seconds,
    "How long ago a primary last answered well.",
)
.labels(OF_PRIMARY);

/// Every metric of a Sentinel.
pub(super) static METRICS: &[&Metric] = &[
    &STATUS,
    &REPLICAS,
    &SENTINELS,
    &OK_REPLICAS,
    &OK_SENTINELS,
    &QUORUM_STATUS,
    &QUORUM,
    &FAILOVER_TIMEOUT,
    &PARALLEL_SYNCS,
    &DOWN_AFTER,
    &EPOCH,
    &LAST_REPLY,
];

/// What is kept of them from check to check.
pub(super) struct Primaries {
    series: Series,
    statuses: List,
    primaries: List,
    quorums: List,
    /// Name and labels of those that were met in this check.
    met: Vec<(String, Labels)>,
}

impl Primaries {
    pub(super) fn new(series: &Series) -> Primaries {
        Primaries {
            series: series.clone(),
            statuses: List::of(LIMIT),
            primaries: List::of(LIMIT),
            quorums: List::of(LIMIT),
            met: Vec::new(),
        }
    }

    pub(super) fn start(&mut self) {
        self.statuses.start();
        self.primaries.start();
        self.quorums.start();
        self.met.clear();
    }

    pub(super) fn left_out(&self) -> u64 {
        self.statuses.left_out
    }

    /// Takes a line of INFO: `master0:name=a,status=ok,address=10.0.0.1:6379,slaves=1,sentinels=3`; says whether that was
    /// all to be done with it.
    pub(super) fn line(&mut self, key: &str, value: &str, report: &mut Report) -> bool {
        let Some(number) = key.strip_prefix("master") else { return false };
        let (Some(name), Some(status), Some(address)) =
            (part(value, "name"), part(value, "status"), part(value, "address"))
        else {
            return false;
        };
        if number.bytes().any(|byte| !byte.is_ascii_digit()) {
            return false;
        }
        let (Some(of_status), Some(of_primary)) = (self.statuses.next(), self.primaries.next()) else { return true };
        let names = ["master_name", "master_address", "master_status"];
        let labels = of_status.of(&self.series, &names, &[name, address, status]);
        report.put_with(&STATUS, labels, Value::from(status == "ok"));
        let labels = of_primary.of(&self.series, &["master_name", "master_address"], &[name, address]);
        for (metric, key) in [(&REPLICAS, "slaves"), (&SENTINELS, "sentinels")] {
            if let Some(count) = part_number(value, key) {
                report.put_with(metric, labels, count);
            }
        }
        self.met.push((name.to_owned(), labels.clone()));
        true
    }

    /// Takes the answer of SENTINEL MASTERS: of each primary a list of names and values.
    pub(super) fn settings(&self, reply: Reply, report: &mut Report) {
        for primary in reply.items() {
            let Some((_, labels)) =
                self.met.iter().find(|(name, _)| value(primary.items(), "name") == Some(name.as_str()))
            else {
                continue;
            };
            for (metric, key) in [
                (&QUORUM, "quorum"),
                (&FAILOVER_TIMEOUT, "failover-timeout"),
                (&PARALLEL_SYNCS, "parallel-syncs"),
                (&DOWN_AFTER, "down-after-milliseconds"),
                (&EPOCH, "config-epoch"),
            ] {
                if let Some(number) = value(primary.items(), key).and_then(|text| text.parse::<i64>().ok()) {
                    report.put_with(metric, labels, number);
                }
            }
            if let Some(last) = value(primary.items(), "last-ok-ping-reply").and_then(|text| text.parse::<f64>().ok()) {
                report.put_with(&LAST_REPLY, labels, last / 1e3);
            }
        }
    }

    /// Appends what is asked of each primary, and says of how many.
    pub(super) fn ask(&self, out: &mut Vec<u8>) -> usize {
        for (name, _) in &self.met {
            for what in [&b"CKQUORUM"[..], b"SENTINELS", b"SLAVES"] {
                command(&[b"SENTINEL", what, name.as_bytes()], out);
            }
        }
        self.met.len()
    }

    /// Takes the answers to that.
    pub(super) fn told(&mut self, answers: &[Reply], report: &mut Report) {
        for ((name, labels), answers) in self.met.iter().zip(answers.chunks(ASKED)) {
            let [quorum, sentinels, replicas] = answers else { return };
            let (good, message) = match *quorum {
                Reply::Error(message) => (false, message),
                other => (true, other.text().unwrap_or_default()),
            };
            if let Some(kept) = self.quorums.next() {
                let labels = Kept::of(kept, &self.series, &["master_name", "message"], &[name, message]);
                report.put_with(&QUORUM_STATUS, labels, good);
            }
            // This Sentinel is not among those that it knows.
            report.put_with(&OK_SENTINELS, labels, well(*sentinels) + 1);
            report.put_with(&OK_REPLICAS, labels, well(*replicas));
        }
    }
}

/// How many of those listed nobody holds to be down.
fn well(reply: Reply) -> i64 {
    let flags = reply.items().filter_map(|one| value(one.items(), "flags"));
    i64::try_from(flags.filter(|flags| !flags.contains("o_down") && !flags.contains("s_down")).count()).unwrap_or(0)
}

/// The value of `key` in a list of names and values.
pub(super) fn value<'a>(mut list: Items<'a>, key: &str) -> Option<&'a str> {
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        if name.text() == Some(key) {
            return value.text();
        }
    }
    None
}
