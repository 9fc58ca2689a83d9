//! What is counted of every probe, whatever its kind.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::judgement::Judgement;
use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::probes::{KIND, LABELS, PROBE, ProbeError, Reason, Setting, TARGET};
use crate::snapshot::{Durations, Labels, Reading};

pub(super) static SUCCESS: Metric =
    Metric::gauge("probe_success", Unit::One, "Whether the last check got the answer that is expected.")
        .labels(LABELS)
        .otel("vigie.probe.success");
pub(super) static DURATION: Metric =
    Metric::gauge("probe_duration_seconds", Unit::Seconds, "How long the last check took.")
        .labels(LABELS)
        .otel("vigie.probe.last_duration");
static UP: Metric = Metric::gauge(
    "vigie_probe_up",
    Unit::One,
    "Whether the target is up, judged by several checks; nothing before that is sure.",
)
.labels(LABELS)
.otel("vigie.probe.up");
static FAILURES: Metric =
    Metric::counter("vigie_probe_failures_total", Unit::Of("{failure}"), "Checks that failed, by reason.")
        .labels(&[PROBE, KIND, TARGET, Label::new("reason").otel("error.type")])
        .otel("vigie.probe.failures")
        .since(Since::Agent);
static CONSECUTIVE_FAILURES: Metric = Metric::gauge(
    "vigie_probe_consecutive_failures",
    Unit::Of("{failure}"),
    "Checks that failed since the last one that did not.",
)
.labels(LABELS)
.otel_up_down("vigie.probe.failure.consecutive")
.since(Since::Agent);
static LAST_SUCCESS: Metric = Metric::gauge(
    "vigie_probe_last_success_timestamp_seconds",
    Unit::Seconds,
    "When a check last got the answer that is expected.",
)
.labels(LABELS);
static AGE: Metric = Metric::gauge("vigie_probe_age_seconds", Unit::Seconds, "How long ago the last check was made.")
    .labels(LABELS)
    .otel("vigie.probe.age");
static DURATIONS: Metric = Metric::new(
    Kind::Exponential,
    "vigie_probe_duration_seconds",
    Unit::Seconds,
    "How long the checks took, those that failed too.",
)
.labels(LABELS)
.otel("vigie.probe.duration")
.since(Since::Agent);

pub(super) static LATENESS: Metric = Metric::new(
    Kind::Exponential,
    "vigie_probe_lateness_seconds",
    Unit::Seconds,
    "How long after their moments the checks of all probes began.",
)
.otel("vigie.probe.lateness")
.since(Since::Agent);

/// Every metric that each probe has, and that of all together.
pub static METRICS: &[&Metric] =
    &[&SUCCESS, &DURATION, &UP, &FAILURES, &CONSECUTIVE_FAILURES, &LAST_SUCCESS, &AGE, &DURATIONS, &LATENESS];

/// How one probe is, as `/health` tells it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProbeHealth {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// What it asks.
    pub target: String,
    /// Whether the target is up, judged by several checks; nothing before that is sure.
    pub up: Option<bool>,
    /// Whether the last check got the answer that is expected; nothing before the first.
    pub success: Option<bool>,
    /// How long ago that was.
    pub age_seconds: Option<f64>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// Checks that failed since the last one that did not.
    pub consecutive_failures: u32,
    /// Checks that failed.
    pub failures: u64,
    /// Why the last one failed.
    pub reason: Option<&'static str>,
    /// The same as a sentence.
    pub message: Option<String>,
}

/// The last check of a probe.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) at: std::time::Instant,
    pub(super) took: Duration,
    pub(super) failure: Option<ProbeError>,
}

/// What is counted of one probe.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) judgement: Judgement,
    pub(super) last: Option<Last>,
    failures: Vec<(Reason, Labels, u64)>,
    last_success: Option<SystemTime>,
    /// Shared with the readings that tell of them, until the next check.
    durations: Arc<Durations>,
}

impl Account {
    /// Of a probe that was born at `taken`.
    pub(super) fn new(taken: SystemTime) -> Account {
        Account {
            judgement: Judgement::default(),
            last: None,
            failures: Vec::new(),
            last_success: None,
            durations: Arc::new(Durations::new(taken)),
        }
    }

    /// Counts a check.
    pub(super) fn count(&mut self, last: Last, taken: SystemTime, setting: impl FnOnce() -> Setting) {
        Arc::make_mut(&mut self.durations).add(last.took);
        match &last.failure {
            None => self.last_success = Some(taken),
            Some(error) => match self.failures.iter_mut().find(|(reason, ..)| *reason == error.reason) {
                Some((_, _, count)) => *count += 1,
                None => {
                    let labels = setting().labels(&[("reason", error.reason.word())]);
                    self.failures.push((error.reason, labels, 1));
                }
            },
        }
        self.last = Some(last);
    }

    /// Writes how the probe is at `now`.
    pub(super) fn write(&self, labels: &Labels, now: std::time::Instant, reading: &mut Reading) {
        let Some(last) = &self.last else { return };
        if let Some(up) = self.judgement.up {
            reading.put_with(&UP, labels, up);
        }
        for (_, of_reason, count) in &self.failures {
            reading.put_with(&FAILURES, of_reason, *count);
        }
        reading.put_with(&CONSECUTIVE_FAILURES, labels, i64::from(self.judgement.failures));
        if let Some(last_success) = self.last_success {
            let seconds = last_success.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            reading.put_with(&LAST_SUCCESS, labels, seconds);
        }
        reading.put_with(&AGE, labels, now.saturating_duration_since(last.at).as_secs_f64());
        reading.put_durations(&DURATIONS, labels, &self.durations);
    }

    /// How the probe is at `now`.
    pub(super) fn health(&self, setting: &Setting, now: std::time::Instant) -> ProbeHealth {
        let last = self.last.as_ref();
        let failure = last.and_then(|last| last.failure.as_ref());
        ProbeHealth {
            name: setting.probe.clone(),
            kind: setting.kind,
            target: setting.target.clone(),
            up: self.judgement.up,
            success: last.map(|last| last.failure.is_none()),
            age_seconds: last.map(|last| now.saturating_duration_since(last.at).as_secs_f64()),
            duration_seconds: last.map(|last| last.took.as_secs_f64()),
            consecutive_failures: self.judgement.failures,
            failures: self.failures.iter().map(|(_, _, count)| count).sum(),
            reason: failure.map(|failure| failure.reason.word()),
            message: failure.map(|failure| failure.message.clone()),
        }
    }
}
