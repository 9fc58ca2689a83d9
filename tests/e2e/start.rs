//! What may be wrong with a host that starts, or be done to a unit that does.

use std::time::Duration;

use crate::collector::{Collector, Site};
use crate::machine::Machine;
use crate::support::{PATIENCE, WallClock, now_seconds, skipped, until};
use crate::{
    MANY_CONNECTIONS, active, drop_in, main_pid, moments, nanoseconds, page, restart, without_drop_ins, write_config,
};

const ROUNDS: u64 = 40;
/// From one moment of the start to the next.
const STEP: Duration = Duration::from_millis(7);

/// Nobody listens there until the test does.
const COLLECTOR: &str = "[otlp]\nendpoint = \"http://collector.vigie.test:4317\"\ninterval = \"1s\"\n";

const PROBES: &str = r#"
[[probe.tcp]]
name = "mail"
address = "mail.vigie.test:25"
interval = "1s"
[[probe.dns]]
name = "resolver"
query = "vigie.test"
interval = "1s"
[[probe.icmp]]
name = "gateway"
host = "gateway.vigie.test"
interval = "1s"
"#;

fn collector(machine: &Machine) -> Collector {
    machine.inside(|| Collector::on(Site { port: 4317, ..Site::default() })).join().unwrap()
}

fn on_disk(machine: &Machine) -> Option<f64> {
    page(machine).find("vigie_push_spool_on_disk", &[])
}

pub(crate) fn stops_while_it_starts(machine: &Machine) {
    machine.good(&["systemctl", "stop", "vigie"]);
    let mut started = 0;
    for round in 0..ROUNDS {
        // Starts by hand count too.
        machine.shell("systemctl reset-failed vigie; systemctl start --no-block vigie");
        std::thread::sleep(STEP * u32::try_from(round).unwrap());
        started += u32::from(active(machine) == "active");
        machine.good(&["systemctl", "stop", "vigie"]);
        let ended =
            ["ActiveState", "Result", "NFileDescriptorStore"].map(|name| machine.property("vigie.service", name));
        assert_eq!(ended, ["inactive", "success", "0"], "round {round}: {}", machine.journal());
        assert_ne!(machine.run(&["pidof", "vigie"]).code, Some(0), "round {round}");
    }
    eprintln!("    {ROUNDS} stops, {started} of them after the start");
    restart(machine);
    page(machine);
}

pub(crate) fn starts_without_a_network(machine: &Machine) {
    // A resolver that no route leads to.
    machine.shell(
        "rm -f /etc/resolv.conf; echo nameserver 192.0.2.53 >/etc/resolv.conf
         touch /etc/hosts; cp /etc/hosts /etc/hosts.e2e",
    );
    write_config(machine, &format!("{COLLECTOR}{PROBES}"));
    restart(machine);
    machine.good(&["vigie", "wait", "--ready", "--timeout", "5s"]);
    let all_failed = || {
        let page = page(machine);
        let failed = page.of("probe_success").filter(|(_, success)| *success == 0.0).count();
        (failed == 3 && page.value("vigie_push_spool_requests", &[]) >= 2.0).then_some(page)
    };
    let seen = until("every probe fails, and pushes wait", PATIENCE, all_failed);
    assert_eq!(seen.value("vigie_push_spool_on_disk", &[]), 1.0);
    assert!(seen.find("node_load1", &[]).is_some());
    // Once, if it has given the name up yet, and not once for each attempt.
    let told =
        machine.shell("journalctl --no-pager --output=cat --unit=vigie --since=-1min | grep -c collector || true");
    assert!(told.trim().parse::<u32>().unwrap() <= 3, "{}", machine.journal());

    let there = nanoseconds();
    let collector = collector(machine);
    machine.shell("echo 127.0.0.1 collector.vigie.test gateway.vigie.test >>/etc/hosts");
    until("what waited is delivered", PATIENCE * 2, || {
        let came = moments(&collector.calls());
        (came.iter().any(|moment| *moment < there) && came.iter().any(|moment| *moment > there)).then_some(())
    });
    machine.shell("cp /etc/hosts.e2e /etc/hosts");
    write_config(machine, MANY_CONNECTIONS);
    restart(machine);
}

pub(crate) fn starts_on_a_full_disk(machine: &Machine) {
    write_config(machine, COLLECTOR);
    machine.shell(
        "systemctl stop vigie; mount -t tmpfs -o size=256k vigie-e2e /var/lib/private/vigie
         head -c 1M /dev/zero >/var/lib/private/vigie/full 2>/dev/null || true",
    );
    restart(machine);
    machine.good(&["vigie", "wait", "--ready", "--timeout", "5s"]);
    until("it says that the spool is in memory", PATIENCE, || (on_disk(machine) == Some(0.0)).then_some(()));
    let told = machine.journal();
    assert!(told.contains("make room on its filesystem"), "{told}");
    machine.shell("rm /var/lib/private/vigie/full");
    until("it uses the room", PATIENCE, || (on_disk(machine) == Some(1.0)).then_some(()));
    assert!(machine.journal().contains("the spool works again"));
    write_config(machine, MANY_CONNECTIONS);
    machine.shell("systemctl stop vigie; umount /var/lib/private/vigie");
    restart(machine);
}

