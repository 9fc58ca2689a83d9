//! The drop-ins that the package brings, and that nothing of what they allow is allowed without them.

use crate::machine::Machine;
use crate::support::{PATIENCE, until};
use crate::{MANY_CONNECTIONS, main_pid, page, restart, sight, without_drop_ins, write_config};

/// Does with it what docs/deploy.md says.
fn link(machine: &Machine, name: &str) {
    machine.shell(&format!(
        "mkdir -p /etc/systemd/system/vigie.service.d
         ln -s /usr/share/vigie/drop-ins/{name}.conf /etc/systemd/system/vigie.service.d/"
    ));
    restart(machine);
}

/// Its capabilities, by their numbers in capability.h.
#[track_caller]
fn may(machine: &Machine, capabilities: &[u32]) {
    let status = machine.shell(&format!("cat /proc/{}/status", main_pid(machine)));
    let mask = capabilities.iter().fold(0_u64, |mask, capability| mask | 1 << capability);
    assert!(status.contains(&format!("CapEff:\t{mask:016x}")), "{status}");
    assert!(status.contains(&format!("CapBnd:\t{mask:016x}")), "{status}");
}

/// Waits until the probe has that outcome.
#[track_caller]
fn outcome(machine: &Machine, probe: &str, success: f64) {
    until(&format!("the probe {probe} says {success}"), PATIENCE, || {
        let page = page(machine);
        let said = page.of("probe_success").find(|(series, _)| series.label("probe") == probe)?.1;
        (said == success).then_some(())
    });
}

/// Of the only failures there are.
#[track_caller]
fn fails_for(machine: &Machine, reason: &str) {
    let page = page(machine);
    let reasons = page.of("vigie_probe_failures_total").filter(|(_, failures)| *failures > 0.0);
    let reasons: Vec<_> = reasons.map(|(series, _)| series.label("reason").to_owned()).collect();
    assert_eq!(reasons, [reason]);
}

pub(crate) fn process_details(machine: &Machine) {
    link(machine, "process-details");
    // CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
    may(machine, &[2, 19]);
    let page = page(machine);
    assert!(sight::is_measured(&page, sight::CLOSED));
    let hidden = page.of("vigie_process_fields_unavailable").map(|(_, hidden)| hidden).sum::<f64>();
    assert_eq!(hidden, 0.0);
    without_drop_ins(machine);
}

pub(crate) fn icmp(machine: &Machine) {
    // As Linux has it, before distributions open it to everybody.
    machine.shell("echo '1 0' >/proc/sys/net/ipv4/ping_group_range");
    write_config(machine, "[[probe.icmp]]\nname = \"self\"\nhost = \"127.0.0.1\"\ninterval = \"1s\"\n");
    restart(machine);
    outcome(machine, "self", 0.0);
    fails_for(machine, "permission");
    link(machine, "icmp");
    outcome(machine, "self", 1.0);
    // CAP_NET_RAW.
    may(machine, &[13]);
    write_config(machine, MANY_CONNECTIONS);
    without_drop_ins(machine);
}

/// Not Docker, but its socket with its owner and its mode, and something that answers.
const DOCKER: &str = "
getent group docker >/dev/null || groupadd --system docker
printf '[Socket]\\nListenStream=/run/docker.sock\\nSocketGroup=docker\\nSocketMode=0660\\nAccept=yes\\n' \
    >/run/systemd/system/e2e-docker.socket
printf '[Service]\\nExecStart=/bin/echo OK\\nStandardInput=socket\\nStandardOutput=socket\\n' \
    >/run/systemd/system/e2e-docker@.service
systemctl daemon-reload
systemctl start e2e-docker.socket";

pub(crate) fn docker(machine: &Machine) {
    machine.shell(DOCKER);
    let probe = "name = \"docker\"\naddress = \"unix:/run/docker.sock\"\nscript = [{ expect = \"^OK\" }]";
    write_config(machine, &format!("[[probe.tcp]]\n{probe}\ninterval = \"1s\"\n"));
    restart(machine);
    outcome(machine, "docker", 0.0);
    fails_for(machine, "permission");
    link(machine, "docker");
    outcome(machine, "docker", 1.0);
    may(machine, &[]);
    machine.shell("systemctl stop e2e-docker.socket; rm -f /run/systemd/system/e2e-docker* /run/docker.sock");
    write_config(machine, MANY_CONNECTIONS);
    without_drop_ins(machine);
}
