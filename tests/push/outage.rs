//! The whole agent, and a collector that is away: nothing is lost, nothing is reordered, whoever is killed when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use crate::collector::{Act, Call, Collector, Site, Status};
use crate::support::{Agent, Launch, PATIENCE, spare_port, until};

fn agent(port: u16, state: &Path) -> Agent {
    agent_of(port, state, None)
}

/// An agent of that user, or of ours, that pushes each second to this port, and keeps what it has in `state`.
pub(crate) fn agent_of(port: u16, state: &Path, user: Option<u32>) -> Agent {
    let sets = [
        format!("otlp.endpoint=\"http://127.0.0.1:{port}\""),
        "otlp.interval=\"1s\"".to_owned(),
        "otlp.timeout=\"2s\"".to_owned(),
        format!("paths.state={:?}", state.display().to_string()),
    ];
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    Agent::launch(&Launch { args: &args, user, ..Launch::new() })
}

/// How many snapshots the agent says it had pushed before this one, and since when it counts.
fn number(call: &Call) -> Option<(u64, u64)> {
    let metric = call.metrics().find(|metric| metric.name == "vigie.push.snapshots")?;
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    let point = sum.data_points.first()?;
    let Some(Value::AsInt(number)) = point.value else { panic!("{point:?}") };
    Some((point.start_time_unix_nano, u64::try_from(number).unwrap()))
}

/// The numbers of each life of the agent that arrived.
pub(crate) fn lives(calls: &[Call]) -> BTreeMap<u64, BTreeSet<u64>> {
    let mut lives = BTreeMap::<u64, BTreeSet<u64>>::new();
    for (life, number) in calls.iter().filter_map(number) {
        lives.entry(life).or_default().insert(number);
    }
    lives
}

/// Nothing is missing between the first and the last of any life, and what is new comes in order.
#[track_caller]
pub(crate) fn assert_whole(calls: &[Call]) {
    for (life, numbers) in lives(calls) {
        let whole: BTreeSet<u64> = (0..numbers.len() as u64).collect();
        assert_eq!(numbers, whole, "of the life since {life}");
    }
    let told: Vec<(u64, u64)> = calls.iter().filter_map(number).collect();
    let mut seen = BTreeSet::new();
    let new: Vec<_> = told.into_iter().filter(|number| seen.insert(*number)).collect();
    assert!(new.is_sorted(), "{new:?}");
}

pub(crate) fn pushed(agent: &Agent) -> u64 {
    agent.page().value("vigie_push_snapshots_total", &[]) as u64
}

#[test]
fn what_an_outage_and_a_kill_left_behind_is_delivered() {
    let (port, state) = (spare_port(), tempfile::tempdir().unwrap());
    let first = agent(port, state.path());
    until("three snapshots wait", PATIENCE, || (pushed(&first) >= 3).then_some(()));
    let health = &first.health()["push"];
    assert_eq!((&health["up"], health["spool_requests"].as_u64() >= Some(3)), (&false.into(), true), "{health}");
    first.wait_log("nobody listens there; is the collector running?");
    assert_eq!(first.log().matches("nobody listens there").count(), 1, "said once:\n{}", first.log());
    drop(first);
    let second = agent(port, state.path());
    until("two more wait", PATIENCE, || (pushed(&second) >= 2).then_some(()));
    let collector = Collector::on(Site { port, ..Site::default() });
    until("both lives arrive", PATIENCE, || {
        let lives = lives(&collector.calls());
        let counts: Vec<usize> = lives.values().map(BTreeSet::len).collect();
        matches!(counts[..], [first, second] if first >= 3 && second >= 2).then_some(())
    });
    assert_whole(&collector.calls());
    second.wait_log("the collector takes what is pushed");
    until("nothing waits any more", PATIENCE, || (second.health()["push"]["spool_requests"] == 0).then_some(()));
}

#[test]
fn the_last_words_are_sent_before_the_end() {
    let (collector, state) = (Collector::start(), tempfile::tempdir().unwrap());
    let mut agent = agent(collector.port, state.path());
    until("something arrives", PATIENCE, || (!collector.calls().is_empty()).then_some(()));
    let before = pushed(&agent);
    agent.signal(Signal::SIGTERM);
    let (status, took) = agent.wait_end();
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    let last = collector.calls().iter().filter_map(number).map(|(_, number)| number).max();
    assert!(last >= Some(before), "{last:?} of {before}");
    assert_whole(&collector.calls());
}

