//! What every declared metric keeps to: our own rules, node_exporter's names, OpenTelemetry's conventions.

// Helpers of a test may panic as the test may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/declared.rs"]
mod declared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use declared::is_called;
use vigie::catalog;
use vigie::metric::{Kind, Metric, PageType, Since, Unit};

/// Names without the suffix of their unit, as node_exporter has them, by the start of the name.
const UNIT_NOT_IN_NAME: &[&str] = &[
    // The kernel's own words for octets, and its pages of memory.
    "node_netstat_",
    "node_vmstat_",
    "node_sockstat_",
    // Of the queues' length in bytes.
    "node_udp_queues",
    // redis_exporter's, of Redis' `…_sec`.
    "redis_aof_",
    "redis_rdb_",
    // cAdvisor's words.
    "container_memory_cache",
    "container_memory_kernel_usage",
    "container_memory_rss",
    "container_memory_swap",
    // postgres_exporter's, of the columns of PostgreSQL's views.
    "pg_replication_",
    "pg_stat_",
    // blackbox_exporter's, and x509-certificate-exporter's.
    "probe_http_content_length",
    "probe_http_uncompressed_body_length",
    "probe_ssl_earliest_cert_expiry",
    "x509_cert_not_after",
];

/// Names with a word that looks like a unit and is none, by the start of the name.
const NO_UNIT_IN_NAME: &[&str] = &[
    // postgres_exporter's, of ages that are counted in transactions.
    "pg_database_wraparound_age_",
];

/// Counters whose name does not end in `_total`, as process-exporter, cAdvisor and redis_exporter have them.
const COUNTERS_WITHOUT_TOTAL: &[&str] = &[
    "container_memory_failcnt",
    "namedprocess_scrape_partial_errors",
    "namedprocess_scrape_procread_errors",
    "redis_dump_payload_sanitizations",
    "redis_io_threaded_reads_processed",
    "redis_io_threaded_writes_processed",
    "redis_storage_provider_read_hits",
    "redis_storage_provider_read_misses",
    "redis_total_error_replies",
    "redis_total_reads_processed",
    "redis_total_writes_processed",
    "redis_unexpected_error_replies",
];

/// Gauges whose name ends in `_total`, as redis_exporter has them.
const TOTALS_THAT_ARE_GAUGES: &[&str] = &[
    "redis_cluster_messages_received_total",
    "redis_cluster_messages_sent_total",
    "redis_long_lock_waits_total",
    "redis_memory_used_vm_total",
    "redis_migrate_cached_sockets_total",
    "redis_rdb_saves_total",
    "redis_server_threads_total",
];

/// Counters of postgres_exporter are called as PostgreSQL calls its columns.
const COUNTERS_BY_COLUMN: &[&str] = &["pg_stat_", "pg_statio_"];

/// The attribute of a process group. What has the same name without it is about the agent itself.
const GROUP: &str = "vigie.process.group.name";

/// OpenTelemetry names below `system.` and `process.` that are the Collector's and in no convention.
const COLLECTORS_NAMES: &[&str] = &[
    "system.cpu.load_average.1m",
    "system.cpu.load_average.5m",
    "system.cpu.load_average.15m",
    "system.disk.pending_operations",
    "system.disk.weighted_io_time",
    "system.filesystem.inodes.usage",
    "system.linux.memory.dirty",
    "system.memory.page_size",
    "system.network.conntrack.count",
    "system.network.conntrack.max",
    "system.processes.created",
];

/// Names that neither has yet, as they are proposed for the conventions.
const PROPOSED_NAMES: &[&str] = &[
    "system.cpu.linux.pressure.total",
    "system.io.linux.pressure.total",
    "system.irq.linux.pressure.total",
    "system.memory.linux.pressure.total",
];

/// What the peers' help texts are made of.
const BOILERPLATE: &[&str] = &[
    "Memory information field",
    "information field",
    "Statistic ",
    "Network device statistic",
    "Network device property",
    "value of /sys/class/net",
    "/proc/vmstat information",
    "Number of sockets in state",
];

fn contract(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contracts").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| line.split('\t').collect())
}

