use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric as Sent, NumberDataPoint, ResourceMetrics,
};
use prost::Message as _;

use super::*;
use crate::metric::{Label, Since};
use crate::push::naming::SCHEMA_URL;
use crate::snapshot::{Labels, Reading};

static READS: Metric = Metric::counter("reads_total", Unit::Of("{read}"), "Reads.")
    .labels(&[Label::new("device").otel("system.device"), Label::new("serial").page_only()])
    .otel("disk.io")
    .otel_unit(Unit::Of("{operation}"))
    .otel_fixed(&[("disk.io.direction", "read")]);
static WRITES: Metric = Metric::counter("writes_total", Unit::Of("{operation}"), "Writes.")
    .labels(&[Label::new("device").otel("system.device")])
    .otel("disk.io")
    .otel_fixed(&[("disk.io.direction", "write")]);
static LOAD: Metric = Metric::gauge("load", Unit::One, "Load.").otel("load");
static USED: Metric = Metric::gauge("used_bytes", Unit::Bytes, "Used.").otel_up_down("used");
static OWN: Metric = Metric::counter("own_total", Unit::One, "Own.").otel("own").since(Since::Agent);
static PAGE_ONLY: Metric = Metric::gauge("page_only", Unit::One, "Page.");
static CPU: Metric = Metric::gauge("cpu", Unit::One, "CPU.")
    .labels(&[
        Label::new("cpu").otel_int("cpu.logical_number"),
        Label::new("mode").otel("cpu.mode").otel_values(&[("irq", "interrupt")]),
    ])
    .otel("cpu");

const STARTS: Starts = Starts { boot: Some(100), process: Some(200), agent: 300 };

fn encoder() -> Encoder {
    Encoder::new(&Resource::default(), Naming::Semconv, STARTS)
}

fn at(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// A reading of that moment.
fn reading(taken: u64, write: impl FnOnce(&mut Reading)) -> Arc<Reading> {
    let mut reading = Reading::default();
    reading.start(Instant::now(), at(taken));
    write(&mut reading);
    Arc::new(reading)
}

fn snapshot(readings: &[Arc<Reading>]) -> Snapshot {
    Snapshot { readings: readings.to_vec(), at: Instant::now(), taken: at(0) }
}

fn decoded(request: &[u8]) -> ResourceMetrics {
    let mut request = ExportMetricsServiceRequest::decode(request).unwrap();
    assert_eq!((request.resource_metrics.len(), request.resource_metrics[0].scope_metrics.len()), (1, 1));
    request.resource_metrics.remove(0)
}

fn sent(encoder: &mut Encoder, readings: &[Arc<Reading>]) -> Vec<Sent> {
    let mut metrics = Vec::new();
    encoder.encode(&snapshot(readings), REQUEST_LIMIT, |request, _| {
        assert!(metrics.is_empty(), "a second request");
        metrics = decoded(request).scope_metrics.remove(0).metrics;
    });
    metrics
}

fn points(metric: &Sent) -> &[NumberDataPoint] {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => {
            assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
            &sum.data_points
        }
        other => panic!("{other:?}"),
    }
}

fn attributes(point: &NumberDataPoint) -> String {
    let value = |value: &Any| match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(int) => format!("{int}i"),
        other => panic!("{other:?}"),
    };
    let any = |pair: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        format!("{}={}", pair.key, value(pair.value.as_ref().unwrap().value.as_ref().unwrap()))
    };
    point.attributes.iter().map(any).collect::<Vec<_>>().join(",")
}

/// The start times of a counter with these devices, after a push of these values at that moment.
fn starts(encoder: &mut Encoder, taken: u64, devices: &[(&Labels, i64)]) -> Vec<u64> {
    let reading = reading(taken, |reading| {
        for (labels, value) in devices {
            reading.put_with(&READS, labels, *value);
        }
    });
    let metrics = sent(encoder, &[reading]);
    metrics.iter().flat_map(points).map(|point| point.start_time_unix_nano).collect()
}

fn device(name: &str) -> Labels {
    Labels::new(&[("device", name)])
}

#[test]
fn metrics_that_share_a_name_are_one_across_sources() {
    let disk = reading(1000, |reading| {
        reading.put_with(&READS, &Labels::new(&[("device", "a"), ("serial", "s")]), 1_i64);
        reading.put(&PAGE_ONLY, 1_i64);
        reading.put_with(&CPU, &Labels::new(&[("cpu", "3"), ("mode", "irq")]), 0.5);
    });
    let other = reading(2000, |reading| reading.put_with(&WRITES, &device("b"), 2_i64));
    let metrics = sent(&mut encoder(), &[disk, other]);
    assert_eq!(metrics.len(), 2);
    let io = &metrics[0];
    assert_eq!((&*io.name, &*io.unit, &*io.description), ("disk.io", "{operation}", ""));
    assert!(matches!(io.data.as_ref().unwrap(), Data::Sum(sum) if sum.is_monotonic));
    let told: Vec<_> = points(io).iter().map(|point| (attributes(point), point.time_unix_nano)).collect();
    let expected = [
        ("system.device=a,disk.io.direction=read".to_owned(), 1000),
        ("system.device=b,disk.io.direction=write".to_owned(), 2000),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        (&*metrics[1].description, attributes(&points(&metrics[1])[0])),
        ("CPU.", "cpu.mode=interrupt,cpu.logical_number=3i".to_owned())
    );
}

