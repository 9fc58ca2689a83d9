//! What the agent may not see, as another user and where /proc hides processes: a state, one line, and nothing wrong.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use tempfile::TempDir;

use crate::programs::{Programs, Running};
use crate::support::{self, Connection, PATIENCE, Page, parse, privileged, skipped, until, vigie, vm, with_own_mounts};
use crate::{cpu, of};

/// Nobody's user and group, and a group that may see processes.
const NOBODY: &str = "65534";
const SEERS: &str = "4242";

/// The agent as another user.
struct Stranger {
    agent: Running,
    port: u16,
    log: Arc<Mutex<String>>,
    _state: TempDir,
}

impl Stranger {
    /// With these arguments of setpriv(1), which say what it has beside its user.
    fn start(privileges: &[&str]) -> Result<Stranger, String> {
        let setpriv = support::find("setpriv").ok_or("setpriv is not installed")?;
        let state = tempfile::tempdir().unwrap();
        std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let port = support::spare_port();
        let of_agent = vigie(&["run", "--config", "/dev/null", "--set", "http.max_age='0s'"]);
        let mut command = Command::new(setpriv);
        command.args(["--reuid", NOBODY, "--regid", NOBODY]).args(privileges);
        command.arg("--").arg(of_agent.get_program()).args(of_agent.get_args());
        command.args(["--set", &format!("http.listen='127.0.0.1:{port}'")]);
        command.args(["--set", "http.deadline='30s'", "--set", "samplers.processes.top=1000"]);
        command.args(["--set", "samplers.processes.rules=[{ name = '{{.Comm}}' }]"]);
        command.args(["--set", &format!("paths.state='{}'", state.path().display())]);
        support::forget_environment(&mut command);
        let mut child = command.current_dir("/").stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (log, mut stderr) = (Arc::new(Mutex::new(String::new())), child.stderr.take().unwrap());
        let collected = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut stderr, &mut bytes) {
                collected.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut stranger = Stranger { agent: Running(child), port, log, _state: state };
        until("the agent answers or ends", PATIENCE, || {
            (stranger.page().is_some() || stranger.agent.0.try_wait().unwrap().is_some()).then_some(())
        });
        match stranger.agent.0.try_wait().unwrap() {
            Some(_) => Err(format!("user {NOBODY} cannot run the agent: {}", stranger.log.lock().unwrap())),
            None => Ok(stranger),
        }
    }

    fn page(&self) -> Option<Page> {
        let answer = Connection::tcp(self.port).and_then(|mut connection| connection.get("/metrics", &[])).ok()?;
        (answer.status == 200).then(|| parse(&answer.text()))
    }

