//! What the agent measures of its own work: by the real server and supervisor, and whatever the environment says.

// It runs itself again with another environment; helpers may panic as a test may.
#![allow(clippy::disallowed_types, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use vigie::config::{Config, Listen};
use vigie::daemon::Watch;
use vigie::instruments::Instruments;
use vigie::page::listener::Listener;
use vigie::page::server::{Options, Server};
use vigie::push::record::{Encoding, Record};
use vigie::push::resource::Resource;
use vigie::supervisor::Handle;

/// What a flush hands over, with how often each metric was measured.
fn measured(instruments: &Instruments, records: &Mutex<Vec<Record>>) -> BTreeMap<String, u64> {
    instruments.flush().unwrap();
    let record = records.lock().unwrap().pop().unwrap();
    assert_eq!(record.encoding, Encoding::Identity);
    let request = ExportMetricsServiceRequest::decode(&*record.body).unwrap();
    let metrics =
        request.resource_metrics.into_iter().flat_map(|told| told.scope_metrics).flat_map(|told| told.metrics);
    let count = |data: Option<Data>| match data {
        Some(Data::Histogram(histogram)) => {
            assert_eq!(histogram.aggregation_temporality, 2);
            histogram.data_points.iter().map(|point| point.count).sum()
        }
        other => panic!("{other:?}"),
    };
    metrics.map(|metric| (metric.name, count(metric.data))).collect()
}

fn start(instruments: &Instruments) -> Arc<Mutex<Vec<Record>>> {
    let records = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&records);
    instruments.start(&Resource::default(), move |record| sink.lock().unwrap().push(record)).unwrap();
    records
}

#[test]
fn requests_and_passes_are_measured_where_they_happen() {
    let config = Config::default();
    let handle = Handle::open(&config).unwrap();
    let instruments = handle.instruments().clone();
    handle.sample();
    let records = start(&instruments);
    handle.sample();
    handle.sample();

    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let Some(Listen::Tcp(address)) = listener.address() else { panic!("no address") };
    let server = Server::over(vec![listener], Options::of(&config.http).unwrap()).measured(instruments.clone());
    let watch = Watch { handle, push: Arc::default() };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server.serve(watch, async { stopped.await.unwrap_or_default() })).unwrap();
    });
    for path in ["/health/live", "/metrics?x=1", "/nowhere"] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    drop(stop);
    serving.join().unwrap();

    let counts = measured(&instruments, &records);
    let expected = [("http.server.request.duration", 3), ("vigie.pass.duration", 2)];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
    instruments.flush().unwrap();
    let body = records.lock().unwrap().pop().unwrap().body;
    let tells = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(tells("/health/live") && tells("/metrics") && !tells("nowhere") && !tells("x=1"));
}

/// Variables that the SDK or the exporter reads unless it is told otherwise, as badly set as they can be.
const ENVIRONMENT: &[(&str, &[u8])] = &[
    ("OTEL_EXPORTER_OTLP_COMPRESSION", b"gzip"),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", b"zstd"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", b"not an address"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", b"\xff"),
    ("OTEL_EXPORTER_OTLP_HEADERS", b"authorization=Bearer%20x,=,%zz,\xc3\xa9=1"),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", b"content-encoding=gzip"),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", b"http/json"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", b"delta"),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", b"0"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", b"grpc"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", b"-1"),
    ("OTEL_METRIC_EXPORT_INTERVAL", b"1"),
    ("OTEL_RESOURCE_ATTRIBUTES", b"host.name=elsewhere"),
    ("OTEL_SDK_DISABLED", b"true"),
    ("OTEL_SERVICE_NAME", b"other"),
];

#[test]
fn the_environment_of_other_exporters_changes_nothing() {
    const AGAIN: &str = "VIGIE_TEST_AGAIN";
    if std::env::var_os(AGAIN).is_none() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "the_environment_of_other_exporters_changes_nothing"]).env(AGAIN, "1");
        again.envs(ENVIRONMENT.iter().map(|(name, value)| (name, OsStr::from_bytes(value))));
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let instruments = Instruments::default();
    let records = start(&instruments);
    for pass in 1..=2 {
        instruments.pass(Duration::from_millis(1));
        instruments.flush().unwrap();
        let request = ExportMetricsServiceRequest::decode(&*records.lock().unwrap()[0].body).unwrap();
        assert_eq!(request.resource_metrics[0].resource.as_ref().unwrap().attributes, []);
        assert_eq!(measured(&instruments, &records), [("vigie.pass.duration".to_owned(), pass)].into());
    }
    assert!(std::fs::read_dir("/proc/self/task").unwrap().count() <= 2, "the main thread and this test's");
}
