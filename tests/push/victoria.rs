//! A real backend: what is pushed can be asked for, and a restart of the agent is no burst.

use nix::sys::signal::Signal;

use crate::support::{Agent, Launch, PATIENCE, Peer, skipped, until, victoria_metrics};

fn agent(peer: &Peer, state: &std::path::Path) -> Agent {
    let sets = [
        format!("otlp.endpoint=\"http://127.0.0.1:{}/opentelemetry\"", peer.port),
        "otlp.protocol=\"http\"".to_owned(),
        "otlp.interval=\"1s\"".to_owned(),
        format!("paths.state={:?}", state.display().to_string()),
    ];
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    Agent::launch(&Launch { args: &args, ..Launch::new() })
}

/// The values of an instant query.
fn query(peer: &Peer, query: &str) -> Vec<f64> {
    let mut encoded = String::new();
    for byte in query.bytes() {
        encoded.push_str(&format!("%{byte:02X}"));
    }
    let answer = peer.get(&format!("/api/v1/query?query={encoded}")).json();
    let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    series.iter().filter_map(|series| series["value"][1].as_str()?.parse().ok()).collect()
}

#[test]
fn what_is_pushed_is_found_and_a_restart_is_no_burst() {
    let Some(peer) = victoria_metrics() else { return skipped("victoria-metrics is not here") };
    let state = tempfile::tempdir().unwrap();
    let cpus = std::thread::available_parallelism().unwrap().get();
    for life in 1..=2 {
        let mut agent = agent(&peer, state.path());
        let sent = || agent.page().value("vigie_push_snapshots_total", &[]) >= 4.0;
        until("four snapshots are pushed", PATIENCE, || sent().then_some(()));
        agent.signal(Signal::SIGTERM);
        assert!(agent.wait_end().0.success(), "life {life}");
    }
    let idle = r#"{__name__="system.cpu.time","cpu.mode"="idle"}"#;
    until("the points are found", PATIENCE, || (query(&peer, idle).len() >= cpus).then_some(()));
    // Two lives, and each CPU is one series: nothing in its attributes tells the lives apart.
    assert_eq!(query(&peer, idle).len(), cpus);
    let fastest = query(&peer, r#"max(max_over_time(rate({__name__="system.cpu.time"}[5s])[1m:1s]))"#);
    assert!(
        fastest.iter().all(|rate| *rate < 1.5) && !fastest.is_empty(),
        "a second of CPU takes a second: {fastest:?}"
    );
}
