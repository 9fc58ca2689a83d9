//! Settings that are numbers or switches: `pg_settings`, in base units, as postgres_exporter has them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use tokio::time::Instant;

use super::asker::{Names, parse};
use super::family::OWN;
use super::refusal::Refusal;
use super::session::{Session, text};
use crate::metric::{Metric, Unit};
use crate::probes::Report;
use crate::snapshot::{Labels, Reading, Value};

pub(super) static PLAIN: Metric =
    Metric::gauge("pg_settings_{setting}", Unit::One, "The setting {setting} of the server.").labels(&OWN);
pub(super) static BYTES: Metric = Metric::gauge(
    "pg_settings_{setting}_bytes",
    Unit::Bytes,
    "The setting {setting} of the server; -1 is often: none.",
)
.labels(&OWN);
pub(super) static SECONDS: Metric = Metric::gauge(
    "pg_settings_{setting}_seconds",
    Unit::Seconds,
    "The setting {setting} of the server; -1 is often: none.",
)
.labels(&OWN);

/// The most settings that are shown: a server has 350, and extensions bring theirs.
const LIMIT: usize = 1_000;

/// What holds for others: our session's own limits are none of the server's.
const STATEMENT: &str = "SELECT name, CASE WHEN source = 'session' THEN reset_val ELSE setting END, unit \
    FROM pg_catalog.pg_settings WHERE vartype IN ('bool', 'integer', 'real') AND name <> 'sync_commit_cancel_wait'";

/// When the server last read its files: what may change without a restart changes then.
const LOADED: &str = "SELECT pg_catalog.pg_conf_load_time()";

/// What is known of them. They are read again when they may have changed, or after a while: most servers say the same
/// for weeks, and what was said is in the reading.
#[derive(Default)]
pub(super) struct Settings {
    /// How many there are.
    count: usize,
    labels: Option<Labels>,
    loaded: String,
    read: Option<Instant>,
    pub(super) refused: Option<(&'static str, String)>,
}

impl Settings {
    /// Notes a new session.
    pub(super) fn meet(&mut self) {
        self.read = None;
    }

    /// Writes what was said before, or reads them where they may have changed.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub(super) async fn ask(
        &mut self,
        session: &Session,
        names: &Names,
        slow: std::time::Duration,
        report: &mut Report,
    ) -> Result<(), Refusal> {
        let answered = self.read(session, names, slow, report).await;
        match answered {
            Err(Refusal::Statement { word, message }) => {
                self.refused = Some((word, message));
                Ok(())
            }
            other => other,
        }
    }

    async fn read(
        &mut self,
        session: &Session,
        names: &Names,
        slow: std::time::Duration,
        report: &mut Report,
    ) -> Result<(), Refusal> {
        let fresh = self.read.is_some_and(|read| read.elapsed() < slow);
        if self.refused.is_some() && fresh {
            return Ok(());
        }
        let mut now = String::new();
        session.ask(LOADED, |row| now.push_str(text(row, 0).unwrap_or_default())).await?;
        // A check that came to no end has not said them.
        if now == self.loaded && fresh && report.reading().is_some_and(|reading| self.again(reading)) {
            return Ok(());
        }
        (self.loaded, self.read, self.refused, self.count) = (now, Some(Instant::now()), None, 0);
        let mut points = Vec::new();
        session
            .ask(STATEMENT, |row| {
                let (Some(name), Some(setting)) = (text(row, 0), text(row, 1)) else { return };
                if points.len() < LIMIT
                    && let Some((value, metric)) = normal(setting, text(row, 2).unwrap_or_default())
                {
                    points.push((shared(metric, name), value));
                }
            })
            .await?;
        let labels = self.labels.get_or_insert_with(|| names.labels(&[]));
        if let Some(reading) = report.reading() {
            self.count = points.len();
            points.iter().for_each(|(metric, value)| reading.put_born(metric, labels, *value));
        }
        Ok(())
    }

    /// Says again what the check before said; whether that was all of it.
    fn again(&self, reading: &mut Reading) -> bool {
        let (start, _) = PLAIN.name.split_at(PLAIN.name.find('{').unwrap_or_default());
        reading.again(self.count, |metric| metric.name.starts_with(start))
    }
}

