//! The instruments: what vigie itself measures as events, as histograms that only the push carries.
//!
//! Everything else is counted where it happens and told by a snapshot. How long something took is worth more than its
//! sum: OpenTelemetry's own SDK keeps it, behind these few verbs.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::{Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::error::OTelSdkError;

use crate::config::Protocol;
use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::push::record::Record;
use crate::push::resource::Resource;
use lane::Lane;

mod lane;
#[cfg(test)]
mod tests;

static PASS: Metric =
    Metric::otel_only(Kind::Histogram, "vigie.pass.duration", Unit::Seconds, "How long full sampling passes took.")
        .since(Since::Agent);
static REQUEST: Metric = Metric::otel_only(
    Kind::Histogram,
    "http.server.request.duration",
    Unit::Seconds,
    "Duration of HTTP server requests.",
)
.labels(&[
    Label::new("error.type"),
    Label::new("http.request.method"),
    Label::new("http.response.status_code"),
    Label::new("http.route"),
    Label::new("url.scheme"),
])
.since(Since::Agent);
/// The spool hands out again what did not arrive: each time is an operation of its own, or one would last for days.
static PUSH: Metric = Metric::otel_only(
    Kind::Histogram,
    "otel.sdk.exporter.operation.duration",
    Unit::Seconds,
    "The duration of exporting a batch of telemetry records.",
)
.labels(&[Label::new("error.type"), Label::new("otel.component.type")])
.since(Since::Agent);

/// Every metric that the instruments keep.
pub static METRICS: &[&Metric] = &[&PASS, &REQUEST, &PUSH];

/// The histogram of a metric: its buckets, and how many series it may have before further ones are counted together.
struct Distribution {
    metric: &'static Metric,
    /// Upper bounds in seconds. Every backend can read and add up such buckets; some drop exponential ones.
    bounds: &'static [f64],
    series: usize,
}

static PASSES: Distribution = Distribution {
    metric: &PASS,
    bounds: &[0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    series: 1,
};
/// The bounds that the semantic conventions advise. The page has 70 combinations for each of two schemes.
static REQUESTS: Distribution = Distribution {
    metric: &REQUEST,
    bounds: &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    series: 140,
};
/// Up to a minute: more than an attempt may take.
static PUSHES: Distribution = Distribution {
    metric: &PUSH,
    bounds: &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
    series: 32,
};

/// The methods that the semantic conventions know; what else clients invent is called `_OTHER`.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// Why the instruments do not work.
#[derive(Debug, thiserror::Error)]
pub enum InstrumentsError {
    /// The exporter cannot be built.
    #[error("the agent's own instruments cannot be started: {0}")]
    Start(#[from] ExporterBuildError),
    /// What was measured cannot be written.
    #[error("what the agent's own instruments measured cannot be written: {0}")]
    Flush(#[from] OTelSdkError),
}

/// The instruments, shared by everybody who measures. They keep nothing until they are started.
#[derive(Clone, Default)]
pub struct Instruments(Arc<RwLock<Option<Arc<Lane>>>>);

impl Instruments {
    /// Measures from now on, for the host that `resource` tells of. Each flush calls `sink` with one request.
    ///
    /// What was measured before is dropped: flush first, and start again only when the resource or the sink changed.
    ///
    /// # Errors
    /// When the exporter cannot be built. Then all is as it was.
    pub fn start(
        &self,
        resource: &Resource,
        sink: impl Fn(Record) + Send + Sync + 'static,
    ) -> Result<(), InstrumentsError> {
        let lane = Lane::new(resource, Box::new(sink))?;
        self.replace(Some(Arc::new(lane)));
        Ok(())
    }

    /// Drops what was measured and measures nothing any more.
    pub fn stop(&self) {
        self.replace(None);
    }

    fn replace(&self, lane: Option<Arc<Lane>>) {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *now, lane);
        // What it holds is freed when nobody waits for the lock.
        drop(now);
        drop(before);
    }

    /// Hands everything measured since the start to the sink, on this thread; nothing where nothing was measured.
    ///
    /// # Errors
    /// When it cannot be collected or encoded.
    pub fn flush(&self) -> Result<(), InstrumentsError> {
        let lane = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        lane.map_or(Ok(()), |lane| Ok(lane.flush()?))
    }

    /// A full sampling pass took so long.
    pub fn pass(&self, took: Duration) {
        self.measure(|lane| lane.passes.record(took.as_secs_f64(), &[]));
    }

    /// A request was answered after so long. `route` is the path as we know it, never as it was asked for; a method
    /// that it does not answer has none.
    pub fn request(
        &self,
        method: &Method,
        route: Option<&'static str>,
        status: StatusCode,
        scheme: &'static str,
        took: Duration,
    ) {
        self.measure(|lane| {
            let method = METHODS.iter().find(|known| **known == method.as_str()).map_or("_OTHER", |known| *known);
            let route = route.filter(|_| status != StatusCode::METHOD_NOT_ALLOWED);
            let error = failure(status);
            let attributes = [
                KeyValue::new("error.type", error.unwrap_or_default()),
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
                KeyValue::new("url.scheme", scheme),
                KeyValue::new("http.route", route.unwrap_or_default()),
            ];
            let first = usize::from(error.is_none());
            let end = attributes.len() - usize::from(route.is_none());
            lane.requests.record(took.as_secs_f64(), attributes.get(first..end).unwrap_or_default());
        });
    }

    /// A request was pushed, or was not for the reason `error`, which is one of a closed list.
    pub fn push(&self, protocol: Protocol, took: Duration, error: Option<&'static str>) {
        self.measure(|lane| {
            let exporter = match protocol {
                Protocol::Grpc => "otlp_grpc_metric_exporter",
                Protocol::Http => "otlp_http_metric_exporter",
            };
            let attributes = [
                KeyValue::new("error.type", error.unwrap_or_default()),
                KeyValue::new("otel.component.type", exporter),
            ];
            let first = usize::from(error.is_none());
            lane.pushes.record(took.as_secs_f64(), attributes.get(first..).unwrap_or_default());
        });
    }

    fn measure(&self, with: impl FnOnce(&Lane)) {
        if let Some(lane) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            with(lane);
        }
    }
}

/// `error.type` of an answer: its status, where the server is to blame.
fn failure(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Some("503"),
        status if status.is_server_error() => Some("_OTHER"),
        _ => None,
    }
}
