//! What is pushed of every host: decoded by OpenTelemetry's own types, beside a plain reference and the expected JSON.
//!
//! `BLESS=1` writes the expected files anew; read the difference before it is committed.

// The test runs the real binary, which itself runs no other program; helpers may panic as a test may.
#![allow(clippy::disallowed_types, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/environment.rs"]
mod environment;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use environment::forget_environment;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric as Sent, NumberDataPoint, SummaryDataPoint};
use prost::Message;
use serde_json::{Value as Json, json};
use vigie::config::Config;
use vigie::config::Naming;
use vigie::metric::{Kind, Metric, Since, Unit};
use vigie::push::encode::{Encoder, REQUEST_LIMIT};
use vigie::push::json::render;
use vigie::push::resource::Resource;
use vigie::push::start::Starts;
use vigie::snapshot::{Point, Snapshot, Value};
use vigie::supervisor::Handle;

/// What a request says of this run rather than of the host: the values are masked.
const OF_THE_RUN: &[&str] = &["vigie.source.age", "vigie.source.duration"];

fn hosts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut hosts: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    hosts.sort();
    assert!(hosts.len() >= 4, "hosts are missing: {hosts:?}");
    hosts
}

/// The options that make vigie look at a folder.
fn sets(host: &Path) -> Vec<String> {
    let paths = [("proc", host.join("proc")), ("sys", host.join("sys")), ("root", host.to_owned())];
    paths.iter().map(|(key, path)| format!("paths.{key}='{}'", path.display())).collect()
}

/// A host that was sampled once.
struct Sampled {
    name: String,
    resource: Resource,
    starts: Starts,
    snapshot: Arc<Snapshot>,
}

impl Sampled {
    fn of(name: String, sets: &[String]) -> Sampled {
        let config = Config::load_in(&|_| None, None, sets).unwrap_or_else(|error| panic!("{error}"));
        let handle = Handle::open(&config).unwrap();
        let starts = Starts::of(handle.root(), SystemTime::now());
        handle.sample();
        let resource = Resource::of(handle.root(), &config.host);
        Sampled { name, resource, starts, snapshot: handle.newest() }
    }

    /// This host, with files of other programs, and every folder that stands for one.
    fn all(texts: &Path) -> Vec<Sampled> {
        let directory = format!("samplers.textfile.directory='{}'", texts.display());
        let folders = hosts().into_iter().map(|host| (host.file_name().unwrap().display().to_string(), sets(&host)));
        let this = ("this host".to_owned(), vec![directory]);
        std::iter::once(this).chain(folders).map(|(name, sets)| Sampled::of(name, &sets)).collect()
    }

    /// The requests of at most `limit` bytes.
    fn requests(&self, naming: Naming, limit: usize) -> Vec<Vec<u8>> {
        let mut requests = Vec::new();
        Encoder::new(&self.resource, naming, self.starts).encode(&self.snapshot, limit, |request, points| {
            let sent: usize = metrics(&decoded(request)).iter().map(|metric| sent(metric).1.len()).sum();
            assert_eq!(sent, points as usize);
            requests.push(request.to_vec());
        });
        requests
    }

    fn encoded(&self, naming: Naming) -> Vec<u8> {
        let mut requests = self.requests(naming, REQUEST_LIMIT);
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }
}

fn texts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "# TYPE jobs_total counter\njobs_total{queue=\"a \\\"b\\\" \\\\ \\n ü\"} 9007199254740993\n\
                backup_age_seconds 1.5\nodd NaN\n\
                # TYPE wait_seconds histogram\nwait_seconds_bucket{le=\"0.5\",queue=\"a\"} 1\n\
                wait_seconds_bucket{le=\"+Inf\",queue=\"a\"} 3\nwait_seconds_sum{queue=\"a\"} 2.5\n\
                wait_seconds_count{queue=\"a\"} 3\nwait_seconds_bucket{le=\"+Inf\",queue=\"b\"} 0\n\
                # TYPE t summary\nt{quantile=\"0.5\"} 1\nt{quantile=\"0.9\"} NaN\nt_sum 4\nt_count 2\n";
    std::fs::write(folder.path().join("a.prom"), text).unwrap();
    folder
}

