//! The client of the push against real servers, and against what no server should be.

// Tests fail by panicking, and run other programs; only the product must not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_types
)]

#[path = "../support/collector.rs"]
mod collector;
#[path = "../support/http_collector.rs"]
mod http_collector;
#[path = "../support/papers.rs"]
mod papers;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/mod.rs"]
mod support;

mod check;
mod databases;
mod day;
mod directory;
mod faults;
mod grpc;
mod http;
mod ledger;
mod line;
mod outage;
mod receiver;
mod reuse;
mod rotel;
mod tls;
mod victoria;

use std::io::Write;

use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use prost::Message;
use vigie::config::{Config, Otlp};
use vigie::push::client::{Accepted, Client, ClientError, ExportError, Retry};
use vigie::push::record::Encoding;

/// `[otlp]` with these settings, as `--set` takes them.
#[track_caller]
fn otlp(sets: &[String]) -> Otlp {
    let sets: Vec<String> = sets.iter().map(|set| format!("otlp.{set}")).collect();
    Config::load(None, &sets).map_err(|mistakes| mistakes.to_string()).unwrap().otlp
}

/// A client for `url`, further configured by `sets`.
#[track_caller]
fn client(url: &str, sets: &[&str]) -> Client {
    try_client(url, sets).map_err(|error| error.to_string()).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn try_client(url: &str, sets: &[&str]) -> Result<Client, ClientError> {
    let endpoint = format!("endpoint={url:?}");
    Client::new(&otlp(&[&[endpoint.as_str()], sets].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()))
}

const HTTP: &str = r#"protocol="http""#;

/// A request that holds one metric of this name.
fn request(name: &str) -> Bytes {
    let metrics = vec![Metric { name: name.to_owned(), ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

async fn send(client: &mut Client) -> Result<Accepted, ExportError> {
    client.export(request("a"), Encoding::Identity).await
}

/// Why it failed: reason, whether it is worth another attempt, and the sentence without the endpoint.
#[track_caller]
fn why(result: Result<Accepted, ExportError>, url: &str) -> (&'static str, Retry, String) {
    let error = result.unwrap_err();
    (error.reason(), error.retry(), error.to_string().replace(url, "URL"))
}

const LATER: Retry = Retry::After(None);