    /// The last of so many pages.
    fn pages(&self, count: usize) -> Page {
        (1..count).for_each(|_| drop(self.page()));
        self.page().unwrap()
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

fn unavailable(page: &Page, field: &str, reason: &str) -> f64 {
    page.value("vigie_process_fields_unavailable", &[("field", field), ("reason", reason)])
}

/// Whatever is hidden, nothing has failed, and nothing is said twice.
fn nothing_failed(page: &Page, log: &str) {
    assert_eq!(page.value("namedprocess_scrape_procread_errors", &[]), 0.0);
    assert_eq!(page.value("namedprocess_scrape_partial_errors", &[]), 0.0);
    assert_eq!(page.value("node_scrape_collector_success", &[("collector", "processes")]), 1.0);
    assert!(log.matches("process-details.conf").count() <= 1, "{log}");
}

#[test]
fn what_may_not_be_read_is_a_state_and_one_line() {
    if !privileged() {
        return skipped("another user's agent takes root");
    }
    let agent = match Stranger::start(&["--clear-groups"]) {
        Ok(agent) => agent,
        Err(why) => return skipped(&why),
    };
    let page = agent.pages(3);
    nothing_failed(&page, &agent.log());
    assert_eq!((unavailable(&page, "io", "permission"), unavailable(&page, "process", "hidepid")), (1.0, 0.0));
    assert_eq!(agent.log().matches("process-details.conf").count(), 1, "{}", agent.log());
    assert!(page.of("namedprocess_namegroup_num_procs").map(|(_, count)| count).sum::<f64>() > 2.0);
}

/// Runs `work` where /proc is mounted with these options; says why that cannot be done here.
fn with_proc(options: &str, work: impl FnOnce() + Send) {
    if !privileged() {
        return skipped("a mount takes root");
    }
    let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
    let version: Vec<u32> = release.split(['.', '-']).map_while(|word| word.parse().ok()).take(2).collect();
    if version < vec![5, 8] {
        return skipped("before Linux 5.8 all mounts of /proc have the same options: this would hide the host's");
    }
    let done = with_own_mounts(|| {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        match mount(Some("proc"), "/proc", Some("proc"), flags, Some(options)) {
            Ok(()) => work(),
            Err(errno) => skipped(&format!("/proc cannot be mounted with {options}: {errno}")),
        }
    });
    done.unwrap_or_else(|why| skipped(&why));
}

/// Root's process that must not be seen, and nobody's that may, both busy and of names that no other test has.
struct Busy {
    theirs: Running,
    ours: Running,
    names: [String; 2],
    _programs: Programs,
}

impl Busy {
    fn start() -> Result<Busy, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let setpriv = support::find("setpriv").ok_or("setpriv is not installed")?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let names = ["theirs", "ours"].map(|whose| format!("vg-{whose}-{number}"));
        let programs = Programs::new();
        std::fs::set_permissions(programs.0.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let theirs = programs.shell(&names[0], "while :; do :; done");
        let mut command = Command::new(setpriv);
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        command.arg(programs.link("sh", names[1].as_ref())).args(["-c", "while :; do :; done"]).stdin(Stdio::null());
        let ours = Running(command.spawn().unwrap());
        until("it has become nobody's", PATIENCE, || (ours.comm() == names[1]).then_some(()));
        Ok(Busy { theirs, ours, names, _programs: programs })
    }

    /// How many of each the page shows.
    fn shown(&self, page: &Page) -> [f64; 2] {
        [0, 1].map(|which| of(page, "num_procs", &self.names[which]))
    }
}

/// The names of all processes that act as nobody.
fn of_nobody() -> Vec<String> {
    let read = |entry: std::fs::DirEntry, file: &str| std::fs::read_to_string(entry.path().join(file)).ok();
    let entries = || std::fs::read_dir("/proc").unwrap().flatten();
    let is_nobodys = |status: &str| status.contains(&format!("\nUid:\t{NOBODY}\t"));
    let named =
        |status: String| is_nobodys(&status).then(|| Some(status.lines().next()?.split_once('\t')?.1.to_owned()));
    entries().filter_map(|entry| named(read(entry, "status")?)?).collect()
}

/// What an agent of nobody's says and does where these options hide root's processes.
fn hidden_by(options: &str) {
    // Root sees everything there, the test too.
    with_proc(options, || {
        let (busy, agent) = match Busy::start().and_then(|busy| Ok((busy, Stranger::start(&["--clear-groups"])?))) {
            Ok(started) => started,
            Err(why) => return skipped(&why),
        };
        let before = agent.page().unwrap();
        let begin = busy.ours.own_cpu();
        std::thread::sleep(Duration::from_millis(500));
        let end = busy.ours.own_cpu();
        let nobodys = of_nobody();
        let page = agent.pages(8);
        nothing_failed(&page, &agent.log());
        assert_eq!(unavailable(&page, "process", "hidepid"), 1.0, "{options}");
        let log = agent.log();
        assert_eq!(log.lines().filter(|line| line.contains("hidepid")).count(), 1, "{log}");
        for mends in ["process-details.conf", "gid=", "SupplementaryGroups="] {
            assert!(log.contains(mends), "{mends}: {log}");
        }
        assert_eq!(busy.shown(&page), [0.0, 1.0]);
        let shown = || page.of("namedprocess_namegroup_num_procs").map(|(series, _)| series.label("groupname"));
        // Other tests' agents come and go.
        let known = |group: &str| ["other", "vigie", "setpriv", "cat"].contains(&group) || group.starts_with("vg-ours");
        let wrong: Vec<&str> =
            shown().filter(|group| !known(group) && !nobodys.iter().any(|name| name == group)).collect();
        assert!(wrong.is_empty(), "{wrong:?} are not of {nobodys:?}");
        assert_eq!(of(&page, "num_procs", "other"), 0.0);
        let (grown, used) = (cpu(&page, &busy.names[1]) - cpu(&before, &busy.names[1]), end - begin);
        assert!(grown >= used - 0.02, "{grown} s of {used} s");
        let hidden = busy.theirs.own_cpu();
        assert!(hidden > 0.1 && cpu(&page, "other") == 0.0, "{hidden} s, of which others have {}", cpu(&page, "other"));
    });
}

#[test]
fn processes_that_hidepid_makes_invisible_are_a_state_and_one_line() {
    hidden_by("hidepid=invisible");
}

#[test]
fn processes_that_hidepid_lists_and_does_not_let_read_are_the_same() {
    hidden_by("hidepid=noaccess");
}

#[test]
fn processes_that_may_not_be_traced_are_the_same() {
    hidden_by("hidepid=ptraceable");
}

/// Whether everything is seen with these arguments of setpriv(1).
fn mended(options: &str, privileges: &[&str]) {
    with_proc(options, || {
        let mut first = Command::new("setpriv");
        first.args(["--reuid", NOBODY, "--regid", NOBODY]).args(privileges).args(["--", "cat", "/proc/1/stat"]);
        if !first.output().is_ok_and(|said| said.status.success()) {
            return skipped("the first process of this machine is guarded by more than its mount");
        }
        let (busy, agent) = match Busy::start().and_then(|busy| Ok((busy, Stranger::start(privileges)?))) {
            Ok(started) => started,
            Err(why) => return skipped(&why),
        };
        let page = agent.pages(3);
        nothing_failed(&page, &agent.log());
        assert_eq!(unavailable(&page, "process", "hidepid"), 0.0, "{options}");
        assert!(!agent.log().contains("hidepid"), "{}", agent.log());
        assert_eq!(busy.shown(&page), [1.0, 1.0]);
    });
}

#[test]
fn what_is_hidden_no_more_is_shown() {
    for options in ["hidepid=noaccess", "hidepid=2"] {
        with_proc(options, || {
            let (busy, agent) = match Busy::start().and_then(|busy| Ok((busy, Stranger::start(&["--clear-groups"])?))) {
                Ok(started) => started,
                Err(why) => return skipped(&why),
            };
            assert_eq!(unavailable(&agent.pages(2), "process", "hidepid"), 1.0);
            let none = None::<&str>;
            mount(none, "/proc", none, MsFlags::MS_REMOUNT, Some("hidepid=off")).unwrap();
            let mended = |page: &Page| unavailable(page, "process", "hidepid") == 0.0 && busy.shown(page) == [1.0, 1.0];
            until("they are shown", PATIENCE, || mended(&agent.page().unwrap()).then_some(()));
        });
    }
}

#[test]
fn the_group_that_the_mount_names_sees_all() {
    mended(&format!("hidepid=invisible,gid={SEERS}"), &["--groups", SEERS]);
}

#[test]
fn the_drop_ins_capability_sees_all() {
    for options in ["hidepid=invisible", "hidepid=noaccess", "hidepid=ptraceable"] {
        mended(options, &["--clear-groups", "--inh-caps", "+sys_ptrace", "--ambient-caps", "+sys_ptrace"]);
    }
}

#[test]
fn a_proc_of_processes_only_tells_of_processes() {
    with_proc("subset=pid", || {
        let (busy, agent) = match Busy::start().and_then(|busy| Ok((busy, Stranger::start(&["--clear-groups"])?))) {
            Ok(started) => started,
            Err(why) => return skipped(&why),
        };
        let page = agent.pages(8);
        nothing_failed(&page, &agent.log());
        assert_eq!(unavailable(&page, "process", "hidepid"), 0.0);
        assert_eq!(busy.shown(&page), [1.0, 1.0]);
        assert!(cpu(&page, &busy.names[0]) > 0.0);
        // Nobody tells what the host used.
        assert_eq!(page.of("vigie_process_cpu_unattributed_seconds_total").count(), 0);
        assert!(!agent.log().contains(" WARN "), "{}", agent.log());
    });
}

/// The same, on a kernel where nothing else guards processes.
#[test]
fn a_kernel_of_its_own_hides_and_shows_the_same() {
    let tests = [
        "hidden::processes_that_hidepid_makes_invisible_are_a_state_and_one_line",
        "hidden::the_group_that_the_mount_names_sees_all",
        "hidden::the_drop_ins_capability_sees_all",
    ];
    match vm::run(&tests) {
        Ok(said) => assert!(!said.contains("skipped: "), "{said}"),
        Err(why) => skipped(&why),
    }
}