/// What a point says: attributes, start, time and value, in a form that compares.
type Told = (BTreeMap<String, String>, u64, u64, String);

/// Unit, kind and points of a metric.
type Shape = (String, &'static str, Vec<Told>);

/// What the declarations say that a snapshot is over OTLP, put together in the plainest way.
fn expected(sampled: &Sampled) -> BTreeMap<String, Shape> {
    let mut all: BTreeMap<String, Shape> = BTreeMap::new();
    for reading in &sampled.snapshot.readings {
        for family in reading.families() {
            let metric = &family.metric;
            let kind = match (metric.kind, metric.otel.is_some_and(|otel| otel.up_down)) {
                (Kind::Counter, _) => "counter",
                (Kind::Gauge, true) => "up and down",
                (Kind::Gauge, false) => "gauge",
                (Kind::Histogram, _) => "histogram",
                (Kind::Exponential, _) => "exponential histogram",
                (Kind::Summary, _) => "summary",
            };
            let (name, unit) = match metric.otel {
                Some(otel) => (otel.name.to_owned(), otel.unit.unwrap_or(metric.unit).ucum()),
                None if metric.foreign && metric.unit == Unit::One => (metric.name.to_string(), ""),
                None if metric.foreign => (metric.name.to_string(), metric.unit.ucum()),
                None => continue,
            };
            let time = u64::try_from(reading.taken.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
            let start = match metric.since {
                _ if kind == "gauge" => 0,
                Since::Boot => sampled.starts.boot.unwrap(),
                Since::Process => sampled.starts.process.unwrap(),
                Since::Agent => sampled.starts.agent.min(time),
                Since::Unknown => time,
            };
            let shape = all.entry(name).or_insert_with(|| (unit.to_owned(), kind, Vec::new()));
            assert_eq!((&*shape.0, shape.1), (unit, kind), "{}", metric.name);
            if matches!(metric.kind, Kind::Histogram | Kind::Summary) {
                let distributions = expected_distributions(metric, family.points());
                shape.2.extend(distributions.into_iter().map(|(attributes, value)| (attributes, start, time, value)));
                continue;
            }
            for point in family.points() {
                let value = match point.value {
                    Value::Int(int) => format!("{int}i"),
                    Value::Float(float) => format!("{float:?}"),
                };
                shape.2.push((expected_attributes(metric, &point.labels.pairs()), start, time, value));
            }
        }
    }
    all
}

/// Of each histogram or summary its attributes, and count, sum, and counts by bound or values by quantile.
fn expected_distributions(metric: &Metric, points: &[Point]) -> Vec<(BTreeMap<String, String>, String)> {
    let mut all: Vec<(BTreeMap<String, String>, String, f64, f64)> = Vec::new();
    for point in points {
        let (bounds, pairs): (Vec<_>, Vec<_>) =
            point.labels.pairs().into_iter().partition(|(name, _)| name == "le" || name == "quantile");
        let (attributes, value) = (expected_attributes(metric, &pairs), number(point.value));
        if all.last().is_none_or(|last| last.0 != attributes) {
            all.push((attributes, String::new(), 0.0, 0.0));
        }
        let (_, told, below, sum) = all.last_mut().unwrap();
        match (point.labels.suffix(), bounds.first()) {
            ("_sum", _) => *sum = value,
            ("_bucket", Some((_, bound))) => {
                let _ = write!(told, " {:?}:{}", bound.parse::<f64>().unwrap(), value - *below);
                *below = value;
            }
            ("_count", _) => *below = value,
            (_, Some((_, quantile))) if !value.is_nan() => {
                let _ = write!(told, " {:?}:{value}", quantile.parse::<f64>().unwrap());
            }
            _ => {}
        }
    }
    all.into_iter().map(|(attributes, told, count, sum)| (attributes, format!("{count} {sum:?}{told}"))).collect()
}

fn number(value: Value) -> f64 {
    match value {
        Value::Int(int) => int as f64,
        Value::Float(float) => float,
    }
}

fn expected_attributes(metric: &Metric, pairs: &[(String, String)]) -> BTreeMap<String, String> {
    let fixed = metric.otel.map_or(&[][..], |otel| otel.fixed).iter();
    let mut attributes: BTreeMap<String, String> = fixed.map(|(key, value)| told_pair(key, value, false)).collect();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        match metric.labels.iter().find(|label| label.name == name) {
            Some(label) if !label.otel.is_empty() => {
                let other = label.otel_values.iter().find(|(page, _)| page == value);
                let value = other.map_or(value.as_str(), |(_, otel)| otel);
                attributes.extend([told_pair(label.otel, value, label.otel_int)]);
            }
            None if metric.foreign => attributes.extend([told_pair(name, value, false)]),
            _ => {}
        }
    }
    attributes
}

fn told_pair(key: &str, value: &str, int: bool) -> (String, String) {
    (key.to_owned(), if int { format!("{value}i") } else { format!("{value:?}") })
}

fn decoded(bytes: &[u8]) -> ExportMetricsServiceRequest {
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    assert_eq!(request.resource_metrics.len(), 1);
    assert_eq!(request.resource_metrics[0].scope_metrics.len(), 1);
    request
}

fn metrics(request: &ExportMetricsServiceRequest) -> &[Sent] {
    &request.resource_metrics[0].scope_metrics[0].metrics
}

fn sent(metric: &Sent) -> (&'static str, Vec<Told>) {
    let cumulative = |temporality| assert_eq!(temporality, 2, "{} is not cumulative", metric.name);
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => ("gauge", gauge.data_points.iter().map(told).collect()),
        Data::Sum(sum) => {
            cumulative(sum.aggregation_temporality);
            (if sum.is_monotonic { "counter" } else { "up and down" }, sum.data_points.iter().map(told).collect())
        }
        Data::Histogram(histogram) => {
            cumulative(histogram.aggregation_temporality);
            ("histogram", histogram.data_points.iter().map(told_histogram).collect())
        }
        Data::Summary(summary) => ("summary", summary.data_points.iter().map(told_summary).collect()),
        other @ Data::ExponentialHistogram(_) => panic!("{other:?}"),
    }
}

