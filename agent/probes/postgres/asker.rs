//! Who asks one family: its statement is put together once a session, its labels when a row first appears.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::SimpleQueryRow;

use super::family::{Family, Pace, ROWS, VersionOf};
use super::refusal::Refusal;
use super::session::{Facts, Session, text};
use super::statement::Statement;
use crate::snapshot::{Labels, Reading, Value};

/// The most labels of a row, beside the probe's.
const LABELS: usize = 8;

/// The labels that every series of one server has.
#[derive(Clone, Debug)]
pub(super) struct Names(Labels);

impl Names {
    pub(super) fn new(probe: &str, server: &str) -> Names {
        Names(Labels::new(&[("probe", probe), ("server", server)]))
    }

    /// Interns the labels of a series.
    pub(super) fn labels(&self, more: &[(&str, &str)]) -> Labels {
        self.0.with(more)
    }
}

/// What is known of one family between checks.
pub(super) struct Asker {
    pub(super) family: &'static Family,
    statement: Option<Arc<Statement>>,
    /// The labels of each row.
    rows: Rows,
    /// What it said last, row by row: a value of each metric of the statement, where there is one.
    values: Vec<Option<Value>>,
    asked: Option<Instant>,
    /// Rows that are not shown.
    pub(super) left_out: usize,
    /// Why it has no answer: a word of a closed list, and the server's sentence.
    pub(super) refused: Option<(&'static str, String)>,
}

/// What askers use one after the other.
#[derive(Default)]
pub(super) struct Room {
    values: Vec<Option<Value>>,
}

impl Asker {
    pub(super) fn new(family: &'static Family) -> Asker {
        Asker {
            family,
            statement: None,
            rows: Rows::default(),
            values: Vec::new(),
            asked: None,
            left_out: 0,
            refused: None,
        }
    }

    /// Finds the statement for a new session, where that has what the family is about.
    pub(super) fn meet(&mut self, session: &Session, top: usize) {
        let Facts { version, statements, .. } = &session.facts;
        let (version, schema) = match (self.family.of, statements) {
            (VersionOf::Server, _) => (Some(*version), ""),
            (VersionOf::Statements, Some(((major, minor), schema))) => (Some(major * 100 + minor), schema.as_str()),
            (VersionOf::Statements, None) => (None, ""),
        };
        self.statement = version.and_then(|version| Statement::of(self.family, version, top, schema));
        (self.asked, self.refused) = (None, None);
        self.values.clear();
        self.left_out = 0;
    }

    /// Asks, unless what was said before still holds.
    ///
    /// # Errors
    /// Where the connection is gone. What the server refuses is noted, and loses nobody else anything.
    pub(super) async fn ask(
        &mut self,
        session: &Session,
        names: &Names,
        slow: Duration,
        room: &mut Room,
    ) -> Result<(), Refusal> {
        let Some(statement) = &self.statement else { return Ok(()) };
        // What is refused fills the server's log: that is asked seldom as well.
        let seldom = self.family.pace == Pace::Slow || self.refused.is_some();
        let fresh = seldom && self.asked.is_some_and(|asked| asked.elapsed() < slow);
        if fresh {
            return Ok(());
        }
        self.asked = Some(Instant::now());
        self.left_out = 0;
        self.rows.start();
        let family = self.family;
        let Room { values } = room;
        values.clear();
        let (known, left_out) = (&mut self.rows, &mut self.left_out);
        let mut rows = 0;
        let answer = session.ask(&statement.sql, |row| {
            rows += 1;
            if rows > ROWS {
                *left_out += 1;
                return;
            }
            let first = usize::from(family.is_cut());
            if first == 1 {
                let total: usize = text(row, 0).and_then(|total| total.parse().ok()).unwrap_or(0);
                *left_out = total.saturating_sub(rows);
            }
            known.meet(row, first, family, names);
            let columns = first + family.keys.len()..;
            values.extend(columns.take(statement.metrics.len()).map(|column| text(row, column).and_then(parse)));
        });
        let answer = answer.await;
        // Where it fails, nothing is said: never what was said before.
        if answer.is_err() {
            values.clear();
            self.left_out = 0;
        }
        match family.pace {
            Pace::Check => std::mem::swap(&mut self.values, values),
            // It is kept for long.
            Pace::Slow => {
                self.values.clear();
                self.values.reserve_exact(values.len());
                self.values.extend_from_slice(values);
            }
        }
        match answer {
            Ok(()) => self.refused = None,
            Err(Refusal::Statement { word, message }) => self.refused = Some((word, message)),
            Err(lost) => return Err(lost),
        }
        Ok(())
    }

