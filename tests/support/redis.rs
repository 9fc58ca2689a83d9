//! Servers of Redis, each on a spare port with a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{PATIENCE, find, spare_port, until};

/// A running server. Dropping it kills it.
pub(crate) struct Redis {
    program: PathBuf,
    child: Child,
    pub(crate) port: u16,
    args: Vec<String>,
    sentinel: bool,
    directory: TempDir,
}

/// The servers that this machine has, by what they are called: the system's, and those that tests/setup has unpacked.
pub(crate) fn redis_servers() -> Vec<(&'static str, PathBuf)> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/redis");
    let others = UNPACKED.iter().map(|name| (*name, unpacked.join(name).join("redis-server")));
    let own = find("redis-server").map(|program| ("the system's", program));
    own.into_iter().chain(others).filter(|(_, program)| program.is_file()).collect()
}

/// What tests/setup unpacks besides the system's.
pub(crate) const UNPACKED: &[&str] = &["redis-6", "redis-8", "valkey-8"];

/// A server with these arguments, which answers already; nothing where it is not installed.
pub(crate) fn redis(args: &[&str]) -> Option<Redis> {
    redis_of(&find("redis-server")?, args)
}

/// The same, of this program.
pub(crate) fn redis_of(program: &Path, args: &[&str]) -> Option<Redis> {
    let redis = start(program, args, false, tempfile::tempdir().expect("a temporary directory"))?;
    redis.wait();
    Some(redis)
}

/// A server that may still be about to start.
pub(crate) fn redis_unready(args: &[&str], directory: TempDir) -> Option<Redis> {
    start(&find("redis-server")?, args, false, directory)
}

/// A Sentinel with this configuration.
pub(crate) fn sentinel(config: &str) -> Option<Redis> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("sentinel.conf"), config).expect("a configuration for the Sentinel");
    let redis = start(&find("redis-server")?, &[], true, directory)?;
    redis.wait();
    Some(redis)
}

fn start(program: &Path, args: &[&str], sentinel: bool, directory: TempDir) -> Option<Redis> {
    find("redis-cli")?;
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let port = spare_port();
    let child = child(program, port, &args, sentinel, directory.path());
    Some(Redis { program: program.to_owned(), child, port, args, sentinel, directory })
}

fn child(program: &Path, port: u16, args: &[String], sentinel: bool, directory: &Path) -> Child {
    let mut command = Command::new(program);
    if sentinel {
        command.args(["sentinel.conf", "--sentinel"]);
    }
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    if !sentinel {
        command.args(["--save", ""]);
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
        self.child = child(&self.program, self.port, &self.args, self.sentinel, self.directory.path());
        self.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
