//! What is measured, as OpenTelemetry's own types read it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as Pair};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric as Sent};
use prost::Message;

use super::*;
use crate::page::ROUTES;
use crate::push::naming::SCHEMA_URL;
use crate::push::record::Encoding;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Instruments that were started, and what they handed over.
#[derive(Default)]
struct Started {
    instruments: Instruments,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Started {
    fn new() -> Started {
        let started = Started::default();
        started.start("web-1");
        started
    }

    fn start(&self, host: &str) {
        let records = Arc::clone(&self.records);
        let sink = move |record| records.lock().unwrap().push(record);
        self.instruments.start(&resource(host), sink).unwrap();
    }

    /// The one request that a flush hands over.
    fn flush(&self) -> ExportMetricsServiceRequest {
        self.instruments.flush().unwrap();
        let records = std::mem::take(&mut *self.records.lock().unwrap());
        let [record] = &*records else { panic!("{records:?}") };
        assert_eq!(record.encoding, Encoding::Identity);
        let request = ExportMetricsServiceRequest::decode(&*record.body).unwrap();
        assert_eq!(sent(&request).iter().map(|metric| points(metric).len()).sum::<usize>(), record.points as usize);
        request
    }

    fn request(&self, method: &str, path: &str, status: u16, scheme: &'static str) {
        let (method, status) = (Method::from_bytes(method.as_bytes()).unwrap(), StatusCode::from_u16(status).unwrap());
        self.instruments.request(&method, crate::page::route(path), status, scheme, MILLISECOND);
    }
}

fn resource(host: &str) -> Resource {
    let pairs = [("service.name", "vigie"), ("host.name", host)];
    Resource(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
}

fn sent(request: &ExportMetricsServiceRequest) -> &[Sent] {
    let [resource] = &*request.resource_metrics else { panic!("{request:?}") };
    let [scope] = &*resource.scope_metrics else { panic!("{request:?}") };
    &scope.metrics
}

fn metric<'a>(request: &'a ExportMetricsServiceRequest, name: &str) -> &'a Sent {
    sent(request).iter().find(|metric| metric.name == name).unwrap()
}

fn points(metric: &Sent) -> &[HistogramDataPoint] {
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(histogram.aggregation_temporality, 2, "{} is not cumulative", metric.name);
    &histogram.data_points
}

fn attributes(pairs: &[Pair]) -> BTreeMap<&str, String> {
    let text = |pair: &Pair| match &pair.value {
        Some(AnyValue { value: Some(Any::StringValue(text)) }) => text.clone(),
        Some(AnyValue { value: Some(Any::IntValue(int)) }) => int.to_string(),
        Some(AnyValue { value: Some(Any::BoolValue(bool)) }) => bool.to_string(),
        other => panic!("{other:?}"),
    };
    pairs.iter().map(|pair| (&*pair.key, text(pair))).collect()
}

/// The only series with these attributes.
fn point<'a>(metric: &'a Sent, wanted: &[(&str, &str)]) -> &'a HistogramDataPoint {
    let wanted: BTreeMap<&str, String> = wanted.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let found: Vec<_> = points(metric).iter().filter(|point| attributes(&point.attributes) == wanted).collect();
    let [point] = &*found else { panic!("{wanted:?} in {metric:?}") };
    point
}

#[test]
fn what_was_measured_is_told_as_it_was_declared() {
    let started = Started::new();
    started.instruments.pass(4 * MILLISECOND);
    started.instruments.pass(40 * MILLISECOND);
    started.request("GET", "/metrics", 200, "http");
    started.instruments.push(Protocol::Grpc, MILLISECOND, None);
    let request = started.flush();
    assert_eq!(sent(&request).len(), METRICS.len());
    for declared in METRICS {
        let metric = metric(&request, &declared.name);
        assert_eq!((&*metric.description, &*metric.unit), (&*declared.help, "s"));
        let keys: Vec<&str> = declared.labels.iter().map(|label| label.otel).collect();
        for point in points(metric) {
            assert!(attributes(&point.attributes).keys().all(|key| keys.contains(key)), "{point:?}");
            assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano <= point.time_unix_nano);
            assert_eq!((point.min, point.max), (None, None));
        }
    }
    let passes = point(metric(&request, "vigie.pass.duration"), &[]);
    assert_eq!((passes.count, passes.sum), (2, Some(0.044)));
    let filled = passes.bucket_counts.iter().zip(&passes.explicit_bounds).filter(|(count, _)| **count > 0);
    assert_eq!(filled.collect::<Vec<_>>(), [(&1, &0.005), (&1, &0.05)]);
}

