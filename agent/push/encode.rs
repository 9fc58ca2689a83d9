//! A snapshot as the bytes of OTLP requests: each an ExportMetricsServiceRequest of OpenTelemetry's protocol 1.
//!
//! What does not change from push to push is encoded once: the resource, the head of each metric, and the attributes of
//! each series when it is born. A push then copies those and writes numbers.

use std::collections::HashMap;

use crate::metric::{Kind, Metric, MetricRef, Unit};
use crate::snapshot::{Family, Snapshot};

use super::resource::Resource;
use super::start::{Starts, nanoseconds};
use super::wire::{self, Open};
use crate::config::Naming;
use known::Known;
use past::Past;
use request::{Requests, Shell};
use track::{Pushed, Track};

mod attributes;
mod distributions;
mod exponentials;
mod known;
mod numbers;
mod past;
mod request;
mod samples;
mod track;

pub(crate) use request::SCOPE;

/// The longest request, in bytes before compression: well within what receivers take, of which the strictest is
/// gRPC with 4 MiB, and little to hold or to send again.
pub const REQUEST_LIMIT: usize = 1 << 20;

/// Writes the snapshots of one host, and remembers what it has written: the series, and from when on they have counted.
pub struct Encoder {
    shell: Shell,
    naming: Naming,
    starts: Starts,
    /// The families that the rest was made for, in the snapshot's order.
    families: Vec<MetricRef>,
    /// What is known of each of `families`; nothing of those that are not pushed.
    tracks: Vec<Option<Track>>,
    /// Those of families that had no points the last time.
    idle: Vec<Track>,
    messages: Vec<Message>,
    past: Past,
    /// The memory that requests are put together in.
    out: Vec<u8>,
}

/// One metric of the request: points of all families that OpenTelemetry calls by one name.
struct Message {
    shape: Shape,
    /// The fields name, description and unit.
    head: Vec<u8>,
    /// Indices of `families`.
    families: Vec<usize>,
}

impl Message {
    /// Begins the metric and its data.
    fn begin(&self, out: &mut Vec<u8>) -> [Open; 2] {
        let metric = wire::begin(field::METRICS, out);
        out.extend_from_slice(&self.head);
        let data = match self.shape {
            Shape::Gauge => wire::begin(field::GAUGE, out),
            Shape::Sum { monotonic } => {
                let data = wire::begin(field::SUM, out);
                wire::number(field::TEMPORALITY, CUMULATIVE, out);
                if monotonic {
                    wire::number(field::MONOTONIC, 1, out);
                }
                data
            }
            Shape::Histogram | Shape::Exponential => {
                let exponential = self.shape == Shape::Exponential;
                let data = wire::begin(if exponential { field::EXPONENTIAL } else { field::HISTOGRAM }, out);
                wire::number(field::TEMPORALITY, CUMULATIVE, out);
                data
            }
            Shape::Summary => wire::begin(field::SUMMARY, out),
        };
        [metric, data]
    }

    /// The most that [`Message::begin`] appends, in bytes.
    fn begin_length(&self) -> usize {
        self.head.len() + 2 * wire::HEAD + 2 * wire::NUMBER_FIELD
    }
}

/// What kind of metric it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    Gauge,
    Sum { monotonic: bool },
    Histogram,
    Exponential,
    Summary,
}

impl Shape {
    fn of(metric: &Metric) -> Shape {
        let up_down = metric.otel.is_some_and(|otel| otel.up_down);
        match metric.kind {
            Kind::Counter => Shape::Sum { monotonic: true },
            Kind::Gauge if up_down => Shape::Sum { monotonic: false },
            Kind::Gauge => Shape::Gauge,
            Kind::Histogram => Shape::Histogram,
            Kind::Exponential => Shape::Exponential,
            Kind::Summary => Shape::Summary,
        }
    }

    /// Whether it only grows from its start on.
    fn counts(self) -> bool {
        !matches!(self, Shape::Gauge | Shape::Sum { monotonic: false })
    }