#[test]
fn each_kind_has_its_shape_and_start() {
    let reading = reading(1000, |reading| {
        reading.put(&LOAD, 0.5);
        reading.put(&USED, 9_007_199_254_740_993_i64);
        reading.put(&OWN, 3_i64);
    });
    let metrics = sent(&mut encoder(), &[reading]);
    let starts: Vec<u64> = metrics.iter().map(|metric| points(metric)[0].start_time_unix_nano).collect();
    assert_eq!(starts, [0, 100, 300]);
    assert!(matches!(metrics[0].data, Some(Data::Gauge(_))));
    assert!(matches!(&metrics[1].data, Some(Data::Sum(sum)) if !sum.is_monotonic));
    let exact = opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(9_007_199_254_740_993);
    assert_eq!(points(&metrics[1])[0].value, Some(exact));
}

#[test]
fn what_is_known_to_be_new_counts_since_it_was_not_there() {
    let mut encoder = encoder();
    let born = |since| Labels::born(&[("device", "a")], Some(at(since)));
    let (old, again, keeper) = (born(500), born(2000), device("b"));
    assert_eq!(starts(&mut encoder, 1000, &[(&old, 5), (&keeper, 1)]), [500, 100]);
    assert_eq!(starts(&mut encoder, 2000, &[(&keeper, 1)]), [100]);
    // It used more in its second life than in its first, and is another all the same.
    assert_eq!(starts(&mut encoder, 3000, &[(&again, 50), (&keeper, 1)]), [2000, 100]);
    assert_eq!(starts(&mut encoder, 4000, &[(&again, 60), (&keeper, 1)]), [2000, 100]);
}

#[test]
fn where_a_server_listens_is_told_in_two_attributes() {
    static UP: Metric = Metric::gauge("up", Unit::One, "Up.").labels(&[Label::new("target").otel_server()]).otel("up");
    for (target, expected) in [
        ("db:6379", "server.port=6379i,server.address=db"),
        ("[::1]:6379", "server.port=6379i,server.address=::1"),
        ("unix:/run/a:1", "server.address=/run/a:1"),
    ] {
        let labels = Labels::new(&[("target", target)]);
        let metrics = sent(&mut encoder(), &[reading(1000, |reading| reading.put_with(&UP, &labels, 1_i64))]);
        assert_eq!(attributes(&points(&metrics[0])[0]), expected);
    }
}

#[test]
fn a_counter_that_fell_has_a_new_start() {
    let (mut encoder, a, b) = (encoder(), device("a"), device("b"));
    assert_eq!(starts(&mut encoder, 1000, &[(&a, 5), (&b, 5)]), [100, 100]);
    assert_eq!(starts(&mut encoder, 2000, &[(&a, 4), (&b, 5)]), [1000, 100]);
    assert_eq!(starts(&mut encoder, 3000, &[(&a, 9), (&b, 0)]), [1000, 2000]);
}

#[test]
fn a_reading_is_written_once_however_many_snapshots_it_is_in() {
    let mut encoder = encoder();
    let slow = reading(1000, |reading| reading.put(&LOAD, 0.5));
    let fast = |taken| reading(taken, |reading| reading.put(&OWN, 3_i64));
    assert_eq!(sent(&mut encoder, &[Arc::clone(&slow), fast(1000)]).len(), 2);
    let again = sent(&mut encoder, &[Arc::clone(&slow), fast(2000)]);
    assert_eq!((again.len(), points(&again[0])[0].time_unix_nano), (1, 2000));
    assert!(sent(&mut encoder, &[Arc::clone(&slow), fast(2000)]).is_empty());
    assert_eq!(sent(&mut encoder, &[reading(3000, |reading| reading.put(&LOAD, 0.5))]).len(), 1);
}

#[test]
fn a_series_that_went_and_came_back_goes_on() {
    let (mut encoder, a, b) = (encoder(), device("a"), device("b"));
    starts(&mut encoder, 1000, &[(&a, 5), (&b, 5)]);
    starts(&mut encoder, 2000, &[(&b, 5)]);
    let (more, less) = (device("a"), device("b"));
    assert_eq!(starts(&mut encoder, 3000, &[(&more, 6), (&b, 5)]), [100, 100]);
    // All are born anew, as when the options of the source have changed.
    assert_eq!(starts(&mut encoder, 4000, &[(&less, 1), (&device("a"), 6)]), [3000, 100]);
}