#[test]
fn an_agent_that_ends_without_a_collector_ends_in_time() {
    let (listener, state) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    // It accepts, and says nothing.
    let mut agent = agent(listener.local_addr().unwrap().port(), state.path());
    until("two snapshots wait", PATIENCE, || (pushed(&agent) >= 2).then_some(()));
    agent.signal(Signal::SIGTERM);
    let (status, took) = agent.wait_end();
    assert!(status.success() && took < Duration::from_secs(6), "{status} after {took:?}");
    assert!(agent.log().contains("waits for the next start"), "{}", agent.log());
}

#[test]
fn a_second_agent_does_not_start_on_the_same_spool() {
    let (collector, state) = (Collector::start(), tempfile::tempdir().unwrap());
    let first = agent(collector.port, state.path());
    let sets = [
        format!("otlp.endpoint=\"http://127.0.0.1:{}\"", collector.port),
        format!("paths.state={:?}", state.path().display().to_string()),
    ];
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let mut second = Agent::spawn(&Launch { args: &args, ..Launch::new() });
    let (status, _) = second.wait_end();
    assert_eq!(status.code(), Some(1));
    let told = format!(
        "vigie: another vigie uses the spool in {}/spool: stop it, or give one of them another directory with \
         paths.state\n",
        state.path().display()
    );
    second.wait_log(&told);
    assert_eq!(second.log().matches("another vigie").count(), 1, "{}", second.log());
    assert_eq!(first.health()["push"]["spool_trouble"], serde_json::Value::Null);
}

#[test]
fn a_reload_moves_the_push_and_loses_nothing() {
    let (one, other, state) = (Collector::start(), Collector::start(), tempfile::tempdir().unwrap());
    let config = |port: u16| {
        format!(
            "[otlp]\nendpoint = \"http://127.0.0.1:{port}\"\ninterval = \"1s\"\n[paths]\nstate = {:?}\n",
            state.path()
        )
    };
    let state_set = format!("paths.state={:?}", state.path().display().to_string());
    let text = config(one.port);
    let args = ["--set", state_set.as_str()];
    let agent = Agent::launch(&Launch { args: &args, config: Some(&text), ..Launch::new() });
    until("one is told", PATIENCE, || {
        (lives(&one.calls()).values().map(BTreeSet::len).sum::<usize>() >= 2).then_some(())
    });
    std::fs::write(agent.directory().join("config.toml"), config(other.port)).unwrap();
    agent.signal(Signal::SIGHUP);
    until("the other is told", PATIENCE, || {
        (lives(&other.calls()).values().map(BTreeSet::len).sum::<usize>() >= 2).then_some(())
    });
    // A life goes on: its series keep their start, and no number is missing.
    let all = [one.calls(), other.calls()].concat();
    assert_eq!(lives(&all).len(), 1);
    assert_whole(&all);
    std::fs::write(agent.directory().join("config.toml"), "").unwrap();
    agent.signal(Signal::SIGHUP);
    until("the push is off", PATIENCE, || agent.health().get("push").is_none().then_some(()));
    assert_eq!(agent.page().find("vigie_push_snapshots_total", &[]), None);
}

/// Kills the agent at moments that follow from `seed`, while the collector is away, refuses and comes back.
fn chaos(kills: u32, seed: u64) {
    let (port, state) = (spare_port(), tempfile::tempdir().unwrap());
    let mut calls: Vec<Call> = Vec::new();
    let mut dice = seed;
    let mut roll = |sides: u64| {
        // Knuth's MMIX.
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    for _ in 0..kills {
        let collector = (roll(3) > 0).then(|| Collector::on(Site { port, ..Site::default() }));
        if let Some(collector) = &collector {
            match roll(4) {
                0 => collector.then([Act::Refuse(Status::unavailable("busy")), Act::Refuse(Status::aborted("again"))]),
                1 => collector.then([Act::Wait(Duration::from_secs(3))]),
                _ => {}
            }
        }
        let agent = agent(port, state.path());
        std::thread::sleep(Duration::from_millis(500 + roll(3_500)));
        drop(agent);
        calls.extend(collector.iter().flat_map(Collector::calls));
    }
    let collector = Collector::on(Site { port, ..Site::default() });
    let last = agent(port, state.path());
    until("all is delivered", PATIENCE * 4, || {
        let health = &last.health()["push"];
        (health["up"] == true && health["spool_requests"] == 0).then_some(())
    });
    calls.extend(collector.calls());
    assert_whole(&calls);
    let health = &last.health()["push"];
    assert_eq!(health["dropped_points"], 0, "{health}");
}

#[test]
fn kills_at_any_moment_lose_nothing() {
    let kills = std::env::var("VIGIE_CHAOS").ok().map(|kills| kills.parse().expect("VIGIE_CHAOS is a number of kills"));
    chaos(kills.unwrap_or(5), 7);
}
