use crate::samplers::trial::{CAPTURE, Trial, only};

use super::*;

const PAGE_FILES: [(&str, &str); 3] = [
    CAPTURE,
    ("proc/stat", "cpu  100 0 100 0\ncpu0 100 0 100 0\nbtime 1000\nprocesses 50\n"),
    ("proc/1/stat", "1 (systemd) S 0 1 1 0 -1 4194560 10 0 1 0 5 5 900 900 20 0 1 0 1 4096 3"),
];

/// A process below the first one, in this state, that has used so many ticks.
fn line(pid: u32, comm: &str, start: u64, ticks: u64) -> String {
    format!("{pid} ({comm}) S 1 1 1 0 -1 0 20 0 2 0 {ticks} 0 0 0 20 0 4 0 {start} 8192 2\n")
}

fn trial(options: &str) -> Trial {
    let section: samplers::Options = toml::from_str(options).unwrap();
    Trial::of(&SAMPLER, &section, &PAGE_FILES)
}

fn told(trial: &mut Trial, metric: &str) -> Vec<String> {
    let name = format!("namedprocess_namegroup_{metric}");
    let lines = trial.pass().unwrap();
    only(&lines, &name).into_iter().map(|line| line.replace(&name, "")).collect()
}

fn user_cpu(trial: &mut Trial) -> Vec<String> {
    told(trial, "cpu_seconds_total").into_iter().filter(|line| line.contains("user")).collect()
}

#[test]
fn a_group_is_told_with_all_that_the_kernel_has_of_it() {
    let mut trial = trial("processes = {}");
    trial.write("proc/7/stat", line(7, "web", 500, 300));
    trial.write(
        "proc/7/status",
        "Uid:\t33\t33\t33\t33\nVmSwap:\t4 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n",
    );
    trial.write("proc/7/io", "read_bytes: 4096\nwrite_bytes: 8192\n");
    trial.write("proc/7/cgroup", "0::/system.slice/web.service\n");
    trial.write("proc/7/limits", "Max open files            10                 524288               files     \n");
    trial.write("proc/7/fd/0", "");
    trial.write("proc/7/fd/1", "");
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "web", 500, 350));
    trial.write("proc/7/io", "read_bytes: 5000\nwrite_bytes: 9000\n");
    let lines = trial.pass().unwrap();
    let of_web: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.contains("web.service")).collect();
    let expected = [
        r#"namedprocess_namegroup_num_procs{groupname="web.service"} 1"#,
        r#"namedprocess_namegroup_cpu_seconds_total{groupname="web.service",mode="system"} 0"#,
        r#"namedprocess_namegroup_cpu_seconds_total{groupname="web.service",mode="user"} 0.5"#,
        r#"namedprocess_namegroup_memory_bytes{groupname="web.service",memtype="resident"} 8192"#,
        r#"namedprocess_namegroup_memory_bytes{groupname="web.service",memtype="swapped"} 4096"#,
        r#"namedprocess_namegroup_memory_bytes{groupname="web.service",memtype="virtual"} 8192"#,
        r#"process.memory.usage{groupname="web.service"} 8192"#,
        r#"process.memory.virtual{groupname="web.service"} 8192"#,
        r#"namedprocess_namegroup_read_bytes_total{groupname="web.service"} 904"#,
        r#"namedprocess_namegroup_write_bytes_total{groupname="web.service"} 808"#,
        r#"namedprocess_namegroup_major_page_faults_total{groupname="web.service"} 0"#,
        r#"namedprocess_namegroup_minor_page_faults_total{groupname="web.service"} 0"#,
        r#"namedprocess_namegroup_context_switches_total{ctxswitchtype="nonvoluntary",groupname="web.service"} 0"#,
        r#"namedprocess_namegroup_context_switches_total{ctxswitchtype="voluntary",groupname="web.service"} 0"#,
        r#"namedprocess_namegroup_open_filedesc{groupname="web.service"} 2"#,
        r#"namedprocess_namegroup_worst_fd_ratio{groupname="web.service"} 0.2"#,
        r#"namedprocess_namegroup_oldest_start_time_seconds{groupname="web.service"} 1005"#,
        r#"namedprocess_namegroup_num_threads{groupname="web.service"} 4"#,
    ];
    let (states, rest): (Vec<&str>, Vec<&str>) = of_web.into_iter().partition(|line| line.contains("state="));
    let mut by_family: Vec<&str> = expected.to_vec();
    let mut rest = rest;
    by_family.sort_unstable();
    rest.sort_unstable();
    assert_eq!(rest, by_family);
    assert_eq!(states.iter().filter(|line| line.ends_with(" 1")).count(), 1, "{states:?}");
}

