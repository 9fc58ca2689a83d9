//! Costs of an OTLP request: CPU, allocations, bytes for each point.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flate2::{Compress, Compression, FlushCompress, Status};
use vigie::config;
use vigie::metric::{Kind, Label, Metric, Otel, Unit};
use vigie::push::encode::Encoder;
use vigie::push::naming::Naming;
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

fn encoder(host: &Host) -> Encoder {
    let resource = Resource::of(&host.root, &config::Host::default());
    Encoder::new(&resource, Naming::Semconv, Starts::of(&host.root, SystemTime::now()))
}

/// Packs as the page is packed: into memory that is kept.
fn pack(deflate: &mut Compress, request: &[u8], out: &mut Vec<u8>) {
    deflate.reset();
    out.clear();
    out.reserve(request.len());
    let status = deflate.compress_vec(request, out, FlushCompress::Finish).expect("memory takes all");
    assert_eq!(status, Status::StreamEnd);
}

pub(crate) fn encoding(report: &mut Report) {
    report.title("CPU of an OTLP request of a fresh snapshot");
    let host = Host::this();
    let (mut deflate, mut packed) = (Compress::new_gzip(Compression::fast(), 15), Vec::new());
    for (points, limit) in [(2_000, 0.1), (20_000, 1.0)] {
        let (mut synthetic, mut encoder, mut out) = (Synthetic::of(points), encoder(&host), Vec::new());
        let (mut plain, mut gzip, mut allocations) = (Vec::<Duration>::new(), Vec::<Duration>::new(), 0);
        encoder.encode(&synthetic.snapshot(), &mut out);
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let snapshot = synthetic.snapshot();
            out.clear();
            plain.push(cpu(|| encoder.encode(&snapshot, &mut out)));
            let before = *plain.last().expect("one was pushed");
            gzip.push(before + cpu(|| pack(&mut deflate, &out, &mut packed)));
            bytes = packed.len();
            let snapshot = synthetic.snapshot();
            out.clear();
            allocations =
                allocation_counter::measure(|| encoder.encode(&snapshot, &mut out)).count_total.max(allocations);
        }
        report.at_most(&format!("{points} points"), quartile(&mut plain).as_secs_f64() * 1e3, limit, "ms");
        report.fact(&format!("{points} points in gzip"), &milliseconds(quartile(&mut gzip)));
        report.at_most(&format!("{points} points: allocations"), allocations as f64, 2.0, "");
        of_a_point(report, &format!("{points} points"), out.len(), bytes, points);
    }
    for (name, folder) in [("this host", "/".to_owned()), ("nvme-server", host_folder("nvme-server"))] {
        let mut host = Host::of(open(Path::new(&folder)));
        let (mut encoder, mut out, mut cost, mut gzip) = (encoder(&host), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            host.pass();
            let snapshot = host.snapshot();
            out.clear();
            cost.push(cpu(|| encoder.encode(&snapshot, &mut out)));
            gzip.push(cpu(|| pack(&mut deflate, &out, &mut packed)));
        }
        let pushed = |metric: &Metric| metric.otel.is_some();
        let snapshot = host.snapshot();
        let points =
            snapshot.families().filter(|family| pushed(&family.metric)).map(|family| family.points().len()).sum();
        let (cost, gzip) = (quartile(&mut cost), quartile(&mut gzip));
        report.fact(&format!("{name}: {points} points"), &milliseconds(cost));
        report.fact(&format!("{name}: in gzip, for each 2,000"), &milliseconds((cost + gzip) * 2_000 / points as u32));
        of_a_point(report, name, out.len(), packed.len(), points);
    }
}

fn host_folder(name: &str) -> String {
    format!("{}/tests/hosts/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn of_a_point(report: &mut Report, what: &str, plain: usize, packed: usize, points: usize) {
    let each = |bytes: usize| format!("{:.1} bytes", bytes as f64 / points as f64);
    report.fact(&format!("{what}: a point"), &each(plain));
    report.fact(&format!("{what}: a point after gzip"), &each(packed));
}
