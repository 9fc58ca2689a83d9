//! Beside postgres_exporter: all that it tells under its default flags of a server that is at work.

use std::process::{Child, Command, Stdio};

use super::server::{PASSWORD, Postgres};
use super::{agent, server, until_page, up};
use crate::support::{Connection, PATIENCE, Page, Series, find, parse, skipped, spare_port, until};

/// What we do not tell as it does, and why, by the start of the name.
const OTHERWISE: &[(&str, &str)] = &[
    ("go_", "about the exporter itself"),
    ("promhttp_", "about the exporter itself"),
    ("process_", "about the exporter itself"),
    ("postgres_exporter_", "about the exporter itself"),
    ("pg_exporter_", "about its own scrapes; ours are counted under the same names"),
    ("pg_scrape_collector_", "about its own scrapes"),
    ("pg_settings_extra_float_digits", "of its own session: its driver sets it"),
];

struct Exporter {
    child: Child,
    port: u16,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    fn start(server: &Postgres) -> Option<Exporter> {
        let program = find("prometheus-postgres-exporter")?;
        let port = spare_port();
        let source = format!("postgresql://vigie:{PASSWORD}@127.0.0.1:{}/postgres?sslmode=disable", server.port);
        let mut command = Command::new(program);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).env("DATA_SOURCE_NAME", source);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("postgres_exporter answers", PATIENCE, || Connection::tcp(port).ok());
        Some(Exporter { child, port })
    }

    /// Its page without what has no number: it has NaN there, also for counters, and we nothing.
    fn page(&self) -> Page {
        let answer = Connection::tcp(self.port).and_then(|mut connection| connection.get("/metrics", &[])).unwrap();
        let mut page = parse(&answer.text().replace(" NaN\n", &format!(" {NOTHING}\n")));
        page.series.retain(|_, value| *value != NOTHING);
        page
    }
}

/// What stands for NaN while the page is read.
const NOTHING: f64 = 123_456_789.125;

/// Our series for one of theirs: with the label that is ours, and the one that theirs has not everywhere.
fn ours(series: &Series) -> Series {
    let mut ours = series.clone();
    ours.labels.insert("probe".to_owned(), "main".to_owned());
    ours.labels.retain(|_, value| !value.is_empty());
    ours
}

#[test]
fn all_that_postgres_exporter_tells_is_told_and_is_equal() {
    let Some(server) = server(&[]) else { return };
    let Some(exporter) = Exporter::start(&server) else {
        return skipped("prometheus-postgres-exporter is not installed");
    };
    let Some(_) = find("pgbench") else { return skipped("pgbench is not installed") };
    server.sql("CREATE DATABASE bench");
    assert!(server.client("pgbench").args(["-i", "-s", "1", "-q", "bench"]).output().unwrap().status.success());
    let mut bench = server
        .client("pgbench")
        .args(["-c", "2", "-T", "120", "bench"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let agent = agent(&server.probe("slow_interval = '1s'"));
    until_page(&agent, "it is up", up);
    let before = exporter.page();
    let checks = |page: &Page| super::find(page, "pg_exporter_scrapes_total", &[]).unwrap();
    let first = checks(&agent.page());
    let page = until_page(&agent, "a check has begun and ended", |page| up(page) && checks(page) >= first + 2.0);
    let after = exporter.page();
    let _ = bench.kill();
    let _ = bench.wait();
    let mine: std::collections::BTreeMap<Series, f64> = page
        .series
        .iter()
        .map(|(series, value)| {
            let mut series = series.clone();
            series.labels.retain(|_, value| !value.is_empty());
            (series, *value)
        })
        .collect();
    let (mut compared, mut wrong) = (0, Vec::new());
    for (theirs, low) in &before.series {
        let excepted = OTHERWISE.iter().any(|(start, _)| theirs.name.starts_with(start));
        let Some(high) = after.series.get(theirs).filter(|_| !excepted) else { continue };
        let mut wanted = ours(theirs);
        wanted.labels.insert("server".to_owned(), format!("127.0.0.1:{}", server.port));
        let Some(value) = mine.get(&wanted) else {
            wrong.push(format!("{wanted} is not there"));
            continue;
        };
        compared += 1;
        // What moves both ways by itself is there, and no more is known of it.
        let moves = ["pg_stat_activity_", "pg_locks_count", "pg_stat_database_numbackends"];
        let moves = moves.iter().any(|start| theirs.name.starts_with(start));
        let slack = 1e-9 * low.abs().max(1.0);
        if !moves && !(low.min(*high) - slack..=low.max(*high) + slack).contains(value) {
            wrong.push(format!("{wanted} is {value}, not from {low} to {high}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 400, "only {compared} series were compared");
}