    /// The label of the page that tells the samples of a distribution apart, and is no attribute.
    fn bound(self) -> Option<&'static str> {
        match self {
            Shape::Histogram => Some("le"),
            Shape::Summary => Some("quantile"),
            Shape::Gauge | Shape::Sum { .. } | Shape::Exponential => None,
        }
    }

    /// The number of the field that a point has its attributes in.
    fn attributes(self) -> u32 {
        match self {
            Shape::Histogram => field::HISTOGRAM_ATTRIBUTES,
            Shape::Exponential => field::EXPONENTIAL_ATTRIBUTES,
            Shape::Gauge | Shape::Sum { .. } | Shape::Summary => field::ATTRIBUTES,
        }
    }
}

/// Fields of the messages, as `opentelemetry/proto/metrics/v1/metrics.proto` numbers them.
mod field {
    pub(super) const REQUEST_RESOURCE_METRICS: u32 = 1;
    pub(super) const RESOURCE: u32 = 1;
    pub(super) const SCOPE_METRICS: u32 = 2;
    pub(super) const SCOPE: u32 = 1;
    pub(super) const METRICS: u32 = 2;
    /// Of ResourceMetrics and of ScopeMetrics.
    pub(super) const SCHEMA_URL: u32 = 3;
    pub(super) const NAME: u32 = 1;
    pub(super) const DESCRIPTION: u32 = 2;
    pub(super) const UNIT: u32 = 3;
    pub(super) const GAUGE: u32 = 5;
    pub(super) const SUM: u32 = 7;
    pub(super) const HISTOGRAM: u32 = 9;
    pub(super) const EXPONENTIAL: u32 = 10;
    pub(super) const SUMMARY: u32 = 11;
    /// Of Sum and of both histograms.
    pub(super) const TEMPORALITY: u32 = 2;
    pub(super) const MONOTONIC: u32 = 3;
    pub(super) const SCOPE_NAME: u32 = 1;
    pub(super) const SCOPE_VERSION: u32 = 2;
    /// Of Gauge, Sum, both histograms and Summary.
    pub(super) const DATA_POINTS: u32 = 1;
    /// Of every point, as the next.
    pub(super) const START_TIME: u32 = 2;
    pub(super) const TIME: u32 = 3;
    pub(super) const AS_DOUBLE: u32 = 4;
    pub(super) const AS_INT: u32 = 6;
    /// Of every point but a histogram's.
    pub(super) const ATTRIBUTES: u32 = 7;
    pub(super) const HISTOGRAM_ATTRIBUTES: u32 = 9;
    pub(super) const EXPONENTIAL_ATTRIBUTES: u32 = 1;
    /// Of the points of histograms and of a Summary, as the next.
    pub(super) const COUNT: u32 = 4;
    pub(super) const SUM_OF: u32 = 5;
    pub(super) const BUCKET_COUNTS: u32 = 6;
    pub(super) const EXPLICIT_BOUNDS: u32 = 7;
    pub(super) const QUANTILE_VALUES: u32 = 6;
    pub(super) const QUANTILE: u32 = 1;
    pub(super) const QUANTILE_VALUE: u32 = 2;
    /// Of the points of an ExponentialHistogram, as the next two.
    pub(super) const SCALE: u32 = 6;
    pub(super) const ZERO_COUNT: u32 = 7;
    pub(super) const POSITIVE: u32 = 8;
    /// Of their Buckets, as the next.
    pub(super) const OFFSET: u32 = 1;
    pub(super) const COUNTS: u32 = 2;
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

impl Encoder {
    /// For the host that `resource` tells of, whose counters started at `starts`.
    pub fn new(resource: &Resource, naming: Naming, starts: Starts) -> Encoder {
        Encoder {
            shell: Shell::new(resource, naming),
            naming,
            starts,
            families: Vec::new(),
            tracks: Vec::new(),
            idle: Vec::new(),
            messages: Vec::new(),
            past: Past::default(),
            out: Vec::new(),
        }
    }

