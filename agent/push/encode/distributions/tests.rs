use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, HistogramDataPoint, SummaryDataPoint};
use prost::Message as _;

use crate::config::Naming;
use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::push::encode::{Encoder, REQUEST_LIMIT};
use crate::push::resource::Resource;
use crate::push::start::Starts;
use crate::samplers::textfile::format::parse;
use crate::snapshot::{Labels, Reading, Snapshot};

const STARTS: Starts = Starts { boot: Some(100), process: Some(200), agent: 300 };

fn at(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

fn snapshot(taken: u64, write: impl FnOnce(&mut Reading)) -> Snapshot {
    let mut reading = Reading::default();
    reading.start(Instant::now(), at(taken));
    write(&mut reading);
    Snapshot { readings: vec![Arc::new(reading)], at: Instant::now(), taken: at(0) }
}

fn encoder() -> Encoder {
    Encoder::new(&Resource::default(), Naming::Semconv, STARTS)
}

/// What another program has written, pushed from moment to moment.
struct Pushed {
    metric: Arc<Metric>,
    encoder: Encoder,
}

impl Pushed {
    fn new(kind: Kind) -> Pushed {
        let metric = Metric { foreign: true, since: Since::Unknown, ..Metric::new(kind, "t", Unit::One, "T.") };
        Pushed { metric: Arc::new(metric), encoder: encoder() }
    }

    fn data(&mut self, taken: u64, samples: &str) -> Option<Data> {
        let kind = self.metric.type_on_page();
        let families = parse(&format!("# TYPE t {kind}\n{samples}"), 100).unwrap();
        let snapshot = snapshot(taken, |reading| {
            families[0].series.iter().for_each(|(labels, value)| reading.put_born(&self.metric, labels, *value));
        });
        sent(&mut self.encoder, &snapshot)
    }

    fn histograms(&mut self, taken: u64, samples: &str) -> Vec<HistogramDataPoint> {
        match self.data(taken, samples) {
            Some(Data::Histogram(histogram)) => {
                assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
                histogram.data_points
            }
            other => panic!("{other:?}"),
        }
    }

    fn summaries(&mut self, taken: u64, samples: &str) -> Vec<SummaryDataPoint> {
        match self.data(taken, samples) {
            Some(Data::Summary(summary)) => summary.data_points,
            other => panic!("{other:?}"),
        }
    }
}

/// The data of the one metric that is pushed, if one is.
fn sent(encoder: &mut Encoder, snapshot: &Snapshot) -> Option<Data> {
    let mut data = None;
    encoder.encode(snapshot, REQUEST_LIMIT, |request, _| {
        let request = ExportMetricsServiceRequest::decode(request).unwrap();
        data = request.resource_metrics[0].scope_metrics[0].metrics[0].data.clone();
    });
    data
}

fn keys(attributes: &[KeyValue]) -> Vec<&str> {
    attributes.iter().map(|pair| &*pair.key).collect()
}

const BUCKETS: &str = "t_bucket{le=\"0.1\",x=\"1\"} 1\nt_bucket{le=\"2\",x=\"1\"} 3\nt_bucket{le=\"+Inf\",x=\"1\"} 7\n\
                       t_sum{x=\"1\"} 4.5\nt_count{x=\"1\"} 7\n";

#[test]
fn the_buckets_of_a_histogram_have_only_their_own() {
    let points = Pushed::new(Kind::Histogram).histograms(1000, BUCKETS);
    let [point] = &points[..] else { panic!("{points:?}") };
    assert_eq!((&*point.explicit_bounds, &*point.bucket_counts), (&[0.1, 2.0][..], &[1, 2, 4][..]));
    assert_eq!((point.count, point.sum, keys(&point.attributes)), (7, Some(4.5), vec!["x"]));
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1000, 1000));
}

