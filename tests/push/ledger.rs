//! What a collector was sent, checked as it comes: every point in the order of its series, and nothing twice without a
//! reason.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;

/// A request, and what the collector meant to answer.
pub(crate) struct Delivery {
    pub(crate) request: ExportMetricsServiceRequest,
    pub(crate) connection: u16,
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken,
    /// It is to be sent again.
    Later,
    /// It must not be sent again.
    Never,
}

/// Requests, and the points in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) requests: u64,
    pub(crate) points: u64,
}

/// What one agent made from its start to its end, as far as it came. Of each snapshot there are two requests: the host,
/// with the number of the snapshot, and behind it what the agent measured itself.
#[derive(Default)]
pub(crate) struct Life {
    start: u64,
    pub(crate) snapshots: BTreeSet<u64>,
    measured: u64,
    /// The second request of the last snapshot has not come.
    half: bool,
    /// Snapshots without a second request that were not the last.
    pub(crate) alone: Vec<u64>,
}

impl Life {
    /// Requests that did not come, of those before the last.
    pub(crate) fn missing(&self) -> u64 {
        let made = self.snapshots.last().map_or(0, |last| last + 1);
        // Before the first snapshot there may have been nothing to measure.
        let measured = made - u64::from(self.half) - u64::from(self.alone.first() == Some(&0));
        (made - self.snapshots.len() as u64) + measured.checked_sub(self.measured).unwrap()
    }
}

#[derive(Default)]
pub(crate) struct Ledger {
    /// When the newest point of each series was measured.
    series: HashMap<Vec<u8>, u64>,
    seen: HashSet<u64>,
    last: Option<(u64, u16, Answer)>,
    pub(crate) lives: Vec<Life>,
    /// Of them the collector took something.
    pub(crate) taken: Count,
    /// What it refused for good.
    pub(crate) refused: Count,
    /// Deliveries of what had come before.
    pub(crate) again: u64,
}

impl Ledger {
    pub(crate) fn enter(&mut self, Delivery { request, connection, answer }: Delivery) {
        let id = {
            let mut hasher = DefaultHasher::new();
            request.encode_to_vec().hash(&mut hasher);
            hasher.finish()
        };
        let before = self.last.replace((id, connection, answer));
        let points = if self.seen.insert(id) {
            assert!(!matches!(before, Some((_, _, Answer::Later))), "what was to be sent again was given up");
            self.look(&request)
        } else {
            self.again += 1;
            let (last, on, said) = before.expect("something came before");
            assert_eq!(last, id, "what comes again is what came last");
            assert_ne!(said, Answer::Never, "what was refused for good came again");
            // Who heard an answer goes on over the same connection.
            assert!(said == Answer::Later || on != connection, "what was acknowledged came again");
            if said == Answer::Taken {
                // It has been counted.
                assert_eq!(answer, Answer::Taken, "the collector contradicts itself");
                return;
            }
            count(&request)
        };
        let counted = match answer {
            Answer::Taken => &mut self.taken,
            Answer::Never => &mut self.refused,
            Answer::Later => return,
        };
        counted.requests += 1;
        counted.points += points;
    }

    /// Looks at what is new, and counts its points.
    fn look(&mut self, request: &ExportMetricsServiceRequest) -> u64 {
        let mut snapshot = None;
        for metric in metrics(request) {
            if metric.name == "vigie.push.snapshots" {
                snapshot = number(metric);
            }
            for (attributes, time) in points(metric) {
                let mut series = metric.name.clone().into_bytes();
                attributes.iter().for_each(|attribute| series.extend(attribute.encode_length_delimited_to_vec()));
                let newest = self.series.entry(series).or_default();
                assert!(time > *newest, "{}: {time} behind {newest}, of {attributes:?}", metric.name);
                *newest = time;
            }
        }
        match snapshot {
            Some((start, number)) => {
                if self.lives.last().is_none_or(|life| life.start != start) {
                    self.lives.push(Life { start, ..Life::default() });
                }
                let life = self.lives.last_mut().unwrap();
                if life.half {
                    life.alone.extend(life.snapshots.last());
                }
                assert!(life.snapshots.last().is_none_or(|last| *last < number), "snapshot {number} comes late");
                life.snapshots.insert(number);
                life.half = true;
            }
            None => {
                let life = self.lives.last_mut().expect("the host comes first");
                (life.measured, life.half) = (life.measured + 1, false);
            }
        }
        count(request)
    }
}

fn metrics(request: &ExportMetricsServiceRequest) -> impl Iterator<Item = &Metric> {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics)
}

fn count(request: &ExportMetricsServiceRequest) -> u64 {
    metrics(request).map(|metric| points(metric).len() as u64).sum()
}

/// The attributes and the time of each point.
fn points(metric: &Metric) -> Vec<(&[KeyValue], u64)> {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => {
            gauge.data_points.iter().map(|point| (&*point.attributes, point.time_unix_nano)).collect()
        }
        Data::Sum(sum) => sum.data_points.iter().map(|point| (&*point.attributes, point.time_unix_nano)).collect(),
        Data::Histogram(histogram) => {
            histogram.data_points.iter().map(|point| (&*point.attributes, point.time_unix_nano)).collect()
        }
        Data::Summary(summary) => {
            summary.data_points.iter().map(|point| (&*point.attributes, point.time_unix_nano)).collect()
        }
        Data::ExponentialHistogram(_) => panic!("none is pushed"),
    }
}

/// Since when it counts, and how far it is.
fn number(metric: &Metric) -> Option<(u64, u64)> {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    let point = sum.data_points.first()?;
    let Some(Value::AsInt(number)) = point.value else { panic!("{point:?}") };
    Some((point.start_time_unix_nano, u64::try_from(number).unwrap()))
}