pub(crate) fn starts_with_a_state_of_somebody_else(machine: &Machine) {
    write_config(machine, COLLECTOR);
    restart(machine);
    let waiting = || page(machine).find("vigie_push_spool_requests", &[]).filter(|requests| *requests >= 2.0);
    let waited = until("requests wait", PATIENCE, waiting);
    // Such as from a backup: systemd gives all of it back to the unit's user.
    machine.shell("systemctl stop vigie; chown -R nobody /var/lib/private/vigie");
    restart(machine);
    let seen = page(machine);
    assert_eq!(seen.value("vigie_push_spool_on_disk", &[]), 1.0);
    assert!(seen.value("vigie_push_spool_requests", &[]) >= waited);

    // The folder is the user's, which is all that systemd looks at, and what is in it is not.
    machine.shell("systemctl stop vigie; chown root:root /var/lib/private/vigie/spool");
    restart(machine);
    machine.good(&["vigie", "wait", "--ready", "--timeout", "5s"]);
    until("it says that the spool is in memory", PATIENCE, || (on_disk(machine) == Some(0.0)).then_some(()));
    let told = machine.journal();
    assert!(told.contains("/var/lib/vigie/spool") && told.contains("let vigie's user write there"), "{told}");
    machine.shell("chown --reference=/var/lib/private/vigie /var/lib/private/vigie/spool");
    until("it has it back", PATIENCE, || (on_disk(machine) == Some(1.0)).then_some(()));
    assert!(page(machine).value("vigie_push_spool_requests", &[]) >= waited);
    write_config(machine, MANY_CONNECTIONS);
    restart(machine);
}

/// Linux gives no container a clock of its own: libfaketime is preloaded to the unit, which takes a program that loads
/// libraries at all.
pub(crate) fn starts_by_a_wrong_clock(machine: &Machine) {
    let clock = match WallClock::new() {
        Ok(clock) => clock,
        Err(why) => return skipped(&why),
    };
    let variables = clock.env().map(|(name, value)| match name {
        "FAKETIME_TIMESTAMP_FILE" => format!("Environment={name}=/run/e2e-clock"),
        _ => format!("Environment={name}={}", value.display()),
    });
    let set = |seconds: i64| {
        machine.shell(&format!("echo '{seconds:+}' >/run/e2e-clock.next; mv /run/e2e-clock.next /run/e2e-clock"))
    };
    set(0);
    drop_in(machine, &format!("[Service]\n{}", variables.join("\n")));
    machine.shell("echo 127.0.0.1 collector.vigie.test >>/etc/hosts");
    write_config(machine, COLLECTOR);
    let collector = collector(machine);
    // Two minutes after midnight of the first of January 1970, and eighty years from now.
    for wrong in [120 - now_seconds() as i64, 80 * 365 * 86_400] {
        set(wrong);
        restart(machine);
        machine.good(&["vigie", "wait", "--ready", "--timeout", "5s"]);
        let (process, off) = (main_pid(machine), page(machine).value("node_time_seconds", &[]) - now_seconds());
        if off.abs() < 1e6 {
            skipped("a program that loads no library has no other clock than the kernel's");
            break;
        }
        assert!((off - wrong as f64).abs() < 60.0, "{off}");
        let by_wrong_clock =
            |moments: Vec<u64>| moments.iter().any(|at| at.abs_diff(nanoseconds()) > 1_000_000_000_000_000);
        until("it pushes", PATIENCE, || by_wrong_clock(moments(&collector.calls())).then_some(()));
        set(0);
        let asked = nanoseconds();
        until("it pushes by the right clock", PATIENCE, || {
            moments(&collector.take()).iter().any(|at| (asked..=nanoseconds()).contains(at)).then_some(())
        });
        assert!((page(machine).value("node_time_seconds", &[]) - now_seconds()).abs() < 60.0);
        assert_eq!((main_pid(machine), machine.property("vigie.service", "NRestarts")), (process, "0".to_owned()));
        machine.good(&["systemctl", "reload", "vigie"]);
    }
    machine.shell("cp /etc/hosts.e2e /etc/hosts; rm -f /run/e2e-clock");
    write_config(machine, MANY_CONNECTIONS);
    without_drop_ins(machine);
}
