//! Groups of real processes: what the page says of them is what the kernel says.

// Helpers of a test may panic as the test may; the test runs other programs.
#![allow(
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

mod hidden;
mod odd;
mod programs;
mod storm;
#[path = "../support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::time::Duration;

use programs::{Programs, Running};
use support::{Agent, PATIENCE, Page, process_exporter, skipped, until};

/// Every process by its name, all of them shown, a pass for each page.
const BY_NAME: &[&str] = &[
    "--set",
    "http.max_age='0s'",
    "--set",
    "http.deadline='30s'",
    "--set",
    "samplers.processes.top=1000",
    "--set",
    "samplers.processes.rules=[{ name = '{{.Comm}}' }]",
];

fn of(page: &Page, metric: &str, group: &str) -> f64 {
    page.find(&format!("namedprocess_namegroup_{metric}"), &[("groupname", group)]).unwrap_or_default()
}

/// The last of so many pages, which is as many passes.
fn pages(agent: &Agent, count: usize) -> Page {
    (1..count).for_each(|_| drop(agent.page()));
    agent.page()
}

/// CPU of all groups whose names begin so.
fn cpu(page: &Page, group: &str) -> f64 {
    let series = page.of("namedprocess_namegroup_cpu_seconds_total");
    series.filter(|(series, _)| series.label("groupname").starts_with(group)).map(|(_, value)| value).sum()
}

#[test]
fn a_group_has_the_cpu_that_its_member_used_and_keeps_it() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    agent.page();
    let mut burner = programs.shell("vg-burn", "while :; do :; done");
    let mut last = 0.0;
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(300));
        let before = burner.own_cpu();
        last = cpu(&agent.page(), "vg-burn");
        let after = burner.own_cpu();
        assert!(before <= last && last <= after, "{last} is not between {before} and {after}");
    }
    assert_eq!(of(&agent.page(), "num_procs", "vg-burn"), 1.0);
    burner.0.kill().unwrap();
    burner.0.wait().unwrap();
    let page = agent.page();
    assert_eq!(of(&page, "num_procs", "vg-burn"), 0.0);
    assert!(cpu(&page, "vg-burn") >= last);
}

#[test]
fn what_short_lives_used_is_in_the_group_that_waited_for_them() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    programs.link("sh", OsStr::new("vg-forks-child"));
    agent.page();
    let child = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done";
    let script =
        format!("n=0; while [ $n -lt 250 ]; do ./vg-forks-child -c '{child}'; n=$((n+1)); done; touch done; read line");
    let parent = programs.shell("vg-forks", &script);
    // Pages in between see some of the children and not others.
    until("the children are over", PATIENCE, || {
        agent.page();
        programs.0.path().join("done").exists().then_some(())
    });
    until("it waits", PATIENCE, || (parent.state() == 'S').then_some(()));
    let told = (0..8).map(|_| cpu(&agent.page(), "vg-forks")).fold(0.0, f64::max);
    let kernel = parent.whole_cpu();
    assert!(kernel > 0.3, "{kernel}");
    assert!((told - kernel).abs() < 0.05, "{told} is not {kernel}");
}

#[test]
fn bytes_are_counted_once_though_the_kernel_hands_them_to_the_parent() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    programs.link("dd", OsStr::new("vg-disk-dd"));
    agent.page();
    let dd = "./vg-disk-dd if=/dev/zero of=file bs=1M count=16 conv=fsync status=none";
    // One that no pass sees the end of, and one that waits in between: sleep keeps it from ending.
    let script = format!("{dd}; ( {dd}; sleep 1; : ); touch done; read line");
    let parent = programs.shell("vg-disk", &script);
    until("the writing is over", PATIENCE, || {
        agent.page();
        programs.0.path().join("done").exists().then_some(())
    });
    let page = pages(&agent, 8);
    let io = std::fs::read_to_string(format!("/proc/{}/io", parent.0.id())).unwrap();
    let kernel: f64 = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap();
    if kernel < f64::from(32 << 20) {
        return skipped("the folder of temporary files is on no disk");
    }
    let series = page.of("namedprocess_namegroup_write_bytes_total");
    let told: f64 =
        series.filter(|(series, _)| series.label("groupname").starts_with("vg-disk")).map(|(_, value)| value).sum();
    assert!((told / kernel - 1.0).abs() < 0.01, "{told} is not {kernel}");
}