/// The metric of a setting, which all servers of this process share: each has some 300.
fn shared(metric: &'static Metric, name: &str) -> Arc<Metric> {
    static BORN: LazyLock<Mutex<HashMap<Cow<'static, str>, Weak<Metric>>>> = LazyLock::new(Mutex::default);
    let spelled = spelled(name);
    let mut known = BORN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(&*metric.name.replace("{setting}", &spelled)).and_then(Weak::upgrade) {
        return known;
    }
    let born = metric.named(&spelled);
    known.retain(|_, metric| metric.strong_count() > 0);
    known.insert(born.name.clone(), Arc::downgrade(&born));
    born
}

/// A setting's name, of which an extension's has a dot, as a part of a metric's.
fn spelled(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect()
}

/// A setting in its base unit, and what it is called there. -1 stays: it means that there is none.
pub fn normal(setting: &str, unit: &str) -> Option<(Value, &'static Metric)> {
    let value = match setting {
        "on" | "true" => Value::Int(1),
        "off" | "false" => Value::Int(0),
        number => parse(number)?,
    };
    let digits = unit.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(unit.len());
    let (count, word) = unit.split_at_checked(digits)?;
    let count: i64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let bytes = |factor: i64| Some((count.checked_mul(factor)?, 1, &BYTES));
    let (times, by, metric) = match word {
        "" => return Some((value, &PLAIN)),
        "B" => bytes(1)?,
        "kB" => bytes(1 << 10)?,
        "MB" => bytes(1 << 20)?,
        "GB" => bytes(1 << 30)?,
        "TB" => bytes(1 << 40)?,
        "us" => (count, 1_000_000, &SECONDS),
        "ms" => (count, 1_000, &SECONDS),
        "s" => (count, 1, &SECONDS),
        "min" => (count.checked_mul(60)?, 1, &SECONDS),
        "h" => (count.checked_mul(3_600)?, 1, &SECONDS),
        "d" => (count.checked_mul(86_400)?, 1, &SECONDS),
        _ => return Some((value, &PLAIN)),
    };
    let value = match value {
        Value::Int(-1) => Value::Int(-1),
        Value::Int(whole) if whole.checked_mul(times).is_some_and(|whole| whole % by == 0) => {
            Value::Int(whole * times / by)
        }
        Value::Int(whole) => Value::Float(whole as f64 * times as f64 / by as f64),
        Value::Float(number) => Value::Float(number * times as f64 / by as f64),
    };
    Some((value, metric))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(setting: &str, unit: &str) -> String {
        normal(setting, unit).map_or("nothing".into(), |(value, metric)| format!("{value:?} {:?}", metric.unit))
    }

    #[test]
    fn a_setting_is_one_metric_for_all_servers() {
        let known = shared(&SECONDS, "auth_delay.Wait");
        assert_eq!(known.name, "pg_settings_auth_delay_wait_seconds");
        assert!(Arc::ptr_eq(&known, &shared(&SECONDS, "auth_delay.Wait")));
    }

    #[test]
    fn settings_are_told_in_base_units() {
        for (setting, unit, expected) in [
            ("on", "", "Int(1) One"),
            ("off", "", "Int(0) One"),
            ("100", "", "Int(100) One"),
            ("0.1", "", "Float(0.1) One"),
            ("16384", "8kB", "Int(134217728) Bytes"),
            ("16", "MB", "Int(16777216) Bytes"),
            ("-1", "kB", "Int(-1) Bytes"),
            ("9223372036854775807", "kB", "Float(9.44473296573929e21) Bytes"),
            ("200", "ms", "Float(0.2) Seconds"),
            ("2000", "ms", "Int(2) Seconds"),
            ("2.5", "ms", "Float(0.0025) Seconds"),
            ("5", "min", "Int(300) Seconds"),
            ("-1", "ms", "Int(-1) Seconds"),
            ("x", "", "nothing"),
        ] {
            assert_eq!(told(setting, unit), expected, "{setting} {unit}");
        }
    }
}
