//! Folders as the kernel has them; a real cgroup is in tests/services.rs.

use super::*;
use crate::samplers::trial::{Trial, only};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SERVICE: &str = r#"name="a.service",type="service""#;

/// Files of version 2 below these cgroups.
fn unified(files: &[(&str, &str)], options: &str) -> Trial {
    let files: Vec<(String, &str)> =
        files.iter().map(|(path, text)| (format!("sys/fs/cgroup/{path}"), *text)).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, *text)).collect();
    files.push(("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n"));
    files.push(("sys/dev/block/8:0/uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n"));
    files.push(("sys/dev/block/7:1/uevent", "DEVNAME=loop1\n"));
    let options = samplers::Options { services: toml::from_str(options).unwrap(), ..samplers::Options::default() };
    Trial::of(&SAMPLER, &options, &files)
}

/// The values of one metric, by the name of the unit or container.
fn values(page: &[String], metric: &str) -> Vec<(String, String)> {
    let name = |line: &&str| line.split("name=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let value = |line: &&str| line.rsplit(' ').next().unwrap().to_owned();
    only(page, metric).iter().map(|line| (name(line), value(line))).collect()
}

/// The value of the one unit that there is; nothing where there is no such metric.
fn value(page: &[String], metric: &str) -> String {
    values(page, metric).into_iter().map(|(_, value)| value).collect()
}

fn one(page: &[String], metric: &str) -> String {
    let lines = only(page, metric);
    assert_eq!(lines.len(), 1, "{metric}: {lines:?}");
    lines[0].to_owned()
}

#[test]
fn microseconds_become_seconds_and_modes_are_told_apart() {
    let stat = "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 10\nnr_throttled 4\n\
                throttled_usec 1500000\n";
    let page = unified(&[("system.slice/a.service/cpu.stat", stat)], "").pass().unwrap();
    let cpu = only(&page, "systemd_unit_cpu_seconds_total");
    assert_eq!(cpu[0], format!(r#"systemd_unit_cpu_seconds_total{{{SERVICE},mode="user"}} 3"#));
    assert_eq!(cpu[1], format!(r#"systemd_unit_cpu_seconds_total{{{SERVICE},mode="system"}} 2"#));
    assert!(one(&page, "vigie_unit_cpu_usage_seconds_total").ends_with(" 5"));
    assert!(one(&page, "vigie_unit_cpu_throttled_seconds_total").ends_with(" 1.5"));
    assert!(one(&page, "vigie_unit_cpu_throttled_periods_total").ends_with(" 4"));
}

#[test]
fn what_has_no_quota_is_not_throttled() {
    let stat = "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n";
    let page = unified(&[("system.slice/a.service/cpu.stat", stat)], "").pass().unwrap();
    assert!(page.iter().all(|line| !line.contains("periods") && !line.contains("throttled")), "{page:?}");
}

#[test]
fn memory_is_told_by_kind_and_no_limit_gives_no_point() {
    let files = [
        ("system.slice/a.service/memory.current", "9000\n"),
        ("system.slice/a.service/memory.stat", "anon 100\nfile 200\nkernel 30\ninactive_file 50\n"),
        ("system.slice/a.service/memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n"),
        ("system.slice/a.service/memory.max", "max\n"),
        ("system.slice/a.service/pids.current", "3\n"),
        ("system.slice/a.service/pids.max", "4915\n"),
    ];
    let page = unified(&files, "").pass().unwrap();
    let told = |metric: &str| value(&page, metric);
    assert_eq!(told("systemd_unit_memory_bytes"), "9000");
    assert_eq!(told("vigie_unit_memory_anon_bytes"), "100");
    assert_eq!(told("vigie_unit_memory_file_bytes"), "200");
    assert_eq!(told("vigie_unit_memory_kernel_bytes"), "30");
    assert_eq!(told("vigie_unit_memory_limit_hits_total"), "7");
    assert_eq!(told("vigie_unit_oom_events_total"), "2");
    assert_eq!(told("vigie_unit_oom_kills_total"), "1");
    assert_eq!(told("systemd_unit_tasks_current"), "3");
    assert_eq!(told("systemd_unit_tasks_max"), "4915");
    for absent in ["vigie_unit_memory_limit_bytes", "vigie_unit_memory_peak_bytes", "systemd_unit_cpu_seconds_total"] {
        assert_eq!(only(&page, absent), [""; 0], "{absent}");
    }
}

#[test]
fn io_is_told_by_device_without_loop_devices() {
    let stat = "8:0 rbytes=90 wbytes=29 rios=8 wios=12 dbytes=0 dios=0\n7:1 rbytes=5 wbytes=0 rios=1 wios=0\n\
                253:9 rbytes=1\n253:0\n";
    let files = [("system.slice/a.service/io.stat", stat), ("system.slice/a.service/pids.current", "1\n")];
    let page = unified(&files, "").pass().unwrap();
    let expected = [format!(r#"{{{SERVICE},device="sda"}} 90"#), format!(r#"{{{SERVICE},device="253:9"}} 1"#)];
    assert_eq!(
        only(&page, "systemd_unit_io_read_bytes_total"),
        expected.map(|rest| format!("systemd_unit_io_read_bytes_total{rest}"))
    );
    assert!(one(&page, "systemd_unit_io_write_operations_total").ends_with(r#"device="sda"} 12"#));
}

#[test]
fn a_device_that_got_the_number_of_another_is_told_by_its_name() {
    let files = [("system.slice/a.service/io.stat", "8:0 rbytes=90\n"), ("system.slice/a.service/pids.current", "1\n")];
    let mut trial = unified(&files, "");
    trial.pass().unwrap();
    trial.write("sys/dev/block/8:0/uevent", "DEVNAME=sdb\n");
    let renamed = |page: Vec<String>| one(&page, "systemd_unit_io_read_bytes_total").contains("sdb");
    assert!((0..2 * TURN).any(|_| renamed(trial.pass().unwrap())));
}

#[test]
fn pressure_is_told_by_resource() {
    let text =
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n";
    let files = [("system.slice/a.service/io.pressure", text), ("system.slice/a.service/pids.current", "1\n")];
    let page = unified(&files, "").pass().unwrap();
    assert!(one(&page, "vigie_unit_pressure_io_waiting_seconds_total").ends_with(" 2.5"));
    assert!(one(&page, "vigie_unit_pressure_io_stalled_seconds_total").ends_with(" 0.5"));
    assert_eq!(only(&page, "vigie_unit_pressure_cpu_waiting_seconds_total"), [""; 0]);
}

#[test]
fn a_slice_is_told_apart_from_what_it_holds() {
    let files = [
        ("system.slice/pids.current", "3\n"),
        ("system.slice/a.service/pids.current", "2\n"),
        ("system.slice/system-x.slice/pids.current", "1\n"),
        ("system.slice/system-x.slice/x@1.service/pids.current", "1\n"),
        ("init.scope/pids.current", "1\n"),
    ];
    let page = unified(&files, "").pass().unwrap();
    let info = only(&page, "vigie_unit_info");
    let slices: Vec<&str> = info.iter().map(|line| line.split('"').nth(5).unwrap()).collect();
    assert_eq!(slices, ["-.slice", "-.slice", "system.slice", "system.slice", "system-x.slice"]);
    let sum: u64 = only(&page, "systemd_unit_tasks_current")
        .iter()
        .filter(|line| !line.contains(r#"type="slice""#))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, 4);
}

#[test]
fn a_containers_scope_is_a_unit_and_has_cadvisors_names() {
    let scope = format!("system.slice/docker-{ID}.scope");
    let (current, stat, cpu, io) = (
        format!("{scope}/memory.current"),
        format!("{scope}/memory.stat"),
        format!("{scope}/cpu.stat"),
        format!("{scope}/io.stat"),
    );
    let files = [
        (&*current, "900\n"),
        (&stat, "anon 100\nfile 200\ninactive_file 150\n"),
        (&cpu, "usage_usec 5\nuser_usec 3\nsystem_usec 2\n"),
        (&io, "8:0 rbytes=90\n"),
    ];
    let page = unified(&files, "").pass().unwrap();
    let called = format!(r#"id="/{scope}",name="0123456789ab""#);
    assert_eq!(one(&page, "container_memory_rss"), format!("container_memory_rss{{{called}}} 100"));
    assert!(one(&page, "container_memory_working_set_bytes").ends_with(" 750"));
    assert!(one(&page, "container_fs_reads_bytes_total").ends_with(r#",device="/dev/sda"} 90"#));
    assert!(one(&page, "systemd_unit_memory_bytes").contains(r#"type="scope""#));
    assert_eq!(only(&page, "vigie_unit_memory_anon_bytes"), [""; 0]);
}

#[test]
fn a_container_without_a_scope_is_no_unit() {
    let current = format!("docker/{ID}/memory.current");
    let page = unified(&[(&current, "900\n")], "").pass().unwrap();
    assert_eq!(page.len(), 2, "{page:?}");
    assert!(one(&page, "container_memory_usage_bytes").contains(r#"name="0123456789ab""#));
}

#[test]
fn names_are_as_systemctl_shows_them() {
    let long = format!("{}.service", "x".repeat(247));
    let paths = [
        r"system.slice/dev-disk\x2dby.mount/pids.current",
        "system.slice/_cpu.service/pids.current",
        &format!("system.slice/{long}/pids.current"),
        "system.slice/ä b.service/pids.current",
    ];
    let page = unified(&paths.map(|path| (path, "1\n")), "").pass().unwrap();
    let names: Vec<String> = values(&page, "systemd_unit_tasks_current").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["cpu.service", r"dev-disk\\x2dby.mount", &long]);
}

#[test]
fn sessions_are_left_out_and_options_choose() {
    let files = [
        ("user.slice/user-1000.slice/session-3.scope/pids.current", "1\n"),
        ("user.slice/user-1000.slice/user@1000.service/pids.current", "1\n"),
        ("user.slice/user-1000.slice/user@1000.service/app.slice/a.service/pids.current", "2\n"),
        ("system.slice/a.service/pids.current", "3\n"),
    ];
    let names = |options: &str| -> Vec<String> {
        let page = unified(&files, options).pass().unwrap();
        values(&page, "systemd_unit_tasks_current").into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(""), ["a.service", "user@1000.service"]);
    let nested = ["a.service", "session-3.scope", "user@1000.service", "user@1000.service/a.service"];
    assert_eq!(names("user_units = true\nexclude = '^$'"), nested);
    assert_eq!(names("include = '^a'"), ["a.service"]);
}

#[test]
fn units_have_a_bound_and_the_rest_is_counted() {
    let files: Vec<String> = (0..5).map(|index| format!("system.slice/a{index}.service/pids.current")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|path| (&**path, "1\n")).collect();
    let page = unified(&files, "max_units = 3").pass().unwrap();
    assert_eq!(values(&page, "systemd_unit_tasks_current").len(), 2, "and the slice");
    assert_eq!(one(&page, "vigie_units_left_out"), "vigie_units_left_out 3");
}

#[test]
fn a_host_without_units_has_no_such_source() {
    let absent = |files: &[(&str, &str)]| {
        let error = Trial::of(&SAMPLER, &samplers::Options::default(), files).pass().unwrap_err();
        assert!(matches!(error, SampleError::Absent(_)), "{error}");
    };
    absent(&[]);
    absent(&[("sys/fs/cgroup/cgroup.controllers", ""), ("sys/fs/cgroup/cpu.stat", "usage_usec 1\n")]);
    absent(&[("sys/fs/cgroup/freezer/x", "")]);
}

#[test]
fn what_goes_in_between_gives_no_point() {
    let files = [("system.slice/a.service/pids.current", "1\n"), ("system.slice/b.service/pids.current", "1\n")];
    let mut trial = unified(&files, "");
    trial.pass().unwrap();
    trial.remove("sys/fs/cgroup/system.slice/a.service/pids.current");
    let page = trial.pass().unwrap();
    assert_eq!(values(&page, "vigie_unit_info"), [("b.service".to_owned(), "1".to_owned())]);
}

#[test]
fn what_came_while_the_agent_looked_has_counted_since_the_pass_before() {
    let mut trial = unified(&[("system.slice/a.service/pids.current", "1\n")], "");
    let since = |trial: &Trial, unit: &str| {
        let points = trial.reading.families().flat_map(|family| family.points());
        let of_unit: Vec<_> = points.filter(|point| point.labels.page().contains(unit)).collect();
        assert!(!of_unit.is_empty());
        of_unit[0].labels.since()
    };
    trial.pass().unwrap();
    let first = trial.reading.taken;
    assert_eq!(since(&trial, "a.service"), None, "nobody knows");
    trial.write("sys/fs/cgroup/system.slice/b.service/cpu.stat", "usage_usec 5\n");
    trial.pass().unwrap();
    let second = trial.reading.taken;
    trial.write("sys/fs/cgroup/system.slice/b.service/io.stat", "8:0 rbytes=90\n");
    (0..=TURN).for_each(|_| drop(trial.pass().unwrap()));
    assert!(first < second);
    assert_eq!((since(&trial, "a.service"), since(&trial, "b.service")), (None, Some(first)));
    assert_eq!(since(&trial, r#"device="sda""#), Some(first), "its devices too");
}

#[test]
fn a_unit_that_was_made_anew_is_another_though_it_used_more() {
    let mut trial = unified(&[("system.slice/a.service/cpu.stat", "usage_usec 5\n")], "");
    // A file system may give a number that is free to the next directory; cgroupfs never does.
    trial.write("sys/fs/cgroup/next/cpu.stat", "usage_usec 900\n");
    let since = |trial: &Trial| {
        let points = trial.reading.families().flat_map(|family| family.points());
        points.map(|point| point.labels.since()).max().flatten()
    };
    trial.pass().unwrap();
    let (first, cgroups) = (trial.reading.taken, trial.folder().join("sys/fs/cgroup"));
    trial.pass().unwrap();
    assert_eq!(since(&trial), None);
    let second = trial.reading.taken;
    std::fs::remove_dir_all(cgroups.join("system.slice/a.service")).unwrap();
    std::fs::rename(cgroups.join("next"), cgroups.join("system.slice/a.service")).unwrap();
    let page = trial.pass().unwrap();
    assert!(one(&page, "vigie_unit_cpu_usage_seconds_total").ends_with(" 0.0009"));
    assert!(first < second);
    assert_eq!(since(&trial), Some(second));
}

#[test]
fn a_name_that_is_no_text_hides_no_other() {
    let mut trial = unified(&[("system.slice/a.service/pids.current", "1\n")], "");
    let slice = trial.folder().join("sys/fs/cgroup/system.slice");
    let deep = (0..40).fold(slice.join("deep.service"), |path, level| path.join(format!("level{level}")));
    std::fs::create_dir_all(deep).unwrap();
    for name in [&b"\xff\xfe.service"[..], b"-.service", b".service", b"a b\tc.service", b"\\x2d\\x2d.service"] {
        std::fs::create_dir(slice.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name))).unwrap();
    }
    for _ in 0..2 {
        let page = trial.pass().unwrap();
        assert_eq!(values(&page, "systemd_unit_tasks_current"), [("a.service".to_owned(), "1".to_owned())]);
    }
}

#[test]
fn odd_files_give_no_point_and_hide_no_other() {
    let files = [
        ("system.slice/a.service/pids.current", "many\n"),
        ("system.slice/a.service/memory.current", "5\n"),
        ("system.slice/a.service/cpu.stat", "usage_usec\n\n\0 1\n"),
        ("system.slice/a.service/io.stat", "8:0 rbytes=x\n:: rbytes=1\n"),
        ("system.slice/a.service/cpu.pressure", "all of it\n"),
    ];
    let page = unified(&files, "").pass().unwrap();
    let [info, memory, left_out] = page.as_slice() else { panic!("{page:?}") };
    assert!(left_out.starts_with("vigie_units_left_out") && info.starts_with("vigie_unit_info"), "{page:?}");
    assert_eq!(*memory, format!("systemd_unit_memory_bytes{{{SERVICE}}} 5"));
}

#[test]
fn a_limit_that_was_set_is_seen_within_a_turn() {
    let mut trial = unified(
        &[("system.slice/a.service/memory.current", "5\n"), ("system.slice/a.service/memory.max", "max\n")],
        "",
    );
    trial.pass().unwrap();
    trial.write("sys/fs/cgroup/system.slice/a.service/memory.max", "4096\n");
    trial.write("sys/fs/cgroup/system.slice/a.service/memory.peak", "6\n");
    let last = (0..TURN).map(|_| trial.pass().unwrap()).last().unwrap();
    assert!(one(&last, "vigie_unit_memory_limit_bytes").ends_with(" 4096"));
    assert!(one(&last, "vigie_unit_memory_peak_bytes").ends_with(" 6"));
}

#[test]
fn an_idle_units_memory_is_read_again_once_it_ran_or_shrank() {
    let place = "sys/fs/cgroup/system.slice/a.service";
    let files = [
        ("system.slice/a.service/cpu.stat", "usage_usec 5\n"),
        ("system.slice/a.service/memory.current", "900\n"),
        ("system.slice/a.service/memory.stat", "anon 100\n"),
    ];
    let mut trial = unified(&files, "");
    // Its first pass is its turn, in which everything is read anyway.
    trial.pass().unwrap();
    trial.pass().unwrap();
    let mut anon = |file: &str, text: &str| {
        trial.write(&format!("{place}/{file}"), text);
        value(&trial.pass().unwrap(), "vigie_unit_memory_anon_bytes")
    };
    assert_eq!(anon("memory.stat", "anon 50\n"), "100", "neither");
    assert_eq!(anon("memory.current", "800\n"), "50", "it shrank");
    assert_eq!(anon("memory.stat", "anon 70\n"), "50", "neither");
    assert_eq!(anon("cpu.stat", "usage_usec 6\n"), "70", "it ran");
}

const LEGACY: &[(&str, &str)] = &[
    ("capture.toml", crate::samplers::trial::CAPTURE.1),
    ("sys/fs/cgroup/systemd/system.slice/a.service/cgroup.procs", ""),
    ("sys/fs/cgroup/cpuacct/system.slice/a.service/cpuacct.usage", "2500000000\n"),
    ("sys/fs/cgroup/cpuacct/system.slice/a.service/cpuacct.stat", "user 150\nsystem 100\n"),
    ("sys/fs/cgroup/cpu/system.slice/a.service/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 1500000000\n"),
    ("sys/fs/cgroup/memory/system.slice/a.service/memory.usage_in_bytes", "9000\n"),
    ("sys/fs/cgroup/memory/system.slice/a.service/memory.stat", "rss 1\ntotal_rss 100\ntotal_cache 200\n"),
    ("sys/fs/cgroup/memory/system.slice/a.service/memory.limit_in_bytes", "9223372036854771712\n"),
    ("sys/fs/cgroup/memory/system.slice/a.service/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    (
        "sys/fs/cgroup/blkio/system.slice/a.service/blkio.throttle.io_service_bytes",
        "8:0 Read 90\n8:0 Write 29\nTotal 119\n",
    ),
    ("sys/fs/cgroup/pids/system.slice/a.service/pids.current", "3\n"),
    ("sys/fs/cgroup/pids/system.slice/a.service/pids.max", "max\n"),
];

#[test]
fn version_1_tells_the_same_from_its_controllers() {
    let page = Trial::of(&SAMPLER, &samplers::Options::default(), LEGACY).pass().unwrap();
    let told = |metric: &str| value(&page, metric);
    assert_eq!(told("vigie_unit_cpu_usage_seconds_total"), "2.5");
    assert_eq!(told("systemd_unit_cpu_seconds_total"), "1.51");
    assert_eq!(told("vigie_unit_cpu_throttled_seconds_total"), "1.5");
    assert_eq!(told("systemd_unit_memory_bytes"), "9000");
    assert_eq!(told("vigie_unit_memory_anon_bytes"), "100");
    assert_eq!(told("vigie_unit_oom_kills_total"), "2");
    assert_eq!(told("systemd_unit_io_write_bytes_total"), "29");
    assert_eq!(told("systemd_unit_tasks_current"), "3");
    assert_eq!(told("vigie_unit_memory_limit_bytes") + &told("systemd_unit_tasks_max"), "");
}

#[test]
fn version_2_beside_version_1_tells_cpu_time_and_pressure() {
    let mut files = LEGACY.to_vec();
    let beside = "sys/fs/cgroup/unified/system.slice/a.service/";
    let (stat, pressure) = (format!("{beside}cpu.stat"), format!("{beside}cpu.pressure"));
    files.push((&stat, "usage_usec 2600001\nuser_usec 1600000\nsystem_usec 1000001\n"));
    files.push((&pressure, "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"));
    let page = Trial::of(&SAMPLER, &samplers::Options::default(), &files).pass().unwrap();
    assert!(one(&page, "vigie_unit_cpu_usage_seconds_total").ends_with(" 2.600001"));
    assert!(one(&page, "vigie_unit_pressure_cpu_waiting_seconds_total").ends_with(" 1.5"));
    assert!(one(&page, "vigie_unit_cpu_throttled_seconds_total").ends_with(" 1.5"));
    assert!(one(&page, "systemd_unit_memory_bytes").ends_with(" 9000"));
}
