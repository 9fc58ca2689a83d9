//! A collector that others wrote, in another tongue's crates: what it passes on is what was pushed, to the bit.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Histogram, Metric, Sum, Summary};
use prost::Message;
use vigie::push::record::{Encoding, Record};
use vigie::push::spool::Spool;

use crate::collector::{Call, Collector};
use crate::outage::pushed;
use crate::support::{Agent, Launch, PATIENCE, rotel, skipped, spare_port, until};

fn agent(port: u16, protocol: &str, state: &Path) -> Agent {
    let sets = [
        format!("otlp.endpoint=\"http://127.0.0.1:{port}\""),
        format!("otlp.protocol={protocol:?}"),
        "otlp.interval=\"1s\"".to_owned(),
        format!("paths.state={:?}", state.display().to_string()),
    ];
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    Agent::launch(&Launch { args: &args, ..Launch::new() })
}

/// How often each point is there, with all that is said of it: of whom, by whom, its metric, start, time and value.
type Points = BTreeMap<String, u64>;

fn add(request: &ExportMetricsServiceRequest, points: &mut Points) {
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            let frame = format!("{:?} {:?} {:?}", resource.resource, resource.schema_url, scope.scope);
            for point in scope.metrics.iter().flat_map(alone) {
                *points.entry(format!("{point:?} of {frame} {:?}", scope.schema_url)).or_default() += 1;
            }
        }
    }
}

/// The metric with each of its points alone.
fn alone(metric: &Metric) -> Vec<Metric> {
    let data: Vec<Data> = match metric.data.clone().unwrap() {
        Data::Gauge(Gauge { data_points }) => {
            data_points.into_iter().map(|point| Data::Gauge(Gauge { data_points: vec![point] })).collect()
        }
        Data::Sum(sum) => {
            let one = |point| Data::Sum(Sum { data_points: vec![point], ..sum });
            sum.data_points.iter().cloned().map(one).collect()
        }
        Data::Histogram(histogram) => {
            let one = |point| Data::Histogram(Histogram { data_points: vec![point], ..histogram });
            histogram.data_points.iter().cloned().map(one).collect()
        }
        Data::Summary(Summary { data_points }) => {
            data_points.into_iter().map(|point| Data::Summary(Summary { data_points: vec![point] })).collect()
        }
        Data::ExponentialHistogram(_) => panic!("none is pushed"),
    };
    data.into_iter().map(|data| Metric { data: Some(data), ..metric.clone() }).collect()
}

fn decode(record: &Record) -> ExportMetricsServiceRequest {
    let mut bytes = Vec::new();
    match record.encoding {
        Encoding::Identity => bytes.extend_from_slice(&record.body),
        Encoding::Gzip => drop(flate2::read::GzDecoder::new(&*record.body).read_to_end(&mut bytes).unwrap()),
    }
    ExportMetricsServiceRequest::decode(&*bytes).unwrap()
}

/// What waits to be pushed; it waits on.
fn waiting(state: &Path) -> Points {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("spool")).unwrap();
    for entry in std::fs::read_dir(state.join("spool")).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.path().join("spool").join(entry.file_name())).unwrap();
    }
    let (mut spool, mut points) = (Spool::open(copy.path(), Default::default()).unwrap(), Points::new());
    while let Some(record) = spool.front() {
        add(&decode(&record), &mut points);
        spool.done();
    }
    points
}

fn passed_on(calls: &[Call]) -> Points {
    let mut points = Points::new();
    calls.iter().for_each(|call| add(&call.request, &mut points));
    points
}

fn what_is_pushed_is_passed_on(protocol: &str) {
    let (collector, state) = (Collector::start(), tempfile::tempdir().unwrap());
    let (peer, grpc) = match rotel(collector.port) {
        Ok(rotel) => rotel,
        Err(why) => return skipped(&why),
    };
    let first = agent(spare_port(), protocol, state.path());
    until("three snapshots wait", PATIENCE, || (pushed(&first) >= 3).then_some(()));
    drop(first);
    let sent = waiting(state.path());
    let second = agent(if protocol == "grpc" { grpc } else { peer.port }, protocol, state.path());
    until("all that waited is pushed, and more", PATIENCE, || {
        let health = &second.health()["push"];
        (health["spool_requests"] == 0 && pushed(&second) >= 2).then_some(())
    });
    let arrived = || passed_on(&collector.calls());
    until("as many points are passed on", PATIENCE, || {
        let arrived = arrived();
        (arrived.values().sum::<u64>() > sent.values().sum::<u64>()).then_some(())
    });
    // The first agent's come first, and the other's only after them.
    until("the second agent's are passed on", PATIENCE, || (lives(&collector) == 2).then_some(()));
    let arrived = arrived();
    let missing: Vec<&String> = sent.keys().filter(|point| !arrived.contains_key(*point)).collect();
    assert!(missing.is_empty(), "{} of {} points are not as they were, {:#?}", missing.len(), sent.len(), missing[0]);
    for (point, count) in &sent {
        assert_eq!((*count, arrived[point]), (1, 1), "{point}");
    }
    println!("{protocol}: {} points waited, {} were passed on", sent.len(), arrived.len());
    assert_eq!(second.health()["push"]["dropped_points"], 0);
}

/// How many agents told of themselves.
fn lives(collector: &Collector) -> usize {
    crate::outage::lives(&collector.calls()).len()
}

#[test]
fn over_grpc() {
    what_is_pushed_is_passed_on("grpc");
}

#[test]
fn over_http() {
    what_is_pushed_is_passed_on("http");
}