#[test]
fn the_resource_and_the_scope_are_those_of_the_snapshot() {
    let started = Started::new();
    started.instruments.pass(MILLISECOND);
    let request = started.flush();
    let told = &request.resource_metrics[0];
    let pairs = attributes(&told.resource.as_ref().unwrap().attributes);
    assert_eq!(pairs, resource("web-1").0.iter().map(|(key, value)| (&**key, value.clone())).collect());
    let scope = &told.scope_metrics[0];
    let name = scope.scope.as_ref().unwrap();
    assert_eq!((&*name.name, &*name.version), ("vigie", env!("CARGO_PKG_VERSION")));
    assert_eq!([&told.schema_url, &scope.schema_url], [SCHEMA_URL, SCHEMA_URL]);
}

#[test]
fn requests_and_pushes_are_told_apart_as_the_conventions_say() {
    let started = Started::new();
    started.request("GET", "/metrics", 200, "http");
    started.request("GET", "/metrics", 200, "http");
    started.request("GET", "/health/ready", 503, "https");
    started.request("BREW", "/coffee", 404, "http");
    started.instruments.push(Protocol::Grpc, MILLISECOND, None);
    started.instruments.push(Protocol::Http, MILLISECOND, Some("timeout"));
    let request = started.flush();
    let requests = metric(&request, "http.server.request.duration");
    let [method, status, route, scheme] =
        ["http.request.method", "http.response.status_code", "http.route", "url.scheme"];
    let scraped = [(method, "GET"), (status, "200"), (route, "/metrics"), (scheme, "http")];
    assert_eq!(point(requests, &scraped).count, 2);
    let failed = [(method, "GET"), (status, "503"), (route, "/health/ready"), (scheme, "https"), ("error.type", "503")];
    assert_eq!(point(requests, &failed).count, 1);
    let lost = [(method, "_OTHER"), (status, "404"), (scheme, "http")];
    assert_eq!(point(requests, &lost).count, 1);
    let pushes = metric(&request, "otel.sdk.exporter.operation.duration");
    assert_eq!(point(pushes, &[("otel.component.type", "otlp_grpc_metric_exporter")]).count, 1);
    let late = [("otel.component.type", "otlp_http_metric_exporter"), ("error.type", "timeout")];
    assert_eq!(point(pushes, &late).count, 1);
}

#[test]
fn strange_requests_leave_room_for_every_other() {
    let started = Started::new();
    for index in 0..10_000 {
        started.request(&format!("ODD{index}"), &format!("/{index}"), 404, "http");
    }
    for scheme in ["http", "https"] {
        for method in METHODS.iter().chain(&["BREW"]) {
            started.request(method, "/nowhere", 404, scheme);
        }
        for (route, _) in ROUTES {
            let asks = route.starts_with("/health/") || route.starts_with("/-/");
            let statuses: &[u16] = if asks { &[200, 503] } else { &[200, 401, 429] };
            for method in ["GET", "HEAD"] {
                statuses.iter().for_each(|status| started.request(method, route, *status, scheme));
            }
            for method in METHODS.iter().chain(&["BREW"]).skip(2) {
                started.request(method, route, 405, scheme);
            }
        }
    }
    let request = started.flush();
    let requests = metric(&request, "http.server.request.duration");
    let odd = [("http.request.method", "_OTHER"), ("http.response.status_code", "404"), ("url.scheme", "http")];
    assert_eq!(point(requests, &odd).count, 10_001);
    assert_eq!(points(requests).len(), 2 * 64);
    assert!(points(requests).len() < REQUESTS.series);
}

