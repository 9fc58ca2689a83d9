//! A real Prometheus scrapes the agent, and its queries answer.

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

use std::path::Path;
use std::time::Duration;

use support::{Agent, Peer, prometheus, skipped, until};

/// Rates want two scrapes; a busy machine may take its time.
const SOON: Duration = Duration::from_secs(60);

fn scraping(agent: &Agent) -> Option<Peer> {
    let config = format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n\
         scrape_configs:\n  - job_name: node\n    static_configs:\n      - targets: ['127.0.0.1:{}']\n",
        agent.port
    );
    let peer = prometheus(&config);
    if peer.is_none() {
        skipped("prometheus is not installed");
    }
    peer
}

/// The vector that a query gives now: series and numbers.
fn query(peer: &Peer, expression: &str) -> Vec<(serde_json::Value, f64)> {
    let mut path = String::from("/api/v1/query?query=");
    for byte in expression.bytes() {
        path.push_str(&format!("%{byte:02X}"));
    }
    let answer = peer.get(&path).json();
    assert_eq!(answer["status"], "success", "{expression}: {answer}");
    let vector = answer["data"]["result"].as_array().expect("a vector");
    let number = |sample: &serde_json::Value| sample["value"][1].as_str().unwrap().parse().unwrap();
    vector.iter().map(|sample| (sample["metric"].clone(), number(sample))).collect()
}

#[track_caller]
fn answered(peer: &Peer, expression: &str) -> Vec<(serde_json::Value, f64)> {
    until(&format!("{expression} answers"), SOON, || {
        let vector = query(peer, expression);
        let numbers = vector.iter().all(|(_, value)| value.is_finite());
        (!vector.is_empty() && numbers).then_some(vector)
    })
}

#[test]
fn what_people_ask_of_a_host_is_answered() {
    let agent = Agent::start(&[]);
    let Some(peer) = scraping(&agent) else { return };
    until("the target is up", SOON, || {
        query(&peer, "up{job=\"node\"}").first().filter(|(_, value)| *value == 1.0).map(|_| ())
    });

    // CPU.
    let busy = answered(&peer, "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[10s]))");
    assert!(busy.iter().all(|(_, value)| (-0.05..=1.05).contains(value)), "{busy:?}");
    answered(&peer, "count by (instance) (count without (mode) (node_cpu_seconds_total{mode=\"system\"}))");
    answered(&peer, "node_load1 / on (instance) count by (instance) (node_cpu_seconds_total{mode=\"idle\"})");
    // Memory.
    let used = answered(&peer, "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes");
    assert!(used.iter().all(|(_, value)| (0.0..=1.0).contains(value)), "{used:?}");
    answered(
        &peer,
        "(node_memory_MemTotal_bytes - node_memory_MemFree_bytes - node_memory_Buffers_bytes - node_memory_Cached_bytes)",
    );
    answered(&peer, "rate(node_vmstat_pgmajfault[10s])");
    // Disks; a container may have none.
    if has_disk() {
        answered(&peer, "rate(node_disk_read_bytes_total[10s]) + rate(node_disk_written_bytes_total[10s])");
        answered(&peer, "rate(node_disk_io_time_seconds_total[10s])");
        answered(&peer, "rate(node_disk_io_time_weighted_seconds_total[10s])");
    }
    // Filesystems.
    let free = answered(&peer, "node_filesystem_avail_bytes{fstype!=\"\"} / node_filesystem_size_bytes{fstype!=\"\"}");
    assert!(free.iter().all(|(_, value)| (0.0..=1.0).contains(value)), "{free:?}");
    answered(&peer, "node_filesystem_files_free{fstype!=\"\"} / node_filesystem_files{fstype!=\"\"} or vector(1)");
    // Network.
    answered(&peer, "rate(node_network_receive_bytes_total[10s])");
    answered(&peer, "increase(node_network_transmit_errs_total[10s])");
    // The host itself.
    answered(&peer, "time() - node_boot_time_seconds");
    let skew = answered(&peer, "abs(node_time_seconds - timestamp(node_time_seconds))");
    assert!(skew.iter().all(|(_, value)| *value < 5.0), "{skew:?}");
    let uname = answered(&peer, "node_uname_info");
    assert!(uname[0].0["nodename"].is_string(), "{uname:?}");

    for name in raw_names() {
        answered(&peer, &name);
    }
}