    /// Writes what it said last.
    pub(super) fn write(&self, reading: &mut Reading) {
        let Some(Statement { metrics, .. }) = self.statement.as_deref() else { return };
        for (labels, row) in self.rows.met().zip(self.values.chunks(metrics.len())) {
            for (metric, value) in metrics.iter().zip(row) {
                if let Some(value) = value {
                    reading.put_with(metric, labels, *value);
                }
            }
        }
    }

    /// Lets go of what is asked anew with each check, once it is written.
    pub(super) fn leave(&mut self, room: &mut Room) {
        if self.family.pace == Pace::Check {
            self.values.clear();
            std::mem::swap(&mut self.values, &mut room.values);
        }
    }
}

/// The labels of the rows of a family, in the order in which they come, which is the same nearly always.
#[derive(Default)]
struct Rows {
    known: Vec<Labels>,
    met: usize,
}

impl Rows {
    /// Begins an answer, and forgets what the one before did not have.
    fn start(&mut self) {
        self.known.truncate(self.met);
        self.met = 0;
    }

    /// Takes the next row. What is not known yet is born.
    fn meet(&mut self, row: &SimpleQueryRow, first: usize, family: &Family, names: &Names) {
        let mut all = [("", ""); LABELS];
        let own = family.labels.iter().skip(2).enumerate();
        let pairs = own.map(|(index, label)| (label.name, text(row, first + index).unwrap_or_default()));
        let count = all.iter_mut().zip(pairs).map(|(to, pair)| *to = pair).count();
        let pairs = all.get(..count).unwrap_or_default();
        let here = self.met;
        let is = |labels: &Labels| pairs.is_empty() || labels.end_with(pairs);
        match self.known.iter().skip(here).position(is) {
            Some(0) => {}
            Some(further) => self.known.swap(here, here + further),
            None => {
                self.known.push(names.labels(pairs));
                let last = self.known.len() - 1;
                self.known.swap(here, last);
            }
        }
        self.met += 1;
    }

    /// Those of the answer, in its order.
    fn met(&self) -> impl Iterator<Item = &Labels> {
        self.known.iter().take(self.met)
    }
}

/// Reads a number as PostgreSQL writes it. A whole one stays whole.
pub fn parse(text: &str) -> Option<Value> {
    match text.parse::<i64>() {
        Ok(whole) => Some(Value::Int(whole)),
        Err(_) => text.parse().ok().map(Value::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::super::families;
    use super::*;

    #[test]
    fn each_label_has_its_key() {
        for family in families::SERVER_FAMILIES.iter().chain(families::DATABASE_FAMILIES) {
            assert_eq!(family.labels.len(), 2 + family.keys.len(), "{}", family.name);
            assert!(family.keys.len() <= LABELS, "{}", family.name);
        }
    }

    #[test]
    fn numbers_are_read_as_they_are() {
        assert_eq!(parse("9007199254740993"), Some(Value::Int(9_007_199_254_740_993)));
        assert_eq!(parse("-1"), Some(Value::Int(-1)));
        assert_eq!(parse("0.25"), Some(Value::Float(0.25)));
        assert_eq!(parse("1e+20"), Some(Value::Float(1e20)));
        assert_eq!(parse("Infinity"), Some(Value::Float(f64::INFINITY)));
        assert_eq!(parse("t"), None);
        assert_eq!(parse(""), None);
    }
}
