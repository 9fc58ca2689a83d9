//! The package's whole life under a real systemd, in a throw-away copy of this machine.
//!
//! It packs the program that these tests were built with; `make e2e` gives it the one that is shipped (`VIGIE_BINARY`).

// Helpers of a test may panic as the test may. Tests may run other programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_types
)]

mod client;
#[path = "../support/collector.rs"]
mod collector;
mod dropins;
mod machine;
mod services;
mod sight;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod units;
mod versions;
mod weight;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use client::Client;
use collector::Call;
use machine::Machine;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use support::{Connection, PATIENCE, Page, parse, skipped, until};

const OLD: &str = "0.0.9";
const NEW: &str = env!("CARGO_PKG_VERSION");
/// A part of its life, told from what the parts before it left.
type Step = fn(&Machine);
/// What waits while vigie is replaced is accepted at once afterwards: a hundred a second here, one in seconds in life.
const MANY_CONNECTIONS: &str = "[http]\nmax_connections = 1000\n";

#[test]
fn a_package_lives_its_life() {
    let packages = tempfile::tempdir().unwrap();
    let machine = match Machine::boot(packages.path()) {
        Ok(machine) => machine,
        Err(why) => return skipped(&why),
    };
    for version in [OLD, NEW] {
        pack(version, packages.path());
    }
    let steps: &[(&str, Step)] = &[
        ("it is installed, runs and answers", installs),
        ("its units are without fault", units_are_clean),
        ("it has no privilege", has_no_privilege),
        ("the hardened agent sees what root sees", sight::sees_what_root_sees),
        ("it tells two services apart by what they use", services::tells_two_services_apart),
        ("it says of units what systemd says", units::says_of_units_what_systemd_says),
        ("it is light with the push and a probe of each kind", weight::is_light),
        ("a reload takes a good configuration and refuses a bad one", reloads),
        ("a bad configuration is a failure with its reason, and no loop", bad_configuration_fails),
        ("a secret reaches it by LoadCredential, and a reload too", takes_credentials),
        ("a reload moves it to node_exporter's port", moves_to_another_port),
        ("a killed process costs nobody a connection", survives_a_kill),
        ("a process that hangs is replaced", survives_a_hang),
        ("a stop at any moment of its start is clean", start::stops_while_it_starts),
        ("it starts without a network, and delivers once there is one", start::starts_without_a_network),
        ("it starts on a full disk, and uses it once there is room", start::starts_on_a_full_disk),
        ("it starts with a state that is somebody else's", start::starts_with_a_state_of_somebody_else),
        ("it starts by a wrong clock, and goes on when that is set", start::starts_by_a_wrong_clock),
        ("an upgrade refuses no connection and keeps configuration and state", versions::upgrades),
        ("an upgrade leaves a running vigie alone that the new one could not replace", versions::refuses_an_upgrade),
        ("a downgrade is an upgrade backwards", versions::downgrades),
        ("a port in use is named, waited for, and not for ever", port_in_use),
        ("a socket unit says where it listens", socket_unit),
        ("a drop-in gives it the capabilities for other users' processes", dropins::process_details),
        ("a drop-in lets it ping", dropins::icmp),
        ("a drop-in lets it ask Docker", dropins::docker),
        ("what is removed keeps its configuration and state", versions::removes),
        ("what is purged leaves nothing", versions::purges),
    ];
    for (number, (what, step)) in steps.iter().enumerate() {
        let begun = Instant::now();
        step(&machine);
        eprintln!("{:2}. {what}: {:.1} s", number + 1, begun.elapsed().as_secs_f64());
    }
}

/// Every file of that name. What systemd has to pass mounts on to a unit is its own; 249 forgets it, empty, until a boot.
const TRACES: &str = "find /etc /opt /run /srv /usr /var -xdev -path /run/systemd/propagate -prune \
                      -o -name '*vigie*' -print | LC_ALL=C sort";

fn pack(version: &str, into: &Path) {
    let binary = std::env::var("VIGIE_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_vigie").to_owned());
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let mut pack = Command::new("packaging/deb");
    pack.args([version, arch]).env("BINARY", binary).env("OUT", into).env("COMPRESSION", "none");
    let output = pack.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(into.join(format!("vigie_{version}_{arch}.deb")), into.join(format!("{version}.deb"))).unwrap();
}

/// The limit for what is shipped, on a machine that has a CPU to spare; a program of 90 MB, or between others that work,
/// has more.
fn two_seconds() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    let strict = std::env::var_os("VIGIE_BINARY").is_some() && load < cpus;
    Duration::from_secs(if strict { 2 } else { 20 })
}