#[test]
fn what_starts_after_the_first_pass_is_counted_whole() {
    let mut trial = trial("processes = {}");
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "new", 500, 300));
    trial.write("proc/8/stat", line(8, "old", 0, 300));
    let cpu = user_cpu(&mut trial);
    assert!(cpu.contains(&r#"{groupname="new",mode="user"} 3"#.to_owned()), "{cpu:?}");
    assert!(cpu.contains(&r#"{groupname="old",mode="user"} 0"#.to_owned()), "{cpu:?}");
}

#[test]
fn what_ended_leaves_what_it_used() {
    let mut trial = trial("processes = {}");
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "job", 500, 300));
    trial.pass().unwrap();
    trial.remove("proc/7/stat");
    let lines = trial.pass().unwrap();
    assert!(lines.contains(&r#"namedprocess_namegroup_cpu_seconds_total{groupname="job",mode="user"} 3"#.to_owned()));
    assert!(lines.contains(&r#"namedprocess_namegroup_num_procs{groupname="job"} 0"#.to_owned()));
}

#[test]
fn a_number_that_was_used_again_is_another_process() {
    let mut trial = trial("processes = {}");
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "job", 500, 300));
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "other-job", 900, 50));
    let cpu = user_cpu(&mut trial);
    assert!(cpu.contains(&r#"{groupname="job",mode="user"} 3"#.to_owned()), "{cpu:?}");
    assert!(cpu.contains(&r#"{groupname="other-job",mode="user"} 0.5"#.to_owned()), "{cpu:?}");
}

#[test]
fn a_number_that_was_used_again_within_a_tick_counts_nothing_twice() {
    let mut trial = trial("processes = {}");
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "job", 500, 300));
    trial.pass().unwrap();
    // The same start: nothing tells that it is not the same.
    trial.write("proc/7/stat", line(7, "other-job", 500, 1));
    let cpu = user_cpu(&mut trial);
    assert!(cpu.contains(&r#"{groupname="job",mode="user"} 3"#.to_owned()), "{cpu:?}");
    assert!(cpu.contains(&r#"{groupname="other-job",mode="user"} 0"#.to_owned()), "{cpu:?}");
    trial.write("proc/7/stat", line(7, "other-job", 500, 51));
    let cpu = user_cpu(&mut trial);
    assert!(cpu.contains(&r#"{groupname="other-job",mode="user"} 0.5"#.to_owned()), "{cpu:?}");
}

#[test]
fn what_vanishes_while_it_is_looked_at_is_no_error() {
    let mut trial = trial("processes = {}");
    // One that is listed and has no file any more, and one that goes after its first file.
    trial.write("proc/7/status/gone", "");
    trial.remove("proc/7/status/gone");
    trial.write("proc/8/stat", line(8, "going", 500, 1));
    for _ in 0..8 {
        let lines = trial.pass().unwrap();
        assert_eq!(only(&lines, "namedprocess_scrape_procread_errors"), ["namedprocess_scrape_procread_errors 0"]);
        assert_eq!(only(&lines, "namedprocess_scrape_partial_errors"), ["namedprocess_scrape_partial_errors 0"]);
    }
    assert!(told(&mut trial, "num_procs").contains(&r#"{groupname="going"} 1"#.to_owned()));
}

#[test]
fn a_process_of_very_many_threads_is_one_process() {
    let mut trial = trial("processes = {}");
    trial.write("proc/loadavg", "0 0 0 1/65600 9\n");
    trial.write("proc/7/stat", line(7, "web", 500, 300).replace(" 20 0 4 0 500 ", " 20 0 65536 0 500 "));
    for thread in 7..1007 {
        trial.write(&format!("proc/7/task/{thread}/stat"), line(thread, "web", 500, 300));
    }
    assert!(told(&mut trial, "num_threads").contains(&r#"{groupname="web"} 65536"#.to_owned()));
    assert!(told(&mut trial, "num_procs").contains(&r#"{groupname="web"} 1"#.to_owned()));
}

#[test]
fn a_program_that_execs_another_changes_its_group() {
    let mut trial = trial("processes = {}");
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "sh", 500, 1));
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "burn", 500, 201));
    let cpu = user_cpu(&mut trial);
    assert!(cpu.contains(&r#"{groupname="sh",mode="user"} 0.01"#.to_owned()), "{cpu:?}");
    assert!(cpu.contains(&r#"{groupname="burn",mode="user"} 2"#.to_owned()), "{cpu:?}");
}

#[test]
fn threads_of_the_kernel_are_one_group_and_odd_names_are_no_error() {
    let mut trial = trial("processes = {}");
    trial.write("proc/2/stat", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 4 0 0 20 0 1 0 31 0 0");
    trial.write("proc/3/stat", "3 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 4 0 0 20 0 1 0 31 0 0");
    trial.write(
        "proc/4/stat",
        [b"4 (a)\n(\xff) ".as_slice(), line(4, "", 9, 1).split_once(") ").unwrap().1.as_bytes()].concat(),
    );
    trial.write("proc/5/stat", "rubbish");
    let processes = told(&mut trial, "num_procs");
    let expected = [
        "{groupname=\"systemd\"} 1",
        "{groupname=\"kernel\"} 2",
        "{groupname=\"a)?(\u{fffd}\"} 1",
        "{groupname=\"other\"} 0",
    ];
    let (mut told, mut expected) = (processes, expected.map(str::to_owned).to_vec());
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    let lines = trial.pass().unwrap();
    assert_eq!(only(&lines, "namedprocess_scrape_procread_errors"), ["namedprocess_scrape_procread_errors 2"]);
}

#[test]
fn rules_name_groups_and_children_follow_their_parents() {
    let options =
        "[processes]\nrules = [{ name = 'web {{.Matches.Port}}', comm = ['nginx'], cmdline = [':(?P<Port>\\d+)'] }]\n";
    let mut trial = trial(options);
    trial.write("proc/7/stat", line(7, "nginx", 500, 1));
    trial.write("proc/7/cmdline", "nginx\0-l\0:80\0");
    trial.write("proc/8/stat", line(8, "worker", 500, 1).replace(" S 1 ", " S 7 "));
    let processes = told(&mut trial, "num_procs");
    assert_eq!(processes, [r#"{groupname="web 80"} 2"#, r#"{groupname="other"} 1"#]);
}

#[test]
fn memory_is_divided_where_that_is_asked_for() {
    for (options, expected) in [("processes = { proportional = true }", 2), ("processes = {}", 0)] {
        let mut trial = trial(options);
        trial.write("proc/7/stat", line(7, "a", 500, 1));
        trial.write("proc/7/smaps_rollup", "Pss:  3 kB\nSwapPss:  0 kB\n");
        let memory = told(&mut trial, "memory_bytes");
        let proportional = memory.iter().filter(|line| line.contains("proportional") && line.contains("\"a\""));
        assert_eq!(proportional.count(), expected, "{memory:?}");
    }
}

#[test]
fn what_no_group_has_is_told_after_every_process_had_its_turn() {
    let mut trial = trial("processes = {}");
    trial.pass().unwrap();
    trial.write("proc/stat", "cpu  400 0 100 0\ncpu0 100 0 100 0\nbtime 1000\nprocesses 51\n");
    let name = "vigie_process_cpu_unattributed_seconds_total";
    let told: Vec<String> = (0..8).map(|_| only(&trial.pass().unwrap(), name).concat()).collect();
    assert!(told[0].ends_with(" 0") && told[7].ends_with(" 3"), "{told:?}");
}

#[test]
fn no_list_is_read_while_nothing_comes_or_goes() {
    let mut trial = trial("processes = {}");
    trial.write("proc/loadavg", "0 0 0 1/2 9\n");
    trial.pass().unwrap();
    trial.write("proc/7/stat", line(7, "new", 500, 300));
    assert_eq!(told(&mut trial, "num_procs").len(), 2);
    trial.write("proc/loadavg", "0 0 0 1/3 9\n");
    assert_eq!(told(&mut trial, "num_procs").len(), 3);
}

#[test]
fn a_host_without_processes_has_no_such_source() {
    let mut trial = Trial::of(&SAMPLER, &samplers::Options::default(), &[CAPTURE]);
    assert!(matches!(trial.pass(), Err(SampleError::Absent(_))));
}

#[test]
fn a_steady_pass_allocates_little() {
    let mut trial = Trial::of(&SAMPLER, &samplers::Options::default(), &PAGE_FILES);
    for pid in 7..107 {
        trial.write(&format!("proc/{pid}/stat"), line(pid, &format!("job{pid}"), 500, 1));
    }
    (0..10).for_each(|_| drop(trial.pass().unwrap()));
    let allocations = allocation_counter::measure(|| trial.sample().unwrap()).count_total;
    assert!(allocations <= 8, "{allocations}");
}
