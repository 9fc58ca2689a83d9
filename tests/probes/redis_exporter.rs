//! Our page beside redis_exporter's of the same server, while a benchmark runs against it.
//!
//! Debian's package is 1.45; the names that vigie keeps are those of 1.86. Where the two differ, or where two programs
//! cannot say the same, [`EXCEPTIONS`] says why; there is no other list.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::{Page, Redis, Series, UNPACKED, find, redis_exporter, redis_of, redis_servers, skipped};
use super::{agent, until_probe};

/// How one family may differ.
#[derive(Clone, Copy, PartialEq)]
enum Exception {
    /// Ours need not have it.
    Lacks,
    /// Ours has another type.
    OtherType,
    /// Ours has these labels besides.
    MoreLabels(&'static [&'static str]),
    /// The value may be anything: it is of the moment.
    OtherValue,
    /// The value may be off by so much.
    Within(f64),
}

use Exception::{Lacks, MoreLabels, OtherType, OtherValue, Within};

/// Family (with `*` at its end: every family that starts so), what may differ, and the reason.
const EXCEPTIONS: &[(&str, Exception, &str)] = &[
    ("go_*", Lacks, "the runtime of Go"),
    ("process_*", Lacks, "the exporter's process; ours is told once for the agent"),
    ("promhttp_*", Lacks, "Go's HTTP handler"),
    (
        "redis_exporter_*",
        Lacks,
        "about the exporter: probe_success, probe_duration_seconds and vigie_build_info say it",
    ),
    ("redis_target_scrape_request_errors_total", Lacks, "about the exporter's own pages"),
    ("redis_expired_time_cap_reached_total", OtherType, "1.86 has the counter that it is"),
    ("redis_instance_info", MoreLabels(&["master_replid"]), "1.86 tells histories apart by it"),
    ("redis_instance_info", MoreLabels(&["redis_mode"]), "Valkey calls it server_mode, which 1.86 knows"),
    ("redis_instance_info", MoreLabels(&["valkey_version", "valkey_release_stage"]), "1.86 has them"),
    ("redis_start_time_seconds", Within(2.0), "both take it from a clock in whole seconds"),
    ("redis_uptime_in_seconds", Within(2.0), "in whole seconds"),
    ("redis_latency_percentiles_usec", OtherValue, "of all calls so far: it moves both ways"),
    ("redis_connected_clients", Within(60.0), "the benchmark's connections come and go"),
    ("redis_allocator_*", OtherValue, "moves both ways"),
    ("redis_mem_*", OtherValue, "moves both ways"),
    ("redis_memory_used_*", OtherValue, "moves both ways"),
    ("redis_client_recent_max_*", OtherValue, "of the last seconds"),
    ("redis_blocked_clients", Within(60.0), "moves both ways"),
    ("redis_slowlog_length", OtherValue, "moves both ways once it is full"),
    ("redis_last_slow_execution_duration_seconds", OtherValue, "of the newest entry"),
    ("redis_expired_stale_percentage", OtherValue, "moves both ways"),
    ("redis_db_keys_cached", Lacks, "KeyDB's; 1.86 shows it as 0 of what Redis 8 says in its place"),
    ("redis_db0_distrib_*", Lacks, "the older exporter makes zeros of Redis 8's histograms; 1.86 has none of them"),
    ("redis_db3_distrib_*", Lacks, "the same of another database"),
    ("redis_instantaneous_*", OtherValue, "of the last seconds"),
    ("redis_db_avg_ttl_seconds", OtherValue, "is estimated anew all the time"),
];

/// What counts, but a gauge is said to be: both ways it may only grow meanwhile.
fn exceptions(name: &str) -> impl Iterator<Item = Exception> {
    let matches = move |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => {
            name == pattern || ["_sum", "_count", "_bucket"].iter().any(|part| name.strip_suffix(part) == Some(pattern))
        }
    };
    EXCEPTIONS.iter().filter(move |(pattern, ..)| matches(pattern)).map(|(_, exception, _)| *exception)
}

/// The labels by which a series of one page is that of the other. OpenMetrics wants `50.0` where theirs has `50`, and
/// Prometheus 3 makes the one of the other. An empty label is none.
fn key(series: &Series, without: &[&str]) -> (String, BTreeMap<String, String>) {
    let labels = series.labels.iter().filter(|(name, value)| !value.is_empty() && !without.contains(&name.as_str()));
    let number = |name: &str, value: &str| match (name, value.parse::<f64>()) {
        ("quantile" | "le", Ok(number)) => number.to_string(),
        _ => value.to_owned(),
    };
    (series.name.clone(), labels.map(|(name, value)| (name.clone(), number(name, value))).collect())
}

/// What of theirs is not on ours, or otherwise there. Ours was read between the two readings of theirs.
fn differences(before: &Page, ours: &Page, after: &Page) -> String {
    let mut told = String::new();
    let values =
        |page: &Page| page.series.iter().map(|(series, value)| (key(series, &[]), *value)).collect::<BTreeMap<_, _>>();
    let after_values = values(after);
    for (series, first) in &before.series {
        let excepted: Vec<Exception> = exceptions(&series.name).collect();
        if excepted.contains(&Lacks) {
            continue;
        }
        let more = excepted.iter().filter_map(|exception| match exception {
            MoreLabels(labels) => Some(labels.iter().filter(|label| series.label(label).is_empty())),
            _ => None,
        });
        let without: Vec<&str> = ["probe", "server"].iter().chain(more.flatten()).copied().collect();
        let theirs = key(series, &[]);
        let Some((_, value)) = ours.of(&series.name).find(|(ours, _)| key(ours, &without) == theirs) else {
            writeln!(told, "missing: {series} = {first}").unwrap();
            continue;
        };
        let types = (before.type_of(&series.name), ours.type_of(&series.name));
        if types.0 != types.1 && !excepted.contains(&OtherType) {
            writeln!(told, "type: {} is {:?} there, {:?} here", series.name, types.0, types.1).unwrap();
        }
        let Some(last) = after_values.get(&theirs).filter(|_| !excepted.contains(&OtherValue)) else {
            continue;
        };
        let slack =
            excepted.iter().find_map(|exception| if let Within(slack) = exception { Some(*slack) } else { None });
        let slack = slack.unwrap_or(0.0) + 1e-9 * first.abs();
        if !(first.min(*last) - slack..=first.max(*last) + slack).contains(&value) {
            writeln!(told, "value: {series} is {first} and then {last} there, {value} between them here").unwrap();
        }
    }
    told
}

