//! Whether the hardened agent sees what root sees: its page against one that root takes at the same moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::machine::Machine;
use crate::page;
use crate::support::{Page, Series, parse};

/// Where only root may go: the one thing that takes a capability (docs/deploy.md, "What it does not see").
pub(crate) const CLOSED: &str = "/root/inner";

/// Families that tell of the agent that asks, or that count from when it began.
const ITS_OWN: &[&str] = &["process_", "namedprocess_", "vigie_", "node_scrape_collector_", "node_textfile_"];

/// How far a number may lie outside what root saw just before and just after: of the larger one, and at all. The one who
/// asks is a process with its memory and its sockets.
const SLACK: (f64, f64) = (0.1, 8.0);

/// File systems where sandboxes are wont to put something else.
const MOUNTS: &[&str] = &["/home", "/srv/data", "/tmp/inner", "/var/tmp/inner", CLOSED, "/run/inner", "/media/disk"];

pub(crate) fn sees_what_root_sees(machine: &Machine) {
    for (number, path) in MOUNTS.iter().enumerate() {
        let size = 10 + number;
        machine.shell(&format!(
            "mkdir -p {path}; mount -t tmpfs -o size={size}m vigie-e2e {path}; head -c 1M /dev/zero >{path}/used"
        ));
    }
    // Mounted while it ran, and there when it was started.
    compare(machine);
    machine.good(&["systemctl", "restart", "vigie"]);
    compare(machine);
}

fn compare(machine: &Machine) {
    let mut lasting = differences(machine);
    for _ in 0..4 {
        if lasting.is_empty() {
            return;
        }
        // What only the moment made differ does not differ again.
        let again = differences(machine);
        lasting.retain(|series, _| again.contains_key(series));
    }
    let listed: Vec<String> = lasting.into_values().collect();
    assert!(listed.is_empty(), "{} differ:\n{}", listed.len(), listed.join("\n"));
}

/// Every series that the two pages do not have alike, with what is different.
fn differences(machine: &Machine) -> BTreeMap<String, String> {
    // A page may be a second old (http.max_age); the next one is of the moment.
    std::thread::sleep(Duration::from_millis(1100));
    let root = |machine: &Machine| parse(&machine.good(&["vigie", "sample"]));
    let before = root(machine);
    let hardened = page(machine);
    let after = root(machine);
    for path in MOUNTS {
        assert_eq!(is_measured(&hardened, path), *path != CLOSED, "{path}");
    }
    let mut errors = hardened.of("node_filesystem_device_error");
    let told = errors.find(|(series, _)| series.label("mountpoint") == CLOSED).unwrap();
    assert_eq!((told.0.label("device_error"), told.1), ("permission denied", 1.0));

    let mut differences = BTreeMap::new();
    let (mut families, mut compared) = (BTreeSet::new(), 0);
    let names: BTreeSet<&Series> = before.series.keys().chain(hardened.series.keys()).collect();
    for series in names {
        if ITS_OWN.iter().any(|own| series.name.starts_with(own)) || series.label("mountpoint") == CLOSED {
            continue;
        }
        let on = |page: &Page| page.series.get(series).copied();
        let difference = match (on(&before), on(&hardened), on(&after)) {
            (Some(low), Some(seen), Some(high)) => {
                families.insert(&series.name);
                compared += 1;
                (!lies_between(seen, low, high)).then(|| format!("{seen}, root sees {low} and then {high}"))
            }
            (Some(seen), None, Some(_)) => Some(format!("unseen, root sees {seen}")),
            (None, Some(seen), None) => Some(format!("{seen}, root sees nothing")),
            // It came or went between the pages.
            _ => None,
        };
        if let Some(difference) = difference {
            differences.insert(series.to_string(), format!("{series}: {difference}"));
        }
    }
    for (series, success) in hardened.of("node_scrape_collector_success") {
        if success != before.value(&series.name, &[("collector", series.label("collector"))]) {
            differences.insert(series.to_string(), format!("{series}: {success}"));
        }
    }
    eprintln!("    {} families, {compared} series compared, {} differ", families.len(), differences.len());
    assert!(families.len() > 100, "{families:?}");
    differences
}

fn lies_between(seen: f64, one: f64, other: f64) -> bool {
    if seen.is_nan() {
        return one.is_nan();
    }
    let (low, high) = (one.min(other), one.max(other));
    let slack = SLACK.0 * low.abs().max(high.abs()) + SLACK.1;
    (low - slack..=high + slack).contains(&seen)
}

pub(crate) fn is_measured(page: &Page, mount: &str) -> bool {
    page.of("node_filesystem_size_bytes").any(|(series, _)| series.label("mountpoint") == mount)
}
