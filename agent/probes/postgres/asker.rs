//! Who asks one family: its statement is put together once a session, its labels when a row first appears.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::SimpleQueryRow;

use super::family::{Family, Pace, ROWS, VersionOf};
use super::refusal::Refusal;
use super::session::{Facts, Session, text};
use crate::metric::Metric;
use crate::samplers::born::Born;
use crate::snapshot::{Labels, Reading, Value};

/// What stands between the values of a row's labels.
const BETWEEN: char = '\u{1f}';

/// The labels that every series of one server has.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) probe: Arc<str>,
    pub(super) server: Arc<str>,
}

impl Names {
    /// Interns the labels of a series.
    pub(super) fn labels(&self, more: &[(&str, &str)]) -> Labels {
        Labels::new(&[&[("probe", &*self.probe), ("server", &*self.server)], more].concat())
    }
}

/// What is known of one family between checks.
pub(super) struct Asker {
    pub(super) family: &'static Family,
    whole: Option<String>,
    metrics: Vec<&'static Metric>,
    born: Born<Labels>,
    /// What it said last.
    points: Vec<(&'static Metric, Labels, Value)>,
    asked: Option<Instant>,
    /// Rows that are not shown.
    pub(super) left_out: usize,
    /// Why it has no answer: a word of a closed list, and the server's sentence.
    pub(super) refused: Option<(&'static str, String)>,
    key: String,
}

impl Asker {
    pub(super) fn new(family: &'static Family) -> Asker {
        Asker {
            family,
            whole: None,
            metrics: Vec::new(),
            born: Born::default(),
            points: Vec::new(),
            asked: None,
            left_out: 0,
            refused: None,
            key: String::new(),
        }
    }

    /// Puts the statement together for a new session, where that has what the family is about.
    pub(super) fn meet(&mut self, session: &Session, top: usize) {
        let Facts { version, statements, .. } = &session.facts;
        let (version, schema) = match (self.family.of, statements) {
            (VersionOf::Server, _) => (Some(*version), ""),
            (VersionOf::Statements, Some(((major, minor), schema))) => (Some(major * 100 + minor), schema.as_str()),
            (VersionOf::Statements, None) => (None, ""),
        };
        let statement = version.and_then(|version| self.family.statement(version, top, schema));
        (self.whole, self.metrics) =
            statement.map(|(sql, metrics)| (Some(session.whole(&sql)), metrics)).unwrap_or_default();
        (self.asked, self.refused) = (None, None);
        self.points.clear();
        self.left_out = 0;
    }

    /// Asks, unless what was said before still holds.
    ///
    /// # Errors
    /// Where the connection is gone. What the server refuses is noted, and loses nobody else anything.
    pub(super) async fn ask(&mut self, session: &Session, names: &Names, slow: Duration) -> Result<(), Refusal> {
        let Some(whole) = &self.whole else { return Ok(()) };
        // What is refused fills the server's log: that is asked seldom as well.
        let seldom = self.family.pace == Pace::Slow || self.refused.is_some();
        let fresh = seldom && self.asked.is_some_and(|asked| asked.elapsed() < slow);
        if fresh {
            return Ok(());
        }
        self.asked = Some(Instant::now());
        // Where it fails, nothing is said: never what was said before.
        self.points.clear();
        self.left_out = 0;
        self.born.start();
        let (family, metrics) = (self.family, &self.metrics);
        let (born, points, key, left_out) = (&mut self.born, &mut self.points, &mut self.key, &mut self.left_out);
        let mut rows = 0;
        let answer = session.ask(whole, |row| {
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
            let labels = meet(born, key, row, first, family, names);
            for (index, metric) in metrics.iter().enumerate() {
                if let Some(value) = text(row, first + family.keys.len() + index).and_then(parse) {
                    points.push((metric, labels.clone(), value));
                }
            }
        });
        match answer.await {
            Ok(()) => self.refused = None,
            Err(Refusal::Statement { word, message }) => self.refused = Some((word, message)),
            Err(lost) => return Err(lost),
        }
        Ok(())
    }

    /// Writes what it said last.
    pub(super) fn write(&self, reading: &mut Reading) {
        for (metric, labels, value) in &self.points {
            reading.put_with(metric, labels, *value);
        }
    }
}

fn meet<'a>(
    born: &'a mut Born<Labels>,
    key: &mut String,
    row: &SimpleQueryRow,
    first: usize,
    family: &Family,
    names: &Names,
) -> &'a Labels {
    let value = |index: usize| text(row, first + index).unwrap_or_default();
    key.clear();
    for index in 0..family.keys.len() {
        key.push_str(value(index));
        key.push(BETWEEN);
    }
    born.meet(key, || {
        let own = family.labels.iter().skip(2).enumerate();
        let pairs: Vec<(&str, &str)> = own.map(|(index, label)| (label.name, value(index))).collect();
        names.labels(&pairs)
    })
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
    use super::*;

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
