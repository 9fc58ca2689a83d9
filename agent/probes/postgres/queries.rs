//! Own queries: `[[probe.postgres.query]]`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tokio::time::Instant;
use tokio_postgres::SimpleQueryRow;

use super::asker::{Names, parse};
use super::families;
use super::refusal::Refusal;
use super::session::{Session, text};
use crate::config::quantity;
use crate::metric::{Metric, Unit};
use crate::samplers::born::Born;
use crate::snapshot::{Labels, Reading, Value};

/// The most rows unless something is said.
const LIMIT: usize = 100;

/// The most queries of one probe, and columns of one query.
const MOST: usize = 100;

/// `[[probe.postgres.query]]`: a SELECT whose columns are labels and numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    name: String,
    sql: String,
    labels: Vec<String>,
    values: Vec<String>,
    help: String,
    interval: Duration,
    limit: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    sql: String,
    #[serde(default)]
    labels: Vec<String>,
    values: Vec<String>,
    #[serde(default)]
    help: String,
    #[serde(default, deserialize_with = "interval")]
    interval: Duration,
    #[serde(default = "limit", deserialize_with = "quantity::count::<_, 1, 1_000>")]
    limit: usize,
}

fn interval<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    quantity::duration::<_, 0, 86_400_000>(d)
}

fn limit() -> usize {
    LIMIT
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Query, D::Error> {
        use serde::de::Error as _;
        let Written { name, sql, labels, values, help, interval, limit } = Written::deserialize(d)?;
        let columns: Vec<&String> = labels.iter().chain(&values).collect();
        let legal = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
                && name.len() <= 100
        };
        if let Some(odd) = columns.iter().map(|column| column.as_str()).chain([name.as_str()]).find(|name| !legal(name))
        {
            return Err(D::Error::custom(format!("expected letters, digits and _ in a name, found {odd:?}")));
        }
        if let Some(taken) = labels.iter().find(|label| ["probe", "server"].contains(&label.as_str())) {
            return Err(D::Error::custom(format!("the label {taken:?} is the probe's own; call the column otherwise")));
        }
        let distinct: HashSet<&String> = columns.iter().copied().collect();
        if distinct.len() != columns.len() || values.is_empty() || columns.len() > MOST {
            return Err(D::Error::custom("expected columns of different names, one of them at least a value"));
        }
        if let Some(taken) = values.iter().map(|value| format!("{name}_{value}")).find(|name| families::declares(name))
        {
            return Err(D::Error::custom(format!("the metric {taken:?} is there already; call the query otherwise")));
        }
        let sql = sql.trim().trim_end_matches(';').to_owned();
        if sql.is_empty() || sql.contains('\0') {
            return Err(D::Error::custom("expected a SELECT, found nothing"));
        }
        Ok(Query { name, sql, labels, values, help, interval, limit })
    }
}

impl Query {
    /// Its columns by name, in our order, of one row more than may be shown. In a subquery nothing but a SELECT stands.
    fn statement(&self) -> String {
        let quoted = |name: &String| format!("q.\"{name}\"");
        let list = self.labels.iter().chain(&self.values).map(quoted).collect::<Vec<_>>().join(", ");
        format!("SELECT {list} FROM ({}\n) q LIMIT {}", self.sql, self.limit + 1)
    }
}

/// Who asks one own query.
pub(super) struct Own {
    query: Query,
    metrics: Vec<Arc<Metric>>,
    statement: String,
    born: Born<Labels>,
    points: Vec<(usize, Labels, Value)>,
    asked: Option<Instant>,
    pub(super) refused: Option<(&'static str, String)>,
}

impl Own {
    pub(super) fn new(query: &Query) -> Own {
        let metric = |value: &String| {
            let help =
                if query.help.is_empty() { format!("The column {value} of an own query.") } else { query.help.clone() };
            let mut metric = Metric::gauge("", Unit::One, "").untyped();
            metric.foreign = true;
            (metric.name, metric.help) = (format!("{}_{value}", query.name).into(), help.into());
            Arc::new(metric)
        };
        let metrics = query.values.iter().map(metric).collect();
        Own {
            query: query.clone(),
            metrics,
            statement: query.statement(),
            born: Born::default(),
            points: Vec::new(),
            asked: None,
            refused: None,
        }
    }

