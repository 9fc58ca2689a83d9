//! One way from the instruments to the push: OpenTelemetry's SDK and its own OTLP exporter, whose HTTP client is ours.
//!
//! Nothing here has a thread or waits: the SDK's periodic reader would bring a thread that only ever waits for the
//! push's next tick. So a flush cannot deadlock with whatever runtime it is called from.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};

use super::{Distribution, PASSES, PUSHES, REQUESTS};
use crate::push::encode::SCOPE;
use crate::push::naming::SCHEMA_URL;
use crate::push::record::{Encoding, Record};
use crate::push::resource::Resource;

/// Instruments at work.
pub(super) struct Lane {
    pub(super) passes: Histogram<f64>,
    pub(super) requests: Histogram<f64>,
    pub(super) pushes: Histogram<f64>,
    reader: Reader,
    exporter: MetricExporter,
    /// How many points are about to be written.
    points: Arc<AtomicU32>,
    /// What is collected, kept for its memory; held by whoever flushes.
    collected: Mutex<ResourceMetrics>,
    /// Keeps the others alive.
    _provider: SdkMeterProvider,
}

impl Lane {
    pub(super) fn new(resource: &Resource, sink: Sink) -> Result<Lane, ExporterBuildError> {
        let (reader, points) = (Reader::default(), Arc::new(AtomicU32::new(0)));
        let exporter = exporter(Outbox { sink, points: Arc::clone(&points) })?;
        let provider = SdkMeterProvider::builder()
            .with_resource(told(resource))
            .with_reader(reader.clone())
            .with_view(view)
            .build();
        let scope = InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build();
        let meter = provider.meter_with_scope(scope);
        Ok(Lane {
            passes: histogram(&meter, &PASSES),
            requests: histogram(&meter, &REQUESTS),
            pushes: histogram(&meter, &PUSHES),
            reader,
            exporter,
            points,
            collected: Mutex::default(),
            _provider: provider,
        })
    }

    pub(super) fn flush(&self) -> OTelSdkResult {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        self.reader.collect(&mut collected)?;
        let points = points_of(&collected);
        if points == 0 {
            return Ok(());
        }
        self.points.store(points, Ordering::Relaxed);
        // Our client answers at once, and so does the exporter, which never tries twice.
        match pin!(self.exporter.export(&collected)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(exported) => exported,
            Poll::Pending => Err(OTelSdkError::InternalFailure("the exporter waits for something".to_owned())),
        }
    }
}

/// The stock exporter. What it would otherwise read from `OTEL_EXPORTER_OTLP_*` is said here; compressions that are
/// asked for there it was built without, and headers go nowhere.
fn exporter(outbox: Outbox) -> Result<MetricExporter, ExporterBuildError> {
    MetricExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint("http://localhost/v1/metrics")
        .with_timeout(Duration::from_secs(10))
        .with_temporality(Temporality::Cumulative)
        .with_retry_policy(RetryPolicy::disabled())
        .with_http_client(outbox)
        .build()
}

/// The resource as the SDK has it, with nothing of the SDK's own: the same that the snapshot's points are told of.
fn told(resource: &Resource) -> opentelemetry_sdk::Resource {
    let attributes = resource.0.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    opentelemetry_sdk::Resource::builder_empty().with_schema_url(attributes, SCHEMA_URL).build()
}

fn histogram(meter: &Meter, distribution: &Distribution) -> Histogram<f64> {
    let metric = distribution.metric;
    meter.f64_histogram(metric.name.clone()).with_description(metric.help.clone()).with_unit(metric.unit.ucum()).build()
}

/// The SDK sets memory aside for as many series as an instrument may have: 2,000, if nobody says less.
fn view(instrument: &Instrument) -> Option<Stream> {
    let distributions = [&PASSES, &REQUESTS, &PUSHES];
    let distribution = distributions.into_iter().find(|distribution| distribution.metric.name == instrument.name())?;
    let boundaries = distribution.bounds.to_vec();
    // The least and the most since the start say nothing of now.
    let buckets = Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false };
    Stream::builder().with_aggregation(buckets).with_cardinality_limit(distribution.series).build().ok()
}

/// All instruments are histograms.
fn points_of(collected: &ResourceMetrics) -> u32 {
    let metrics = collected.scope_metrics().flat_map(|scope| scope.metrics());
    let points = metrics.map(|metric| match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => histogram.data_points().count(),
        _ => 0,
    });
    u32::try_from(points.sum::<usize>()).unwrap_or(u32::MAX)
}

/// A reader that the provider and the lane share: it collects when the lane says so.
#[derive(Clone, Debug, Default)]
struct Reader(Arc<ManualReader>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// What takes a request.
type Sink = Box<dyn Fn(Record) + Send + Sync>;

/// The exporter's HTTP client: lays each request down for the sender, and says that it has arrived.
struct Outbox {
    sink: Sink,
    points: Arc<AtomicU32>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Outbox")
    }
}

/// As `async_trait` has it, of which this is the only use.
type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Outbox {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Answering<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        (self.sink)(Record {
            body: request.into_body(),
            encoding: Encoding::Identity,
            taken: SystemTime::now(),
            points: self.points.load(Ordering::Relaxed),
        });
        Box::pin(std::future::ready(Ok(Response::new(Bytes::new()))))
    }
}