fn on_page() -> impl Iterator<Item = &'static Metric> {
    catalog::all().into_iter().filter(|metric| metric.on_page)
}

fn starts_with_any(name: &str, heads: &[&str]) -> bool {
    heads.iter().any(|head| name.starts_with(head))
}

/// Fails with every finding at once: a rule is broken in families, not one by one.
#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn names_are_unique_and_legal() {
    let mut seen = BTreeSet::new();
    let legal = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_:{}".contains(letter))
    };
    let bad = on_page().filter(|metric| !seen.insert(metric.name.clone()) || !legal(&metric.name));
    none("declared twice, or no legal name", bad.map(|metric| metric.name.to_string()).collect());
}

#[test]
fn every_metric_has_a_name_in_one_dialect_at_least() {
    let nameless = catalog::all().into_iter().filter(|metric| !metric.on_page && metric.otel.is_none());
    none("shown nowhere", nameless.map(|metric| metric.name.to_string()).collect());
}

#[test]
fn a_name_carries_its_unit() {
    let mut found = Vec::new();
    for metric in on_page() {
        let name: &str = &metric.name;
        if let Some(suffix) = metric.unit.suffix()
            && !name.contains(suffix)
            && !starts_with_any(name, UNIT_NOT_IN_NAME)
        {
            found.push(format!("{name} is in {:?} and has no {suffix}", metric.unit));
        }
        for unit in [Unit::Seconds, Unit::Bytes, Unit::Hertz, Unit::Celsius] {
            let suffix = unit.suffix().unwrap_or_default();
            let ends = name.trim_end_matches("_total").ends_with(suffix);
            if ends && metric.unit != unit && !starts_with_any(name, NO_UNIT_IN_NAME) {
                found.push(format!("{name} ends in {suffix} and is in {:?}", metric.unit));
            }
        }
    }
    none("name and unit disagree", found);
}

#[test]
fn counters_and_nothing_else_end_in_total() {
    let mut found = Vec::new();
    for metric in on_page() {
        let counts = metric.kind == Kind::Counter && metric.page_type == PageType::OfKind;
        let excepted =
            [COUNTERS_WITHOUT_TOTAL, TOTALS_THAT_ARE_GAUGES].iter().any(|names| names.contains(&&*metric.name))
                || starts_with_any(&metric.name, COUNTERS_BY_COLUMN) && counts;
        if counts != metric.name.ends_with("_total") && !excepted {
            found.push(format!("{} is a {}", metric.name, metric.type_on_page()));
        }
    }
    none("`_total` and the type disagree", found);
}

#[test]
fn help_is_a_sentence_of_our_own() {
    let mut found = Vec::new();
    for metric in catalog::all() {
        let help: &str = &metric.help;
        let sentence = help.ends_with('.') && help.starts_with(|first: char| !first.is_lowercase());
        let clean = !help.contains("  ") && !help.contains('\n') && help.len() > 3;
        if !sentence || !clean || BOILERPLATE.iter().any(|words| help.contains(words)) {
            found.push(format!("{}: {help:?}", metric.name));
        }
    }
    none("help that is no sentence, or not ours", found);
}

#[test]
fn label_names_are_legal_and_unique() {
    let legal = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && !name.starts_with("__")
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    let mut found = Vec::new();
    for metric in on_page() {
        let names: BTreeSet<_> = metric.labels.iter().map(|label| label.name).collect();
        if names.len() != metric.labels.len() || !names.iter().all(|name| legal(name)) {
            found.push(format!("{}: {names:?}", metric.name));
        }
    }
    none("labels", found);
}

/// The keys that a point of this metric carries over OTLP.
fn attribute_keys(metric: &Metric) -> BTreeSet<&'static str> {
    let fixed = metric.otel.as_ref().map_or(&[][..], |otel| otel.fixed).iter().map(|(key, _)| *key);
    fixed.chain(metric.labels.iter().map(|label| label.otel)).filter(|key| !key.is_empty()).collect()
}

