//! Memory of the real binary while much waits to be pushed, and while that is sent.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use vigie::config::{self, Compression};
use vigie::push::compress::Compressor;
use vigie::push::encode::REQUEST_LIMIT;
use vigie::push::record::Record;
use vigie::push::spool::Spool;

use crate::collector::{Collector, Site};
use crate::encoding::encoder;
use crate::http_collector::HttpCollector;
use crate::inside::Host;
use crate::report::Report;
use crate::support::{Agent, Launch, PATIENCE, spare_port, until};

/// Bytes that wait.
const BACKLOG: u64 = 100 << 20;

/// How much more than without a push the daemon may take, in MiB.
const LIMIT: f64 = 1.5;

/// How long an agent goes on before it is looked at, with a pass and a push each second.
const SETTLED: Duration = Duration::from_secs(12);

/// This host as a request, measured so long ago.
fn request(age: Duration) -> Record {
    let mut host = Host::this();
    host.pass();
    let mut records = Vec::new();
    let mut compressor = Compressor::new(Compression::Gzip);
    let taken = SystemTime::now() - age;
    encoder(&host).encode(&host.snapshot(), REQUEST_LIMIT, |request, points| {
        records.push(compressor.record(request, points, taken));
    });
    records.pop().expect("this host has points")
}

/// Fills the spool below `state`; tells how many requests that are.
fn fill(state: &Path) -> u64 {
    let mut spool = Spool::open(state, config::Spool::default()).expect("a spool");
    let mut record = request(Duration::from_secs(3600));
    while spool.status().bytes < BACKLOG {
        let group = (0..100).map(|_| {
            // So close together that the agent makes no pause between them.
            record.taken += Duration::from_micros(100);
            record.clone()
        });
        spool.append(group.collect());
    }
    let status = spool.status();
    assert!(status.on_disk, "{status:?}");
    status.records
}

fn agent(sets: &[String]) -> Agent {
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let args = [&args[..], &["--set", "sampling.interval=\"1s\""]].concat();
    Agent::launch(&Launch { args: &args, ..Launch::new() })
}

/// Resident memory and the anonymous part of it, in MiB.
#[derive(Clone, Copy)]
struct Memory {
    resident: f64,
    anonymous: f64,
}

impl Memory {
    fn of(agent: &Agent) -> Memory {
        let mebibytes = |key: &str| agent.status(key) as f64 / 1024.0;
        Memory { resident: mebibytes("VmRSS"), anonymous: mebibytes("RssAnon") }
    }

    /// The most of an agent until `done` says so.
    fn most(agent: &Agent, mut done: impl FnMut() -> bool) -> Memory {
        let mut most = Memory::of(agent);
        while !done() {
            let now = Memory::of(agent);
            most.resident = most.resident.max(now.resident);
            most.anonymous = most.anonymous.max(now.anonymous);
            std::thread::sleep(Duration::from_millis(10));
        }
        most
    }

    fn tell(self, report: &mut Report, what: &str) {
        report.fact(what, &format!("{:.2} MiB", self.resident));
        report.fact(&format!("{what}, of it anonymous"), &format!("{:.2} MiB", self.anonymous));
    }
}

/// The most that a settled agent takes.
fn settled(agent: &Agent) -> Memory {
    let begun = Instant::now();
    Memory::most(agent, || {
        drop(agent.page());
        begun.elapsed() > SETTLED
    })
}

/// Either of both, with how many requests came and are forgotten.
enum Receiver {
    Grpc(Collector),
    Http(HttpCollector),
}

impl Receiver {
    fn take(&self) -> u64 {
        let count = match self {
            Receiver::Grpc(collector) => collector.take().len(),
            Receiver::Http(collector) => collector.take().len(),
        };
        count as u64
    }
}

pub(crate) fn backlog(report: &mut Report) {
    report.title("Memory of the real binary with 100 MiB that wait to be pushed");
    let without = settled(&agent(&[]));
    without.tell(report, "without a push");
    for protocol in ["grpc", "http"] {
        let state = tempfile::tempdir().expect("a temporary directory");
        let requests = fill(state.path());
        let port = spare_port();
        let sets = [
            format!("otlp.endpoint=\"http://127.0.0.1:{port}\""),
            format!("otlp.protocol={protocol:?}"),
            "otlp.interval=\"1s\"".to_owned(),
            format!("paths.state={:?}", state.path().display().to_string()),
        ];
        let agent = agent(&sets);
        let waiting = settled(&agent);
        assert!(agent.health()["push"]["spool_bytes"].as_u64() > Some(BACKLOG), "{}", agent.health());
        waiting.tell(report, &format!("{protocol}: {requests} requests wait"));
        let receiver = match protocol {
            "grpc" => Receiver::Grpc(Collector::on(Site { port, ..Site::default() })),
            _ => Receiver::Http(HttpCollector::on(port, None)),
        };
        until("the collector is found", PATIENCE * 3, || (receiver.take() > 0).then_some(()));
        let (begun, mut came) = (Instant::now(), 1);
        let sending = Memory::most(&agent, || {
            came += receiver.take();
            came >= requests
        });
        let took = begun.elapsed().as_secs_f64();
        sending.tell(report, &format!("{protocol}: they are sent"));
        report.fact(&format!("{protocol}: requests a second"), &format!("{:.0}", requests as f64 / took));
        let over = |memory: Memory| memory.resident - without.resident;
        report.at_most(&format!("{protocol}: over one without, while they wait"), over(waiting), LIMIT, "MiB");
        report.at_most(&format!("{protocol}: over one without, while they are sent"), over(sending), LIMIT, "MiB");
    }
}
