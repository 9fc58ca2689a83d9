//! Probes of the real binary against real targets, and against small ones that misbehave as no real one does.

// Tests fail by panicking, and run other programs; only the product must do neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_types
)]

#[path = "../support/papers.rs"]
mod papers;
#[path = "../support/mod.rs"]
mod support;

mod blackbox;
mod core;
mod dns;
mod host;
mod http;
mod http_misbehaving;
mod icmp;
mod module;
mod redis;
mod redis_exporter;
mod secure;
mod servers;
mod tcp;
mod tls;
mod unit;
mod watch;

use std::time::Duration;

use support::{Agent, Launch, PATIENCE, Run, until};

/// What one probe said, by `vigie check --connect`.
#[derive(Debug)]
struct Said {
    /// `good`, or the reason.
    result: String,
    /// The sentence and the remedy, where it failed.
    why: String,
    milliseconds: f64,
}

/// Runs every probe of a configuration once.
#[track_caller]
fn check(config: &str) -> (Run, Vec<Said>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let listen = format!("[http]\nlisten = \"unix:{}\"\n", directory.path().join("page").display());
    std::fs::write(&file, format!("{listen}{config}")).unwrap();
    let run = Run::of(&["check", "--connect", "--config", file.to_str().unwrap()]);
    let table = run.out.lines().skip_while(|line| !line.starts_with("PROBE")).skip(1);
    let mut said: Vec<Said> = Vec::new();
    for line in table.take_while(|line| *line != "good") {
        if let Some(why) = line.strip_prefix("  ") {
            said.last_mut().unwrap().why.push_str(why);
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., result, milliseconds, "ms"] = words[..] else { panic!("{line:?}: {run:?}") };
        let (result, milliseconds) = (result.to_owned(), milliseconds.parse().unwrap());
        said.push(Said { result, why: String::new(), milliseconds });
    }
    (run, said)
}

/// The one probe of a configuration.
#[track_caller]
fn one(config: &str) -> Said {
    let (run, mut said) = check(config);
    assert_eq!(said.len(), 1, "{run:?}");
    said.remove(0)
}

/// An agent with these probes.
#[track_caller]
fn agent(config: &str) -> Agent {
    Agent::launch(&Launch { config: Some(config), ..Launch::new() })
}

/// What `/health` says of a probe.
#[track_caller]
fn health(agent: &Agent, name: &str) -> serde_json::Value {
    let health = agent.health();
    let probes = health["probes"].as_array().unwrap().iter();
    probes.clone().find(|probe| probe["name"] == name).cloned().unwrap_or_else(|| panic!("no {name}: {health}"))
}

/// Waits until `/health` says so of a probe.
#[track_caller]
fn until_probe(agent: &Agent, name: &str, what: &str, is: impl Fn(&serde_json::Value) -> bool) {
    until(&format!("{name} is {what}"), PATIENCE * 2, || {
        let health = health(agent, name);
        std::thread::sleep(Duration::from_millis(80));
        is(&health).then_some(())
    });
}
