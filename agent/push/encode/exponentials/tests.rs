use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, ExponentialHistogramDataPoint, Metric as Sent};
use prost::Message as _;

use crate::config::Naming;
use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::push::encode::{Encoder, REQUEST_LIMIT};
use crate::push::json;
use crate::push::resource::Resource;
use crate::push::start::Starts;
use crate::snapshot::{Durations, Labels, Reading, Snapshot};

static WAIT: Metric = Metric::new(Kind::Exponential, "wait_seconds", Unit::Seconds, "Wait.")
    .labels(&[Label::new("target").otel("server.address"), Label::new("secret").page_only()])
    .otel("wait.duration")
    .since(Since::Agent);

fn at(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

fn snapshot(taken: u64, series: &[(&Labels, &Arc<Durations>)]) -> Snapshot {
    let mut reading = Reading::default();
    reading.start(Instant::now(), at(taken));
    series.iter().for_each(|(labels, durations)| reading.put_durations(&WAIT, labels, durations));
    Snapshot { readings: vec![Arc::new(reading)], at: Instant::now(), taken: at(0) }
}

fn encoder() -> Encoder {
    Encoder::new(&Resource::default(), Naming::Semconv, Starts { boot: None, process: None, agent: 300 })
}

fn sent(encoder: &mut Encoder, snapshot: &Snapshot) -> Sent {
    let mut sent = None;
    encoder.encode(snapshot, REQUEST_LIMIT, |request, points| {
        let request = ExportMetricsServiceRequest::decode(request).unwrap();
        let metric = request.resource_metrics[0].scope_metrics[0].metrics[0].clone();
        sent = Some((metric, points));
    });
    let (metric, points) = sent.unwrap();
    assert_eq!(points as usize, points_of(&metric).len());
    metric
}

fn points_of(metric: &Sent) -> Vec<ExponentialHistogramDataPoint> {
    let Some(Data::ExponentialHistogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
    histogram.data_points.clone()
}

fn took(since: u64, milliseconds: &[u64]) -> Arc<Durations> {
    let mut durations = Durations::new(at(since));
    milliseconds.iter().for_each(|took| durations.add(Duration::from_millis(*took)));
    Arc::new(durations)
}

fn labels(target: &str) -> Labels {
    Labels::new(&[("target", target), ("secret", "s")])
}

#[test]
fn a_collector_finds_every_duration_in_its_bucket() {
    let durations = took(100, &[0, 1, 2, 2, 30, 5_000]);
    let metric = sent(&mut encoder(), &snapshot(1000, &[(&labels("a"), &durations)]));
    assert_eq!((&*metric.name, &*metric.unit), ("wait.duration", "s"));
    let points = points_of(&metric);
    let [point] = &points[..] else { panic!("{points:?}") };
    let keys: Vec<&str> = point.attributes.iter().map(|pair| &*pair.key).collect();
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano, keys), (100, 1000, vec!["server.address"]));
    assert_eq!((point.count, point.zero_count, point.sum), (6, 1, Some(5.035)));
    assert!(point.negative.is_none() && point.min.is_none() && point.max.is_none());
    let positive = point.positive.as_ref().unwrap();
    let base = f64::powf(2.0, f64::powi(2.0, -point.scale));
    let within = |value: f64| {
        let of_all =
            |(index, count): (i32, &u64)| (base.powi(index) < value && value <= base.powi(index + 1)).then_some(*count);
        (positive.offset..).zip(&positive.bucket_counts).find_map(of_all)
    };
    assert_eq!([0.001, 0.002, 0.03, 5.0].map(within), [Some(1), Some(2), Some(1), Some(1)]);
    assert_eq!(positive.bucket_counts.iter().sum::<u64>() + point.zero_count, point.count);
}

#[test]
fn each_series_starts_when_it_was_born_and_stays_there() {
    let (a, b) = (labels("a"), labels("b"));
    let (mut encoder, durations, later) = (encoder(), took(100, &[1]), took(1500, &[1]));
    let mut starts = |taken, series: &[(&Labels, &Arc<Durations>)]| {
        let points = points_of(&sent(&mut encoder, &snapshot(taken, series)));
        points.iter().map(|point| point.start_time_unix_nano).collect::<Vec<_>>()
    };
    assert_eq!(starts(1000, &[(&a, &durations)]), [100]);
    assert_eq!(starts(2000, &[(&a, &durations), (&b, &later)]), [100, 1500]);
    assert_eq!(starts(1400, &[(&b, &later), (&a, &durations)]), [1400, 100], "the clock was set back");
    assert_eq!(starts(3000, &[(&b, &later)]), [1400]);
}

#[test]
fn it_can_be_shown_as_json() {
    let series = [(&labels("a"), &took(100, &[0, 1000, 1500]))];
    encoder().encode(&snapshot(1000, &series), REQUEST_LIMIT, |request, _| {
        let mut out = Vec::new();
        json::render(request, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let histogram = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["exponentialHistogram"];
        let point = &histogram["dataPoints"][0];
        assert_eq!((&histogram["aggregationTemporality"], &point["count"]), (&2.into(), &"3".into()));
        assert_eq!((&point["scale"], &point["zeroCount"]), (&7.into(), &"1".into()));
        let positive = &point["positive"];
        assert_eq!((&positive["offset"], &positive["bucketCounts"][0]), (&(-1).into(), &"1".into()));
    });
}
