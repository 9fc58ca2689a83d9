//! The unit probe beside systemd itself: units that run, that fail, that start again and again, and that nobody knows.

use crate::machine::Machine;
use crate::support::{Connection, PATIENCE, until};
use crate::{page, restart, write_config};

const CONFIG: &str = "
[[probe.unit]]
name = 'runs'
unit = 'e2e-runs'
interval = '1s'
[[probe.unit]]
name = 'fails'
unit = 'e2e-fails.service'
interval = '1s'
[[probe.unit]]
name = 'again'
unit = 'e2e-again.service'
states = ['active', 'activating']
interval = '1s'
[[probe.unit]]
name = 'nobody'
unit = 'e2e-nobody.service'
interval = '1s'
[[probe.unit]]
name = 'both'
unit = 'e2e-r*.service'
min_count = 1
interval = '1s'
[[probe.unit]]
name = 'target'
unit = 'multi-user.target'
interval = '1s'
";

pub(crate) fn says_of_units_what_systemd_says(machine: &Machine) {
    if machine.run(&["systemctl", "start", "dbus.socket", "dbus.service"]).code != Some(0) {
        return crate::skipped("the machine has no dbus");
    }
    machine.good(&["systemd-run", "--quiet", "--unit", "e2e-runs", "sleep", "infinity"]);
    machine.run(&["systemd-run", "--quiet", "--unit", "e2e-fails", "false"]);
    let again = ["-p", "Restart=always", "-p", "RestartSec=200ms", "-p", "StartLimitBurst=1000"];
    machine.good(&[&["systemd-run", "--quiet", "--unit", "e2e-again"][..], &again, &["false"]].concat());
    write_config(machine, CONFIG);
    machine.good(&["systemctl", "reload", "vigie"]);
    let labels = |probe, target| [("probe", probe), ("kind", "unit"), ("target", target)];
    let of = |probe, target: &'static str| {
        let page = page(machine);
        page.find("probe_success", &labels(probe, target))
    };
    let good = [
        ("runs", "e2e-runs.service", 1.0),
        ("fails", "e2e-fails.service", 0.0),
        ("again", "e2e-again.service", 1.0),
        ("nobody", "e2e-nobody.service", 0.0),
        ("both", "e2e-r*.service", 1.0),
        ("target", "multi-user.target", 1.0),
    ];
    for (probe, target, success) in good {
        until(&format!("{probe} is {success}"), PATIENCE, || (of(probe, target)? == success).then_some(()));
    }
    let page = page(machine);
    let state = |probe, target, state| {
        let [probe, kind, target] = labels(probe, target);
        page.value("vigie_probe_unit_state", &[probe, kind, target, ("name", target.1), ("state", state)])
    };
    assert_eq!(state("runs", "e2e-runs.service", "active"), 1.0);
    assert_eq!(state("fails", "e2e-fails.service", "failed"), 1.0);
    let [probe, kind, target] = labels("again", "e2e-again.service");
    let restarts = page.value("vigie_probe_unit_restarts_total", &[probe, kind, target, ("name", target.1)]);
    let counted: f64 = machine.property("e2e-again.service", "NRestarts").parse().unwrap();
    assert!(restarts >= 1.0 && restarts <= counted, "{restarts}, to systemd {counted}");
    let [probe, kind, target] = labels("runs", "e2e-runs.service");
    let start = page.value("vigie_probe_unit_start_time_seconds", &[probe, kind, target, ("name", target.1)]);
    let since = machine.shell("date +%s -d \"$(systemctl show --value -p ActiveEnterTimestamp e2e-runs)\"");
    assert!((start - since.trim().parse::<f64>().unwrap()).abs() <= 1.0, "{start}, to systemd {since}");
    let said = machine.run(&["vigie", "check", "--connect"]).out;
    assert!(said.contains("e2e-fails.service is failed (failed), expected active"), "{said}");
    assert!(said.contains("journalctl -u e2e-fails.service -e"), "{said}");
    assert!(said.contains("systemd knows no unit e2e-nobody.service"), "{said}");
    says_what_helps_without_its_user(machine);
    machine.shell("systemctl stop e2e-runs e2e-again; systemctl reset-failed 'e2e-*'");
    write_config(machine, "");
    restart(machine);
}

/// dbus-daemon knows no dynamic users (dbus-broker does): then vigie says what helps, and it does.
fn says_what_helps_without_its_user(machine: &Machine) {
    let labels = [("probe", "runs"), ("kind", "unit"), ("target", "e2e-runs.service")];
    let asked = || until("runs was asked", PATIENCE, || page(machine).find("probe_success", &labels));
    machine.shell("systemctl stop vigie; userdel vigie; systemctl start vigie");
    if asked() == 1.0 {
        eprintln!("    the bus knows dynamic users");
    } else {
        let health = machine.inside(|| Connection::tcp(9844)?.get("/health", &[])).join().unwrap().unwrap().text();
        assert!(health.contains("hangs up on this user"), "{health}");
    }
    machine.shell("systemctl stop vigie; systemd-sysusers vigie.conf; systemctl start vigie");
    assert_eq!(asked(), 1.0);
}