#[test]
fn memory_threads_and_files_are_those_of_the_kernel() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    let script = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); exec 7</dev/null; touch done; read line";
    let process = programs.shell("vg-memory", script);
    process.wait_for(&programs, "done");
    until("it waits", PATIENCE, || (process.state() == 'S').then_some(()));
    let page = agent.page();
    let resident = |memtype| {
        page.value("namedprocess_namegroup_memory_bytes", &[("groupname", "vg-memory"), ("memtype", memtype)])
    };
    let stat = process.stat();
    assert!(resident("resident") > 30e6, "{}", resident("resident"));
    assert_eq!((resident("virtual"), resident("resident")), (stat[20] as f64, stat[21] as f64 * page_size()));
    assert_eq!(of(&page, "num_threads", "vg-memory"), 1.0);
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.0.id())).unwrap().count();
    assert_eq!(of(&page, "open_filedesc", "vg-memory"), files as f64);
    assert!(of(&page, "worst_fd_ratio", "vg-memory") > 0.0);
    let begun = page.value("node_boot_time_seconds", &[]) + stat[19] as f64 / 100.0;
    assert!((of(&page, "oldest_start_time_seconds", "vg-memory") - begun).abs() < 2.0);
}

fn page_size() -> f64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap().unwrap() as f64
}

#[test]
fn a_process_that_becomes_another_program_changes_its_group() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    programs.link("sh", OsStr::new("vg-exec-two"));
    let mut process =
        programs.shell("vg-exec-one", "touch one; read line; exec ./vg-exec-two -c 'touch two; read line'");
    process.wait_for(&programs, "one");
    // Idle for longer than it takes to be left alone.
    pages(&agent, 10);
    assert_eq!(of(&agent.page(), "num_procs", "vg-exec-one"), 1.0);
    std::io::Write::write_all(process.0.stdin.as_mut().unwrap(), b"\n").unwrap();
    process.wait_for(&programs, "two");
    let page = pages(&agent, 7);
    assert_eq!((of(&page, "num_procs", "vg-exec-one"), of(&page, "num_procs", "vg-exec-two")), (0.0, 1.0));
}

#[test]
fn process_exporter_says_the_same_of_the_same_groups() {
    let Some(peer) = process_exporter("process_names:\n  - name: '{{.Comm}}'\n    cmdline: ['.+']\n") else {
        return skipped("prometheus-process-exporter is not installed");
    };
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    let busy = programs.shell("vg-peer-busy", "while :; do :; done");
    let idle: Vec<Running> = (0..3).map(|_| programs.shell("vg-peer-idle", "read line")).collect();
    let groups = ["vg-peer-busy", "vg-peer-idle"];
    let all = |page: &Page| of(page, "num_procs", groups[0]) == 1.0 && of(page, "num_procs", groups[1]) == 3.0;
    until("both see them", PATIENCE, || (all(&agent.page()) && all(&peer.page())).then_some(()));
    let (outer, theirs_before, inner) = (agent.page(), peer.page(), agent.page());
    std::thread::sleep(Duration::from_secs(2));
    let (after, theirs, last) = (agent.page(), peer.page(), agent.page());
    for group in groups {
        for metric in ["num_procs", "num_threads", "open_filedesc", "oldest_start_time_seconds"] {
            let (ours, theirs) = (of(&after, metric, group), of(&theirs, metric, group));
            assert!((ours - theirs).abs() < 2.0, "{metric} of {group}: {ours} here, {theirs} there");
        }
        for memtype in ["resident", "virtual", "swapped"] {
            let labels = [("groupname", group), ("memtype", memtype)];
            let of = |page: &Page| page.value("namedprocess_namegroup_memory_bytes", &labels);
            assert_eq!(of(&after), of(&theirs), "{memtype} of {group}");
        }
    }
    let used = |from: &Page, to: &Page| cpu(to, groups[0]) - cpu(from, groups[0]);
    let (least, most, theirs) = (used(&inner, &after), used(&outer, &last), used(&theirs_before, &theirs));
    assert!(least > 0.1 && least - 0.02 <= theirs && theirs <= most + 0.02, "{least} to {most} here, {theirs} there");
    drop((busy, idle));
}

#[test]
fn all_groups_together_have_the_hosts_cpu() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    let host = |page: &Page| -> f64 {
        let modes = ["user", "nice", "system"];
        let series = page.of("node_cpu_seconds_total");
        series.filter(|(series, _)| modes.contains(&series.label("mode"))).map(|(_, value)| value).sum()
    };
    let groups = |page: &Page| cpu(page, "") + page.value("vigie_process_cpu_unattributed_seconds_total", &[]);
    pages(&agent, 8);
    let before = agent.page();
    let _running: Vec<Running> = ["while :; do (:); done", "while :; do :; done"]
        .iter()
        .enumerate()
        .map(|(index, script)| programs.shell(&format!("vg-host-{index}"), script))
        .collect();
    std::thread::sleep(Duration::from_secs(3));
    let after = pages(&agent, 8);
    let (host, groups) = (host(&after) - host(&before), groups(&after) - groups(&before));
    assert!((groups / host - 1.0).abs() < 0.15, "groups have {groups} s, the host {host} s");
}