fn told(point: &NumberDataPoint) -> Told {
    let number = match point.value.unwrap() {
        Number::AsInt(int) => format!("{int}i"),
        Number::AsDouble(float) => format!("{float:?}"),
    };
    (told_attributes(&point.attributes), point.start_time_unix_nano, point.time_unix_nano, number)
}

fn told_histogram(point: &HistogramDataPoint) -> Told {
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    let bounds = point.explicit_bounds.iter().chain([&f64::INFINITY]);
    let buckets: String =
        bounds.zip(&point.bucket_counts).map(|(bound, count)| format!(" {bound:?}:{count}")).collect();
    let value = format!("{} {:?}{buckets}", point.count, point.sum.unwrap_or_default());
    (told_attributes(&point.attributes), point.start_time_unix_nano, point.time_unix_nano, value)
}

fn told_summary(point: &SummaryDataPoint) -> Told {
    let quantiles = point.quantile_values.iter().map(|value| format!(" {:?}:{}", value.quantile, value.value));
    let value = format!("{} {:?}{}", point.count, point.sum, quantiles.collect::<String>());
    (told_attributes(&point.attributes), point.start_time_unix_nano, point.time_unix_nano, value)
}

fn told_attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Any::StringValue(text) => format!("{text:?}"),
        Any::IntValue(int) => format!("{int}i"),
        other => panic!("{other:?}"),
    };
    let told: BTreeMap<String, String> = attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect();
    assert_eq!(told.len(), attributes.len(), "an attribute twice: {told:?}");
    told
}

#[test]
fn the_bytes_say_what_the_declarations_say() {
    let texts = texts();
    for sampled in Sampled::all(texts.path()) {
        let request = decoded(&sampled.encoded(Naming::Semconv));
        let mut now = BTreeMap::new();
        for metric in metrics(&request) {
            let (kind, points) = sent(metric);
            let shape: Shape = (metric.unit.clone(), kind, points);
            assert!(now.insert(metric.name.clone(), shape).is_none(), "{} is there twice", metric.name);
        }
        let expected = expected(&sampled);
        assert!(expected.len() > 30, "{}: {} metrics", sampled.name, expected.len());
        for (name, shape) in &expected {
            assert_eq!(now.get(name), Some(shape), "{}: {name}", sampled.name);
        }
        assert_eq!(now.len(), expected.len(), "{}", sampled.name);
        let resource = request.resource_metrics[0].resource.as_ref().unwrap();
        let keys: Vec<&str> = resource.attributes.iter().map(|pair| &*pair.key).collect();
        for key in ["service.name", "service.instance.id", "service.version", "host.name", "host.arch", "os.type"] {
            assert!(keys.contains(&key), "{}: no {key} in {keys:?}", sampled.name);
        }
        let scope = &request.resource_metrics[0].scope_metrics[0];
        assert_eq!(scope.schema_url, "https://opentelemetry.io/schemas/1.44.0");
        assert_eq!(scope.scope.as_ref().unwrap().name, "vigie");
    }
}