#[test]
fn metrics_that_share_an_otel_name_are_one_metric_there() {
    let mut shared: BTreeMap<&str, Vec<&Metric>> = BTreeMap::new();
    for metric in catalog::all() {
        if let Some(otel) = &metric.otel {
            shared.entry(otel.name).or_default().push(metric);
        }
    }
    let mut found = Vec::new();
    for (name, metrics) in shared {
        let shape = |metric: &Metric| {
            let otel = metric.otel.unwrap();
            let keys: BTreeSet<_> = attribute_keys(metric).into_iter().filter(|key| *key != GROUP).collect();
            (metric.kind, otel.up_down, otel.unit.unwrap_or(metric.unit).ucum(), keys)
        };
        let shapes: Vec<_> = metrics.iter().map(|metric| shape(metric)).collect();
        if shapes.iter().any(|other| Some(other) != shapes.first()) {
            let told = metrics.iter().zip(&shapes).map(|(metric, shape)| format!("{} {shape:?}", metric.name));
            found.push(format!("{name}: {}", told.collect::<Vec<_>>().join(" | ")));
        }
        let mut fixed = BTreeSet::new();
        for metric in &metrics {
            if metrics.len() > 1 && !fixed.insert((metric.otel.unwrap().fixed, attribute_keys(metric).contains(GROUP)))
            {
                found.push(format!("{name}: {} has the fixed attributes of another", metric.name));
            }
        }
    }
    none("one OTel name, several shapes", found);
}

#[test]
fn host_and_process_metrics_keep_to_the_semantic_conventions() {
    let text = contract("otel-semconv.tsv");
    let conventions: BTreeMap<&str, Vec<&str>> = rows(&text).map(|row| (row[0], row)).collect();
    let mut found = Vec::new();
    for metric in catalog::all() {
        let Some(otel) = metric.otel.filter(|otel| starts_with_any(otel.name, &["system.", "process."])) else {
            continue;
        };
        let Some(row) = conventions.get(otel.name) else {
            if !COLLECTORS_NAMES.contains(&otel.name) && !PROPOSED_NAMES.contains(&otel.name) {
                found.push(format!("{}: {} is in no convention", metric.name, otel.name));
            }
            continue;
        };
        let instrument = match metric.kind {
            Kind::Counter => "counter",
            _ if otel.up_down => "updowncounter",
            _ => "gauge",
        };
        let unit = otel.unit.unwrap_or(metric.unit).ucum();
        if (instrument, unit) != (row[1], row[2]) {
            found.push(format!(
                "{}: {} is a {} in {}, not a {instrument} in {unit}",
                metric.name, otel.name, row[1], row[2]
            ));
        }
        let known: Vec<&str> = row.get(4).unwrap_or(&"").split(' ').filter_map(|key| key.split('(').next()).collect();
        for key in attribute_keys(metric).iter().filter(|key| !known.contains(key) && **key != GROUP) {
            found.push(format!("{}: {} has no attribute {key}", metric.name, otel.name));
        }
    }
    none("against the semantic conventions", found);
}

/// The rules of `docs/general/naming.md` of the conventions, as far as a test can tell.
#[test]
fn names_of_our_own_keep_to_the_rules_of_the_conventions() {
    let own = || catalog::all().into_iter().filter_map(|metric| Some((metric, metric.otel?)));
    let own = || own().filter(|(_, otel)| otel.name.starts_with("vigie."));
    let names: BTreeSet<&str> = own().map(|(_, otel)| otel.name).collect();
    let mut found = Vec::new();
    for (metric, otel) in own() {
        let word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        };
        let last = otel.name.rsplit('.').next().unwrap_or_default();
        let things = otel.unit.unwrap_or(metric.unit).ucum().starts_with('{');
        let plural = last.ends_with('s') && !last.ends_with("ss");
        let wrong = [
            ("is no name", !otel.name.split('.').all(word)),
            ("ends in total", last.ends_with("total")),
            ("is a namespace too", names.iter().any(|name| name.starts_with(&format!("{}.", otel.name)))),
            ("counts things and is not plural", metric.kind == Kind::Counter && things && !plural),
            ("is plural and no counter of things", plural && !(metric.kind == Kind::Counter && things)),
            ("is a number of things and no UpDownCounter", metric.kind == Kind::Gauge && things != otel.up_down),
        ];
        found.extend(wrong.iter().filter(|(_, wrong)| *wrong).map(|(how, _)| format!("{} {how}", otel.name)));
    }
    none("against the rules of names", found);
}

