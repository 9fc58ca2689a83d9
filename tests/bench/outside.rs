//! Costs of the real binary: CPU of a scrape beside node_exporter's, memory, size.

use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::report::{Report, milliseconds, quartile};
use crate::support::{Agent, COLLECTORS, Connection, Launch, node_exporter};

/// Scrapes of one round; rounds of both programs take turns.
const SCRAPES: u32 = 20;
const ROUNDS: usize = 15;

/// What a process has paid so far: user and system time of all its threads, to the nanosecond.
pub(crate) fn cpu_of(pid: Pid) -> Duration {
    let clock: ClockId = clock_getcpuclockid(pid).expect("the process has a clock");
    clock_gettime(clock).expect("its clock can be read").into()
}

/// What one program pays for a scrape: user and system time of all its threads, to the nanosecond.
struct Payer {
    pid: Pid,
    connection: Connection,
    headers: &'static [(&'static str, &'static str)],
    rounds: Vec<Duration>,
}

impl Payer {
    fn new(pid: Pid, port: u16, headers: &'static [(&'static str, &'static str)]) -> Payer {
        Payer { pid, connection: Connection::tcp(port).expect("it listens"), headers, rounds: Vec::new() }
    }

    fn scrapes(&mut self, count: u32) {
        for _ in 0..count {
            let answer = self.connection.get("/metrics", self.headers).expect("a page");
            assert_eq!(answer.status, 200);
        }
    }

    fn round(&mut self) {
        let before = cpu_of(self.pid);
        self.scrapes(SCRAPES);
        self.rounds.push((cpu_of(self.pid) - before) / SCRAPES);
    }

    fn cost(&mut self) -> Duration {
        quartile(&mut self.rounds)
    }
}

/// What a Prometheus sends along; none: what curl does.
const PLAIN: &[(&str, &str)] = &[];
const LIKE_PROMETHEUS: &[(&str, &str)] = &[
    ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"),
    ("Accept-Encoding", "gzip"),
];

pub(crate) fn scrape(report: &mut Report) {
    report.title("CPU of a scrape with a full pass each, user and system");
    // node_exporter looks at no process unless it is told to; the section `processes` compares that.
    let agent = Agent::start(&["--set", "http.max_age=\"0s\"", "--set", "samplers.disabled=[\"processes\"]"]);
    let same: Vec<String> = COLLECTORS.iter().map(|name| format!("--collector.{name}")).collect();
    let same: Vec<&str> = same.iter().map(String::as_str).chain(["--collector.disable-defaults"]).collect();
    let (Some(usual), Some(same)) = (node_exporter(&[]), node_exporter(&same)) else {
        return report.skipped("beside node_exporter", "prometheus-node-exporter is not installed");
    };
    for (how, headers) in [("plain", PLAIN), ("as Prometheus asks", LIKE_PROMETHEUS)] {
        let mut payers = [
            Payer::new(agent.pid(), agent.port, headers),
            Payer::new(usual.pid(), usual.port, headers),
            Payer::new(same.pid(), same.port, headers),
        ];
        let passes = || agent.page().find("vigie_passes_total", &[]).expect("vigie counts its passes");
        payers.iter_mut().for_each(|payer| payer.scrapes(SCRAPES));
        let before = passes();
        for _ in 0..ROUNDS {
            payers.iter_mut().for_each(Payer::round);
        }
        let expected = f64::from(SCRAPES) * ROUNDS as f64;
        assert!(passes() - before >= expected, "each scrape samples anew");
        let [ours, usual, same] = payers.each_mut().map(Payer::cost);
        report.fact(&format!("vigie, {how}"), &milliseconds(ours));
        report.fact(&format!("node_exporter with its defaults, {how}"), &milliseconds(usual));
        report.fact(&format!("node_exporter with the same collectors only, {how}"), &milliseconds(same));
        let ratio = |theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
        report.fact("vigie / node_exporter with the same collectors", &format!("{:.3}", ratio(same)));
        report.at_most("vigie / node_exporter", ratio(usual), 1.0 / 8.0, "");
    }
}

/// What is left when nothing is sampled and nothing rendered: HTTP, and a page that others had already.
pub(crate) fn shared(report: &mut Report) {
    report.title("CPU of a scrape that shares the page of the one before");
    let agent = Agent::start(&["--set", "http.max_age=\"1h\"", "--set", "sampling.interval=\"1h\""]);
    for (how, headers) in [("plain", PLAIN), ("as Prometheus asks", LIKE_PROMETHEUS)] {
        let mut payer = Payer::new(agent.pid(), agent.port, headers);
        payer.scrapes(SCRAPES);
        for _ in 0..ROUNDS {
            payer.round();
        }
        report.fact(how, &milliseconds(payer.cost()));
    }
}

pub(crate) fn memory(report: &mut Report) {
    report.title("Memory of the real binary");
    let agent = Agent::launch(&Launch { args: &["--set", "http.max_age=\"0s\""], ..Launch::new() });
    let mebibytes = |kibibytes: u64| kibibytes as f64 / 1024.0;
    report.fact("resident when ready", &format!("{:.2} MiB", mebibytes(agent.status("VmRSS"))));
    for headers in [PLAIN, LIKE_PROMETHEUS] {
        Payer::new(agent.pid(), agent.port, headers).scrapes(500);
    }
    report.at_most("resident after 1,000 scrapes", mebibytes(agent.status("VmRSS")), 8.0, "MiB");
    report.fact("of it anonymous", &format!("{:.2} MiB", mebibytes(agent.status("RssAnon"))));
    report.fact("resident at its peak", &format!("{:.2} MiB", mebibytes(agent.status("VmHWM"))));
    report.fact("threads", &agent.status("Threads").to_string());
}

pub(crate) fn binary(report: &mut Report) {
    report.title("Size");
    let bytes = std::fs::metadata(env!("CARGO_BIN_EXE_vigie")).expect("the binary is there").len();
    report.at_most("release binary", bytes as f64 / 1e6, 8.0, "MB");
}