    /// Gives `done` the requests that hold `snapshot`, each with the number of its data points: as few as there can be
    /// of at most `limit` bytes each, and none where there are no points. A point that is longer than that alone has a
    /// request of its own. Snapshots are given in the order of their time.
    pub fn encode(&mut self, snapshot: &Snapshot, limit: usize, mut done: impl FnMut(&[u8], u32)) {
        let mut families: Vec<(&Family, u64)> = Vec::with_capacity(self.families.len());
        for reading in &snapshot.readings {
            let taken = nanoseconds(reading.taken);
            families.extend(reading.families().map(|family| (family, taken)));
        }
        let same = |(known, (family, _)): (&MetricRef, &(&Family, u64))| known.same(&family.metric);
        if families.len() != self.families.len() || !self.families.iter().zip(&families).all(same) {
            self.arrange(&families);
        }
        let mut requests = Requests::new(&self.shell, limit, &mut self.out, &mut done);
        for message in &self.messages {
            requests.metric(message);
            for index in &message.families {
                if let (Some((family, taken)), Some(Some(track))) = (families.get(*index), self.tracks.get_mut(*index))
                {
                    track.encode(family, *taken, &mut self.past, &mut requests);
                }
            }
        }
        requests.end();
    }

    /// Finds to each family what is known of it, and which metric of the request it belongs to.
    fn arrange(&mut self, families: &[(&Family, u64)]) {
        let known = std::mem::take(&mut self.idle);
        let mut known = Known::of(known.into_iter().chain(std::mem::take(&mut self.tracks).into_iter().flatten()));
        // Several sources may have a family of one metric: those that had this very series first.
        let mut tracks: Vec<Option<Track>> = families.iter().map(|(family, _)| known.same_series(family)).collect();
        let mut known = known.others();
        for (track, (family, _)) in tracks.iter_mut().zip(families) {
            if track.is_none() {
                let other = known.get_mut(&family.metric.identity()).and_then(Vec::pop);
                *track = other.or_else(|| self.pushed(&family.metric).map(Track::new));
            }
        }
        for gone in known.into_values().flatten() {
            match gone.metric() {
                MetricRef::Static(_) => self.idle.push(gone),
                MetricRef::Born(_) => gone.end(&mut self.past),
            }
        }
        self.tracks = tracks;
        self.families = families.iter().map(|(family, _)| family.metric.clone()).collect();
        self.messages.clear();
        let mut places: HashMap<(&str, &str, Shape), usize> = HashMap::new();
        for (index, track) in self.tracks.iter().enumerate() {
            let Some(Pushed { metric, name, unit, shape, .. }) = track.as_ref().map(Track::pushed) else { continue };
            let place = *places.entry((name, unit, *shape)).or_insert(self.messages.len());
            match self.messages.get_mut(place) {
                Some(message) => message.families.push(index),
                None => self.messages.push(Message {
                    head: head(name, unit, description(metric)),
                    shape: *shape,
                    families: vec![index],
                }),
            }
        }
    }

    /// How a metric is pushed; nothing where it is not.
    fn pushed(&self, metric: &MetricRef) -> Option<Pushed> {
        let (name, unit) = match metric.otel {
            Some(otel) if !self.naming.knows(otel.name) => return None,
            Some(otel) => {
                let (name, unit) = self.naming.metric(otel.name, otel.unit.unwrap_or(metric.unit).ucum());
                (name.to_owned(), unit)
            }
            None if metric.foreign => (metric.name.clone().into_owned(), foreign_unit(metric.unit)),
            None => return None,
        };
        let start = self.starts.since(metric.since);
        Some(Pushed { metric: metric.clone(), name, unit, shape: Shape::of(metric), naming: self.naming, start })
    }
}

/// The unit that a name tells. One that tells none may have any: `1` would say that it is a ratio.
fn foreign_unit(unit: Unit) -> &'static str {
    if unit == Unit::One { "" } else { unit.ucum() }
}

/// Metrics that share a name describe a part of it each, and have fixed attributes: then none is told.
fn description(metric: &Metric) -> &str {
    if metric.otel.is_none_or(|otel| otel.fixed.is_empty()) { &metric.help } else { "" }
}

fn head(name: &str, unit: &str, description: &str) -> Vec<u8> {
    let mut head = Vec::new();
    text(field::NAME, name, &mut head);
    text(field::DESCRIPTION, description, &mut head);
    text(field::UNIT, unit, &mut head);
    head
}

fn text(field: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        wire::bytes(field, text.as_bytes(), out);
    }
}

#[cfg(test)]
mod tests;
