//! The whole agent, and a state directory that is not what it should be: it says so once and runs on.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::collector::{Collector, Site};
use crate::outage::{agent_of, assert_whole, lives, pushed};
use crate::support::{Agent, PATIENCE, privileged, skipped, spare_port, until, with_own_mounts};

fn agent(port: u16, state: &Path) -> Agent {
    agent_of(port, state, None)
}

/// Runs `test` with a filesystem of its own of these options as the state directory.
fn with_filesystem(options: &str, test: impl FnOnce(&Path) + Send) {
    let state = tempfile::tempdir().unwrap();
    let outcome = with_own_mounts(|| {
        mount(None::<&str>, state.path(), Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
        test(state.path());
    });
    if let Err(why) = outcome {
        skipped(&why);
    }
}

fn remount(state: &Path, flags: MsFlags) {
    mount(None::<&str>, state, None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>).unwrap();
}

/// Fills what is left of a filesystem.
fn fill(state: &Path) {
    let written = std::io::copy(&mut std::io::repeat(7), &mut File::create(state.join("ballast")).unwrap());
    assert_eq!(written.unwrap_err().kind(), ErrorKind::StorageFull);
}

/// The agent pushes from memory, and says why by this beginning and this end: in `/health`, on the page, and once in
/// the log.
#[track_caller]
fn assert_in_memory(agent: &Agent, begin: &str, end: &str) {
    until("three snapshots are pushed", PATIENCE, || (pushed(agent) >= 3).then_some(()));
    let health = &agent.health()["push"];
    let trouble = health["spool_trouble"].as_str().unwrap_or_default();
    assert!(trouble.starts_with(begin) && trouble.ends_with(end), "{health}");
    assert_eq!(agent.page().find("vigie_push_spool_on_disk", &[]), Some(0.0));
    let log = agent.log();
    let told: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("WARN  the spool: ")).map(|told| told.1).collect();
    assert!(told.len() == 1 && told[0].starts_with(begin) && told[0].ends_with(end), "{log}");
}

/// It works again, and says that once too.
#[track_caller]
fn assert_on_disk(agent: &Agent, state: &Path) {
    agent.wait_log("the spool works again");
    until("it is on disk", PATIENCE, || {
        (agent.page().find("vigie_push_spool_on_disk", &[]) == Some(1.0)).then_some(())
    });
    assert!(agent.health()["push"]["spool_trouble"].is_null());
    assert!(state.join("spool/lock").exists());
    assert_eq!(agent.log().matches("the spool works again").count(), 1, "{}", agent.log());
}

const READ_ONLY: &str = "Read-only file system (os error 30): mount its filesystem writable, or choose another \
                         directory with paths.state";

#[test]
fn a_read_only_one_is_said_and_got_over() {
    with_filesystem("size=8m", |state| {
        let collector = Collector::start();
        remount(state, MsFlags::MS_RDONLY);
        let agent = agent(collector.port, state);
        assert_in_memory(&agent, &format!("cannot create {}/spool: ", state.display()), READ_ONLY);
        remount(state, MsFlags::empty());
        assert_on_disk(&agent, state);
        assert_whole(&collector.calls());
    });
}

#[test]
fn a_full_one_is_said_and_got_over() {
    with_filesystem("size=64k", |state| {
        let collector = Collector::start();
        fill(state);
        let agent = agent(collector.port, state);
        let remedy = "No space left on device (os error 28): make room on its filesystem, or let the spool have less \
                      of it with otlp.spool.max_bytes";
        assert_in_memory(&agent, &format!("cannot write {}/spool/", state.display()), remedy);
        fs::remove_file(state.join("ballast")).unwrap();
        assert_on_disk(&agent, state);
        assert_whole(&collector.calls());
    });
}

/// Nobody.
const OTHER: u32 = 65_534;

