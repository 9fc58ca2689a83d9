//! Upgrade, downgrade, removal.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::collector::{Collector, Site};
use crate::machine::Machine;
use crate::support::{PATIENCE, until};
use crate::{
    MANY_CONNECTIONS, NEW, OLD, TRACES, active, config_hash, dpkg_install, main_pid, moments, page, user, write_config,
};

/// Nobody listens there until the test does.
const COLLECTOR: &str = "[otlp]\nendpoint = \"http://127.0.0.1:4317\"\ninterval = \"1s\"\n";

/// Installs that version while a client connects every 10 ms, and while a collector is away.
fn change_version(machine: &Machine, version: &str) {
    write_config(machine, &format!("# Mine.\n{MANY_CONNECTIONS}{COLLECTOR}"));
    machine.good(&["systemctl", "reload", "vigie"]);
    let pushed = || page(machine).find("vigie_push_snapshots_total", &[]);
    let first = until("it pushes", PATIENCE, pushed);
    until("requests wait for the collector", PATIENCE, || pushed().filter(|pushed| *pushed >= first + 2.0));
    let before = crate::nanoseconds();
    let (process, hash) = (main_pid(machine), config_hash(machine));
    let client = Client::start(machine);
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    dpkg_install(machine, version);
    let took = begun.elapsed();
    std::thread::sleep(Duration::from_millis(300));
    let met = client.stop();
    eprintln!("    dpkg took {took:?}; {} answers, the longest after {:?}", met.answers, met.longest);
    assert!(met.failures.is_empty(), "{:?}", met.failures);
    assert_ne!(main_pid(machine), process);
    assert_eq!(machine.shell("dpkg-query --show --showformat='${Version}' vigie"), version);
    assert!(machine.shell("cat /etc/vigie/config.toml").starts_with("# Mine."));
    assert_eq!(config_hash(machine), hash);

    let collector = machine.inside(|| Collector::on(Site { port: 4317, ..Site::default() })).join().unwrap();
    let came = || moments(&collector.calls());
    until("what is measured since the upgrade comes", PATIENCE, || {
        came().last().filter(|last| **last > before).map(drop)
    });
    let old = came().iter().filter(|moment| **moment < before).count();
    eprintln!("    {old} requests from before it are delivered");
    assert!(old >= 2, "{:?}", came());
    assert!(came().is_sorted(), "{:?}", came());
    let page = page(machine);
    let dropped = page.of("vigie_push_dropped_requests_total").map(|(_, requests)| requests);
    assert_eq!(dropped.sum::<f64>(), 0.0);
}

pub(crate) fn upgrades(machine: &Machine) {
    // As a version that brought no user leaves it: what waits belongs to one that systemd made up.
    machine.shell("systemctl stop vigie; userdel vigie; systemctl start vigie");
    let owner = || machine.shell("stat --format=%u /var/lib/private/vigie/spool").trim().to_owned();
    let made_up = owner();
    assert_eq!(user(machine), "");
    change_version(machine, NEW);
    assert_ne!(user(machine), made_up);
    assert_eq!(owner(), user(machine));
}

pub(crate) fn downgrades(machine: &Machine) {
    change_version(machine, OLD);
}

pub(crate) fn refuses_an_upgrade(machine: &Machine) {
    let process = main_pid(machine);
    write_config(machine, "[samplin]\ninterval = \"7s\"\n");
    let said = dpkg_install(machine, NEW);
    assert!(said.contains("the running one goes on") && said.contains("vigie check"), "{said}");
    assert_eq!(main_pid(machine), process);
    page(machine);
}

pub(crate) fn removes(machine: &Machine) {
    machine.shell("dpkg --remove vigie 2>&1");
    assert_ne!(machine.run(&["pidof", "vigie"]).code, Some(0));
    assert_eq!(
        machine.shell("ls /etc/vigie /var/lib/private/vigie"),
        "/etc/vigie:\nconfig.toml\n\n/var/lib/private/vigie:\nboot\nspool\n"
    );
    assert_eq!(active(machine), "inactive");
}

pub(crate) fn purges(machine: &Machine) {
    machine.shell("dpkg --purge vigie 2>&1");
    assert_eq!(machine.shell(&format!("{TRACES} | comm -13 /tmp/traces -")), "");
    assert_eq!(machine.shell("systemctl list-units --all --plain --no-legend '*vigie*'"), "");
    assert_eq!(machine.shell("getent passwd vigie || getent group vigie || true"), "");
}
