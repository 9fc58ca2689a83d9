//! Processes under names of our own, and what the kernel says of them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{self, PATIENCE, until};

/// Programs of our own names: links to others, which the kernel calls what the link is called.
pub(crate) struct Programs(pub(crate) TempDir);

impl Programs {
    pub(crate) fn new() -> Programs {
        Programs(tempfile::tempdir().unwrap())
    }

    pub(crate) fn link(&self, of: &str, name: &OsStr) -> PathBuf {
        let path = self.0.path().join(name);
        if !path.exists() {
            std::os::unix::fs::symlink(support::find(of).expect("every system has it"), &path).unwrap();
        }
        path
    }

    /// A shell of that name that runs this script.
    pub(crate) fn shell(&self, name: &str, script: &str) -> Running {
        self.shell_with(OsStr::new(name), OsStr::new(script))
    }

    /// The same, of any bytes.
    pub(crate) fn shell_with(&self, name: &OsStr, script: &OsStr) -> Running {
        let path = self.link("sh", name);
        let mut command = Command::new(path);
        command.arg("-c").arg(script).current_dir(self.0.path());
        Running(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

/// A process that is killed when the test is over, with what it started.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// The numbers of `/proc/PID/stat` from the state on.
    pub(crate) fn stat(&self) -> Vec<u64> {
        let line = std::fs::read(format!("/proc/{}/stat", self.0.id())).unwrap();
        let line = String::from_utf8_lossy(&line).into_owned();
        let (_, rest) = line.rsplit_once(')').unwrap();
        rest.split_whitespace().map(|word| word.parse().unwrap_or_default()).collect()
    }

    /// CPU of its own, in seconds.
    pub(crate) fn own_cpu(&self) -> f64 {
        let stat = self.stat();
        (stat[11] + stat[12]) as f64 / 100.0
    }

    /// The same with the children that it has waited for.
    pub(crate) fn whole_cpu(&self) -> f64 {
        let stat = self.stat();
        stat[11..=14].iter().sum::<u64>() as f64 / 100.0
    }

    /// Its name.
    pub(crate) fn comm(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/comm", self.0.id())).unwrap().trim_end().to_owned()
    }

    pub(crate) fn state(&self) -> char {
        let line = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        line.rsplit_once(')').unwrap().1.trim_start().chars().next().unwrap()
    }

    /// Waits until it has made this file.
    pub(crate) fn wait_for(&self, programs: &Programs, file: &str) {
        until(file, PATIENCE, || programs.0.path().join(file).exists().then_some(()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