#[test]
fn a_source_that_failed_comes_back_as_it_was() {
    let (mut encoder, a) = (encoder(), device("a"));
    starts(&mut encoder, 1000, &[(&a, 5)]);
    starts(&mut encoder, 2000, &[(&a, 1)]);
    assert_eq!(sent(&mut encoder, &[]), []);
    assert_eq!(starts(&mut encoder, 4000, &[(&a, 2)]), [1000]);
}

#[test]
fn several_sources_may_have_one_metric() {
    let (mut encoder, devices) = (encoder(), ["a", "b", "c"].map(device));
    let of =
        |taken, index: usize, value: i64| reading(taken, |reading| reading.put_with(&READS, &devices[index], value));
    let pushed = |encoder: &mut Encoder, readings: &[Arc<Reading>]| -> Vec<u64> {
        sent(encoder, readings).iter().flat_map(points).map(|point| point.start_time_unix_nano).collect()
    };
    pushed(&mut encoder, &[of(1000, 0, 5), of(1000, 1, 6), of(1000, 2, 7)]);
    assert_eq!(pushed(&mut encoder, &[of(2000, 1, 1), of(2000, 2, 8)]), [1000, 100]);
    assert_eq!(pushed(&mut encoder, &[of(3000, 0, 2), of(3000, 1, 2), of(3000, 2, 9)]), [1000, 1000, 100]);
}

#[test]
fn a_clock_set_back_takes_the_start_back_once() {
    let (mut encoder, a) = (encoder(), device("a"));
    assert_eq!(starts(&mut encoder, 50, &[(&a, 5)]), [50]);
    assert_eq!(starts(&mut encoder, 60, &[(&a, 6)]), [50]);
    assert_eq!(starts(&mut encoder, 2000, &[(&a, 7)]), [50]);
}

#[test]
fn what_other_programs_say_keeps_its_words() {
    let foreign = |kind, name: &'static str| {
        Arc::new(Metric { foreign: true, since: Since::Unknown, ..Metric::new(kind, name, Unit::One, "Jobs.") })
    };
    let (jobs, state) = (foreign(Kind::Counter, "jobs_total"), foreign(Kind::Gauge, "state"));
    let mut encoder = encoder();
    let mut push = |taken, labels: &Labels, value: i64| {
        let reading = reading(taken, |reading| {
            reading.put_born(&jobs, labels, value);
            reading.put_born(&state, &Labels::none(), f64::NAN);
        });
        sent(&mut encoder, &[reading])
    };
    let labels = Labels::new(&[("queue", "any \"\u{1}\n\\ü\u{10ffff}"), ("none", "")]);
    let metrics = push(1000, &labels, 7);
    let names: Vec<_> = metrics.iter().map(|metric| (&*metric.name, &*metric.description, &*metric.unit)).collect();
    assert_eq!(names, [("jobs_total", "Jobs.", ""), ("state", "Jobs.", "")]);
    let point = &points(&metrics[0])[0];
    assert_eq!(attributes(point), "queue=any \"\u{1}\n\\ü\u{10ffff}");
    assert_eq!(point.start_time_unix_nano, 1000);
    assert_eq!(points(&push(2000, &labels, 8)[0])[0].start_time_unix_nano, 1000);
    // The file was written anew, so that the labels are others.
    let anew = Labels::new(&labels.pairs().iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>());
    assert_eq!(points(&push(3000, &anew, 9)[0])[0].start_time_unix_nano, 1000);
}

#[test]
fn the_collectors_names_merge_what_it_has_as_one() {
    static USAGE: Metric = Metric::gauge("a_bytes", Unit::Bytes, "A.")
        .otel_up_down("system.memory.usage")
        .otel_fixed(&[("system.memory.state", "buffers")]);
    static SLAB: Metric = Metric::gauge("b_bytes", Unit::Bytes, "B.")
        .otel_up_down("system.memory.linux.slab.usage")
        .otel_fixed(&[("system.memory.linux.slab.state", "reclaimable")]);
    let reading = reading(1000, |reading| {
        reading.put(&USAGE, 1_i64);
        reading.put(&SLAB, 2_i64);
        reading.put_with(&CPU, &Labels::new(&[("cpu", "3"), ("mode", "iowait")]), 0.5);
    });
    let metrics = sent(&mut Encoder::new(&Resource::default(), Naming::Collector, STARTS), &[reading]);
    let told: Vec<String> = metrics
        .iter()
        .map(|metric| {
            format!("{} {}", metric.name, points(metric).iter().map(attributes).collect::<Vec<_>>().join(" "))
        })
        .collect();
    assert_eq!(told, ["system.memory.usage state=buffered state=slab_reclaimable", "cpu state=wait,cpu=cpu3"]);
}