/// Work for a server. Dropping it ends it.
struct Benchmark(Child);

impl Benchmark {
    /// Every command once, and then all of them again and again.
    fn of(server: &Redis) -> Benchmark {
        Benchmark::command(server, &["-n", "500"]).wait().unwrap();
        Benchmark(Benchmark::command(server, &["-l", "-n", "20000"]))
    }

    fn command(server: &Redis, more: &[&str]) -> Child {
        let mut command = Command::new(find("redis-benchmark").unwrap());
        command.args(["-p", &server.port.to_string(), "-q", "-c", "10", "-t", "set,get,incr,lpush,lpop,sadd,hset"]);
        command.args(more).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

impl Drop for Benchmark {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_series_of_redis_exporter_is_ours_with_its_labels_type_and_value() {
    let servers = redis_servers();
    for name in UNPACKED.iter().filter(|name| servers.iter().all(|(server, _)| server != *name)) {
        skipped(&format!("{name} is not here: tests/setup fetches it from Debian"));
    }
    if servers.is_empty() {
        return skipped("redis-server is not installed");
    }
    for (name, program) in servers {
        compare(name, &program);
    }
}

/// Long enough for an entry of the slow log and an event of latency.
const SLOW: &str = "local t = redis.call('time') local from = t[1] * 1e6 + t[2] \
                    repeat t = redis.call('time') until t[1] * 1e6 + t[2] > from + 10000";

fn compare(name: &str, program: &Path) {
    let Some(server) = redis_of(program, &["--maxmemory", "200mb", "--slowlog-log-slower-than", "500"]) else {
        return skipped("redis-cli is not installed");
    };
    let Some(exporter) = redis_exporter(server.port) else {
        return skipped("prometheus-redis-exporter is not installed");
    };
    server.cli(&["set", "session", "1", "ex", "1000"]);
    server.cli(&["-n", "3", "lpush", "queue", "a"]);
    server.cli(&["incr", "queue"]);
    server.cli(&["-n", "3", "incr", "queue"]);
    server.cli(&["config", "set", "latency-monitor-threshold", "1"]);
    server.cli(&["eval", SLOW, "0"]);
    let work = find("redis-benchmark").map(|_| Benchmark::of(&server));
    // What it asks itself, it has asked once before.
    let _ = (exporter.page(), exporter.page());
    let agent = agent(&format!(
        "http.max_age = '0s'\n[[probe.redis]]\nname = 'x'\nurl = 'redis://{}'\ninterval = '1s'\nlatency_interval = '0s'\n",
        server.address()
    ));
    until_probe(&agent, "x", "up", |probe| probe["up"] == true);
    let (mut told, asked) = (String::new(), |page: &Page| {
        let commands = page.of("redis_commands_total").find(|(series, _)| series.label("cmd") == "ping");
        commands.map_or(0.0, |(_, count)| count)
    });
    for _ in 0..4 {
        // A check of ours must fall between two pages of theirs: ping is what only we ask.
        let before = exporter.page();
        let begun = asked(&agent.page());
        std::thread::sleep(std::time::Duration::from_millis(1_300));
        let ours = agent.page();
        let after = exporter.page();
        assert!(asked(&ours) > begun);
        told = differences(&before, &ours, &after);
        if told.is_empty() {
            drop(work);
            return;
        }
    }
    panic!("{name}: {} differences:\n{told}", told.lines().count());
}

#[test]
fn the_comparison_finds_what_differs() {
    let page = |text: &str| super::support::parse(text);
    let theirs =
        page("# TYPE redis_up gauge\nredis_up 1\n# TYPE redis_x_total counter\nredis_x_total{cmd=\"get\"} 5\n");
    let later = page("# TYPE redis_up gauge\nredis_up 1\n# TYPE redis_x_total counter\nredis_x_total{cmd=\"get\"} 9\n");
    let ours = |kind: &str, cmd: &str, value: u32| {
        page(&format!(
            "# TYPE redis_up gauge\nredis_up{{probe=\"x\",server=\"y\"}} 1\n# TYPE redis_x_total {kind}\n\
             redis_x_total{{probe=\"x\",server=\"y\",cmd=\"{cmd}\"}} {value}\n"
        ))
    };
    assert_eq!(differences(&theirs, &ours("counter", "get", 7), &later), "");
    for (ours, told) in [
        (ours("counter", "set", 7), "missing: redis_x_total"),
        (ours("gauge", "get", 7), "type: redis_x_total"),
        (ours("counter", "get", 10), "value: redis_x_total"),
        (ours("counter", "get", 4), "value: redis_x_total"),
    ] {
        let differences = differences(&theirs, &ours, &later);
        assert!(differences.starts_with(told) && differences.lines().count() == 1, "{differences}");
    }
}
