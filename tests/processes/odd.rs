//! Odd processes: none of them is an error, and each is where it belongs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::programs::{Programs, Running};
use crate::support::{Agent, PATIENCE, Page, until};
use crate::{BY_NAME, of};

#[test]
fn no_name_and_no_command_line_is_an_error() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    let names = [&b"vg) R 1 ("[..], b"vg\nline", b"vg\xff\xfe", b"vg \"quote\\", b"((vg"];
    let long = format!("read line; : {}", "x".repeat(100_000));
    let _running: Vec<Running> =
        names.iter().map(|name| programs.shell_with(&OsString::from_vec(name.to_vec()), long.as_ref())).collect();
    let page = until("all are there", PATIENCE, || {
        let page = agent.page();
        let groups = ["vg) R 1 (", "vg?line", "vg\u{fffd}\u{fffd}", "vg \"quote\\", "((vg"];
        groups.iter().all(|group| of(&page, "num_procs", group) == 1.0).then_some(page)
    });
    assert_eq!(page.value("namedprocess_scrape_procread_errors", &[]), 0.0);
}

#[test]
fn a_long_command_line_is_matched_at_its_beginning() {
    let rules =
        "samplers.processes.rules=[{ name = '{{.ExeBase}} {{.Matches.Word}}', cmdline = ['(?P<Word>vg-word\\S*)'] }]";
    let args: Vec<&str> = BY_NAME[..6].iter().copied().chain(["--set", rules]).collect();
    let (programs, agent) = (Programs::new(), Agent::start(&args));
    let filler = |bytes: usize| "x".repeat(bytes);
    // The word stands within the 4096 bytes that are read, behind them, and beside what is no text.
    let near = programs.shell("vg-near", &format!("read line; : vg-word-1 {}", filler(100_000)));
    let far = programs.shell("vg-far", &format!("read line; : {} vg-word-2", filler(8192)));
    let mut bytes = b"read line; : \xff\xfe vg-word-3 ".to_vec();
    bytes.extend(filler(4096).into_bytes());
    let odd = programs.shell_with("vg-odd".as_ref(), &OsString::from_vec(bytes));
    let page = until("they are there", PATIENCE, || {
        let page = agent.page();
        let groups = ["vg-near vg-word-1", "vg-odd vg-word-3"];
        groups.iter().all(|group| of(&page, "num_procs", group) == 1.0).then_some(page)
    });
    assert_eq!(of(&page, "num_procs", "vg-far vg-word-2"), 0.0);
    assert_eq!(page.value("namedprocess_scrape_partial_errors", &[]), 0.0);
    drop((near, far, odd));
}

#[test]
fn a_zombie_is_counted_and_holds_nothing() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    programs.link("sh", "vg-zombie".as_ref());
    programs.link("sh", "vg-careless".as_ref());
    // What it becomes knows nothing of the child that it has, and never waits for it.
    let parent = programs.shell("vg-parent", "./vg-zombie -c : & exec ./vg-careless -c 'read line'");
    let state = |page: &Page, state| {
        let labels = [("groupname", "vg-zombie"), ("state", state)];
        page.find("namedprocess_namegroup_states", &labels).unwrap_or_default()
    };
    let page = until("it is a zombie", PATIENCE, || Some(agent.page()).filter(|page| state(page, "Zombie") == 1.0));
    assert_eq!((of(&page, "num_procs", "vg-zombie"), state(&page, "Sleeping")), (1.0, 0.0));
    let resident = [("groupname", "vg-zombie"), ("memtype", "resident")];
    assert_eq!(page.value("namedprocess_namegroup_memory_bytes", &resident), 0.0);
    // Its files are closed and cannot be listed any more.
    assert_eq!(of(&page, "open_filedesc", "vg-zombie"), 0.0);
    assert_eq!(page.value("namedprocess_scrape_procread_errors", &[]), 0.0);
    assert_eq!(page.value("namedprocess_scrape_partial_errors", &[]), 0.0);
    drop(parent);
    until("it is gone", PATIENCE, || (of(&agent.page(), "num_procs", "vg-zombie") == 0.0).then_some(()));
}

#[test]
fn ten_thousand_threads_are_those_of_one_process() {
    let agent = Agent::start(BY_NAME);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let stopped = std::sync::Arc::new(std::sync::Mutex::new(stopped));
    // As many as the machine lets.
    let threads: Vec<_> = (0..10_000)
        .map_while(|_| {
            let stopped = std::sync::Arc::clone(&stopped);
            let wait = move || drop(stopped.lock().map(|stopped| stopped.recv()));
            std::thread::Builder::new().stack_size(16 << 10).spawn(wait).ok()
        })
        .collect();
    let own = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (name, rest) = stat.rsplit_once(')').unwrap();
        let threads: f64 = rest.split_whitespace().nth(17).unwrap().parse().unwrap();
        (name.split_once('(').unwrap().1.to_owned(), threads)
    };
    // Other tests of this process begin and end beside.
    let page = until("they are counted", PATIENCE, || {
        let (before, page, after) = (own(), agent.page(), own());
        (before == after && of(&page, "num_threads", &after.0) >= after.1).then_some(page)
    });
    assert!(of(&page, "num_threads", &own().0) >= threads.len() as f64 && threads.len() > 1000, "{}", threads.len());
    assert_eq!(page.value("namedprocess_scrape_procread_errors", &[]), 0.0);
    drop(stop);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
