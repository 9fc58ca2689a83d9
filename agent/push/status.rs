//! How the push is: what it tells of itself on the page, in `/health` and in the log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::client::{Accepted, ExportError};
use super::record::Record;
use super::spool::keeper::Keeper;
use super::spool::{Dropped, Reason};
use crate::metric::{Label, Metric, Since, Unit};
use crate::snapshot::{Labels, Reading};
use crate::supervisor::Tell;

const REASON: &[Label] = &[Label::new("reason").otel("error.type")];

static UP: Metric =
    Metric::gauge("vigie_push_up", Unit::One, "Whether the collector took the last request.").otel("vigie.push.up");
static SNAPSHOTS: Metric = Metric::counter(
    "vigie_push_snapshots_total",
    Unit::Of("{snapshot}"),
    "Snapshots of this host that were made into requests before this one.",
)
.otel("vigie.push.snapshots")
.since(Since::Agent);
static SENT_REQUESTS: Metric =
    Metric::counter("vigie_push_sent_requests_total", Unit::Of("{request}"), "Requests that the collector took.")
        .otel("vigie.push.sent.requests")
        .since(Since::Agent);
static SENT_POINTS: Metric =
    Metric::counter("vigie_push_sent_points_total", Unit::Of("{point}"), "Data points that the collector took.")
        .otel("vigie.push.sent.points")
        .since(Since::Agent);
static SENT_BYTES: Metric =
    Metric::counter("vigie_push_sent_bytes_total", Unit::Bytes, "Bytes of the requests that the collector took.")
        .otel("vigie.push.sent.size")
        .since(Since::Agent);
static FAILURES: Metric = Metric::counter(
    "vigie_push_failures_total",
    Unit::Of("{failure}"),
    "Attempts to send a request that failed; the request is sent again.",
)
.labels(REASON)
.otel("vigie.push.failures")
.since(Since::Agent);
static DROPPED_REQUESTS: Metric = Metric::counter(
    "vigie_push_dropped_requests_total",
    Unit::Of("{request}"),
    "Requests that no collector will see, by why.",
)
.labels(REASON)
.otel("vigie.push.dropped.requests")
.since(Since::Agent);
static DROPPED_POINTS: Metric = Metric::counter(
    "vigie_push_dropped_points_total",
    Unit::Of("{point}"),
    "Data points that no collector will see, by why.",
)
.labels(REASON)
.otel("vigie.push.dropped.points")
.since(Since::Agent);
static REJECTED_POINTS: Metric = Metric::counter(
    "vigie_push_rejected_points_total",
    Unit::Of("{point}"),
    "Data points of requests that the collector took, and threw away: a partial success.",
)
.otel("vigie.push.rejected.points")
.since(Since::Agent);
static LAST_SUCCESS: Metric = Metric::gauge(
    "vigie_push_last_success_timestamp_seconds",
    Unit::Seconds,
    "When the collector last took a request.",
)
.otel("vigie.push.last_success.time");
static SPOOL_BYTES: Metric = Metric::gauge("vigie_push_spool_bytes", Unit::Bytes, "Bytes that wait for the collector.")
    .otel("vigie.push.spool.size");
static SPOOL_REQUESTS: Metric =
    Metric::gauge("vigie_push_spool_requests", Unit::Of("{request}"), "Requests that wait for the collector.")
        .otel_up_down("vigie.push.spool.request.count")
        .since(Since::Agent);
static SPOOL_AGE: Metric = Metric::gauge(
    "vigie_push_spool_oldest_age_seconds",
    Unit::Seconds,
    "How old the oldest request is that waits for the collector; 0 when none waits.",
)
.otel("vigie.push.spool.oldest.age");
static SPOOL_ON_DISK: Metric = Metric::gauge(
    "vigie_push_spool_on_disk",
    Unit::One,
    "Whether what waits for the collector survives a restart; 0 while the state directory cannot be written.",
)
.otel("vigie.push.spool.on_disk");
static SPOOL_BAD_SEGMENTS: Metric = Metric::counter(
    "vigie_push_spool_bad_segments_total",
    Unit::Of("{segment}"),
    "Files of the spool that were damaged and set aside.",
)
.otel("vigie.push.spool.bad_segments")
.since(Since::Agent);

