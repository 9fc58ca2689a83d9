//! icmp: over the kernel's own ping socket, in a network of the test's own.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::support::{find, skipped};
use super::{Said, one};

fn icmp(host: &str) -> Said {
    one(&format!("[[probe.icmp]]\nname = 'x'\nhost = '{host}'\ntimeout = '1s'\n"))
}

/// Runs the test on a thread with a network of its own, in which `groups` may ping; or says why it cannot.
pub(super) fn with_groups(groups: &str, test: impl FnOnce() + Send) {
    let Some(ip) = find("ip") else { return skipped("no ip (iproute2)") };
    let run = || -> Result<(), String> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| format!("no network of our own: {errno}"))?;
        let up = Command::new(ip).args(["link", "set", "lo", "up"]).status();
        up.map_err(|error| error.to_string())?.success().then_some(()).ok_or("the loopback does not come up")?;
        let range = std::fs::write("/proc/sys/net/ipv4/ping_group_range", groups);
        range.map_err(|error| format!("ping_group_range cannot be set: {error}"))?;
        test();
        Ok(())
    };
    let outcome = std::thread::scope(|scope| scope.spawn(run).join());
    if let Err(why) = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
        skipped(&why);
    }
}

#[test]
fn a_host_that_answers_is_good_over_both_versions_of_ip() {
    with_groups("0 2147483647", || {
        for host in ["127.0.0.1", "::1", "localhost"] {
            let said = icmp(host);
            assert_eq!(said.result, "good", "{said:?}");
        }
        // There is no way there from this network.
        assert_eq!(icmp("192.0.2.1").result, "connect");
    });
}

#[test]
fn where_the_group_may_not_ping_a_capability_lets_it() {
    with_groups("1 0", || {
        for host in ["127.0.0.1", "::1"] {
            let said = icmp(host);
            assert_eq!(said.result, "good", "{said:?}");
        }
        assert_eq!(icmp("192.0.2.1").result, "connect");
    });
}

#[test]
fn where_the_kernel_forbids_it_the_drop_in_and_the_sysctl_are_named() {
    with_groups("1 0", || {
        // Of this thread, and of what it starts.
        remove_capability_from_bounding_set(CapabilitySet::NET_RAW).unwrap();
        let said = icmp("127.0.0.1");
        assert_eq!(said.result, "permission", "{said:?}");
        assert!(said.why.contains("net.ipv4.ping_group_range") && said.why.contains("icmp.conf"), "{said:?}");
    });
}