#[test]
fn what_only_the_collector_knows_is_told_in_its_words_alone() {
    static CHECKED: Metric = Metric::otel_only(Kind::Gauge, "httpcheck.duration", Unit::Of("ms"), "How long it took.");
    let reading = || reading(1000, |reading| reading.put(&CHECKED, 7_i64));
    let told = |naming| sent(&mut Encoder::new(&Resource::default(), naming, STARTS), &[reading()]).len();
    assert_eq!((told(Naming::Semconv), told(Naming::Collector)), (0, 1));
}

#[test]
fn a_steady_push_allocates_nothing_for_a_point() {
    for count in [2_000, 20_000] {
        let devices: Vec<Labels> = (0..count).map(|index| device(&format!("sd{index}"))).collect();
        let readings: Vec<Arc<Reading>> = (1..=3_i64)
            .map(|pass| {
                reading(1000 * pass.cast_unsigned(), |reading| {
                    devices.iter().for_each(|labels| reading.put_with(&READS, labels, pass));
                })
            })
            .collect();
        let (mut encoder, mut requests) = (encoder(), Vec::with_capacity(4));
        for (pass, reading) in readings.into_iter().enumerate() {
            let (snapshot, mut total) = (snapshot(&[reading]), (0, 0));
            let allocations = allocation_counter::measure(|| {
                encoder.encode(&snapshot, REQUEST_LIMIT, |request, points| {
                    total = (total.0 + 1, total.1 + points);
                    if pass == 0 {
                        requests.push(request.to_vec());
                    }
                });
            });
            let allocations = allocations.count_total;
            assert!(pass == 0 || allocations <= 2, "{allocations} allocations in pass {pass} of {count} points");
            assert_eq!(total, (requests.len(), count as u32));
        }
        let metric = &decoded(requests.last().unwrap()).scope_metrics[0].metrics[0];
        let last = format!("system.device=sd{},disk.io.direction=read", count - 1);
        assert_eq!(attributes(points(metric).last().unwrap()), last);
    }
}

#[test]
fn requests_are_complete_and_within_the_limit() {
    let disk = reading(1000, |reading| {
        for index in 0..100_i64 {
            reading.put_with(&READS, &device(&format!("sd{index}")), index);
            reading.put_with(&WRITES, &device(&format!("sd{index}")), index);
        }
        reading.put(&LOAD, 0.5);
    });
    let snapshot = snapshot(&[disk]);
    let pushed = |limit: usize| -> (Vec<usize>, Vec<String>) {
        let (mut lengths, mut all) = (Vec::new(), Vec::new());
        encoder().encode(&snapshot, limit, |request, count| {
            let resource = decoded(request);
            let scope = &resource.scope_metrics[0];
            assert_eq!((&*resource.schema_url, &*scope.schema_url), (SCHEMA_URL, SCHEMA_URL));
            assert_eq!(scope.scope.as_ref().unwrap().name, "vigie");
            let sent: usize = scope.metrics.iter().map(|metric| points(metric).len()).sum();
            assert!(sent == count as usize && scope.metrics.iter().all(|metric| !points(metric).is_empty()));
            for metric in &scope.metrics {
                let of = |point| format!("{} {} {}: {point:?}", metric.name, metric.unit, metric.description);
                all.extend(points(metric).iter().map(of));
            }
            lengths.push(request.len());
        });
        (lengths, all)
    };
    let (whole, all) = pushed(REQUEST_LIMIT);
    assert_eq!((whole.len(), all.len()), (1, 201));
    for limit in [0, 1, 299, 300, 301, 302, 303, 1000, 4096, whole[0] - 1, whole[0], whole[0] + 20] {
        let (lengths, split) = pushed(limit);
        assert!(split == all, "{limit}");
        if limit < 200 {
            assert_eq!(lengths.len(), all.len(), "one point each");
        } else {
            assert!(lengths.iter().all(|length| *length <= limit), "{limit}: {lengths:?}");
            assert!(lengths.len() <= 2 * whole[0] / (limit - 190) + 2, "{limit}: {} requests", lengths.len());
        }
    }
}

#[test]
fn what_went_is_remembered_within_bounds() {
    let mut encoder = encoder();
    for round in 0..60_u64 {
        let devices: Vec<Labels> = (0..1000).map(|index| device(&format!("veth{round}-{index}"))).collect();
        starts(&mut encoder, 1000 + round, &devices.iter().map(|labels| (labels, 1)).collect::<Vec<_>>());
    }
    assert!(encoder.past.len() <= crate::snapshot::SERIES_PER_SOURCE, "{}", encoder.past.len());
    assert!(encoder.past.len() > 5_000);
}
