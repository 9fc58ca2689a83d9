//! Cost of asking PostgreSQL how it is: ours, the server's, and postgres_exporter's.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::unistd::Pid;
use vigie::config::Config;
use vigie::page::prometheus::{Format, Renderer};
use vigie::snapshot::Snapshot;

use crate::asked::Asked;
use crate::inside::cpu;
use crate::outside::cpu_of;
use crate::postgres_server::{PASSWORD, Postgres};
use crate::report::{Report, milliseconds, quartile};
use crate::support::{Connection, PATIENCE, find, spare_port, until};

const ROUNDS: usize = 60;

/// Databases of the server, beside `postgres`.
const DATABASES: usize = 9;

/// The server's process of a session.
fn process(server: &Postgres, whose: &str) -> Pid {
    let pid = server.sql(&format!("SELECT min(pid) FROM pg_stat_activity WHERE {whose}"));
    Pid::from_raw(pid.parse().expect("there is one"))
}

pub(crate) fn postgres(report: &mut Report) {
    report.title("PostgreSQL, 10 databases: a check and its page, beside a scrape of postgres_exporter");
    let Some(server) = Postgres::start(&[]).map(Postgres::with_user) else {
        return report.skipped("postgres", "PostgreSQL's server or psql is not installed");
    };
    for index in 0..DATABASES {
        server.sql(&format!("CREATE DATABASE d{index}"));
    }
    let config = Config::load_in(&|_| None, None, &[set(&server)]).expect("a configuration");
    let mut asked = Asked::of(&config.probe.plans()[0]);
    let first = cpu(|| asked.check());
    // Until every database was visited, and nothing is due for a minute.
    (0..20).for_each(|_| asked.check());
    let ours = process(&server, "application_name = 'vigie'");
    let (mut checks, mut pages, mut served, mut most) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let (mut renderer, mut page) = (Renderer::default(), Vec::new());
    for _ in 0..ROUNDS {
        let before = cpu_of(ours);
        checks.push(cpu(|| asked.check()));
        served.push(cpu_of(ours) - before);
        let readings = vec![Arc::clone(&asked.reading)];
        let snapshot = Snapshot { readings, at: Instant::now(), taken: SystemTime::now() };
        page.clear();
        pages.push(cpu(|| renderer.render(&snapshot, Format::Text, &mut page)));
        drop(snapshot);
        most = most.max(allocation_counter::measure(|| asked.check()).count_total);
    }
    let (check, page, served) = (quartile(&mut checks), quartile(&mut pages), quartile(&mut served));
    report.fact("series", &asked.reading.series().to_string());
    report.fact("the first check, with the login", &milliseconds(first));
    report.fact("rendering them", &milliseconds(page));
    report.fact("the most allocations of a check", &most.to_string());
    report.at_most("the server's time for a check", served.as_secs_f64() * 1e3, 10.0, "ms");
    report.at_most("a check", check.as_secs_f64() * 1e3, 3.0, "ms");
    beside(report, &server, check + page);
}

/// postgres_exporter under its default flags.
fn beside(report: &mut Report, server: &Postgres, ours: Duration) {
    let Some(program) = find("prometheus-postgres-exporter") else {
        return report.skipped("beside postgres_exporter", "prometheus-postgres-exporter is not installed");
    };
    let port = spare_port();
    let source = format!("postgresql://vigie:{PASSWORD}@127.0.0.1:{}/postgres?sslmode=disable", server.port);
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).env("DATA_SOURCE_NAME", source);
    let mut exporter =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut connection = until("postgres_exporter answers", PATIENCE, || Connection::tcp(port).ok());
    let pid = Pid::from_raw(exporter.id() as i32);
    let _ = connection.get("/metrics", &[]).expect("a page");
    let session = process(server, "usename = 'vigie' AND application_name = ''");
    let (mut scrapes, mut served) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let before = (cpu_of(pid), cpu_of(session));
        let _ = connection.get("/metrics", &[]).expect("a page");
        if round >= 10 {
            scrapes.push(cpu_of(pid) - before.0);
            served.push(cpu_of(session) - before.1);
        }
    }
    let _ = exporter.kill();
    let _ = exporter.wait();
    let scrape = quartile(&mut scrapes);
    report.fact("a scrape of postgres_exporter", &milliseconds(scrape));
    report.fact("the server's time for it, in the session it keeps", &milliseconds(quartile(&mut served)));
    let ratio = ours.as_secs_f64() / scrape.as_secs_f64();
    report.at_most("a check and its page / a scrape", ratio, 1.0 / 3.0, "");
}

fn set(server: &Postgres) -> String {
    let url = format!("postgresql:///postgres?host={}&port={}", server.directory().display(), server.port);
    format!("probe.postgres=[{{ name = 'a', url = '{url}' }}]")
}
