//! A day of the whole agent at a collector that goes through every fault: what is missing in the end is what the agent
//! says it dropped, to the request.
//!
//! The day goes by in minutes, by a clock that is fast. It has two hours, or as many as VIGIE_DAY says.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;

use crate::collector::Collector;
use crate::http_collector::HttpCollector;
use crate::ledger::{Count, Ledger};
use crate::line::{Fault, Line, Place};
use crate::receiver::{REJECTED, Receiver};
use crate::support::{Agent, Answer, FastClock, Launch, PATIENCE, Page, parse, skipped, until, with_own_mounts};

/// How much faster than ours its clock is. A timeout of a minute takes half a second then.
const RATE: u32 = 120;

/// Most of them are of no concern here, and take a build without optimisation long.
const SAMPLERS: [&str; 6] = ["agent", "cpu", "loadavg", "meminfo", "netdev", "stat"];

/// What makes each request longer by that much: then little of a day fits into memory.
const BALLAST: usize = 12 << 10;

const MINUTE: Duration = Duration::from_secs(60);

/// An agent's counters of the push, by what becomes of a request.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counters {
    snapshots: u64,
    failures: Vec<(String, u64)>,
    /// For good, by the collector.
    refused: Count,
    /// By the spool.
    lost: u64,
    rejected: u64,
}

impl Counters {
    fn of(page: &Page) -> Counters {
        let by_reason = |name: &str| -> Vec<(String, u64)> {
            page.of(name).map(|(series, value)| (series.label("reason").to_owned(), value as u64)).collect()
        };
        let sum = |name: &str, refused: bool| -> u64 {
            let of = by_reason(name);
            of.iter().filter(|(reason, _)| refused == ["status", "auth"].contains(&&**reason)).map(|(_, sum)| sum).sum()
        };
        let (requests, points) = ("vigie_push_dropped_requests_total", "vigie_push_dropped_points_total");
        Counters {
            snapshots: page.value("vigie_push_snapshots_total", &[]) as u64,
            failures: by_reason("vigie_push_failures_total"),
            refused: Count { requests: sum(requests, true), points: sum(points, true) },
            lost: sum(requests, false),
            rejected: page.value("vigie_push_rejected_points_total", &[]) as u64,
        }
    }

    /// Why attempts have failed since.
    fn reasons(&self, before: &Counters) -> Vec<(&str, u64)> {
        let known = |reason: &str| before.failures.iter().find(|(known, _)| known == reason).map_or(0, |(_, sum)| *sum);
        let new = self.failures.iter().map(|(reason, sum)| (reason.as_str(), sum - known(reason)));
        new.filter(|(_, sum)| *sum > 0).collect()
    }
}

struct Day {
    clock: FastClock,
    /// How much longer than in the shortest day each fault lasts.
    scale: u32,
    receiver: Receiver,
    line: Line,
    state: PathBuf,
    ledger: Ledger,
    agent: Agent,
    /// What agents that were killed had made, and had lost.
    before: Vec<Counters>,
}

/// The disk takes nothing more for as long as this lives.
struct Full(PathBuf);

