//! What a crash leaves behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::support::{Agent, Launch, PATIENCE, redis, skipped, until};
use super::until_probe;

const SECRET: &str = "hunter2-of-the-cores";

/// The core of a process that crashed in this directory.
fn core(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("core"))
}

fn holds(core: &Path, text: &str) -> bool {
    std::fs::read(core).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

/// Whether a core of another program, in this directory, holds what that knew: else a search proves nothing.
fn others_leave_cores(directory: &Path) -> bool {
    let script = "ulimit -c unlimited && secret=$(cat password) && kill -ABRT $$";
    let _ = Command::new("sh").args(["-c", script]).current_dir(directory).status().unwrap();
    core(directory).is_some_and(|core| holds(&core, SECRET))
}

#[test]
fn a_core_holds_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, SECRET).unwrap();
    if !others_leave_cores(folder.path()) {
        return skipped("this machine leaves no cores where a process is");
    }
    let Some(server) = redis(&["--requirepass", SECRET]) else { return skipped("redis-server is not installed") };
    let config = format!(
        "[[probe.redis]]\nname = 'x'\nurl = 'redis://{}'\ninterval = '1s'\npassword = {{ file = '{}' }}\n",
        server.address(),
        password.display()
    );
    let mut agent = Agent::launch(&Launch {
        config: Some(&config),
        env: &[("VARIABLE", SECRET.as_ref())],
        core: true,
        ..Launch::new()
    });
    until_probe(&agent, "x", "up", |probe| probe["up"] == true);
    agent.signal(Signal::SIGABRT);
    agent.wait_end();
    let core = until("the core is written", PATIENCE, || core(&agent.directory().join("state")));
    assert!(!holds(&core, SECRET), "{} holds a password", core.display());
}
