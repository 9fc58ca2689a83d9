//! What a thousand targets cost the real binary: CPU, memory, and how late they are asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::time::{clock_getcpuclockid, clock_gettime};
use vigie::config::Naming;
use vigie::metric::{Metric, Unit};
use vigie::probes::LABELS;
use vigie::push::encode::{Encoder, REQUEST_LIMIT};
use vigie::push::resource::Resource;
use vigie::push::start::Starts;
use vigie::snapshot::{Labels, Reading, Snapshot};

use crate::inside::cpu;
use crate::report::{Report, median, quartile};
use crate::support::{Agent, Connection, Launch, Nginx, Page, parse};

const TARGETS: usize = 1_000;
/// Every target has been asked twice by then.
const WARMUP: Duration = Duration::from_secs(32);
/// Four scrapes, and four checks of each target.
const MEASURED: Duration = Duration::from_secs(60);
const SCRAPE: Duration = Duration::from_secs(15);

/// One kind of probe, and the option that says where.
struct Sort {
    kind: &'static str,
    option: fn(SocketAddr) -> String,
}

const SORTS: &[Sort] = &[
    Sort { kind: "tcp", option: |address| format!("address = '{address}'") },
    Sort { kind: "http", option: |address| format!("url = 'http://{address}/'") },
];

/// What is asked, on every address of the loopback: nginx, or where there is none, something that accepts and closes.
fn serve() -> (Option<Nginx>, u16) {
    if let Some(nginx) = Nginx::start(&["listen 0.0.0.0:PORT; return 200 good;".to_owned()]) {
        let port = nginx.ports[0];
        return (Some(nginx), port);
    }
    let listener = TcpListener::bind(("0.0.0.0", 0)).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    (None, port)
}

/// A target of its own for each probe: the whole of 127.0.0.0/8 is this host.
fn target(index: usize, port: u16) -> SocketAddr {
    let [high, low] = u16::try_from(index + 1).expect("few targets").to_be_bytes();
    ([127, 1, high, low], port).into()
}

fn agent(sort: &Sort, targets: usize, port: u16) -> Agent {
    let table = |index| {
        let option = (sort.option)(target(index, port));
        format!("[[probe.{}]]\nname = 'target-{index}'\n{option}\ninterval = '15s'\n", sort.kind)
    };
    let config: String = (0..targets).map(table).collect();
    Agent::launch(&Launch { config: Some(&config), ..Launch::new() })
}

/// What one agent costs over a minute in which it is scraped as Prometheus does.
struct Cost {
    cpu: f64,
    kibibytes: u64,
    page: Page,
}