/// Every metric of the push's own.
pub static METRICS: &[&Metric] = &[
    &UP,
    &SNAPSHOTS,
    &SENT_REQUESTS,
    &SENT_POINTS,
    &SENT_BYTES,
    &FAILURES,
    &DROPPED_REQUESTS,
    &DROPPED_POINTS,
    &REJECTED_POINTS,
    &LAST_SUCCESS,
    &SPOOL_BYTES,
    &SPOOL_REQUESTS,
    &SPOOL_AGE,
    &SPOOL_ON_DISK,
    &SPOOL_BAD_SEGMENTS,
];

/// How the push is, as `/health` tells it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Health {
    /// Where it goes.
    pub endpoint: String,
    /// The collector took the last request; nothing before the first.
    pub up: Option<bool>,
    /// Why the last request was not taken, or what the collector has to say about it.
    pub message: Option<String>,
    /// Seconds since the collector last took a request.
    pub last_success_age_seconds: Option<f64>,
    /// Data points that it took.
    pub sent_points: u64,
    /// Data points that nobody will see.
    pub dropped_points: u64,
    /// Data points that the collector threw away.
    pub rejected_points: u64,
    /// Requests that wait.
    pub spool_requests: u64,
    /// Bytes that wait.
    pub spool_bytes: u64,
    /// How old the oldest of them is.
    pub spool_oldest_age_seconds: f64,
    /// What keeps them from the disk.
    pub spool_trouble: Option<String>,
}

/// Shared by the push, which notes what happens, and by those who ask.
#[derive(Default)]
pub struct Status(Mutex<State>);

#[derive(Default)]
struct State {
    /// Where requests wait and go; nothing while there is no push.
    target: Option<(Keeper, String)>,
    up: Option<bool>,
    /// What the log last said of the collector.
    message: Option<String>,
    snapshots: u64,
    sent_requests: u64,
    sent_points: u64,
    sent_bytes: u64,
    refused_points: u64,
    rejected_points: u64,
    last_success: Option<SystemTime>,
    failures: Tally,
    dropped_requests: Tally,
    dropped_points: Tally,
}

/// Counts by reason. The reasons are a closed list, so this stays short.
#[derive(Default)]
struct Tally(Vec<(&'static str, Labels, u64)>);

impl Tally {
    fn add(&mut self, reason: &'static str, count: u64) {
        let before = self.0.iter().find(|(known, ..)| *known == reason).map_or(0, |(.., sum)| *sum);
        self.set(reason, before + count);
    }

    fn set(&mut self, reason: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, ..)| *known == reason) {
            Some((.., sum)) => *sum = count,
            None => self.0.push((reason, Labels::new(&[("reason", reason)]), count)),
        }
    }

    fn tell(&self, metric: &'static Metric, reading: &mut Reading) {
        for (_, labels, sum) in &self.0 {
            reading.put_with(metric, labels, *sum);
        }
    }
}

impl Status {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests wait in `keeper` from now on and go to `endpoint`; or there is no push.
    pub(super) fn aim(&self, target: Option<(Keeper, String)>) {
        let mut state = self.state();
        state.target = target;
        (state.up, state.message) = (None, None);
    }

    /// A snapshot becomes requests. Its number is told by the next one that is put together.
    pub(super) fn made(&self) {
        self.state().snapshots += 1;
    }

    /// The collector took a request.
    pub(super) fn sent(&self, record: &Record, accepted: &Accepted) {
        let mut state = self.state();
        state.sent_requests += 1;
        state.sent_points += u64::from(record.points).saturating_sub(accepted.rejected_points);
        state.sent_bytes += record.body.len() as u64;
        state.rejected_points += accepted.rejected_points;
        state.last_success = Some(SystemTime::now());
        let endpoint = state.endpoint();
        if state.up.replace(true) != Some(true) {
            tracing::info!(%endpoint, "the collector takes what is pushed");
            state.message = None;
        }
        let Accepted { rejected_points, message } = accepted;
        let message = match (rejected_points, message.as_str()) {
            (0, "") => None,
            (0, message) => Some(format!("the collector says: {message}")),
            (_, message) => Some(format!("the collector throws data points away: {message}")),
        };
        if message != state.message {
            if let Some(message) = &message {
                tracing::warn!(%endpoint, "{message}");
            }
            state.message = message;
        }
    }

