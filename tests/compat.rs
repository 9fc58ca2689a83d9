//! Our page beside node_exporter's of the same host at the same moment.
//!
//! Debian's package is 1.5; the names that vigie keeps are those of 1.11. Where the two differ, or where two programs
//! cannot say the same, [`EXCEPTIONS`] says why; there is no other list.

// Tests fail by panicking, and run other programs; only the product must do neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_types
)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use support::{Agent, COLLECTORS, Page, Peer, Series, find, node_exporter, skipped};

/// How one family may differ.
enum Exception {
    /// Ours need not have it.
    Lacks,
    /// Ours need not have it of devices whose name starts so.
    LacksOf(&'static str),
    /// Ours need not have it where it is below zero.
    LacksBelowZero,
    /// Ours has these labels besides.
    MoreLabels(&'static [&'static str]),
    /// The value may be anything.
    OtherValue,
}

use Exception::{Lacks, LacksBelowZero, LacksOf, MoreLabels, OtherValue};

/// Family (with `*` at its end: every family that starts so), what may differ, and the reason.
const EXCEPTIONS: &[(&str, Exception, &str)] = &[
    ("go_*", Lacks, "the runtime of Go"),
    ("promhttp_*", Lacks, "Go's HTTP handler"),
    ("node_exporter_build_info", Lacks, "it is not node_exporter; vigie_build_info says what it is"),
    ("process_*", OtherValue, "another process"),
    ("node_scrape_collector_duration_seconds", OtherValue, "another program"),
    ("node_scrape_collector_success", OtherValue, "what finds nothing on this host says 0 in one, 1 in the other"),
    ("node_disk_*", LacksOf("zram"), "later releases leave compressed memory out of the disks, as they do with ram"),
    ("node_disk_info", MoreLabels(&["rotational"]), "1.11 tells spinning disks by it"),
    ("node_filesystem_*", MoreLabels(&["device_error"]), "1.11 says in a label what was wrong with the device"),
    ("node_network_info", MoreLabels(&["adminstate"]), "1.11 says whether the interface was switched on"),
    ("node_network_speed_bytes", LacksBelowZero, "the kernel's -1 says that it does not know; absent is not a number"),
];

/// How much a gauge may move while three pages are read: absolutely, and as a share of its value. The first that
/// matches counts; a gauge that is not here lies between ours before and ours after.
const MOVES: &[(&str, f64, f64)] = &[
    ("node_time_seconds", 5.0, 0.0),
    ("node_procs_running", 64.0, 0.0),
    ("node_procs_blocked", 64.0, 0.0),
    ("node_load1", 4.0, 0.0),
    ("node_load5", 2.0, 0.0),
    ("node_load15", 1.0, 0.0),
    ("node_filefd_allocated", 4096.0, 0.0),
    ("node_entropy_available_bits", 4096.0, 0.0),
    ("node_disk_io_now", 1024.0, 0.0),
    ("node_filesystem_size_bytes", 0.0, 0.0),
    ("node_filesystem_files", 0.0, 0.0),
    ("node_filesystem_files_free", 1e5, 0.0),
    ("node_filesystem_avail_bytes", MIB * 64.0, 0.05),
    ("node_filesystem_free_bytes", MIB * 64.0, 0.05),
    ("node_memory_MemTotal_bytes", 0.0, 0.0),
    ("node_memory_SwapTotal_bytes", 0.0, 0.0),
    ("node_memory_CommitLimit_bytes", 0.0, 0.0),
    ("node_memory_VmallocTotal_bytes", 0.0, 0.0),
    ("node_memory_Huge*", 0.0, 0.0),
    ("node_memory_*", MIB * 64.0, 0.1),
    ("node_nf_conntrack_entries", 1000.0, 0.0),
    ("node_nf_conntrack_entries_limit", 0.0, 0.0),
    ("node_sockstat_*", 1000.0, 0.5),
    ("node_netstat_Tcp_CurrEstab", 1000.0, 0.0),
    ("node_udp_queues", MIB, 0.0),
    ("node_timex_*", 0.01, 0.0),
    ("node_cpu_scaling_frequency_hertz", 0.0, 1.0),
    ("node_cpu_frequency_hertz", 0.0, 1.0),
];