#[test]
fn no_series_is_there_twice_in_either_naming() {
    let texts = texts();
    for sampled in Sampled::all(texts.path()) {
        for naming in [Naming::Semconv, Naming::Collector] {
            let request = decoded(&sampled.encoded(naming));
            let mut names = BTreeSet::new();
            for metric in metrics(&request) {
                assert!(names.insert(&metric.name), "{} is there twice", metric.name);
                let mut seen = BTreeSet::new();
                for (attributes, ..) in sent(metric).1 {
                    assert!(seen.insert(attributes.clone()), "{}: {} {attributes:?}", sampled.name, metric.name);
                }
            }
            let points =
                |naming| metrics(&decoded(&sampled.encoded(naming))).iter().map(|m| sent(m).1.len()).sum::<usize>();
            assert_eq!(points(Naming::Semconv), points(Naming::Collector));
        }
    }
}

#[test]
fn split_requests_hold_what_one_holds() {
    let texts = texts();
    for sampled in Sampled::all(texts.path()) {
        let points = |requests: &[Vec<u8>]| -> Vec<(String, &'static str, Told)> {
            let mut all = Vec::new();
            for request in requests.iter().map(|request| decoded(request)) {
                let resource = &request.resource_metrics[0];
                let names: BTreeSet<_> = metrics(&request).iter().map(|metric| &metric.name).collect();
                assert_eq!(names.len(), metrics(&request).len(), "a metric twice in one request");
                assert!(resource.resource.as_ref().is_some_and(|resource| resource.attributes.len() > 5));
                assert!(!resource.schema_url.is_empty() && resource.scope_metrics[0].scope.is_some());
                for metric in metrics(&request) {
                    let head = format!("{} {} {}", metric.name, metric.unit, metric.description);
                    let (kind, points) = sent(metric);
                    assert!(!points.is_empty(), "{head} without points");
                    all.extend(points.into_iter().map(|point| (head.clone(), kind, point)));
                }
            }
            all
        };
        let whole = points(&[sampled.encoded(Naming::Semconv)]);
        for limit in [0, 1500, 10_000] {
            let requests = sampled.requests(Naming::Semconv, limit);
            assert!(points(&requests) == whole, "{}: {limit}", sampled.name);
            assert!(limit == 0 || requests.iter().all(|request| request.len() <= limit), "{}: {limit}", sampled.name);
            assert!(requests.len() > 1);
        }
    }
}

