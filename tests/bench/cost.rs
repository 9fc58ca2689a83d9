//! What vigie costs, beside node_exporter and beside the bare reads. A limit that is broken makes it fail.
//!
//! `cargo bench --bench cost -- pass allocations` runs two of the sections.

// A bench fails by panicking, prints, and runs other programs; only the product must do neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_types
)]

mod asked;
mod backlog;
#[path = "../support/collector.rs"]
mod collector;
mod databases;
mod encoding;
#[path = "../support/http_collector.rs"]
mod http_collector;
mod inside;
mod outside;
mod postgres;
#[path = "../support/postgres.rs"]
mod postgres_server;
mod probes;
mod processes;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod targets;
mod units;

use std::process::ExitCode;

use report::Report;

type Section = (&'static str, fn(&mut Report));

const SECTIONS: &[Section] = &[
    ("scrape", outside::scrape),
    ("shared", outside::shared),
    ("pass", inside::pass),
    ("allocations", inside::allocations),
    ("units", units::units),
    ("rendering", inside::rendering),
    ("encoding", encoding::encoding),
    ("processes", processes::processes),
    ("room", processes::room),
    ("arranging", probes::arranging),
    ("probes", probes::probes),
    ("redis", databases::redis),
    ("postgres", postgres::postgres),
    ("targets", targets::targets),
    ("memory", outside::memory),
    ("backlog", backlog::backlog),
    ("binary", outside::binary),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` wants to know that it builds, not what it costs.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| arguments.len() == 1 || arguments.iter().any(|argument| argument == name);
    let mut report = Report::default();
    for (_, section) in SECTIONS.iter().filter(|(name, _)| wanted(name)) {
        section(&mut report);
    }
    report.print();
    if report.broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
