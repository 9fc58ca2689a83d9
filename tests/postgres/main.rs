//! `[[probe.postgres]]` of the real binary against real servers, each a private one of the test.

// Tests fail by panicking, and run other programs; only the product must do neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_types
)]

#[path = "../support/postgres.rs"]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod exporter;
mod harm;
mod login;
mod told;
mod versions;

use std::time::Duration;

use server::Postgres;
use support::{Agent, Launch, PATIENCE, Page, Run, skipped, until};

/// A server with the user that probes are, or none, which is said.
#[track_caller]
fn server(settings: &[&str]) -> Option<Postgres> {
    let server = Postgres::start(settings).map(Postgres::with_user);
    if server.is_none() {
        skipped("PostgreSQL's server or psql is not installed");
    }
    server
}

/// An agent with these probes.
#[track_caller]
fn agent(config: &str) -> Agent {
    Agent::launch(&Launch { config: Some(config), ..Launch::new() })
}

/// The page, once the probe's last check was good, and that is so.
#[track_caller]
fn until_page(agent: &Agent, what: &str, is: impl Fn(&Page) -> bool) -> Page {
    until(what, PATIENCE * 2, || {
        let page = agent.page();
        std::thread::sleep(Duration::from_millis(80));
        is(&page).then_some(page)
    })
}

/// The number of a series whose own labels are these, whatever the probe's are.
fn find(page: &Page, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let fits = |series: &support::Series| labels.iter().all(|(name, value)| series.label(name) == *value);
    page.of(name).find(|(series, _)| fits(series)).map(|(_, value)| value)
}

fn up(page: &Page) -> bool {
    find(page, "pg_up", &[]) == Some(1.0)
}

/// Runs every probe once: the whole table, and the result of the first.
#[track_caller]
fn check(config: &str) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let listen = format!("[http]\nlisten = \"unix:{}\"\n", directory.path().join("page").display());
    std::fs::write(&file, format!("{listen}{config}")).unwrap();
    let run = Run::of(&["check", "--connect", "--config", file.to_str().unwrap()]);
    let row =
        run.out.lines().find(|line| line.starts_with("postgres.")).unwrap_or_else(|| panic!("{run:?}")).to_owned();
    let words: Vec<&str> = row.split_whitespace().collect();
    (run.out.clone(), words[words.len() - 3].to_owned())
}