/// The mapping of OTLP/JSON, from OpenTelemetry's types.
fn as_json(request: &ExportMetricsServiceRequest) -> Json {
    let resource = &request.resource_metrics[0];
    let scope = &resource.scope_metrics[0];
    let pairs = |pairs: &[KeyValue]| -> Vec<Json> {
        let value = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
            Any::StringValue(text) => json!({ "stringValue": text }),
            Any::IntValue(int) => json!({ "intValue": int.to_string() }),
            other => panic!("{other:?}"),
        };
        pairs.iter().map(|pair| json!({ "key": pair.key, "value": value(pair) })).collect()
    };
    let point = |attributes: &[KeyValue], start: u64, time: u64| {
        let mut told = json!({ "timeUnixNano": time.to_string() });
        if !attributes.is_empty() {
            told["attributes"] = pairs(attributes).into();
        }
        if start != 0 {
            told["startTimeUnixNano"] = start.to_string().into();
        }
        told
    };
    let number = |of: &NumberDataPoint| {
        let mut told = point(&of.attributes, of.start_time_unix_nano, of.time_unix_nano);
        match of.value.unwrap() {
            Number::AsInt(int) => told["asInt"] = int.to_string().into(),
            Number::AsDouble(float) if float.is_nan() => told["asDouble"] = "NaN".into(),
            Number::AsDouble(float) => told["asDouble"] = float.into(),
        }
        told
    };
    let histogram = |of: &HistogramDataPoint| {
        let mut told = point(&of.attributes, of.start_time_unix_nano, of.time_unix_nano);
        told["count"] = of.count.to_string().into();
        told["bucketCounts"] = of.bucket_counts.iter().map(u64::to_string).collect::<Vec<_>>().into();
        if let Some(sum) = of.sum {
            told["sum"] = sum.into();
        }
        if !of.explicit_bounds.is_empty() {
            told["explicitBounds"] = of.explicit_bounds.clone().into();
        }
        told
    };
    let summary = |of: &SummaryDataPoint| {
        let mut told = point(&of.attributes, of.start_time_unix_nano, of.time_unix_nano);
        let quantile = |value: &ValueAtQuantile| json!({ "quantile": value.quantile, "value": value.value });
        told["count"] = of.count.to_string().into();
        told["sum"] = of.sum.into();
        told["quantileValues"] = of.quantile_values.iter().map(quantile).collect::<Vec<_>>().into();
        told
    };
    let metric = |metric: &Sent| {
        let mut told = json!({ "name": metric.name });
        for (key, text) in [("description", &metric.description), ("unit", &metric.unit)] {
            if !text.is_empty() {
                told[key] = text.as_str().into();
            }
        }
        let (kind, points): (&str, Vec<Json>) = match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => ("gauge", gauge.data_points.iter().map(number).collect()),
            Data::Sum(sum) => ("sum", sum.data_points.iter().map(number).collect()),
            Data::Histogram(data) => ("histogram", data.data_points.iter().map(histogram).collect()),
            Data::Summary(data) => ("summary", data.data_points.iter().map(summary).collect()),
            other @ Data::ExponentialHistogram(_) => panic!("{other:?}"),
        };
        told[kind] = json!({ "dataPoints": points });
        if matches!(kind, "sum" | "histogram") {
            told[kind]["aggregationTemporality"] = 2.into();
        }
        if sent(metric).0 == "counter" {
            told[kind]["isMonotonic"] = true.into();
        }
        told
    };
    let names = scope.scope.as_ref().unwrap();
    json!({ "resourceMetrics": [{
        "resource": { "attributes": pairs(&resource.resource.as_ref().unwrap().attributes) },
        "schemaUrl": resource.schema_url,
        "scopeMetrics": [{
            "scope": { "name": names.name, "version": names.version },
            "schemaUrl": scope.schema_url,
            "metrics": scope.metrics.iter().map(metric).collect::<Vec<_>>(),
        }],
    }] })
}