fn cost(agent: &Agent) -> Cost {
    let scrape = |encoding: &str| {
        let mut connection = Connection::tcp(agent.port).expect("it listens");
        connection.get("/metrics", &[("Accept-Encoding", encoding)]).expect("a page")
    };
    let clock = clock_getcpuclockid(agent.pid()).expect("the process has a clock");
    let now = || -> Duration { clock_gettime(clock).expect("its clock can be read").into() };
    std::thread::sleep(WARMUP);
    scrape("gzip");
    let (begun, before) = (Instant::now(), now());
    while begun.elapsed() < MEASURED {
        std::thread::sleep(SCRAPE);
        scrape("gzip");
    }
    let cpu = (now() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let kibibytes = agent.status("VmRSS");
    Cost { cpu: cpu * 100.0, kibibytes, page: parse(&scrape("identity").text()) }
}

/// How long a program takes for the same request that does nothing else, in the median and in milliseconds; from one to
/// the next it sleeps as long as the agent has on average.
fn bare(port: u16) -> f64 {
    let mut took: Vec<f64> = (0..TARGETS / 2)
        .map(|index| {
            std::thread::sleep(SCRAPE / TARGETS as u32);
            let begun = Instant::now();
            let mut stream = TcpStream::connect(target(index, port)).expect("the server accepts");
            let request = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
            stream.write_all(request).expect("the server reads");
            stream.read_to_end(&mut Vec::new()).expect("the server answers");
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    median(&mut took)
}

pub(crate) fn probes(report: &mut Report) {
    report.title("A thousand targets, each asked every 15 s");
    let (nginx, port) = serve();
    report.fact("the targets", if nginx.is_some() { "nginx" } else { "of the bench" });
    let mut connects: Vec<f64> = (0..TARGETS)
        .map(|index| {
            let begun = Instant::now();
            TcpStream::connect(target(index, port)).expect("the server accepts");
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.fact("connecting to one of them, bare", &format!("{:.3} ms", median(&mut connects)));
    for sort in SORTS {
        let none = cost(&agent(sort, 0, port));
        let Cost { cpu, kibibytes, page } = cost(&agent(sort, TARGETS, port));
        let what = |what: &str| format!("{}: {what}", sort.kind);
        let sum = |name| page.of(name).map(|(_, value)| value).sum::<f64>();
        assert_eq!(sum("probe_success"), TARGETS as f64, "every target answers");
        report.fact(&what("without any, of a core"), &format!("{:.2} %", none.cpu));
        report.at_most(&what("of a core"), cpu, 2.0, "%");
        report.at_most(&what("resident"), kibibytes as f64 / 1024.0, 16.0, "MiB");
        let each = (kibibytes - none.kibibytes) as f64 / TARGETS as f64;
        report.at_most(&what("resident, for each"), each, 8.0, "KiB");
        let late = |bound| page.value("vigie_probe_lateness_seconds_bucket", &[("le", bound)]);
        report.fact(&what("checks"), &late("+Inf").to_string());
        for bound in ["0.001", "0.003", "0.01", "0.03"] {
            report.fact(&what(&format!("of them more than {bound} s late")), &(late("+Inf") - late(bound)).to_string());
        }
        report.at_most(&what("of them more than 0.1 s late"), late("+Inf") - late("0.1"), 0.0, "");
        let mut took: Vec<f64> = page.of("probe_duration_seconds").map(|(_, seconds)| seconds * 1e3).collect();
        let check = median(&mut took);
        report.fact(&what("a check takes, in the median"), &format!("{check:.3} ms"));
        if sort.kind == "http" {
            let bare = bare(port);
            report.fact("http: the bare request, as often", &format!("{bare:.3} ms"));
            report.at_most("http: a check over the bare request", check - bare, 0.2, "ms");
        }
    }
}

static METRICS: [Metric; 5] = [
    Metric::gauge("bench_a", Unit::One, "A.").labels(LABELS).otel("bench.a"),
    Metric::gauge("bench_b", Unit::One, "B.").labels(LABELS).otel("bench.b"),
    Metric::gauge("bench_c", Unit::One, "C.").labels(LABELS).otel("bench.c"),
    Metric::gauge("bench_d", Unit::One, "D.").labels(LABELS),
    Metric::gauge("bench_e", Unit::One, "E.").labels(LABELS),
];

/// Whenever a target begins or ceases to answer, families come or go: the next push arranges them anew.
pub(crate) fn arranging(report: &mut Report) {
    report.title("CPU of the OTLP requests of many targets, whose families came or went");
    for targets in [TARGETS / 2, TARGETS, TARGETS * 2] {
        let reading = |target: usize| {
            let labels = Labels::new(&[("probe", &target.to_string())]);
            let mut reading = Reading::default();
            reading.start(Instant::now(), SystemTime::now());
            METRICS.iter().for_each(|metric| reading.put_with(metric, &labels, target as i64));
            Arc::new(reading)
        };
        let readings: Vec<_> = (0..targets).map(reading).collect();
        let starts = Starts { boot: None, process: None, agent: 1 };
        let mut encoder = Encoder::new(&Resource::default(), Naming::Semconv, starts);
        let mut encode = |without: usize| {
            let readings = readings[without..].to_vec();
            let snapshot = Snapshot { readings, at: Instant::now(), taken: SystemTime::now() };
            cpu(|| encoder.encode(&snapshot, REQUEST_LIMIT, |_, _| {}))
        };
        let mut rounds: Vec<Duration> = (0..21).map(|round| encode(round % 2)).collect();
        let what = format!("{targets} targets, {} families", targets * METRICS.len());
        // Twice the targets cost twice as much: a microsecond a family.
        let limit = (targets * METRICS.len()) as f64 / 1e3;
        report.at_most(&what, quartile(&mut rounds).as_secs_f64() * 1e3, limit, "ms");
    }
}