/// The metrics that the alerts and rules of node-mixin ask for, as far as this host can have them.
fn raw_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "node_cpu_seconds_total{mode=\"idle\"}",
        "node_filefd_allocated",
        "node_filefd_maximum",
        "node_filesystem_avail_bytes",
        "node_filesystem_files",
        "node_filesystem_files_free",
        "node_filesystem_readonly",
        "node_filesystem_size_bytes",
        "node_load1",
        "node_load5",
        "node_load15",
        "node_memory_Buffers_bytes",
        "node_memory_Cached_bytes",
        "node_memory_MemAvailable_bytes",
        "node_memory_MemFree_bytes",
        "node_memory_MemTotal_bytes",
        "node_memory_Slab_bytes",
        "node_textfile_scrape_error",
        "node_time_seconds",
        "node_timex_maxerror_seconds",
        "node_timex_offset_seconds",
        "node_timex_sync_status",
        "node_uname_info",
        "node_vmstat_pgmajfault",
    ]
    .map(str::to_owned)
    .to_vec();
    for direction in ["receive", "transmit"] {
        for what in ["bytes", "packets", "errs", "drop"] {
            names.push(format!("node_network_{direction}_{what}_total"));
        }
    }
    if has_disk() {
        for what in ["io_time_seconds", "io_time_weighted_seconds", "read_bytes", "written_bytes"] {
            names.push(format!("node_disk_{what}_total"));
        }
    }
    if Path::new("/proc/sys/net/netfilter/nf_conntrack_count").exists() {
        names.push("node_nf_conntrack_entries".to_owned());
        names.push("node_nf_conntrack_entries_limit".to_owned());
    }
    if Path::new("/proc/pressure/cpu").exists() {
        names.push("node_pressure_cpu_waiting_seconds_total".to_owned());
    }
    names
}

fn has_disk() -> bool {
    let disks = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
    disks.split_ascii_whitespace().any(|word| ["vd", "sd", "nvme", "xvd"].iter().any(|kind| word.starts_with(kind)))
}

#[test]
fn no_scrape_fails_and_none_is_refused() {
    let agent = Agent::start(&[]);
    let Some(peer) = scraping(&agent) else { return };
    until("a dozen scrapes", SOON, || {
        let scrapes = query(&peer, "count_over_time(up{job=\"node\"}[1m])");
        scrapes.first().filter(|(_, count)| *count >= 8.0).map(|_| ())
    });
    assert_eq!(query(&peer, "min_over_time(up{job=\"node\"}[1m])")[0].1, 1.0);
    let targets = peer.get("/api/v1/targets?state=active").json();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((target["health"].as_str(), target["lastError"].as_str()), (Some("up"), Some("")), "{target}");

    // Nothing that Prometheus had to drop, and every sample that the page has.
    let kept = answered(&peer, "scrape_samples_post_metric_relabeling{job=\"node\"}")[0].1;
    let ours = agent.page().series.len() as f64;
    assert!((kept - ours).abs() <= 0.05 * ours, "{kept} samples kept of {ours}");
    assert!(!peer.log().contains("level=warn component=\"scrape manager\""), "{}", peer.log());
    for (counter, what) in [
        ("prometheus_target_scrapes_sample_duplicate_timestamp_total", "duplicates"),
        ("prometheus_target_scrapes_sample_out_of_order_total", "out of order"),
        ("prometheus_target_scrapes_exceeded_sample_limit_total", "too many"),
    ] {
        assert_eq!(peer.page().find(counter, &[]).unwrap_or(0.0), 0.0, "{what}");
    }
    // It got the format that it asks for first: there the family of a counter is called without _total.
    let metadata = peer.get("/api/v1/targets/metadata?metric=node_cpu_seconds").json();
    assert_eq!(metadata["data"][0]["type"], "counter", "{metadata}");
}