#[test]
fn the_json_says_what_the_bytes_say() {
    let texts = texts();
    for sampled in Sampled::all(texts.path()) {
        let bytes = sampled.encoded(Naming::Semconv);
        let mut text = Vec::new();
        render(&bytes, &mut text).unwrap();
        let json: Json = serde_json::from_slice(&text).unwrap();
        assert!(json == as_json(&decoded(&bytes)), "{}", sampled.name);
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}

/// What `vigie sample --format otlp-json` prints, with these options and variables.
fn printed(sets: &[String], variables: &[(&str, &str)]) -> Json {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    forget_environment(&mut command);
    command.args(["sample", "--format", "otlp-json", "--config", "/dev/null"]).envs(variables.iter().copied());
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{sets:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The request as JSON again, with a line for each attribute of the resource, each metric and each point.
fn lines(mut request: Json) -> String {
    let resource = &mut request["resourceMetrics"][0];
    let mut out = String::from("{\"resourceMetrics\":[{\"resource\":{\"attributes\":[\n");
    rows(&mut out, resource["resource"]["attributes"].as_array_mut().unwrap(), |attribute| {
        if attribute["key"] == "service.version" {
            attribute["value"] = json!({ "stringValue": "<of this build>" });
        }
        attribute.to_string()
    });
    let schema = resource["schemaUrl"].take();
    let scope = &mut resource["scopeMetrics"][0];
    scope["scope"]["version"] = "<of this build>".into();
    let _ = writeln!(out, "]}},\"scopeMetrics\":[{{\"scope\":{},\"metrics\":[", scope["scope"]);
    rows(&mut out, scope["metrics"].as_array_mut().unwrap(), |metric| {
        let mask = OF_THE_RUN.iter().any(|name| metric["name"] == *name);
        let kind = ["gauge", "sum", "histogram", "summary"].into_iter().find(|kind| !metric[*kind].is_null()).unwrap();
        let mut data = metric.as_object_mut().unwrap().remove(kind).unwrap();
        let mut points = data.as_object_mut().unwrap().remove("dataPoints").unwrap();
        let open = |object: &Json| match object.to_string().strip_suffix('}') {
            Some("{") => "{".to_owned(),
            Some(inside) => format!("{inside},"),
            None => unreachable!(),
        };
        let mut told = format!("{}\"{kind}\":{}\"dataPoints\":[\n", open(metric), open(&data));
        rows(&mut told, points.as_array_mut().unwrap(), |point| {
            if mask {
                point["asDouble"] = "<of this run>".into();
            }
            point.to_string()
        });
        told + "]}}"
    });
    let _ = writeln!(out, "],\"schemaUrl\":{}}}],\"schemaUrl\":{}}}]}}", scope["schemaUrl"], schema);
    out
}

fn rows(out: &mut String, items: &mut [Json], mut row: impl FnMut(&mut Json) -> String) {
    for (index, item) in items.iter_mut().enumerate() {
        let end = if index == 0 { "" } else { ",\n" };
        let _ = write!(out, "{end}{}", row(item));
    }
}

#[test]
fn every_host_has_its_expected_request() {
    let mut failures = String::new();
    for host in hosts() {
        let now = lines(printed(&sets(&host), &[]));
        assert!(serde_json::from_str::<Json>(&now).is_ok(), "the lines are no JSON any more");
        let path = host.join("expected.otlp.json");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let held = std::fs::read_to_string(&path).unwrap_or_default();
        let differing = held.lines().zip(now.lines()).enumerate().filter(|(_, (held, now))| held != now);
        if held != now {
            let _ =
                writeln!(failures, "{}: {} lines, now {}", path.display(), held.lines().count(), now.lines().count());
            for (number, (held, now)) in differing.take(20) {
                let _ = writeln!(failures, "  {}:\n  - {held}\n  + {now}", number + 1);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}\nBLESS=1 writes the expected files anew.");
}

#[track_caller]
fn assert_attributes(request: &Json, expected: &[(&str, &str)]) {
    let attributes = request["resourceMetrics"][0]["resource"]["attributes"].as_array().unwrap();
    for (key, value) in expected {
        assert!(attributes.contains(&json!({ "key": key, "value": { "stringValue": value } })), "{attributes:?}");
    }
}

#[test]
fn attributes_of_the_configuration_are_on_the_resource() {
    let sets = ["host.name=web-1", r#"host.attributes={ "deployment.environment.name" = "production" }"#];
    let request = printed(&sets.map(str::to_owned), &[]);
    assert_attributes(&request, &[("host.name", "web-1"), ("deployment.environment.name", "production")]);
}

#[test]
fn attributes_of_the_environment_are_on_the_resource() {
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,cloud.region=b%20c"), ("OTEL_SERVICE_NAME", "d")];
    assert_attributes(&printed(&[], &variables), &[("service.name", "d"), ("cloud.region", "b c")]);
}

#[test]
fn a_sample_has_the_names_that_are_configured() {
    let names = |sets: &[String]| -> BTreeSet<String> {
        let request = printed(sets, &[]);
        let metrics = request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap().clone();
        metrics.iter().map(|metric| metric["name"].as_str().unwrap().to_owned()).collect()
    };
    let (ours, theirs) = ("system.network.packet.count", "system.network.packets");
    let usual = names(&[]);
    assert!(usual.contains(ours) && !usual.contains(theirs), "{usual:?}");
    let collector = names(&["otlp.naming=collector".to_owned()]);
    assert!(collector.contains(theirs) && !collector.contains(ours), "{collector:?}");
}