    pub(super) fn meet(&mut self) {
        self.asked = None;
    }

    /// Asks, unless it was asked within its interval; one that was refused is left alone for longer.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub(super) async fn ask(&mut self, session: &Session, names: &Names, slow: Duration) -> Result<(), Refusal> {
        let patience = if self.refused.is_some() { self.query.interval.max(slow) } else { self.query.interval };
        if self.asked.is_some_and(|asked| asked.elapsed() < patience) {
            return Ok(());
        }
        self.asked = Some(Instant::now());
        self.points.clear();
        self.born.start();
        let mut seen = HashSet::new();
        let (mut rows, mut twice) = (0, false);
        let (query, born, points) = (&self.query, &mut self.born, &mut self.points);
        let answer = session.ask(&self.statement, |row| {
            rows += 1;
            if rows > query.limit {
                return;
            }
            let key = (0..query.labels.len()).map(|index| text(row, index).unwrap_or_default());
            let key = key.collect::<Vec<_>>().join("\u{1f}");
            if !seen.insert(key.clone()) {
                twice = true;
                return;
            }
            let labels = born.meet(&key, || labels(query, row, names));
            for index in 0..query.values.len() {
                if let Some(value) = text(row, query.labels.len() + index).and_then(number) {
                    points.push((index, labels.clone(), value));
                }
            }
        });
        let answer = answer.await;
        if answer.is_err() {
            self.points.clear();
        }
        self.refused = match answer {
            Ok(()) if rows > self.query.limit => {
                Some(("limit", format!("query {}: more than {} rows", self.query.name, self.query.limit)))
            }
            Ok(()) if twice => Some(("duplicate", format!("query {}: rows of the same labels", self.query.name))),
            Ok(()) => None,
            Err(Refusal::Statement { word, message }) => Some((word, format!("query {}: {message}", self.query.name))),
            Err(lost) => return Err(lost),
        };
        Ok(())
    }

    pub(super) fn write(&self, reading: &mut Reading) {
        for (index, labels, value) in &self.points {
            if let Some(metric) = self.metrics.get(*index) {
                reading.put_born(metric, labels, *value);
            }
        }
    }
}

fn labels(query: &Query, row: &SimpleQueryRow, names: &Names) -> Labels {
    let pairs = query.labels.iter().enumerate();
    let pairs: Vec<(&str, &str)> =
        pairs.map(|(index, label)| (label.as_str(), text(row, index).unwrap_or_default())).collect();
    names.labels(&pairs)
}

/// A number, or a switch.
fn number(text: &str) -> Option<Value> {
    match text {
        "t" => Some(Value::Int(1)),
        "f" => Some(Value::Int(0)),
        number => parse(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Query, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_query_is_a_subquery_with_its_columns_by_name() {
        let query = read("name = 'jobs'\nsql = 'SELECT queue, count(*) AS waiting FROM jobs GROUP BY 1;'\nlabels = ['queue']\nvalues = ['waiting']\nlimit = 5").unwrap();
        let expected = "SELECT q.\"queue\", q.\"waiting\" FROM (SELECT queue, count(*) AS waiting FROM jobs GROUP BY 1\n) q LIMIT 6";
        assert_eq!(query.statement(), expected);
    }

    #[test]
    fn what_would_be_another_series_or_none_is_refused() {
        for (text, words) in [
            ("name = 'a b'\nsql = 'SELECT 1'\nvalues = ['x']", "found \"a b\""),
            ("name = 'a'\nsql = 'SELECT 1'\nvalues = ['x']\nlabels = ['server']", "is the probe's own"),
            ("name = 'a'\nsql = 'SELECT 1'\nvalues = []", "one of them at least a value"),
            ("name = 'a'\nsql = ' ; '\nvalues = ['x']", "expected a SELECT"),
            ("name = 'pg_replication'\nsql = 'SELECT 1'\nvalues = ['lag']", "is there already"),
            ("name = 'pg'\nsql = 'SELECT 1'\nvalues = ['settings_fsync']", "is there already"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