#[test]
fn reasons_without_end_are_counted_together() {
    let started = Started::new();
    for index in 0..1_000_u32 {
        started.instruments.push(Protocol::Grpc, MILLISECOND, Some(format!("{index}").leak()));
    }
    let request = started.flush();
    let pushes = metric(&request, "otel.sdk.exporter.operation.duration");
    assert_eq!(points(pushes).len(), PUSHES.series + 1);
    assert_eq!(point(pushes, &[("otel.metric.overflow", "true")]).count, 1_000 - PUSHES.series as u64);
}

#[test]
fn counts_go_on_from_flush_to_flush() {
    let started = Started::new();
    started.instruments.pass(MILLISECOND);
    let first = started.flush();
    started.instruments.pass(MILLISECOND);
    let second = started.flush();
    let pass = |request| point(metric(request, "vigie.pass.duration"), &[]).clone();
    assert_eq!((pass(&first).count, pass(&second).count), (1, 2));
    assert_eq!(pass(&first).start_time_unix_nano, pass(&second).start_time_unix_nano);
}

#[test]
fn a_new_start_keeps_nothing_of_before() {
    let started = Started::new();
    let clone = started.instruments.clone();
    started.request("GET", "/metrics", 200, "http");
    let before = started.flush();
    started.start("web-2");
    clone.pass(MILLISECOND);
    let after = started.flush();
    let names: Vec<&str> = sent(&after).iter().map(|metric| &*metric.name).collect();
    assert_eq!(names, ["vigie.pass.duration"]);
    assert_eq!(attributes(&after.resource_metrics[0].resource.as_ref().unwrap().attributes)["host.name"], "web-2");
    let start = |request| points(&sent(request)[0])[0].start_time_unix_nano;
    assert!(start(&before) < start(&after));
}

#[test]
fn what_was_stopped_measures_nothing_until_it_is_started_again() {
    let started = Started::new();
    started.instruments.pass(MILLISECOND);
    started.instruments.stop();
    started.instruments.pass(MILLISECOND);
    started.instruments.flush().unwrap();
    assert_eq!(*started.records.lock().unwrap(), []);
    started.start("web-1");
    started.instruments.flush().unwrap();
    assert_eq!(*started.records.lock().unwrap(), [], "there is nothing to tell");
    started.instruments.pass(MILLISECOND);
    assert_eq!(point(metric(&started.flush(), "vigie.pass.duration"), &[]).count, 1);
}

/// Allocations of every verb, once.
fn allocations(instruments: &Instruments) -> u64 {
    let each = || {
        instruments.pass(MILLISECOND);
        instruments.request(&Method::GET, Some("/metrics"), StatusCode::OK, "http", MILLISECOND);
        instruments.request(&Method::HEAD, Some("/health/ready"), StatusCode::SERVICE_UNAVAILABLE, "http", MILLISECOND);
        instruments.request(&Method::POST, None, StatusCode::NOT_FOUND, "http", MILLISECOND);
        instruments.push(Protocol::Grpc, MILLISECOND, None);
        instruments.push(Protocol::Grpc, MILLISECOND, Some("timeout"));
    };
    allocation_counter::measure(each).count_total
}

#[test]
fn to_measure_allocates_nothing_but_for_a_series_that_is_born() {
    let off = Instruments::default();
    assert_eq!(allocations(&off), 0);
    let started = Started::new();
    assert!(allocations(&started.instruments) > 0);
    assert_eq!(allocations(&started.instruments), 0);
}

#[tokio::test]
async fn a_flush_does_not_wait_for_the_runtime_that_it_is_called_on() {
    let started = Started::new();
    started.instruments.pass(MILLISECOND);
    started.flush();
}

#[test]
fn those_who_measure_do_not_wait_for_a_flush_nor_for_a_start() {
    let started = Started::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..2_000).for_each(|_| started.instruments.pass(MILLISECOND)));
        }
        scope.spawn(|| (0..50).for_each(|_| started.instruments.flush().unwrap()));
        scope.spawn(|| (0..20).for_each(|_| started.start("web-1")));
    });
    let records = started.records.lock().unwrap();
    assert!(records.iter().all(|record| ExportMetricsServiceRequest::decode(&*record.body).is_ok()));
}