    /// An attempt failed, and will be made again.
    pub(super) fn failed(&self, error: &ExportError) {
        let mut state = self.state();
        state.failures.add(error.reason(), 1);
        state.down(error.to_string(), "the collector takes nothing; what is pushed waits for it");
    }

    /// The collector refused a request for good.
    pub(super) fn refused(&self, record: &Record, error: &ExportError) {
        let mut state = self.state();
        state.dropped_requests.add(error.reason(), 1);
        state.dropped_points.add(error.reason(), u64::from(record.points));
        state.refused_points += u64::from(record.points);
        state.down(error.to_string(), "the collector refuses what is pushed, and it is dropped");
    }

    /// How it is; nothing where there is no push.
    pub fn health(&self) -> Option<Health> {
        let state = self.state();
        let (keeper, endpoint) = state.target.as_ref()?;
        let spool = keeper.status();
        Some(Health {
            endpoint: endpoint.clone(),
            up: state.up,
            message: state.message.clone(),
            last_success_age_seconds: state.last_success.map(age),
            sent_points: state.sent_points,
            dropped_points: state.refused_points + lost(&spool.dropped),
            rejected_points: state.rejected_points,
            spool_requests: spool.records,
            spool_bytes: spool.bytes,
            spool_oldest_age_seconds: spool.oldest.map(age).unwrap_or_default(),
            spool_trouble: spool.trouble,
        })
    }
}

impl State {
    fn endpoint(&self) -> String {
        self.target.as_ref().map(|(_, endpoint)| endpoint.clone()).unwrap_or_default()
    }

    fn down(&mut self, reason: String, said: &str) {
        let before = self.up.replace(false);
        if before != Some(false) || self.message.as_ref() != Some(&reason) {
            tracing::warn!(endpoint = %self.endpoint(), %reason, "{said}");
            self.message = Some(reason);
        }
    }
}

impl Tell for Status {
    fn tell(&self, reading: &mut Reading) {
        let mut state = self.state();
        let State { target, dropped_requests, dropped_points, .. } = &mut *state;
        let Some((keeper, _)) = target else { return };
        let spool = keeper.status();
        for reason in Reason::ALL {
            let lost = spool.dropped.of(reason);
            dropped_requests.set(reason.label(), lost.records);
            dropped_points.set(reason.label(), lost.points);
        }
        if let Some(up) = state.up {
            reading.put(&UP, up);
        }
        reading.put(&SNAPSHOTS, state.snapshots);
        reading.put(&SENT_REQUESTS, state.sent_requests);
        reading.put(&SENT_POINTS, state.sent_points);
        reading.put(&SENT_BYTES, state.sent_bytes);
        state.failures.tell(&FAILURES, reading);
        state.dropped_requests.tell(&DROPPED_REQUESTS, reading);
        state.dropped_points.tell(&DROPPED_POINTS, reading);
        reading.put(&REJECTED_POINTS, state.rejected_points);
        if let Some(at) = state.last_success {
            reading.put(&LAST_SUCCESS, at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        }
        reading.put(&SPOOL_BYTES, spool.bytes);
        reading.put(&SPOOL_REQUESTS, spool.records);
        reading.put(&SPOOL_AGE, spool.oldest.map(age).unwrap_or_default());
        reading.put(&SPOOL_ON_DISK, spool.on_disk);
        reading.put(&SPOOL_BAD_SEGMENTS, spool.bad_segments);
    }
}

/// The points that the spool could not keep.
fn lost(dropped: &Dropped) -> u64 {
    Reason::ALL.iter().map(|reason| dropped.of(*reason).points).sum()
}

/// Seconds since a moment; 0 where the clock was set back behind it.
fn age(moment: SystemTime) -> f64 {
    moment.elapsed().unwrap_or_default().as_secs_f64()
}
