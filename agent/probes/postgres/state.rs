//! What is said of a server beside its own numbers: whether it is up, which one it is, and what it withholds.

use std::collections::BTreeSet;
use std::time::Duration;

use super::asker::Names;
use super::family::{DATNAME, OWN};
use super::session::Session;
use crate::metric::{Label, Metric, Since, Unit};
use crate::probes::Report;
use crate::snapshot::Labels;

static UP: Metric = Metric::gauge("pg_up", Unit::One, "Whether the server answered the last check.").labels(&OWN);
static STATIC: Metric = Metric::gauge("pg_static", Unit::One, "Which PostgreSQL the server is.")
    .labels(&[OWN[0], OWN[1], Label::new("version"), Label::new("short_version")])
    .untyped();
static SCRAPE_DURATION: Metric =
    Metric::gauge("pg_exporter_last_scrape_duration_seconds", Unit::Seconds, "How long the last check took.")
        .labels(&OWN);
static SCRAPE_ERROR: Metric =
    Metric::gauge("pg_exporter_last_scrape_error", Unit::One, "Whether the last check failed.").labels(&OWN);
static SCRAPES: Metric = Metric::counter("pg_exporter_scrapes_total", Unit::Of("{check}"), "Checks that were made.")
    .labels(&OWN)
    .since(Since::Agent);
static SESSIONS: Metric = Metric::counter(
    "vigie_postgres_sessions_total",
    Unit::Of("{session}"),
    "Sessions that the probe began: one an hour, and one whenever the server ended it.",
)
.labels(&OWN)
.since(Since::Agent);
static UNAVAILABLE: Metric = Metric::gauge(
    "vigie_postgres_unavailable",
    Unit::One,
    "What the server does not tell this user, by the reason; `vigie check --connect` says what mends it.",
)
.labels(&[OWN[0], OWN[1], FAMILY, Label::new("reason")]);
static LEFT_OUT: Metric = Metric::gauge(
    "vigie_postgres_left_out",
    Unit::Of("{row}"),
    "Tables, statements and the like that are not shown because there are more than `top`.",
)
.labels(&[OWN[0], OWN[1], FAMILY]);
pub(super) static DATABASE_AGE: Metric = Metric::gauge(
    "vigie_postgres_database_age_seconds",
    Unit::Seconds,
    "How long ago the tables and indexes of the database were looked at.",
)
.labels(&[OWN[0], OWN[1], DATNAME]);

const FAMILY: Label = Label::new("family");

/// Every metric of these.
pub(super) static METRICS: &[&Metric] =
    &[&UP, &STATIC, &SCRAPE_DURATION, &SCRAPE_ERROR, &SCRAPES, &SESSIONS, &UNAVAILABLE, &LEFT_OUT, &DATABASE_AGE];

/// The word for what this user may not read at all.
const STATISTICS: &str = "statistics";
const UNSEEN: &str = "this user does not see what the others do";

/// What is known of the server between checks.
pub(super) struct State {
    own: Labels,
    about: Option<Labels>,
    monitor: bool,
    checks: u64,
    sessions: u64,
    /// What was withheld at the last check, and is told.
    withheld: BTreeSet<(&'static str, &'static str)>,
    unavailable: Vec<Labels>,
    cut: Vec<(&'static str, Labels)>,
}

/// What a family is called, what it takes, and why it was refused.
pub(super) type Refused<'a> = (&'static str, &'static str, &'a Option<(&'static str, String)>);

impl State {
    pub(super) fn new(names: &Names) -> State {
        State {
            own: names.labels(&[]),
            about: None,
            monitor: true,
            checks: 0,
            sessions: 0,
            withheld: BTreeSet::new(),
            unavailable: Vec::new(),
            cut: Vec::new(),
        }
    }

    /// Notes a new session.
    pub(super) fn meet(&mut self, session: &Session, names: &Names) {
        let facts = &session.facts;
        let short = format!("{}.{}.0", facts.version / 10_000, facts.version % 10_000);
        self.about = Some(names.labels(&[("version", &facts.about), ("short_version", &short)]));
        self.monitor = facts.monitor;
        self.sessions += 1;
    }

    /// Counts a check, and says what holds unless it comes to its end.
    pub(super) fn begin(&mut self, report: &mut Report) {
        self.checks += 1;
        report.zero_unless_put(&UP, &self.own);
        report.put_with(&SCRAPES, &self.own, self.checks);
    }

    /// Says how the check went.
    pub(super) fn end(&mut self, good: bool, took: Duration, report: &mut Report) {
        report.put_with(&UP, &self.own, good);
        report.put_with(&SCRAPE_ERROR, &self.own, !good);
        report.put_with(&SCRAPE_DURATION, &self.own, took.as_secs_f64());
        report.put_with(&SESSIONS, &self.own, self.sessions);
        if let Some(about) = self.about.as_ref().filter(|_| good) {
            report.put_with(&STATIC, about, 1_i64);
        }
    }

    /// Writes what was refused; advises, when there is more of it, what mends it.
    pub(super) fn judge<'a>(
        &mut self,
        refused: impl Iterator<Item = Refused<'a>>,
        user: &str,
        names: &Names,
        report: &mut Report,
    ) {
        let unseen = (!self.monitor).then_some((STATISTICS, "pg_monitor", "permission", UNSEEN));
        let refused = refused.filter_map(|(family, grant, refusal)| {
            refusal.as_ref().map(|(word, message)| (family, grant, *word, message.as_str()))
        });
        let mut withheld = BTreeSet::new();
        for (family, grant, word, message) in unseen.into_iter().chain(refused) {
            if withheld.insert((family, word)) && !self.withheld.contains(&(family, word)) {
                let remedy = remedy(word, grant, user);
                report.advise(format!("{family}: {message}: {remedy}"));
            }
        }
        if withheld != self.withheld {
            let labels = |(family, word): &(&str, &str)| names.labels(&[("family", family), ("reason", word)]);
            self.unavailable = withheld.iter().map(labels).collect();
            self.withheld = withheld;
        }
        if let Some(reading) = report.reading() {
            self.unavailable.iter().for_each(|labels| reading.put_with(&UNAVAILABLE, labels, 1_i64));
        }
    }

    /// Writes how much is not shown.
    pub(super) fn left_out(
        &mut self,
        all: impl Iterator<Item = (&'static str, usize)>,
        names: &Names,
        report: &mut Report,
    ) {
        let Some(reading) = report.reading() else { return };
        for (family, count) in all {
            if !self.cut.iter().any(|(known, _)| *known == family) {
                self.cut.push((family, names.labels(&[("family", family)])));
            }
            if let Some((_, labels)) = self.cut.iter().find(|(known, _)| *known == family) {
                reading.put_with(&LEFT_OUT, labels, count as u64);
            }
        }
    }
}

fn remedy(word: &str, grant: &str, user: &str) -> String {
    match word {
        "permission" => format!("GRANT {grant} TO {user};"),
        "timeout" => "raise `statement_timeout`, or show less: `top`, `databases`".to_owned(),
        "lock" => "somebody holds a lock on the catalog: look at pg_locks".to_owned(),
        "state" => "add it to shared_preload_libraries and start the server again".to_owned(),
        "absent" => "this version does not have it: tell vigie's authors which".to_owned(),
        "read_only" => "only what reads is asked".to_owned(),
        _ => "look at the server's log".to_owned(),
    }
}
