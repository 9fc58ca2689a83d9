//! The supervisor's own account: the families that tell how the agent and its sources are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::probing::ProbeHealth;
use super::source::{Source, lock};
use super::{LOOP_LOST, Shared};
use crate::config;
use crate::metric::{Label, Metric, Since, Unit};
use crate::snapshot::{Labels, Reading};

const COLLECTOR: &[Label] = &[Label::new("collector").otel("vigie.source.name")];
const SOURCE: &[Label] = &[Label::new("source").otel("vigie.source.name")];

static COLLECTOR_SUCCESS: Metric = Metric::gauge(
    "node_scrape_collector_success",
    Unit::One,
    "Whether the source gave its numbers; 0 also where this host lacks what it reads.",
)
.labels(COLLECTOR)
.otel("vigie.source.success");
static COLLECTOR_DURATION: Metric = Metric::gauge(
    "node_scrape_collector_duration_seconds",
    Unit::Seconds,
    "How long the source took to read its numbers.",
)
.labels(COLLECTOR)
.otel("vigie.source.duration");
static SOURCE_AGE: Metric =
    Metric::gauge("vigie_source_age_seconds", Unit::Seconds, "How old the numbers of the source are on this page.")
        .labels(SOURCE)
        .otel("vigie.source.age");
static SOURCE_FAILURES: Metric = Metric::counter(
    "vigie_source_failures_total",
    Unit::Of("{failure}"),
    "Samplings of the source that gave nothing though the host has it.",
)
.labels(SOURCE)
.otel("vigie.source.failures")
.since(Since::Agent);
static SOURCE_SERIES: Metric =
    Metric::gauge("vigie_source_series", Unit::Of("{series}"), "Series that the source shows.")
        .labels(SOURCE)
        .otel_up_down("vigie.source.series.count")
        .since(Since::Agent);
static SOURCE_SERIES_CUT: Metric = Metric::gauge(
    "vigie_source_series_cut",
    Unit::Of("{series}"),
    "Series that the source has beyond its bound and that are not shown.",
)
.labels(SOURCE)
.otel_up_down("vigie.source.series.cut")
.since(Since::Agent);
static SOURCES_FAILED: Metric = Metric::gauge(
    "vigie_sources_failed",
    Unit::Of("{source}"),
    "Sources that give nothing now though the host has them.",
)
.otel_up_down("vigie.source.failed")
.since(Since::Agent);
static SERIES: Metric = Metric::gauge("vigie_series", Unit::Of("{series}"), "Series that all sources together show.")
    .otel_up_down("vigie.series.count")
    .since(Since::Agent);
static PASSES: Metric = Metric::counter(
    "vigie_passes_total",
    Unit::Of("{pass}"),
    "Full sampling passes; scrapes that come together share one.",
)
.otel("vigie.passes")
.since(Since::Agent);
static BUILD_INFO: Metric = Metric::gauge("vigie_build_info", Unit::One, "Which vigie this is; always 1.")
    .labels(&[Label::new("version"), Label::new("arch")]);
static CONFIG_HASH: Metric = Metric::gauge(
    "vigie_config_hash",
    Unit::One,
    "A hash of the configuration in force, without its secrets: hosts that should be alike have the same.",
);
static RELOAD_SUCCESS: Metric = Metric::gauge(
    "vigie_config_last_reload_successful",
    Unit::One,
    "Whether the last configuration that was loaded was taken over.",
);
static RELOAD_TIME: Metric = Metric::gauge(
    "vigie_config_last_reload_success_timestamp_seconds",
    Unit::Seconds,
    "When the configuration in force was loaded.",
);
/// Its labels are the attributes of `[host]`.
static HOST_INFO: Metric = Metric::gauge(
    "vigie_host_info",
    Unit::One,
    "The name and the attributes that the configuration gives this host; always 1.",
);

/// Every metric of the supervisor's own.
pub static METRICS: &[&Metric] = &[
    &COLLECTOR_SUCCESS,
    &COLLECTOR_DURATION,
    &SOURCE_AGE,
    &SOURCE_FAILURES,
    &SOURCE_SERIES,
    &SOURCE_SERIES_CUT,
    &SOURCES_FAILED,
    &SERIES,
    &PASSES,
    &BUILD_INFO,
    &CONFIG_HASH,
    &RELOAD_SUCCESS,
    &RELOAD_TIME,
    &HOST_INFO,
];

/// How the agent is, as `/health` tells it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Health {
    /// The agent's version.
    pub version: &'static str,
    /// Seconds since it started.
    pub uptime_seconds: f64,
    /// Every source was sampled once.
    pub started: bool,
    /// The sampling loop turns.
    pub live: bool,
    /// It serves numbers that are true.
    pub ready: bool,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// Every source.
    pub sources: Vec<SourceHealth>,
    /// Every probe.
    pub probes: Vec<ProbeHealth>,
}

