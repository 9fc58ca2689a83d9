//! Costs of OTLP requests: CPU, allocations, bytes for each point.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use vigie::config::Naming;
use vigie::config::{self, Compression};
use vigie::metric::{Kind, Label, Metric, Otel, Unit};
use vigie::push::compress::Compressor;
use vigie::push::encode::{Encoder, REQUEST_LIMIT};
use vigie::push::resource::Resource;
use vigie::push::start::Starts;
use vigie::snapshot::{Labels, Reading, Snapshot};

use crate::inside::{Host, cpu, open};
use crate::report::{Report, milliseconds, quartile};

const ROUNDS: usize = 100;

/// Metrics of three attributes each, as a counter and a gauge in turn.
const METRICS: usize = 20;

const LABELS: &[Label] =
    &[Label::new("device").otel("system.device"), Label::new("mode").otel("cpu.mode"), Label::new("state")];

/// A host of so many points, whose counters move as counters do: some little, some much, some not at all.
struct Synthetic {
    metrics: Vec<Arc<Metric>>,
    labels: Vec<Labels>,
    values: Vec<i64>,
    random: u64,
}

impl Synthetic {
    fn of(points: usize) -> Synthetic {
        let metric = |index: usize| {
            let name: &'static str = format!("system.bench.metric_{index}").leak();
            let kind = if index.is_multiple_of(2) { Kind::Counter } else { Kind::Gauge };
            let otel = Otel { name, up_down: false, unit: None, fixed: &[] };
            Arc::new(
                Metric { otel: Some(otel), ..Metric::new(kind, name, Unit::Bytes, "A metric of the bench.") }
                    .labels(LABELS),
            )
        };
        let labels = |index: usize| {
            Labels::new(&[
                ("device", &format!("nvme{index}n1")),
                ("mode", "user"),
                ("state", ["up", "down"][index % 2]),
            ])
        };
        Synthetic {
            metrics: (0..METRICS).map(metric).collect(),
            labels: (0..points / METRICS).map(labels).collect(),
            values: vec![0; points],
            random: 1,
        }
    }

    fn reading(&mut self) -> Arc<Reading> {
        let mut reading = Reading::default();
        reading.start(Instant::now(), SystemTime::now());
        let mut values = self.values.iter_mut();
        for metric in &self.metrics {
            for labels in &self.labels {
                // Knuth's MMIX generator.
                self.random =
                    self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let value = values.next().expect("a value for each point");
                *value += (self.random >> 33 >> (self.random >> 59)).cast_signed();
                reading.put_born(metric, labels, *value);
            }
        }
        Arc::new(reading)
    }

    fn snapshot(&mut self) -> Snapshot {
        Snapshot { readings: vec![self.reading()], at: Instant::now(), taken: SystemTime::now() }
    }
}

pub(crate) fn encoder(host: &Host) -> Encoder {
    let resource = Resource::of(&host.root, &config::Host::default());
    Encoder::new(&resource, Naming::Semconv, Starts::of(&host.root, SystemTime::now()))
}

/// What a push costs, and what it comes to.
#[derive(Default)]
struct Push {
    encode: Vec<Duration>,
    both: Vec<Duration>,
    allocations: u64,
    points: u32,
    requests: usize,
    longest: usize,
    plain: usize,
    packed: usize,
}

impl Push {
    /// Two pushes of fresh snapshots: one is only encoded, of the other every request becomes a record.
    fn add(&mut self, encoder: &mut Encoder, compressor: &mut Compressor, mut snapshot: impl FnMut() -> Snapshot) {
        let fresh = snapshot();
        let mut cost = Duration::ZERO;
        let allocations = allocation_counter::measure(|| {
            cost = cpu(|| encoder.encode(&fresh, REQUEST_LIMIT, |_, _| {}));
        });
        self.encode.push(cost);
        self.allocations = allocations.count_total;
        let fresh = snapshot();
        (self.points, self.requests, self.plain, self.packed) = (0, 0, 0, 0);
        let both = cpu(|| {
            encoder.encode(&fresh, REQUEST_LIMIT, |request, points| {
                let record = compressor.record(request, points, fresh.taken);
                self.points += points;
                self.requests += 1;
                self.longest = self.longest.max(request.len());
                self.plain += request.len();
                self.packed += record.body.len();
            });
        });
        self.both.push(both);
    }

    fn of_a_point(&self, report: &mut Report, what: &str) {
        let each = |bytes: usize| format!("{:.1} bytes", bytes as f64 / f64::from(self.points));
        report.fact(&format!("{what}: a point"), &each(self.plain));
        report.fact(&format!("{what}: a point on the wire, in gzip"), &each(self.packed));
    }
}

pub(crate) fn encoding(report: &mut Report) {
    report.title("CPU of the OTLP requests of a fresh snapshot");
    let host = Host::this();
    let mut compressor = Compressor::new(Compression::Gzip);
    for (points, encode_limit, limit) in [(2_000, 0.1, 0.4), (20_000, 1.0, 4.0)] {
        let mut synthetic = Synthetic::of(points);
        let snapshot = synthetic.snapshot();
        let mut kept = None;
        let memory = allocation_counter::measure(|| {
            let (mut encoder, mut compressor) = (encoder(&host), Compressor::new(Compression::Gzip));
            encoder.encode(&snapshot, REQUEST_LIMIT, |request, points| {
                compressor.record(request, points, snapshot.taken);
            });
            kept = Some((encoder, compressor));
        });
        let (mut encoder, mut push) = (encoder(&host), Push::default());
        encoder.encode(&snapshot, REQUEST_LIMIT, |_, _| {});
        for _ in 0..ROUNDS {
            push.add(&mut encoder, &mut compressor, || synthetic.snapshot());
        }
        let milliseconds = |rounds: &mut [Duration]| quartile(rounds).as_secs_f64() * 1e3;
        report.at_most(&format!("{points} points"), milliseconds(&mut push.encode), encode_limit, "ms");
        report.at_most(&format!("{points} points in gzip"), milliseconds(&mut push.both), limit, "ms");
        report.at_most(&format!("{points} points: allocations"), push.allocations as f64, 2.0, "");
        report.at_most(
            &format!("{points} points: the longest request"),
            push.longest as f64,
            REQUEST_LIMIT as f64,
            "B",
        );
        report.fact(&format!("{points} points: requests"), &push.requests.to_string());
        report.fact(&format!("{points} points: memory that is kept"), &format!("{} KiB", memory.bytes_current >> 10));
        push.of_a_point(report, &format!("{points} points"));
    }
    for (name, folder) in [("this host", "/".to_owned()), ("nvme-server", host_folder("nvme-server"))] {
        let mut host = Host::of(open(Path::new(&folder)));
        let (mut encoder, mut push) = (encoder(&host), Push::default());
        for _ in 0..ROUNDS {
            // What was pushed already is not pushed again.
            push.add(&mut encoder, &mut compressor, || {
                host.pass();
                host.snapshot()
            });
        }
        report.fact(&format!("{name}: {} points", push.points), &milliseconds(quartile(&mut push.encode)));
        let both = quartile(&mut push.both);
        report.fact(&format!("{name}: in gzip"), &milliseconds(both));
        report.fact(&format!("{name}: in gzip, for each 2,000"), &milliseconds(both * 2_000 / push.points));
        push.of_a_point(report, name);
    }
}

fn host_folder(name: &str) -> String {
    format!("{}/tests/hosts/{name}", env!("CARGO_MANIFEST_DIR"))
}
