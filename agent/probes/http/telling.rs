//! What a check of HTTP has seen, under blackbox_exporter's names, also where it ends early.

use std::time::{Duration, UNIX_EPOCH};

use hyper::body::Body;
use hyper::header::{CONTENT_LENGTH, LAST_MODIFIED};
use hyper::{Method, Response, StatusCode};
use tokio::time::Instant;

use super::content::Content;
use super::httpcheck;
use crate::config::naming::Naming;
use crate::metric::{Label, Metric, Since, Unit};
use crate::probes::connect::FAILED_DUE_TO_REGEX;
use crate::probes::{KIND, LABELS, PROBE, ProbeError, Reason, Report, Setting, TARGET};
use crate::snapshot::Labels;

static DURATION: Metric = Metric::gauge(
    "probe_http_duration_seconds",
    Unit::Seconds,
    "How long each phase took over all redirects: resolve, connect, tls, processing until the answer begins, transfer.",
)
.labels(&[PROBE, KIND, TARGET, Label::new("phase").otel("vigie.probe.phase")])
.otel("vigie.probe.http.phase.duration");
static STATUS_CODE: Metric =
    Metric::gauge("probe_http_status_code", Unit::One, "The status of the last answer; 0 where none came.")
        .labels(LABELS)
        .otel("vigie.probe.http.response.status_code");
static VERSION: Metric =
    Metric::gauge("probe_http_version", Unit::One, "The version of HTTP of the last answer; 0 where none came.")
        .labels(LABELS)
        .otel("vigie.probe.http.version");
static SSL: Metric = Metric::gauge("probe_http_ssl", Unit::One, "Whether the last answer came over TLS.")
    .labels(LABELS)
    .otel("vigie.probe.http.encrypted");
static CONTENT_LENGTH_SAID: Metric = Metric::gauge(
    "probe_http_content_length",
    Unit::Bytes,
    "How long the content is as the last answer says; -1 where it does not say.",
)
.labels(LABELS)
.otel("vigie.probe.http.response.body.size");
static UNCOMPRESSED_LENGTH: Metric =
    Metric::gauge("probe_http_uncompressed_body_length", Unit::Bytes, "How much content was read, unpacked.")
        .labels(LABELS)
        .otel("vigie.probe.http.response.uncompressed_body.size");
static REDIRECTS: Metric =
    Metric::gauge("probe_http_redirects", Unit::Of("{redirect}"), "How often the check was sent on to elsewhere.")
        .labels(LABELS)
        .otel_up_down("vigie.probe.http.redirect.count")
        .since(Since::Agent);
static LAST_MODIFIED_AT: Metric = Metric::gauge(
    "probe_http_last_modified_timestamp_seconds",
    Unit::Seconds,
    "When the content was last modified, as the last answer says.",
)
.labels(LABELS)
.otel("vigie.probe.http.last_modified");

/// Every metric of this kind.
pub(super) const TOLD: &[&Metric] = &[
    &DURATION,
    &STATUS_CODE,
    &VERSION,
    &SSL,
    &CONTENT_LENGTH_SAID,
    &UNCOMPRESSED_LENGTH,
    &REDIRECTS,
    &LAST_MODIFIED_AT,
    httpcheck::TOLD[0],
    httpcheck::TOLD[1],
    httpcheck::TOLD[2],
];

/// The labels of one probe's series.
pub(super) struct Series {
    phases: [Labels; 5],
    /// Only where they are told to anybody: they are as many as all others.
    httpcheck: Option<Box<httpcheck::Series>>,
}

impl Series {
    pub(super) fn of(setting: &Setting) -> Series {
        let phases = ["resolve", "connect", "tls", "processing", "transfer"];
        let phases = phases.map(|phase| setting.labels(&[("phase", phase)]));
        Series { phases, httpcheck: (setting.naming == Naming::Collector).then(Box::default) }
    }
}