/// How one source is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceHealth {
    /// Its name.
    pub name: &'static str,
    /// It gave its numbers.
    pub success: bool,
    /// This host lacks what it reads.
    pub absent: bool,
    /// How old its numbers are.
    pub age_seconds: f64,
    /// How long it took to read them.
    pub duration_seconds: f64,
    /// How many series it has.
    pub series: usize,
    /// How often it has failed.
    pub failures: u64,
    /// What was wrong.
    pub message: Option<String>,
}

/// What the account knows beside the sources.
pub(super) struct Account {
    build: Labels,
    config_hash: u64,
    host: Labels,
    loaded: SystemTime,
    accepted: bool,
}

impl Account {
    pub(super) fn new(config: &config::Config) -> Account {
        let mut account = Account {
            build: Labels::new(&[("version", env!("CARGO_PKG_VERSION")), ("arch", std::env::consts::ARCH)]),
            config_hash: 0,
            host: Labels::none(),
            loaded: SystemTime::now(),
            accepted: true,
        };
        account.loaded(config);
        account
    }

    /// Notes the configuration that is in force from now on.
    pub(super) fn loaded(&mut self, config: &config::Config) {
        self.config_hash = config.hash();
        let attributes: Vec<_> = config.host.labels().collect();
        let name = config.host.name.as_deref().map(|name| ("host", name));
        let pairs = name.into_iter().chain(attributes.iter().map(|(key, value)| (key.as_str(), *value)));
        self.host = Labels::new(&pairs.collect::<Vec<_>>());
        self.loaded = SystemTime::now();
        self.accepted = true;
    }

    /// Notes that a configuration was refused.
    pub(super) fn refused(&mut self) {
        self.accepted = false;
    }

    /// Writes the account of this moment.
    pub(super) fn write(
        &self,
        account: &mut Reading,
        shared: &Shared,
        sources: &[Arc<Source>],
        readings: &[Arc<Reading>],
        (now, taken): (Instant, SystemTime),
    ) {
        account.start(now, taken);
        let (mut series, mut failed) = (0, 0);
        for (source, reading) in sources.iter().zip(readings) {
            let labels = &source.labels;
            account.put_with(&COLLECTOR_SUCCESS, &labels.collector, reading.failure.is_none());
            account.put_with(&COLLECTOR_DURATION, &labels.collector, reading.duration.as_secs_f64());
            account.put_with(&SOURCE_AGE, &labels.source, now.saturating_duration_since(reading.at).as_secs_f64());
            account.put_with(&SOURCE_FAILURES, &labels.source, source.failures());
            account.put_with(&SOURCE_SERIES, &labels.source, reading.series() as u64);
            account.put_with(&SOURCE_SERIES_CUT, &labels.source, reading.cut as u64);
            series += reading.series() as u64;
            failed += u64::from(reading.failure.as_ref().is_some_and(|failure| !failure.absent));
        }
        account.put(&SOURCES_FAILED, failed);
        account.put(&SERIES, series);
        account.put(&PASSES, shared.passes.load(Ordering::Relaxed));
        account.put_with(&BUILD_INFO, &self.build, 1_u64);
        account.put(&CONFIG_HASH, self.config_hash);
        account.put(&RELOAD_SUCCESS, self.accepted);
        account.put(&RELOAD_TIME, self.loaded.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        if !self.host.is_empty() {
            account.put_with(&HOST_INFO, &self.host, 1_u64);
        }
    }
}

/// How the agent and its sources are now.
pub(super) fn health(shared: &Shared) -> Health {
    let now = Instant::now();
    let sources = shared.sources();
    let started = shared.full_pass.borrow().is_some();
    let lost = now.saturating_duration_since(*lock(&shared.round));
    let live = lost < LOOP_LOST;
    let reason = match (started, live) {
        (false, _) => Some("the first sampling pass is not over".to_owned()),
        (true, false) => Some(format!("the sampling loop has not turned for {} s", lost.as_secs())),
        (true, true) => None,
    };
    Health {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: shared.started.elapsed().as_secs_f64(),
        started,
        live,
        ready: reason.is_none(),
        reason,
        sources: sources.iter().map(|source| health_of(source, &shared.current(source, now), now)).collect(),
        probes: shared.probing.health(now),
    }
}

fn health_of(source: &Source, reading: &Reading, now: Instant) -> SourceHealth {
    SourceHealth {
        name: source.declaration.name,
        success: reading.failure.is_none(),
        absent: reading.failure.as_ref().is_some_and(|failure| failure.absent),
        age_seconds: now.saturating_duration_since(reading.at).as_secs_f64(),
        duration_seconds: reading.duration.as_secs_f64(),
        series: reading.series(),
        failures: source.failures(),
        message: reading.failure.as_ref().map(|failure| failure.message.clone()),
    }
}