#[test]
fn sums_of_the_agent_do_not_start_with_the_host() {
    let mut found = Vec::new();
    for metric in catalog::all() {
        let sum = metric.kind == Kind::Counter || metric.otel.is_some_and(|otel| otel.up_down);
        let expected = match metric.otel.map_or("", |otel| otel.name).split('.').next() {
            Some("process") if !attribute_keys(metric).contains(GROUP) => Since::Process,
            // What groups use is counted from the agent's first look.
            Some("process") => Since::Agent,
            Some("vigie" | "httpcheck") => Since::Agent,
            Some("container" | "postgresql" | "redis" | "systemd") => Since::Unknown,
            _ => Since::Boot,
        };
        if metric.otel.is_some() && sum && metric.since != expected {
            found.push(format!("{} counts since {:?}, not since {expected:?}", metric.name, metric.since));
        }
    }
    none("start times", found);
}

#[test]
fn node_metrics_have_the_name_type_and_labels_of_node_exporter() {
    let tables = ["node_exporter.tsv", "node_exporter-more.tsv", "node_exporter-sources.tsv"].map(contract);
    let theirs: Vec<Vec<&str>> = tables.iter().flat_map(|table| rows(table)).collect();
    let labels_of = |row: &[&str]| -> BTreeSet<String> {
        row.get(2).unwrap_or(&"").split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect()
    };
    let mut found = Vec::new();
    for metric in on_page().filter(|metric| metric.name.starts_with("node_")) {
        let ours: BTreeSet<String> = metric.labels.iter().map(|label| label.name.to_owned()).collect();
        let same = |row: &Vec<&str>| (row[1], labels_of(row)) == (metric.type_on_page(), ours.clone());
        let namesakes: Vec<_> = theirs.iter().filter(|row| is_called(&metric.name, row[0])).collect();
        if namesakes.iter().any(|row| same(row)) {
            continue;
        }
        match namesakes.first() {
            Some(row) => found.push(format!(
                "{} is a {} of {:?} there, a {} of {ours:?} here",
                row[0],
                row[1],
                labels_of(row),
                metric.type_on_page()
            )),
            None if completes_a_template(metric) => {}
            None => found.push(format!("{} is none of node_exporter's", metric.name)),
        }
    }
    none("not as node_exporter has it", found);
}

#[test]
fn process_groups_have_the_name_type_and_labels_of_process_exporter() {
    let text = contract("process_exporter.tsv");
    let theirs: BTreeMap<&str, Vec<&str>> = rows(&text).map(|row| (row[0], row)).collect();
    let mut found = Vec::new();
    for metric in on_page().filter(|metric| metric.name.starts_with("namedprocess_")) {
        let ours: BTreeSet<&str> = metric.labels.iter().map(|label| label.name).collect();
        let same = theirs.get(&*metric.name).is_some_and(|row| {
            let labels =
                row.get(2).unwrap_or(&"").split(',').filter(|label| !label.is_empty()).collect::<BTreeSet<_>>();
            (row[1], labels) == (metric.type_on_page(), ours)
        });
        if !same {
            found.push(metric.name.to_string());
        }
    }
    none("not as process-exporter has it", found);
}

/// Names of redis_exporter's page that are about itself, and not about Redis.
const ABOUT_REDIS_EXPORTER: &[&str] = &["process_", "redis_exporter_", "redis_target_scrape_request_errors_total"];