#[test]
fn one_of_somebody_else_is_said_and_got_over() {
    let (collector, state) = (Collector::start(), tempfile::tempdir().unwrap());
    let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let spool = state.path().join("spool");
    fs::create_dir(&spool).unwrap();
    allow(state.path(), 0o755);
    allow(&spool, 0o500);
    // Root may do anything; whoever else runs this is in the way of himself.
    let agent = agent_of(collector.port, state.path(), privileged().then_some(OTHER));
    let remedy = "Permission denied (os error 13): let vigie's user write there, or choose another directory with \
                  paths.state";
    assert_in_memory(&agent, &format!("cannot open {}/lock: ", spool.display()), remedy);
    allow(&spool, 0o777);
    assert_on_disk(&agent, state.path());
    assert_whole(&collector.calls());
}

/// A segment as a version to come may write it.
fn newer() -> Vec<u8> {
    let mut segment = b"vigiespl".to_vec();
    segment.extend(2_u32.to_le_bytes());
    segment.extend(crc32c::crc32c(&segment).to_le_bytes());
    segment.extend([7; 4000]);
    segment
}

#[test]
fn what_is_not_the_spools_is_said_and_left_alone() {
    let (collector, state) = (Collector::start(), tempfile::tempdir().unwrap());
    let spool = state.path().join("spool");
    fs::create_dir(&spool).unwrap();
    let files = [("0000000000000007.seg", newer()), ("notes.txt", b"hello".to_vec())];
    for (name, content) in &files {
        fs::write(spool.join(name), content).unwrap();
    }
    let agent = agent(collector.port, state.path());
    until("three snapshots are pushed", PATIENCE, || (pushed(&agent) >= 3).then_some(()));
    let (log, directory) = (agent.log(), spool.display());
    for line in [
        format!(
            "WARN  files in the spool's directory are not the spool's: left alone, and best moved elsewhere \
             directory={directory} files=1 first=notes.txt\n"
        ),
        format!(
            "WARN  a later vigie left records in the spool: run it again to send them, or remove them \
             directory={directory} segments=1\n"
        ),
    ] {
        assert_eq!(log.matches(&line).count(), 1, "{line}{log}");
    }
    assert_eq!(agent.page().find("vigie_push_spool_on_disk", &[]), Some(1.0));
    assert_whole(&collector.calls());
    for (name, content) in &files {
        assert_eq!(&fs::read(spool.join(name)).unwrap(), content, "{name}");
    }
}

/// A state directory that nothing can be written to.
fn in_the_way() -> TempDir {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("spool"), "in the way").unwrap();
    state
}

const IN_THE_WAY: &str = "move away what is in its place, or choose another directory with paths.state";

#[test]
fn what_waits_in_memory_is_sent_at_the_end() {
    let (port, state) = (spare_port(), in_the_way());
    let mut agent = agent(port, state.path());
    assert_in_memory(&agent, "cannot create ", IN_THE_WAY);
    let before = pushed(&agent);
    let collector = Collector::on(Site { port, ..Site::default() });
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait_end().0.success());
    let lives = lives(&collector.calls());
    let numbers = lives.values().next().unwrap();
    assert!(lives.len() == 1 && numbers.len() as u64 > before, "{numbers:?} of {before}");
    assert_whole(&collector.calls());
    assert!(!agent.log().contains("lost"), "{}", agent.log());
}

#[test]
fn what_is_lost_with_the_memory_is_said() {
    let state = in_the_way();
    let mut agent = agent(spare_port(), state.path());
    assert_in_memory(&agent, "cannot create ", IN_THE_WAY);
    let waiting = agent.health()["push"]["spool_requests"].as_u64().unwrap();
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait_end().0.success());
    let log = agent.log();
    let (_, told) = log
        .split_once("WARN  records that waited in memory are lost: the spool could not be written records=")
        .unwrap();
    let lost: u64 = told.lines().next().unwrap().parse().unwrap();
    assert!(lost >= waiting, "{lost} of {waiting}");
    assert!(!log.contains("waits for the next start"), "{log}");
}
