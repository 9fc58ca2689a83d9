//! Cost of asking a database how it is, beside the exporter that people run for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use vigie::config::Config;
use vigie::page::prometheus::{Format, Renderer};
use vigie::snapshot::Snapshot;

use crate::asked::Asked;
use crate::inside::cpu;
use crate::outside::cpu_of;
use crate::report::{Report, milliseconds, quartile};
use crate::support::{Connection, Redis, find, redis as server, redis_exporter};

const ROUNDS: usize = 60;

/// What the server spent on its own commands, in microseconds.
fn spent(server: &Redis, commands: &[&str]) -> f64 {
    let stats = server.cli(&["info", "commandstats"]);
    let of = |command: &&str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")).map(str::to_owned));
        let usec = line.as_deref().and_then(|line| line.split("usec=").nth(1)?.split(',').next()?.parse::<f64>().ok());
        usec.unwrap_or(0.0)
    };
    commands.iter().map(of).sum()
}

pub(crate) fn redis(report: &mut Report) {
    report.title("Redis: a check and its page, beside a scrape of redis_exporter");
    let (Some(server), Some(benchmark)) = (server(&[]), find("redis-benchmark")) else {
        return report.skipped("redis", "redis-server and redis-tools are not installed");
    };
    // Commands in use, each with a spread of durations.
    let mut work = std::process::Command::new(benchmark);
    work.args(["-p", &server.port.to_string(), "-q", "-n", "2000"]).stdout(std::process::Stdio::null());
    work.status().expect("redis-benchmark runs");
    let set = format!("probe.redis=[{{ name = 'a', url = 'redis://{}' }}]", server.address());
    let config = Config::load_in(&|_| None, None, &[set]).expect("a configuration");
    let mut asked = Asked::of(&config.probe.plans()[0]);
    (0..20).for_each(|_| asked.check());
    let commands = ["ping", "info", "config|get", "slowlog|len", "slowlog|get", "latency|latest", "latency|histogram"];
    let before = spent(&server, &commands);
    (0..ROUNDS).for_each(|_| asked.check());
    let of_server = (spent(&server, &commands) - before) / ROUNDS as f64;

    // The first check of all asks for how durations are spread as well, which is asked once a minute.
    let before = spent(&server, &commands);
    (0..10).for_each(|_| Asked::of(&config.probe.plans()[0]).check());
    let of_spread = (spent(&server, &commands) - before) / 10.0;

    let (mut checks, mut pages, mut most) = (Vec::new(), Vec::new(), 0);
    let (mut renderer, mut page) = (Renderer::default(), Vec::new());
    for _ in 0..ROUNDS {
        checks.push(cpu(|| asked.check()));
        let readings = vec![Arc::clone(&asked.reading)];
        let snapshot = Snapshot { readings, at: Instant::now(), taken: SystemTime::now() };
        page.clear();
        pages.push(cpu(|| renderer.render(&snapshot, Format::Text, &mut page)));
        drop(snapshot);
        most = most.max(allocation_counter::measure(|| asked.check()).count_total);
    }
    let (check, page) = (quartile(&mut checks), quartile(&mut pages));
    report.fact("series", &asked.reading.series().to_string());
    report.fact("rendering them", &milliseconds(page));
    report.at_most("the server's time for a check", of_server / 1e3, 0.5, "ms");
    report.at_most("the same with how durations are spread", of_spread / 1e3, 2.0, "ms");
    report.at_most("a check", check.as_secs_f64() * 1e3, 0.5, "ms");
    report.at_most("the most allocations of a check", most as f64, 64.0, "");
    match redis_exporter(server.port) {
        None => report.skipped("beside redis_exporter", "prometheus-redis-exporter is not installed"),
        Some(exporter) => {
            let mut connection = Connection::tcp(exporter.port).expect("it listens");
            let mut scrapes: Vec<Duration> = Vec::new();
            for round in 0..ROUNDS {
                let before = cpu_of(exporter.pid());
                let _ = connection.get("/metrics", &[]).expect("a page");
                if round >= 10 {
                    scrapes.push(cpu_of(exporter.pid()) - before);
                }
            }
            let scrape = quartile(&mut scrapes);
            report.fact("a scrape of redis_exporter", &milliseconds(scrape));
            let ratio = (check + page).as_secs_f64() / scrape.as_secs_f64();
            report.at_most("a check and its page / a scrape", ratio, 1.0 / 3.0, "");
        }
    }
}