impl Full {
    fn new(state: &Path) -> Full {
        let ballast = state.join("ballast");
        let written = std::io::copy(&mut std::io::repeat(7), &mut File::create(&ballast).unwrap());
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        Full(ballast)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn launch(clock: &FastClock, port: u16, protocol: &str, state: &Path) -> Agent {
    let known = vigie::samplers::ALL.iter().map(|declaration| declaration.name);
    let disabled: Vec<&str> = known.filter(|name| !SAMPLERS.contains(name)).collect();
    let sets = [
        format!("otlp.endpoint=\"http://127.0.0.1:{port}\""),
        format!("otlp.protocol={protocol:?}"),
        "otlp.timeout=\"60s\"".to_owned(),
        "otlp.compression=\"none\"".to_owned(),
        format!("host.attributes={{ballast={:?}}}", "x".repeat(BALLAST)),
        format!("paths.state={:?}", state.display().to_string()),
        format!("samplers.disabled={disabled:?}"),
    ];
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let env = clock.env();
    let env = env.each_ref().map(|(name, value)| (*name, value.as_os_str()));
    Agent::launch(&Launch { args: &args, env: &env, ..Launch::new() })
}

impl Day {
    fn begin(receiver: Receiver, state: &Path, clock: FastClock, scale: u32) -> Day {
        receiver.talk(false);
        let line = Line::to(receiver.port());
        let agent = launch(&clock, line.port, receiver.protocol(), state);
        let (state, ledger) = (state.to_owned(), Ledger::default());
        Day { clock, scale, receiver, line, state, ledger, agent, before: Vec::new() }
    }

    /// What the agent answers. On a busy machine its own patience is over sooner than ours: then it is asked again.
    fn ask(&self, path: &str) -> Answer {
        let answer = || self.agent.connect().and_then(|mut connection| connection.get(path, &[])).ok();
        until("the agent answers", PATIENCE, || answer().filter(|answer| answer.status == 200))
    }

    fn page(&self) -> Page {
        parse(&self.ask("/metrics").text())
    }

    /// What `/health` says of the push.
    fn health(&self) -> serde_json::Value {
        self.ask("/health").json()["push"].take()
    }

    fn counters(&self) -> Counters {
        Counters::of(&self.page())
    }

    /// Enters what came.
    fn enter(&mut self) {
        self.receiver.take().into_iter().for_each(|delivery| self.ledger.enter(delivery));
    }

    /// Lets so much time go by, longer where the day is.
    fn pass(&mut self, time: Duration) {
        let end = self.clock.elapsed() + time * self.scale;
        while let Some(left) = end.checked_sub(self.clock.elapsed()).filter(|left| !left.is_zero()) {
            self.clock.sleep(left.min(MINUTE));
            self.enter();
        }
    }

    /// Waits until all that the agent has made is delivered.
    fn drain(&mut self) {
        let made = self.counters().snapshots;
        until("all is delivered", PATIENCE * (1 + self.scale), || {
            self.enter();
            let health = self.health();
            let last = self.ledger.lives.get(self.before.len())?.snapshots.last().copied();
            (health["spool_requests"] == 0 && last >= made.checked_sub(1)).then_some(())
        });
    }

    fn say(&self, what: &str, told: &str) {
        let minutes = self.clock.elapsed().as_secs() / 60;
        println!("{} {:02}:{:02} {what}: {told}", self.receiver.protocol(), minutes / 60, minutes % 60);
    }

    /// Kills the agent, and starts another. Nothing is being dropped meanwhile.
    fn kill(&mut self) {
        let last = self.counters();
        self.agent.signal(Signal::SIGKILL);
        self.agent.wait_end();
        self.agent = launch(&self.clock, self.line.port, self.receiver.protocol(), &self.state);
        self.before.push(last);
        self.say("kill -9", "another agent goes on");
    }

    /// A fault for so long, of which the agent says `reasons`; and how it gets over it.
    fn fault(&mut self, fault: Fault, time: Duration, reasons: &[&str]) {
        let before = self.counters();
        self.line.set(fault);
        self.pass(time);
        let counters = self.counters();
        self.line.set(Fault::None);
        self.drain();
        let told = counters.reasons(&before);
        self.say(&format!("{fault:?}"), &format!("{told:?}"));
        assert!(reasons.is_empty() || told.iter().any(|(reason, _)| reasons.contains(reason)), "{fault:?}: {told:?}");
        assert_eq!((counters.refused, counters.lost), (before.refused, before.lost), "{fault:?} costs nothing");
    }

    /// The same, with a kill in the middle of it.
    fn fatal(&mut self, fault: Fault, time: Duration) {
        self.line.set(fault);
        self.pass(time / 2);
        self.kill();
        self.pass(time / 2);
        self.line.set(Fault::None);
        self.drain();
        self.say(&format!("{fault:?}, and a kill"), "all of it came");
    }

    /// The disk is full for so long, and the line is in this state.
    fn full(&mut self, fault: Fault, time: Duration) -> u64 {
        let before = self.counters();
        self.line.set(fault);
        let full = Full::new(&self.state);
        self.pass(time);
        let health = self.health();
        let trouble = health["spool_trouble"].as_str().unwrap_or_default().to_owned();
        assert!(trouble.contains("No space left on device (os error 28): make room on its filesystem"), "{health}");
        assert_eq!(self.page().value("vigie_push_spool_on_disk", &[]), 0.0);
        drop(full);
        let lost = self.counters().lost - before.lost;
        self.line.set(Fault::None);
        self.drain();
        self.say(&format!("no space left, {fault:?}"), &format!("{lost} requests dropped, as the agent says"));
        lost
    }

    /// Every status: what must not be sent again is dropped, and counted.
    fn statuses(&mut self, every: bool) {
        let before = self.counters();
        self.receiver.refuse(every);
        let count = self.receiver.pending();
        until("every status was answered", PATIENCE * 4, || {
            self.enter();
            (self.receiver.pending() == 0).then_some(())
        });
        self.drain();
        let counters = self.counters();
        let refused = counters.refused.requests - before.refused.requests;
        self.say(&format!("{count} statuses"), &format!("{:?}, {refused} dropped", counters.reasons(&before)));
        assert_eq!(self.ledger.refused, counters.refused, "what the collector refused is what the agent dropped");
    }

    fn partial(&mut self) {
        self.receiver.reject();
        until("a partial success is told", PATIENCE, || (self.counters().rejected == REJECTED).then_some(()));
        self.drain();
    }

    /// An answer of 4 MiB.
    fn long(&mut self, time: Duration) {
        let before = self.counters();
        self.receiver.talk(true);
        self.pass(time);
        let told = self.health()["message"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains("answers with more than any collector") || told.contains("longer than any"), "{told}");
        let counters = self.counters();
        self.receiver.talk(false);
        self.drain();
        self.say("answers of 4 MiB", &format!("{:?}", counters.reasons(&before)));
    }

    /// The day is over: every request that any agent made came, or is among those that it says it dropped.
    fn settle(mut self, hours: u32) {
        let left = (MINUTE * 60 * hours).saturating_sub(self.clock.elapsed()) / self.scale;
        self.pass(left);
        self.drain();
        let mut counters = self.before.clone();
        counters.push(self.counters());
        self.enter();
        assert_eq!(self.ledger.lives.len(), counters.len(), "each agent is a life");
        for (life, counters) in self.ledger.lives.iter().zip(&counters) {
            let last = life.snapshots.last().copied();
            assert!(last >= counters.snapshots.checked_sub(1), "{last:?} of {}", counters.snapshots);
        }
        let missing: u64 = self.ledger.lives.iter().map(|life| life.missing()).sum();
        let lost: u64 = counters.iter().map(|counters| counters.lost).sum();
        let alone: Vec<&Vec<u64>> = self.ledger.lives.iter().map(|life| &life.alone).collect();
        assert_eq!(missing, lost, "what is missing is what the agents say they dropped; alone are {alone:?}");
        let refused: Count = counters.iter().fold(Count::default(), |sum, counters| Count {
            requests: sum.requests + counters.refused.requests,
            points: sum.points + counters.refused.points,
        });
        assert_eq!(self.ledger.refused, refused);
        let snapshots: usize = self.ledger.lives.iter().map(|life| life.snapshots.len()).sum();
        let Ledger { taken, again, .. } = &self.ledger;
        let told = format!(
            "{snapshots} snapshots, {} requests with {} points taken, {} refused for good, {missing} dropped by the \
             spool, {again} deliveries again, in {} lives",
            taken.requests,
            taken.points,
            refused.requests,
            counters.len()
        );
        self.say("the end", &told);
        assert!(snapshots as u32 >= hours * 200, "a snapshot each 15 s but for some: {snapshots}");
        assert!(!self.agent.log().contains("panicked"), "{}", self.agent.log());
    }
}

fn hours() -> u32 {
    std::env::var("VIGIE_DAY").ok().map_or(2, |hours| hours.parse().expect("VIGIE_DAY is a number of hours"))
}

fn day(receiver: Receiver, cuts: &[(Place, &[&str])]) {
    let clock = match FastClock::new(RATE) {
        Ok(clock) => clock,
        Err(why) => return skipped(&why),
    };
    let hours = hours().max(2);
    let mut inputs = Some((receiver, clock));
    let mut live = |disk: bool, state: &Path| {
        let (receiver, clock) = inputs.take().unwrap();
        let mut day = Day::begin(receiver, state, clock, hours / 2);
        day.pass(MINUTE);
        day.fault(Fault::Down, MINUTE * 6, &["connect"]);
        day.fatal(Fault::Down, MINUTE * 4);
        day.fault(Fault::Silence, MINUTE * 4, &["timeout"]);
        day.fault(Fault::Drip(day.clock.ours(Duration::from_millis(700))), MINUTE * 4, &["timeout"]);
        day.fault(Fault::Drip(day.clock.ours(Duration::from_millis(20))), MINUTE * 2, &[]);
        day.fatal(Fault::Silence, MINUTE * 4);
        for words in
            [&b"\x00\x00\x12\x04\x00\x00\x00\x00\x00garbage garbage garb"[..], b"HTTP/1.1 200 Nonsense\r\n", b"\xff"]
        {
            day.fault(Fault::Says(words), MINUTE * 2, &["protocol", "disconnect", "timeout"]);
        }
        for (place, reasons) in cuts {
            day.fault(Fault::Cut(*place), MINUTE * 3, reasons);
        }
        day.fatal(Fault::Cut(Place::BeforeHead), MINUTE * 3);
        day.fault(Fault::Twisted, MINUTE * 2, &["protocol", "disconnect"]);
        day.long(MINUTE * 2);
        day.kill();
        day.partial();
        day.statuses(hours > 2);
        if disk {
            assert_eq!(day.full(Fault::None, MINUTE * 3), 0, "a collector that takes everything needs no disk");
            assert!(day.full(Fault::Down, MINUTE * 14) > 0, "what is too much for the memory is dropped");
        }
        day.settle(hours);
    };
    let state = tempfile::tempdir().unwrap();
    let outcome = with_own_mounts(|| {
        mount(None::<&str>, state.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64m")).unwrap();
        live(true, state.path());
    });
    if let Err(why) = outcome {
        skipped(&format!("the part with the full disk: {why}"));
        live(false, state.path());
    }
}

#[test]
fn a_day_of_faults_over_grpc_costs_what_the_agent_says() {
    let cuts: [(Place, &[&str]); 4] = [
        (Place::BeforeHead, &["disconnect"]),
        (Place::BehindHead, &["disconnect"]),
        (Place::WithinBody, &["disconnect"]),
        (Place::BeforeTrailers, &["disconnect"]),
    ];
    day(Receiver::Grpc(Collector::start()), &cuts);
}

#[test]
fn a_day_of_faults_over_http_costs_what_the_agent_says() {
    // The status says already that it was taken: what is cut behind it is nothing to be sent again for.
    let cuts: [(Place, &[&str]); 4] = [
        (Place::BeforeHead, &["disconnect"]),
        (Place::WithinHead, &["disconnect", "protocol"]),
        (Place::BehindHead, &[]),
        (Place::WithinBody, &[]),
    ];
    day(Receiver::Http(HttpCollector::start()), &cuts);
}
