//! PostgreSQL 12 to 18: what the server tells of itself, by postgres_exporter's names, from one connection that can hurt
//! nobody.
//!
//! # What keeps the server safe
//!
//! There is one session of ours, and a second for a moment where another database's tables are looked at. Each statement
//! is read only, has a timeout of its own, waits 100 ms at most for a lock, and is a transaction by itself: a statement
//! that this version or this user may not ask loses nothing but its own numbers. What a check leaves behind when it is
//! dropped is cancelled, and nothing else is asked until the server is done with it. Only catalogs and statistics are
//! read; the size of a table that somebody has for itself alone is not asked for.
//!
//! # Names
//!
//! Every series has the labels `probe` and `server` and then those of postgres_exporter; what that has no name for is
//! `vigie_postgres_…`. Over OTLP it is what the Collector's receiver `postgresql` says, with `server.address`,
//! `server.port` and `db.namespace` of the conventions.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::secure::Tls;
use super::{Ask, Checking, Kind, Plan, Probe, ProbeError, Report, Setting};
use crate::config::quantity;
use crate::config::secret::Secret;
use crate::snapshot::Labels;
use asker::{Asker, Names, Room};
use databases::{Databases, Way};
use door::Door;
use line::{Held, Line};
use queries::{Own, Query};
use refusal::Refusal;
use settings::Settings;
use state::State;
use url::{SslMode, Url};

mod activity;
pub mod asker;
mod bgwriter;
mod database;
mod databases;
mod door;
mod families;
mod family;
mod indexes;
mod line;
mod locks;
pub mod passfile;
mod progress;
mod queries;
mod refusal;
mod replication;
mod server;
mod session;
pub mod settings;
mod state;
mod statement;
mod statements;
mod storage;
mod tables;
pub mod url;
mod way;
mod wire;

/// This kind.
pub static KIND: Kind =
    Kind { name: "postgres", metrics: families::METRICS, plans: |options| Plan::each(KIND.name, &options.postgres) };

/// `[[probe.postgres]]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Where the server is, who asks, and of which database: without a password.
    pub url: Url,
    /// The password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file of passwords as libpq has them, `.pgpass`.
    #[serde(default)]
    pub passfile: Option<PathBuf>,
    /// How TLS is spoken, where it is.
    #[serde(default)]
    pub tls: Tls,
    /// The longest that one statement may take.
    #[serde(default = "statement_timeout", deserialize_with = "quantity::duration::<_, 10, 60_000>")]
    pub statement_timeout: Duration,
    /// How often is asked what costs the server more or changes less: sizes, tables, statements.
    #[serde(default = "slow_interval", deserialize_with = "quantity::duration::<_, 1_000, 86_400_000>")]
    pub slow_interval: Duration,
    /// The most tables, indexes, statements and the like that are shown of one database.
    #[serde(default = "top", deserialize_with = "quantity::count::<_, 0, 1_000>")]
    pub top: usize,
    /// Of which databases the tables and indexes are shown.
    #[serde(default)]
    pub databases: databases::Options,
    /// What else is asked, of the database that is connected to.
    #[serde(default)]
    pub query: Vec<Query>,
}

fn statement_timeout() -> Duration {
    Duration::from_secs(1)
}

fn slow_interval() -> Duration {
    Duration::from_secs(60)
}

fn top() -> usize {
    50
}

impl Postgres {
    fn door(&self) -> Door {
        let (url, tls) = (self.url.clone(), self.tls.clone());
        Door { url, tls, password: self.password.clone(), passfile: self.passfile.clone() }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("door", &self.door())
            .field("statement_timeout", &self.statement_timeout)
            .field("slow_interval", &self.slow_interval)
            .field("top", &self.top)
            .field("databases", &self.databases)
            .field("query", &self.query)
            .finish()
    }
}

impl Ask for Postgres {
    fn target(&self) -> String {
        self.url.server.clone()
    }