fn dpkg_install(machine: &Machine, version: &str) -> String {
    machine.shell(&format!("dpkg --install /in/{version}.deb 2>&1"))
}

fn main_pid(machine: &Machine) -> i32 {
    machine.property("vigie.service", "MainPID").parse().unwrap()
}

/// The number of the user that the package made.
fn user(machine: &Machine) -> String {
    machine.shell("awk -F: '$1 == \"vigie\" { print $3 }' /etc/passwd").trim().to_owned()
}

fn active(machine: &Machine) -> String {
    machine.property("vigie.service", "ActiveState")
}

/// The page that the unit serves.
fn page(machine: &Machine) -> Page {
    let answer = machine.inside(|| Connection::tcp(9844)?.get("/metrics", &[("Connection", "close")])).join().unwrap();
    let answer = answer.unwrap_or_else(|error| panic!("/metrics: {error}\n{}", machine.journal()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    parse(&answer.text())
}

fn write_config(machine: &Machine, text: &str) {
    machine.shell(&format!("cat >/etc/vigie/config.toml <<'TOML'\n{text}TOML"));
}

fn restart(machine: &Machine) {
    machine.shell("systemctl daemon-reload; systemctl reset-failed vigie; systemctl restart vigie");
}

/// Gives the unit this drop-in, until [`without_drop_ins`].
fn drop_in(machine: &Machine, text: &str) {
    machine.shell(&format!(
        "mkdir -p /run/systemd/system/vigie.service.d
         printf '%s\n' '{text}' >/run/systemd/system/vigie.service.d/e2e.conf; systemctl daemon-reload"
    ));
}

fn without_drop_ins(machine: &Machine) {
    machine.shell("rm -rf /run/systemd/system/vigie.service.d /etc/systemd/system/vigie.service.d");
    restart(machine);
}

fn config_hash(machine: &Machine) -> String {
    let page = page(machine);
    let mut told = page.series.iter().filter(|(series, _)| series.name == "vigie_config_hash");
    told.next().map(|(series, value)| format!("{series} {value}")).unwrap()
}

/// Our own clock, as OTLP counts.
fn nanoseconds() -> u64 {
    (support::now_seconds() * 1e9) as u64
}

/// When the points of each request of the host's were measured: the latest of each request that has any.
fn moments(calls: &[Call]) -> Vec<u64> {
    let latest = |call: &Call| {
        let points = call.metrics().filter_map(|metric| match metric.data.as_ref()? {
            Data::Gauge(gauge) => gauge.data_points.iter().map(|point| point.time_unix_nano).max(),
            Data::Sum(sum) => sum.data_points.iter().map(|point| point.time_unix_nano).max(),
            _ => None,
        });
        points.max()
    };
    calls.iter().filter_map(latest).collect()
}

fn installs(machine: &Machine) {
    machine.shell(&format!("{TRACES} >/tmp/traces"));
    let begun = Instant::now();
    dpkg_install(machine, OLD);
    page(machine);
    let took = begun.elapsed();
    let at = |name| machine.property("vigie.service", name).parse::<f64>().unwrap() / 1e3;
    let start = at("ActiveEnterTimestampMonotonic") - at("InactiveExitTimestampMonotonic");
    eprintln!("    dpkg --install to the first page: {took:?}, of which vigie's start took {start:.0} ms");
    assert!(took < two_seconds(), "{took:?}");
    assert_eq!(active(machine), "active");
    assert_eq!(machine.shell("systemctl is-enabled vigie.service").trim(), "enabled");
    assert_eq!(machine.run(&["systemctl", "is-enabled", "vigie.socket"]).out.trim(), "disabled");
    let status = machine.shell(&format!("cat /proc/{}/status", main_pid(machine)));
    let rss = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    eprintln!("    {rss}");
    machine.good(&["vigie", "wait", "--ready", "--timeout", "5s"]);
}

fn units_are_clean(machine: &Machine) {
    let said = machine.shell("systemd-analyze verify --man=no vigie.service vigie.socket 2>&1");
    assert!(!said.contains("vigie"), "{said}");
    let said = machine.shell("systemd-analyze security --no-pager vigie.service | tail -n 1");
    let (_, level) = said.trim().split_once("vigie.service: ").unwrap();
    let level: f64 = level.split_whitespace().next().unwrap().parse().unwrap();
    eprintln!("    exposure level {level}");
    assert!(level <= 1.7, "{said}");
}

fn has_no_privilege(machine: &Machine) {
    let status = machine.shell(&format!("cat /proc/{}/status", main_pid(machine)));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(u64::from_str_radix(&field(set), 16), Ok(0), "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    assert_eq!(field("Uid"), user(machine));
    for (property, value) in [
        ("Type", "notify"),
        ("DynamicUser", "yes"),
        ("MemoryMax", "67108864"),
        ("CPUWeight", "20"),
        ("IOWeight", "20"),
        ("OOMScoreAdjust", "-500"),
        ("WatchdogUSec", "10s"),
        ("NFileDescriptorStore", "1"),
    ] {
        assert_eq!(machine.property("vigie.service", property), value, "{property}");
    }
}

fn reloads(machine: &Machine) {
    let process = main_pid(machine);
    let before = config_hash(machine);
    write_config(machine, "[sampling]\ninterval = \"5s\"\n");
    machine.good(&["systemctl", "reload", "vigie"]);
    until("the new configuration is in force", PATIENCE, || (config_hash(machine) != before).then_some(()));
    let after = config_hash(machine);

    write_config(machine, "[sampling]\nintervall = \"5s\"\n");
    let said = machine.run(&["systemctl", "reload", "vigie"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    let journal = machine.journal();
    assert!(journal.contains("intervall") && journal.contains("2:1"), "{journal}");
    assert_eq!((config_hash(machine), main_pid(machine)), (after, process));
    assert_eq!(active(machine), "active");
}

fn bad_configuration_fails(machine: &Machine) {
    write_config(machine, "[htp]\n");
    let said = machine.run(&["systemctl", "restart", "vigie"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(active(machine), "failed");
    assert_eq!(machine.property("vigie.service", "NRestarts"), "0");
    assert_eq!(machine.property("vigie.service", "ExecMainStatus"), "78");
    let status = machine.run(&["systemctl", "status", "--no-pager", "--full", "vigie"]).out;
    assert!(status.contains("htp") && status.contains("http"), "{status}");
    write_config(machine, MANY_CONNECTIONS);
    machine.good(&["systemctl", "start", "vigie"]);
}

fn takes_credentials(machine: &Machine) {
    let systemd = machine.good(&["systemctl", "--version"]);
    if systemd.split(' ').nth(1).and_then(|version| version.parse().ok()).is_some_and(|version: u32| version < 247) {
        return skipped("this systemd has no LoadCredential=");
    }
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    machine.shell(&format!("umask 077; printf '%s' '{hash}' >/etc/hash"));
    drop_in(machine, "[Service]\nLoadCredential=prometheus.bcrypt:/etc/hash");
    write_config(machine, "[http]\nusers = { prometheus = { credential = \"prometheus.bcrypt\" } }\n");
    machine.good(&["systemctl", "restart", "vigie"]);
    let status = |authorization: &'static str| {
        let headers = [("Connection", "close"), ("Authorization", authorization)];
        let answer = machine.inside(move || Connection::tcp(9844)?.get("/metrics", &headers)).join().unwrap();
        answer.unwrap().status
    };
    assert_eq!(
        (status("Basic cHJvbWV0aGV1czpvcGVuIHNlc2FtZQ=="), status("Basic cHJvbWV0aGV1czpndWVzcw==")),
        (200, 401)
    );
    machine.good(&["systemctl", "reload", "vigie"]);
    assert!(!machine.journal().contains(&hash));
    write_config(machine, MANY_CONNECTIONS);
    machine.shell("rm /etc/hash");
    without_drop_ins(machine);
}

fn moves_to_another_port(machine: &Machine) {
    let (process, answers) = (main_pid(machine), |port| {
        move || Connection::tcp(port).and_then(|mut connection| connection.get("/metrics", &[])).is_ok()
    });
    machine.shell("sed -i '/^.http.$/a listen = \":9100\"' /etc/vigie/config.toml; systemctl reload vigie");
    until("it answers on the new port", PATIENCE, || machine.inside(answers(9100)).join().unwrap().then_some(()));
    assert!(!machine.inside(answers(9844)).join().unwrap());
    write_config(machine, MANY_CONNECTIONS);
    machine.good(&["systemctl", "reload", "vigie"]);
    until("it answers on the old port", PATIENCE, || machine.inside(answers(9844)).join().unwrap().then_some(()));
    assert_eq!(main_pid(machine), process);
    assert_eq!(machine.property("vigie.service", "NFileDescriptorStore"), "1");
}

fn survives_a_kill(machine: &Machine) {
    let process = main_pid(machine);
    let client = Client::start(machine);
    std::thread::sleep(Duration::from_millis(300));
    machine.good(&["kill", "-KILL", &process.to_string()]);
    until("another process has taken its place", PATIENCE, || {
        let now = main_pid(machine);
        (now != 0 && now != process && active(machine) == "active").then_some(())
    });
    std::thread::sleep(Duration::from_millis(300));
    let met = client.stop();
    eprintln!("    {} answers, the longest after {:?}", met.answers, met.longest);
    // What was being answered at that moment is lost with the process.
    let refused = met.failures.iter().filter(|failure| failure.contains("refused")).count();
    assert_eq!(refused, 0, "{:?}", met.failures);
    assert!(met.failures.len() <= 2, "{:?}", met.failures);
    assert!(met.longest < two_seconds(), "{:?}", met.longest);
}

fn survives_a_hang(machine: &Machine) {
    drop_in(machine, "[Service]\nWatchdogSec=3");
    restart(machine);
    let process = main_pid(machine);
    let begun = Instant::now();
    machine.good(&["kill", "-STOP", &process.to_string()]);
    until("the watchdog has replaced it", PATIENCE, || {
        let now = main_pid(machine);
        (now != 0 && now != process && active(machine) == "active").then_some(())
    });
    eprintln!("    replaced after {:?}, of which 3 s are the watchdog's", begun.elapsed());
    page(machine);
    assert!(machine.journal().contains("atchdog"), "{}", machine.journal());
    without_drop_ins(machine);
}

fn port_in_use(machine: &Machine) {
    let take = || machine.inside(|| std::net::TcpListener::bind(("127.0.0.1", 9844)).unwrap()).join().unwrap();
    machine.good(&["systemctl", "stop", "vigie"]);
    let taken = take();
    assert_ne!(machine.run(&["systemctl", "start", "vigie"]).code, Some(0));
    let named = "cannot listen on 127.0.0.1:9844: another process does";
    until("the port is named", PATIENCE, || machine.journal().contains(named).then_some(()));
    drop(taken);
    until("it runs once the port is free", PATIENCE, || (active(machine) == "active").then_some(()));
    page(machine);

    // As after the thirtieth.
    machine.good(&["systemctl", "stop", "vigie"]);
    drop_in(machine, "[Unit]\nStartLimitBurst=3");
    machine.good(&["systemctl", "reset-failed", "vigie"]);
    let taken = take();
    assert_ne!(machine.run(&["systemctl", "start", "vigie"]).code, Some(0));
    until("systemd gives up", PATIENCE, || {
        (active(machine) == "failed" && machine.journal().contains("too quickly")).then_some(())
    });
    let status = machine.run(&["systemctl", "status", "--no-pager", "--full", "vigie"]).out;
    assert!(status.contains(named) && status.contains("ss -ltnp"), "{status}");
    drop(taken);
    without_drop_ins(machine);
    page(machine);
}

fn socket_unit(machine: &Machine) {
    // Where the unit's own address is not.
    machine.shell(
        "mkdir -p /etc/systemd/system/vigie.socket.d
         printf '[Socket]\\nListenStream=/run/vigie.sock\\n' >/etc/systemd/system/vigie.socket.d/e2e.conf
         systemctl stop vigie; systemctl daemon-reload; systemctl enable --now vigie.socket",
    );
    assert_eq!(active(machine), "inactive");
    page(machine);
    assert_eq!(active(machine), "active");
    assert_eq!(machine.property("vigie.service", "NFileDescriptorStore"), "0");
    // And back, without a connection refused on the way in.
    let client = Client::start(machine);
    machine.good(&["systemctl", "restart", "vigie"]);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(client.stop().failures, Vec::<String>::new());
    // What asks or checks knows of it, and does not ask where http.listen says.
    let elsewhere = ["--set", "http.listen=127.0.0.1:1"];
    machine.good(&[&["vigie", "wait", "--ready", "--timeout", "5s"], &elsewhere[..]].concat());
    // The collector that is configured is away.
    let said = machine.run(&[&["vigie", "check", "--connect"], &elsewhere[..]].concat()).out;
    for address in ["127.0.0.1:9844", "unix:/run/vigie.sock"] {
        assert!(said.contains(&format!("address: {address}, of vigie.socket")), "{said}");
    }
    machine.shell("systemctl disable --now vigie.socket; rm -r /etc/systemd/system/vigie.socket.d /run/vigie.sock");
    restart(machine);
    page(machine);
}