const MIB: f64 = 1024.0 * 1024.0;

/// What a counter's value may lie outside of ours before and ours after, as one is read a little later than another.
const SLACK: f64 = 1e-6;

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn exceptions(name: &str) -> impl Iterator<Item = &'static Exception> {
    EXCEPTIONS.iter().filter(move |(pattern, ..)| matches(pattern, name)).map(|(_, exception, _)| exception)
}

/// Ours that stands for theirs, the labels that may come besides taken off.
fn counterpart<'a>(ours: &'a Page, theirs: &'a Series) -> Option<(&'a Series, f64)> {
    let more: Vec<&str> = exceptions(&theirs.name)
        .filter_map(|exception| if let MoreLabels(labels) = exception { Some(*labels) } else { None })
        .flatten()
        .copied()
        .collect();
    ours.of(&theirs.name).find(|(series, _)| {
        let mut labels = series.labels.clone();
        labels.retain(|name, _| theirs.labels.contains_key(name) || !more.contains(&name.as_str()));
        labels == theirs.labels
    })
}

/// Everything that is theirs and not on ours, or otherwise there; empty when all is well.
fn differences(before: &Page, theirs: &Page, after: &Page) -> String {
    let mut told = String::new();
    for (series, value) in &theirs.series {
        let lacking = |exception: &Exception| match exception {
            Lacks => true,
            LacksOf(start) => series.label("device").starts_with(start),
            LacksBelowZero => *value < 0.0,
            MoreLabels(_) | OtherValue => false,
        };
        if exceptions(&series.name).any(lacking) {
            continue;
        }
        let (Some((ours, first)), Some((_, last))) = (counterpart(before, series), counterpart(after, series)) else {
            let near: Vec<String> = before.of(&series.name).take(3).map(|(series, _)| series.to_string()).collect();
            writeln!(told, "missing: {series} = {value}; ours: {near:?}").unwrap();
            continue;
        };
        let (their_type, our_type) = (theirs.type_of(&series.name), before.type_of(&ours.name));
        if their_type != our_type {
            writeln!(told, "type: {} is {their_type:?} there, {our_type:?} here", series.name).unwrap();
        }
        if exceptions(&series.name).any(|exception| matches!(exception, OtherValue)) {
            continue;
        }
        let moves = MOVES.iter().find(|(pattern, ..)| matches(pattern, &series.name));
        let moves = moves.map_or(0.0, |(_, absolute, share)| absolute.max(share * value.abs()));
        // A gauge may turn between the pages; a counter and anything else lies between ours and ours.
        let slack = moves.max(SLACK * value.abs());
        let (low, high) = (first.min(last) - slack, first.max(last) + slack);
        let same = (low..=high).contains(value) || (value.is_nan() && first.is_nan());
        if !same {
            writeln!(told, "value: {series} is {value} there, {first} and then {last} here").unwrap();
        }
    }
    told
}

/// Both programs, looking at the same texts of a textfile directory.
fn both() -> Option<(Agent, Peer, tempfile::TempDir)> {
    let texts = tempfile::tempdir().unwrap();
    std::fs::write(
        texts.path().join("backup.prom"),
        "# HELP backup_last_success_timestamp_seconds When the last backup ended.\n\
         # TYPE backup_last_success_timestamp_seconds gauge\n\
         backup_last_success_timestamp_seconds{job=\"etc \\\"x\\\\y\\\"\",path=\"/etc\"} 1.7e+09\n\
         backup_last_success_timestamp_seconds{job=\"home\",path=\"/home\"} 1700000000\n\
         # TYPE backup_runs_total counter\nbackup_runs_total 12\n",
    )
    .unwrap();
    let mut args: Vec<String> = COLLECTORS.iter().map(|name| format!("--collector.{name}")).collect();
    args.push("--collector.disable-defaults".to_owned());
    args.push(format!("--collector.textfile.directory={}", texts.path().display()));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(peer) = node_exporter(&args) else {
        skipped("prometheus-node-exporter is not installed");
        return None;
    };
    let directory = format!("samplers.textfile.directory=\"{}\"", texts.path().display());
    let agent = Agent::start(&["--set", "http.max_age=\"0s\"", "--set", &directory]);
    Some((agent, peer, texts))
}