    fn warning(&self) -> Option<&'static str> {
        let anybody = self.url.ssl_mode == SslMode::Require && self.tls.ca.is_none();
        self.tls.warning().or(anybody.then_some(
            "sslmode=require encrypts, and does not look who is at the other end; write sslmode=verify-full, and tls.ca \
             for an authority of your own",
        ))
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        let names = Names::new(&setting.probe, &self.url.server);
        let door = self.door();
        Box::new(Asking {
            line: Line::new(&door),
            statement_timeout: self.statement_timeout,
            slow: self.slow_interval,
            top: self.top,
            askers: families::SERVER_FAMILIES.iter().map(|family| Asker::new(family)).collect(),
            settings: Settings::default(),
            own: self.query.iter().map(Own::new).collect(),
            databases: Databases::new(&self.databases, &door),
            state: State::new(&names),
            met: None,
            labels: setting.labels(&[]),
            door,
            names,
        })
    }
}

struct Asking {
    line: Line,
    door: Door,
    statement_timeout: Duration,
    slow: Duration,
    top: usize,
    askers: Vec<Asker>,
    settings: Settings,
    own: Vec<Own>,
    databases: Databases,
    state: State,
    names: Names,
    /// Of what every probe has.
    labels: Labels,
    /// The session that the statements were put together for, by when it began.
    met: Option<Instant>,
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            let begun = Instant::now();
            self.state.begin(report);
            let answer = self.ask(report).await;
            self.state.end(answer.is_ok(), begun.elapsed(), report);
            answer
        })
    }
}

impl Asking {
    async fn ask(&mut self, report: &mut Report) -> Result<(), ProbeError> {
        report.doing("connecting and logging in");
        let held = self.line.hold(&self.door, &self.door.url.database, self.statement_timeout, &self.labels).await?;
        let Some(session) = held.session() else { return Ok(()) };
        if self.met != Some(session.born) {
            self.met = Some(session.born);
            self.askers.iter_mut().for_each(|asker| asker.meet(session, self.top));
            self.settings.meet();
            self.own.iter_mut().for_each(|own| own.meet());
            self.databases.meet();
            self.state.meet(session, &self.names);
        }
        let mut room = Room::default();
        for asker in &mut self.askers {
            report.doing("asking for its statistics");
            if let Err(lost) = asker.ask(session, &self.names, self.slow, &mut room).await {
                return Err(gone(held, lost));
            }
            if let Some(reading) = report.reading() {
                asker.write(reading);
            }
            asker.leave(&mut room);
        }
        report.doing("asking for its settings");
        if let Err(lost) = self.settings.ask(session, &self.names, self.slow, report).await {
            return Err(gone(held, lost));
        }
        report.doing("asking its own queries");
        for own in &mut self.own {
            if let Err(lost) = own.ask(session, &self.names, self.slow).await {
                return Err(gone(held, lost));
            }
        }
        report.doing("asking for the tables of one of its databases");
        let way = Way {
            door: &self.door,
            names: &self.names,
            statement_timeout: self.statement_timeout,
            slow: self.slow,
            top: self.top,
            labels: &self.labels,
        };
        if let Err(lost) = self.databases.visit(session, &way, &mut room).await {
            return Err(gone(held, lost));
        }
        if let Some(reading) = report.reading() {
            session.write(reading);
            self.databases.write(reading);
            self.own.iter().for_each(|own| own.write(reading));
        }
        let refused = self.askers.iter().map(|asker| (asker.family.name, asker.family.grant, &asker.refused));
        let refused =
            refused.chain([("settings", "pg_monitor", &self.settings.refused)]).chain(self.databases.refused());
        let refused = refused.chain(self.own.iter().map(|own| ("query", "pg_read_all_data", &own.refused)));
        self.state.judge(refused, &session.facts.user, &self.names, report);
        let cut = self.askers.iter().filter(|asker| asker.family.is_cut());
        let cut = cut.map(|asker| (asker.family.name, asker.left_out)).chain(self.databases.left_out());
        self.state.left_out(cut, &self.names, report);
        held.keep();
        Ok(())
    }
}

/// Drops a session that is gone, and says why it is.
fn gone(held: Held<'_>, refusal: Refusal) -> ProbeError {
    held.lose();
    match refusal {
        Refusal::Lost(error) => error,
        Refusal::Statement { message, .. } => ProbeError::new(super::Reason::Status, message),
    }
}