/// The phases of a check, summed over all redirects.
#[derive(Default)]
pub(super) struct Phases {
    pub(super) resolve: Duration,
    pub(super) connect: Duration,
    pub(super) tls: Duration,
    pub(super) processing: Duration,
    pub(super) transfer: Duration,
}

/// The head of the last answer.
#[derive(Default)]
struct Head {
    status: u16,
    version: f64,
    content_length: i64,
    secure: bool,
    last_modified: Option<f64>,
}

/// What was seen so far. It is written when the check ends, also where it takes too long.
pub(super) struct Telling<'a> {
    pub(super) report: &'a mut Report,
    series: &'a mut Series,
    method: &'a str,
    begun: Instant,
    pub(super) phases: Phases,
    head: Head,
    pub(super) content: Content,
    pub(super) redirects: u64,
    /// Whether something else was said than expected.
    pub(super) unlike: bool,
    /// Why it failed, where it did: it takes too long unless something else is said.
    reason: Reason,
}

impl<'a> Telling<'a> {
    pub(super) fn new(report: &'a mut Report, series: &'a mut Series, method: &'a str) -> Telling<'a> {
        let (phases, head, content) = Default::default();
        let (begun, reason) = (Instant::now(), Reason::Timeout);
        Telling { report, series, method, begun, phases, head, content, redirects: 0, unlike: false, reason }
    }

    /// Notes why it failed.
    pub(super) fn fail(&mut self, error: ProbeError) -> ProbeError {
        self.reason = error.reason;
        error
    }

    /// Forgets the answer that was sent on from.
    pub(super) fn next(&mut self) {
        self.head = Head::default();
    }

    /// Takes what the head of an answer says.
    pub(super) fn heard<B: Body>(&mut self, response: &Response<B>, secure: bool, method: &Method) {
        let header =
            |name| response.headers().get(name).and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
        let said = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let content_length = match response.status() {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Some(0),
            _ if *method == Method::HEAD => said,
            _ => response.body().size_hint().exact().and_then(|length| i64::try_from(length).ok()),
        };
        let last_modified = header(LAST_MODIFIED).and_then(|date| httpdate::parse_http_date(date).ok());
        self.head = Head {
            status: response.status().as_u16(),
            version: match response.version() {
                hyper::Version::HTTP_2 => 2.0,
                hyper::Version::HTTP_10 => 1.0,
                hyper::Version::HTTP_09 => 0.9,
                _ => 1.1,
            },
            content_length: content_length.unwrap_or(-1),
            secure,
            last_modified: last_modified
                .and_then(|date| date.duration_since(UNIX_EPOCH).ok())
                .map(|since| since.as_secs_f64()),
        };
    }

    /// How long the content is as the answer says.
    pub(super) fn content_length(&self) -> Option<u64> {
        u64::try_from(self.head.content_length).ok()
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let Phases { resolve, connect, tls, processing, transfer } = self.phases;
        for (labels, took) in self.series.phases.iter().zip([resolve, connect, tls, processing, transfer]) {
            self.report.put_with(&DURATION, labels, took.as_secs_f64());
        }
        self.report.put(&STATUS_CODE, i64::from(self.head.status));
        self.report.put(&VERSION, self.head.version);
        self.report.put(&SSL, self.head.secure);
        self.report.put(&CONTENT_LENGTH_SAID, self.head.content_length);
        self.report.put(&UNCOMPRESSED_LENGTH, self.content.length);
        self.report.put(&REDIRECTS, self.redirects);
        self.report.put(&FAILED_DUE_TO_REGEX, self.unlike);
        if let Some(last_modified) = self.head.last_modified {
            self.report.put(&LAST_MODIFIED_AT, last_modified);
        }
        if let Some(httpcheck) = &mut self.series.httpcheck {
            let (status, reason, took) = (self.head.status, self.reason.word(), self.begun.elapsed());
            httpcheck.tell(self.report, self.method, status, reason, took);
        }
    }
}
