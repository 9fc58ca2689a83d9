//! The tables and indexes of every database of a server: one database a check, over one session more than the own.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::asker::{Asker, Names, Room};
use super::door::Door;
use super::families::DATABASE_FAMILIES;
use super::line::Line;
use super::refusal::Refusal;
use super::session::{Session, text};
use super::state::{DATABASE_AGE, Refused};
use crate::config::quantity;
use crate::samplers::pattern::Pattern;
use crate::snapshot::{Labels, Reading};

/// Databases that let somebody in; not the templates.
const LIST: &str = "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate \
    AND pg_catalog.has_database_privilege(oid, 'CONNECT') ORDER BY oid";

/// `databases` of a `[[probe.postgres]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The only ones that are looked into, less those that `exclude` takes away.
    pub include: Option<Pattern>,
    /// Those that are not looked into.
    pub exclude: Option<Pattern>,
    /// The most that are looked into.
    #[serde(deserialize_with = "quantity::count::<_, 0, 500>")]
    pub max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { include: None, exclude: None, max: 50 }
    }
}

impl Options {
    fn admit(&self, name: &str) -> bool {
        let matches = |pattern: &Pattern| pattern.is_match(name);
        self.include.as_ref().is_none_or(matches) && !self.exclude.as_ref().is_some_and(matches)
    }
}

/// All that are looked into.
pub(super) struct Databases {
    options: Options,
    /// The one of the own session.
    own: String,
    line: Line,
    list: Vec<Entry>,
    listed: Option<Instant>,
    /// Those over `max`.
    left_out: usize,
    refused: Option<(&'static str, String)>,
}

struct Entry {
    name: String,
    askers: Vec<Asker>,
    visited: Option<Instant>,
    age: Labels,
    refused: Option<(&'static str, String)>,
}

impl Entry {
    fn new(name: String, names: &Names) -> Entry {
        let age = names.labels(&[("datname", &name)]);
        let askers = DATABASE_FAMILIES.iter().map(|family| Asker::new(family)).collect();
        Entry { name, askers, visited: None, age, refused: None }
    }

    /// Asks all of one database, over a session of it.
    async fn ask(&mut self, session: &Session, way: &Way<'_>, room: &mut Room) -> Result<(), Refusal> {
        for asker in &mut self.askers {
            asker.meet(session, way.top);
            asker.ask(session, way.names, way.slow, room).await?;
        }
        Ok(())
    }

    fn refused(&self) -> impl Iterator<Item = Refused<'_>> {
        let askers = self.askers.iter().map(|asker| (asker.family.name, asker.family.grant, &asker.refused));
        askers.chain([("databases", "CONNECT", &self.refused)])
    }

    fn refuse(&mut self, why: Option<(&'static str, String)>) {
        if why.is_some() {
            self.askers = DATABASE_FAMILIES.iter().map(|family| Asker::new(family)).collect();
        }
        self.refused = why;
    }
}

/// How a visit is made.
pub(super) struct Way<'a> {
    pub(super) door: &'a Door,
    pub(super) names: &'a Names,
    pub(super) statement_timeout: Duration,
    pub(super) slow: Duration,
    pub(super) top: usize,
    pub(super) labels: &'a Labels,
}

impl Databases {
    pub(super) fn new(options: &Options, door: &Door) -> Databases {
        Databases {
            options: options.clone(),
            own: door.url.database.clone(),
            line: Line::new(door),
            list: Vec::new(),
            listed: None,
            left_out: 0,
            refused: None,
        }
    }

    /// Notes a new session of the server.
    pub(super) fn meet(&mut self) {
        self.listed = None;
    }

    /// Looks into the database that waits the longest, where one has waited long enough.
    ///
    /// # Errors
    /// Where the server's own session is gone. What happens to the other one is that database's matter.
    pub(super) async fn visit(&mut self, session: &Session, way: &Way<'_>, room: &mut Room) -> Result<(), Refusal> {
        if self.options.max == 0 {
            return Ok(());
        }
        if self.listed.is_none_or(|listed| listed.elapsed() >= way.slow) {
            self.list(session, way.names).await?;
        }
        let waiting = |entry: &&mut Entry| entry.visited.is_none_or(|visited| visited.elapsed() >= way.slow);
        let Some(entry) = self.list.iter_mut().filter(waiting).min_by_key(|entry| entry.visited) else { return Ok(()) };
        entry.visited = Some(Instant::now());
        if entry.name == self.own {
            return entry.ask(session, way, room).await;
        }
        let held = match self.line.hold(way.door, &entry.name, way.statement_timeout, way.labels).await {
            Ok(held) => held,
            Err(error) => {
                entry.refuse(Some((error.reason.word(), format!("{}: {error}", entry.name))));
                return Ok(());
            }
        };
        let Some(other) = held.session() else { return Ok(()) };
        match entry.ask(other, way, room).await {
            Ok(()) => {
                entry.refuse(None);
                held.end();
            }
            Err(Refusal::Lost(error)) => {
                entry.refuse(Some((error.reason.word(), format!("{}: {error}", entry.name))));
                held.lose();
            }
            Err(Refusal::Statement { word, message }) => {
                entry.refuse(Some((word, message)));
                held.end();
            }
        }
        Ok(())
    }

    async fn list(&mut self, session: &Session, names: &Names) -> Result<(), Refusal> {
        self.listed = Some(Instant::now());
        let mut found = Vec::new();
        let (options, left_out) = (&self.options, &mut self.left_out);
        *left_out = 0;
        let answer = session.ask(LIST, |row| match text(row, 0) {
            Some(name) if !options.admit(name) => {}
            Some(name) if found.len() < options.max => found.push(name.to_owned()),
            _ => *left_out += 1,
        });
        match answer.await {
            Ok(()) => self.refused = None,
            Err(Refusal::Statement { word, message }) => {
                self.refused = Some((word, message));
                found.clear();
            }
            Err(lost) => return Err(lost),
        }
        let mut before = std::mem::take(&mut self.list);
        for name in found {
            let known = before.iter().position(|entry| entry.name == name).map(|known| before.swap_remove(known));
            self.list.push(known.unwrap_or_else(|| Entry::new(name, names)));
        }
        Ok(())
    }

    /// Writes what each said last.
    pub(super) fn write(&self, reading: &mut Reading) {
        for entry in &self.list {
            let Some(visited) = entry.visited else { continue };
            entry.askers.iter().for_each(|asker| asker.write(reading));
            reading.put_with(&DATABASE_AGE, &entry.age, visited.elapsed().as_secs_f64());
        }
    }

    /// What was refused.
    pub(super) fn refused(&self) -> impl Iterator<Item = Refused<'_>> {
        self.list.iter().flat_map(Entry::refused).chain([("databases", "pg_monitor", &self.refused)])
    }

    /// How much is not shown, by family, and how many databases.
    pub(super) fn left_out(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let of = |(index, family): (usize, &&'static super::family::Family)| {
            let askers = self.list.iter().filter_map(move |entry| entry.askers.get(index));
            family.is_cut().then(|| (family.name, askers.map(|asker| asker.left_out).sum()))
        };
        DATABASE_FAMILIES.iter().enumerate().filter_map(of).chain([("databases", self.left_out)])
    }
}