#[test]
fn every_series_of_node_exporter_is_ours_with_its_labels_type_and_value() {
    let Some((agent, peer, _texts)) = both() else { return };
    // Once to warm up: sockets, page cache, the peer's own files.
    let _ = (agent.page(), peer.page());
    // A burst between two pages is over in the next round; what is wrong is wrong in each.
    let mut told = String::new();
    for _ in 0..3 {
        let (before, theirs, after) = (agent.page(), peer.page(), agent.page());
        told = differences(&before, &theirs, &after);
        if told.is_empty() {
            return;
        }
    }
    panic!("{} differences:\n{told}", told.lines().count());
}

#[test]
fn every_collector_is_a_source_of_ours() {
    let agent = Agent::start(&[]);
    let page = agent.page();
    let ours: BTreeSet<&str> =
        page.of("node_scrape_collector_success").map(|(series, _)| series.label("collector")).collect();
    let missing: Vec<_> = COLLECTORS.iter().filter(|name| !ours.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing among {ours:?}");
}

#[test]
fn the_comparison_finds_what_differs() {
    let page = |text: &str| support::parse(text);
    let theirs = page(
        "# TYPE a_total counter\na_total{x=\"1\"} 5\n# TYPE node_load1 gauge\nnode_load1 1\n\
         # TYPE node_filesystem_files gauge\nnode_filesystem_files{device=\"d\"} 5\n# TYPE go_threads gauge\ngo_threads 1\n",
    );
    let alike = page(
        "# TYPE a_total counter\na_total{x=\"1\"} 5\n# TYPE node_load1 gauge\nnode_load1 1.5\n\
         # TYPE node_filesystem_files gauge\nnode_filesystem_files{device=\"d\",device_error=\"\"} 5\n",
    );
    assert_eq!(differences(&alike, &theirs, &alike), "");
    let cases = [
        ("a_total{x=\"1\"} 5", "a_total{x=\"2\"} 5", "missing: a_total"),
        ("a_total{x=\"1\"} 5", "a_total{x=\"1\",y=\"1\"} 5", "missing: a_total"),
        ("a_total{x=\"1\"} 5", "a_total{x=\"1\"} 6", "value: a_total"),
        ("a_total counter", "a_total gauge", "type: a_total"),
    ];
    let text = "# TYPE a_total counter\na_total{x=\"1\"} 5\n# TYPE node_load1 gauge\nnode_load1 1\n\
                # TYPE node_filesystem_files gauge\nnode_filesystem_files{device=\"d\",device_error=\"\"} 5\n";
    for (right, wrong, told) in cases {
        let ours = page(&text.replace(right, wrong));
        let differences = differences(&ours, &theirs, &ours);
        assert!(differences.contains(told) && differences.lines().count() == 1, "{wrong}: {differences}");
    }
}

/// What `promtool check metrics` says of a page, each sentence with the name of the metric it is about.
fn promtool(page: &str) -> BTreeSet<String> {
    let mut command = Command::new(find("promtool").unwrap());
    let mut child = command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn promtool_says_nothing_that_it_does_not_also_say_of_node_exporter() {
    if find("promtool").is_none() {
        return skipped("promtool is not installed");
    }
    let Some((agent, peer, _texts)) = both() else { return };
    let ours = promtool(&agent.get("/metrics", &[]).text());
    let theirs = promtool(&peer.get("/metrics").text());
    // What it finds odd in a name that we took over on purpose, it finds odd in theirs, if only with another version.
    let inherited = |line: &&String| {
        // The same of process-exporter's page.
        if line.starts_with("namedprocess_scrape_") && line.ends_with("should have \"_total\" suffix") {
            return true;
        }
        let (name, remark) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let family = |name: &str| name.rsplit_once('_').map(|(start, _)| start.to_owned()).unwrap_or_default();
        let same_kind = |their: &String| {
            their.split_once(' ').is_some_and(|(their_name, said)| said == remark && family(their_name) == family(name))
        };
        name.starts_with("node_") && theirs.iter().any(same_kind)
    };
    let new: Vec<&String> = ours.difference(&theirs).filter(|line| !inherited(line)).collect();
    assert!(new.is_empty(), "promtool says only of ours: {new:#?}");
}