#[test]
fn redis_has_the_name_type_and_labels_of_redis_exporter() {
    let text = contract("redis_exporter.tsv");
    let declared: BTreeMap<&str, &Metric> = on_page().map(|metric| (&*metric.name, metric)).collect();
    let mut found = Vec::new();
    for row in rows(&text).filter(|row| !starts_with_any(row[0], ABOUT_REDIS_EXPORTER)) {
        let theirs: BTreeSet<&str> =
            ["probe", "server"].into_iter().chain(row[2].split(',')).filter(|label| !label.is_empty()).collect();
        let same = declared.get(row[0]).is_some_and(|metric| {
            let ours = metric.labels.iter().map(|label| label.name).collect::<BTreeSet<_>>();
            (row[1], &theirs) == (metric.type_on_page(), &ours)
        });
        if !same {
            found.push(row.join(" "));
        }
    }
    none("not as redis_exporter has it", found);
}

/// Whether the kernel names this metric and node_exporter passes on what it says: a kernel may have what none of the
/// tables' hosts had.
fn completes_a_template(metric: &Metric) -> bool {
    on_page().any(|template| {
        template.name.contains('{')
            && is_called(&template.name, &metric.name)
            && (template.type_on_page(), template.labels) == (metric.type_on_page(), metric.labels)
    })
}

#[test]
fn the_dashboard_that_everybody_has_loses_nothing() {
    let text = contract("dashboard-1860.txt");
    let queried: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let declared: Vec<&Metric> = on_page().collect();
    let missing: BTreeSet<&str> =
        queried.iter().copied().filter(|name| !declared.iter().any(|metric| is_called(&metric.name, name))).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contracts/dashboard-1860.missing.txt");
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let known: BTreeSet<&str> = golden.lines().filter(|line| !line.starts_with('#')).collect();

    let lost: Vec<String> = missing.difference(&known).map(|name| (*name).to_owned()).collect();
    if !golden.is_empty() {
        none("the dashboard \"Node Exporter Full\" showed these and no longer does", lost);
    }
    let now = format!(
        "# What the dashboard queries and we do not declare; {} of {} are declared. It may only get shorter.\n{}",
        queried.len() - missing.len(),
        queried.len(),
        missing.iter().map(|name| format!("{name}\n")).collect::<String>()
    );
    same_as_file(&path, &now);
}

#[test]
fn the_reference_is_what_the_catalog_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    same_as_file(&path, &catalog::reference_markdown());
}

#[track_caller]
fn same_as_file(path: &Path, now: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, now).unwrap();
    }
    let held = std::fs::read_to_string(path).unwrap_or_default();
    let first = now.lines().zip(held.lines()).position(|(now, held)| now != held);
    let line = first.unwrap_or_else(|| now.lines().count().min(held.lines().count()));
    assert!(
        now == held,
        "{} is not up to date, line {}:\n  has   {:?}\n  wants {:?}\nBLESS=1 rewrites it.",
        path.display(),
        line + 1,
        held.lines().nth(line).unwrap_or_default(),
        now.lines().nth(line).unwrap_or_default()
    );
}

/// What postgres_exporter's page says of itself, and what is not as it has it, with the reason.
const NOT_AS_POSTGRES_EXPORTER: &[&str] = &[
    "pg_scrape_collector_",
    "postgres_exporter_",
    "process_",
    // By database and state, as up to 0.11: by user, application and what is waited for as well, a busy server has
    // thousands of series that come and go.
    "pg_stat_activity_",
];

#[test]
fn postgres_has_the_name_type_and_labels_of_postgres_exporter() {
    let text = contract("postgres_exporter.tsv");
    let declared: Vec<&Metric> = on_page().filter(|metric| metric.name.starts_with("pg_")).collect();
    let mut found = Vec::new();
    for row in rows(&text).filter(|row| !starts_with_any(row[0], NOT_AS_POSTGRES_EXPORTER)) {
        let theirs: BTreeSet<&str> =
            ["probe", "server"].into_iter().chain(row[2].split(',')).filter(|label| !label.is_empty()).collect();
        let same = declared.iter().filter(|metric| is_called(&metric.name, row[0])).any(|metric| {
            let ours = metric.labels.iter().map(|label| label.name).collect::<BTreeSet<_>>();
            (row[1], &theirs) == (metric.type_on_page(), &ours)
        });
        if !same {
            found.push(row.join(" "));
        }
    }
    none("not as postgres_exporter has it", found);
}