#[test]
fn a_histogram_of_our_own_has_declared_attributes_and_start() {
    static WAIT: Metric = Metric::new(Kind::Histogram, "wait_seconds", Unit::Seconds, "Wait.")
        .labels(&[Label::new("target").otel("server.address"), Label::new("secret").page_only()])
        .otel("wait")
        .since(Since::Agent);
    let part = |suffix, le: Option<&str>| {
        let pairs = [("target", "a"), ("secret", "b")].into_iter().chain(le.map(|le| ("le", le)));
        Labels::part(suffix, &pairs.collect::<Vec<_>>())
    };
    let snapshot = snapshot(1000, |reading| {
        reading.put_with(&WAIT, &part("_bucket", Some("1")), 2_i64);
        reading.put_with(&WAIT, &part("_bucket", Some("+Inf")), 3_i64);
        reading.put_with(&WAIT, &part("_sum", None), 9.5);
        reading.put_with(&WAIT, &part("_count", None), 3_i64);
    });
    let Some(Data::Histogram(histogram)) = sent(&mut encoder(), &snapshot) else { panic!("no histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((keys(&point.attributes), point.start_time_unix_nano), (vec!["server.address"], 300));
    assert_eq!((&*point.bucket_counts, point.sum), (&[2, 1][..], Some(9.5)));
}

#[test]
fn a_reset_of_a_histogram_is_a_new_start() {
    let mut pushed = Pushed::new(Kind::Histogram);
    let mut start = |taken, buckets: [u64; 2]| {
        let [low, all] = buckets;
        let text = format!("t_bucket{{le=\"1\"}} {low}\nt_bucket{{le=\"+Inf\"}} {all}\nt_sum 0\nt_count {all}\n");
        pushed.histograms(taken, &text)[0].start_time_unix_nano
    };
    assert_eq!(start(1000, [3, 5]), 1000);
    assert_eq!(start(2000, [3, 6]), 1000);
    assert_eq!(start(3000, [1, 2]), 2000, "fewer observations");
    assert_eq!(start(4000, [2, 4]), 2000);
    assert_eq!(start(5000, [1, 4]), 4000, "as many, and others");
    assert_eq!(start(6000, [1, 5]), 4000);
}

#[test]
fn a_histogram_that_went_and_came_back_goes_on() {
    let mut pushed = Pushed::new(Kind::Histogram);
    let other = BUCKETS.replace("x=\"1\"", "x=\"2\"");
    let both = format!("{BUCKETS}{other}");
    assert_eq!(pushed.histograms(1000, &both).len(), 2);
    assert_eq!(pushed.histograms(2000, &other)[0].start_time_unix_nano, 1000);
    let starts: Vec<u64> = pushed.histograms(3000, &both).iter().map(|point| point.start_time_unix_nano).collect();
    assert_eq!(starts, [1000, 1000]);
}

#[test]
fn what_is_no_histogram_is_left_out() {
    let good = "t_bucket{le=\"+Inf\",x=\"good\"} 1\nt_count{x=\"good\"} 1\n";
    for bad in [
        // The bucket of all is missing, and cannot be told from the count.
        "t_bucket{le=\"1\"} 1\nt_sum 1\n",
        "t_sum 1\n",
        "t_bucket{le=\"1\"} 3\nt_bucket{le=\"+Inf\"} 2\nt_count 2\n",
        "t_bucket{le=\"1\"} 1\nt_bucket{le=\"+Inf\"} 2\nt_count 3\n",
        "t_bucket{le=\"1\"} 1\nt_bucket{le=\"1.0\"} 1\nt_bucket{le=\"+Inf\"} 2\n",
        "t_bucket{le=\"-Inf\"} 1\nt_bucket{le=\"+Inf\"} 2\n",
        "t_bucket{le=\"1\"} 0.5\nt_bucket{le=\"+Inf\"} 2\n",
        "t_bucket{le=\"1\"} -1\nt_bucket{le=\"+Inf\"} 2\n",
        "t_bucket{le=\"+Inf\"} NaN\n",
        "t_bucket{le=\"+Inf\"} 1e300\n",
        "t_bucket{le=\"+Inf\"} 2\nt_sum NaN\n",
    ] {
        let points = Pushed::new(Kind::Histogram).histograms(1000, &format!("{bad}{good}"));
        assert_eq!(points.len(), 1, "{bad}");
        assert_eq!((points[0].sum, &*points[0].bucket_counts), (None, &[1][..]), "{bad}");
    }
    let mut alone = Pushed::new(Kind::Histogram);
    assert_eq!(alone.data(1000, "t_bucket{le=\"+Inf\"} NaN\n"), None);
    let later = &alone.histograms(2000, "t_bucket{le=\"+Inf\"} 3e0\n")[0];
    assert_eq!((later.count, later.start_time_unix_nano), (3, 1000));
}

#[test]
fn of_two_histograms_that_are_called_the_same_the_first_counts() {
    let metric = Arc::new(Metric { foreign: true, ..Metric::new(Kind::Histogram, "t", Unit::One, "T.") });
    let part = |suffix, pairs: &[(&str, &str)]| Labels::part(suffix, pairs);
    let snapshot = snapshot(1000, |reading| {
        for (count, x) in [(1_i64, "1"), (2, "2"), (3, "1")] {
            reading.put_born(&metric, &part("_bucket", &[("x", x), ("le", "+Inf")]), count);
        }
    });
    let Some(Data::Histogram(histogram)) = sent(&mut encoder(), &snapshot) else { panic!("no histogram") };
    assert_eq!(histogram.data_points.iter().map(|point| point.count).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_sum_that_may_fall_is_not_told() {
    let samples = "t_bucket{le=\"-1\"} 1\nt_bucket{le=\"+Inf\"} 2\nt_sum -3\nt_count 2\n";
    assert_eq!(Pushed::new(Kind::Histogram).histograms(1000, samples)[0].sum, None);
}

#[test]
fn a_summary_has_its_quantiles() {
    let mut pushed = Pushed::new(Kind::Summary);
    let samples = "t{quantile=\"0.5\"} 2\nt{quantile=\"0.9\"} NaN\nt{quantile=\"1\"} 4.5\nt_sum 9\nt_count 3\n";
    let points = pushed.summaries(1000, samples);
    let [point] = &points[..] else { panic!("{points:?}") };
    let told: Vec<_> = point.quantile_values.iter().map(|value| (value.quantile, value.value)).collect();
    assert_eq!((told, point.sum, point.count), (vec![(0.5, 2.0), (1.0, 4.5)], 9.0, 3));
    assert_eq!(point.attributes, []);
    assert_eq!(pushed.summaries(2000, "t_sum 1\nt_count 1\n")[0].start_time_unix_nano, 1000);
    assert_eq!(pushed.data(3000, "t_count 1\n"), None);
    assert_eq!(pushed.data(3000, "t{quantile=\"2\"} 1\nt_sum 1\nt_count 1\n"), None);
    assert_eq!(pushed.data(3000, "t_sum NaN\nt_count 1\n"), None);
}

#[test]
fn a_steady_push_allocates_nothing_for_a_histogram() {
    let metric = Arc::new(Metric { foreign: true, ..Metric::new(Kind::Histogram, "t", Unit::One, "T.") });
    let labels: Vec<Labels> = (0..500)
        .flat_map(|x| ["0.1", "1", "+Inf"].map(|le| Labels::part("_bucket", &[("x", &x.to_string()), ("le", le)])))
        .collect();
    let mut encoder = encoder();
    for pass in 1..=3 {
        let snapshot = snapshot(1000 * pass, |reading| {
            labels.iter().for_each(|labels| reading.put_born(&metric, labels, pass));
        });
        let measured = allocation_counter::measure(|| {
            encoder.encode(&snapshot, REQUEST_LIMIT, |_, points| assert_eq!(points, 500));
        });
        assert!(pass == 1 || measured.count_total <= 2, "{} allocations", measured.count_total);
    }
}
