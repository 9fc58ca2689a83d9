//! Servers of Redis, each on a spare port with a directory of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{PATIENCE, find, spare_port, until};

/// A running server. Dropping it kills it.
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
    args: Vec<String>,
    sentinel: bool,
    directory: TempDir,
}

/// A server with these arguments, which answers already; nothing where it is not installed.
pub(crate) fn redis(args: &[&str]) -> Option<Redis> {
    let redis = spawn(args, false)?;
    redis.wait();
    Some(redis)
}

/// The same, which may still be about to start.
pub(crate) fn redis_unready(args: &[&str], directory: TempDir) -> Option<Redis> {
    start(args, false, directory)
}

/// A Sentinel with this configuration.
pub(crate) fn sentinel(config: &str) -> Option<Redis> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("sentinel.conf"), config).expect("a configuration for the Sentinel");
    let redis = start(&[], true, directory)?;
    redis.wait();
    Some(redis)
}

fn spawn(args: &[&str], sentinel: bool) -> Option<Redis> {
    start(args, sentinel, tempfile::tempdir().expect("a temporary directory"))
}

fn start(args: &[&str], sentinel: bool, directory: TempDir) -> Option<Redis> {
    find("redis-server").filter(|_| find("redis-cli").is_some())?;
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let port = spare_port();
    let child = child(port, &args, sentinel, directory.path());
    Some(Redis { child, port, args, sentinel, directory })
}

fn child(port: u16, args: &[String], sentinel: bool, directory: &Path) -> Child {
    let mut command = Command::new(find("redis-server").expect("a server"));
    if sentinel {
        command.args(["sentinel.conf", "--sentinel"]);
    }
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    if !sentinel {
        command.args(["--save", "", "--enable-debug-command", "local"]);
    }
    let log = std::fs::File::create(directory.join("log")).expect("a log file");
    command.args(args).current_dir(directory).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
    command.spawn().expect("redis-server starts")
}

impl Redis {
    #[track_caller]
    fn wait(&self) {
        until("the server answers", PATIENCE, || {
            std::net::TcpStream::connect(("127.0.0.1", self.port))
                .ok()
                .filter(|_| !self.cli(&["ping"]).contains("refused"))
        });
    }

    /// What the server says to a command.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let mut command = Command::new(find("redis-cli").expect("redis-cli"));
        let output = command.args(["-p", &self.port.to_string()]).args(args).stdin(Stdio::null()).output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).trim_end().to_owned()
    }

    /// A number of INFO.
    pub(crate) fn info(&self, key: &str) -> String {
        let info = self.cli(&["info"]);
        let value = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value.unwrap_or_default().trim_end().to_owned()
    }

    /// The connections that bear this name.
    pub(crate) fn clients(&self, name: &str) -> usize {
        self.cli(&["client", "list"]).lines().filter(|line| line.contains(&format!(" name={name} "))).count()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the server takes a signal");
    }

    /// Kills it and starts it anew on the same port.
    pub(crate) fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = child(self.port, &self.args, self.sentinel, self.directory.path());
        self.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
