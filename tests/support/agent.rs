//! The agent under test: the real binary, on a port of its own, with a state directory of its own.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::environment::forget_environment;
use super::{Answer, Connection, Method, PATIENCE, Page, parse, spare_port, until};

/// The binary, with nothing of our environment that it might listen to.
pub(crate) fn vigie(args: &[&str]) -> Command {
    vigie_at(Path::new(env!("CARGO_BIN_EXE_vigie")), args)
}

fn vigie_at(path: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    forget_environment(&mut command);
    command.args(args).stdin(Stdio::null());
    command
}

/// A command that ends by itself.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Runs the binary to its end, which must come soon.
    #[track_caller]
    pub(crate) fn of(args: &[&str]) -> Run {
        let child = vigie(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("vigie starts");
        let id = Pid::from_raw(child.id() as i32);
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(child.wait_with_output()));
        let Ok(output) = ended.recv_timeout(PATIENCE) else {
            let _ = kill(id, Signal::SIGKILL);
            panic!("vigie {args:?} does not end");
        };
        let Output { status, stdout, stderr } = output.expect("vigie's output is read");
        let text = |bytes| String::from_utf8(bytes).expect("vigie writes UTF-8");
        Run { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

/// How an agent is started, where the defaults of [`Agent::start`] do not do.
pub(crate) struct Launch<'a> {
    pub(crate) args: &'a [&'a str],
    pub(crate) env: &'a [(&'a str, &'a OsStr)],
    pub(crate) config: Option<&'a str>,
    /// A unix socket instead of a port, below the state directory.
    pub(crate) socket: Option<&'a str>,
    /// Another user than ours, which only root can have.
    pub(crate) user: Option<u32>,
    /// Whether it may leave a core where its state is.
    pub(crate) core: bool,
}

impl Launch<'_> {
    pub(crate) fn new() -> Launch<'static> {
        Launch { args: &[], env: &[], config: None, socket: None, user: None, core: false }
    }
}

/// A running agent. Dropping it kills it.
pub(crate) struct Agent {
    child: Child,
    pub(crate) port: u16,
    socket: Option<PathBuf>,
    log: Arc<Mutex<String>>,
    directory: TempDir,
}

impl Agent {
    /// Starts the agent with these arguments after `run` and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Agent {
        Agent::launch(&Launch { args, ..Launch::new() })
    }

    #[track_caller]
    pub(crate) fn launch(launch: &Launch) -> Agent {
        let mut agent = Agent::spawn(launch);
        agent.wait_ready();
        agent
    }

    /// Starts it and waits for nothing.
    #[track_caller]
    pub(crate) fn spawn(launch: &Launch) -> Agent {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = spare_port();
        let socket = launch.socket.map(|name| directory.path().join(name));
        let listen = match &socket {
            Some(path) => format!("http.listen=\"unix:{}\"", path.display()),
            None => format!("http.listen=\"127.0.0.1:{port}\""),
        };
        let state = directory.path().join("state");
        std::fs::create_dir(&state).expect("a state directory");
        let mut command = match launch.user {
            None if launch.core => {
                let mut command = vigie_at(Path::new("sh"), &["-c", r#"ulimit -c unlimited && exec "$0" run "$@""#]);
                command.arg(env!("CARGO_BIN_EXE_vigie")).current_dir(&state);
                command
            }
            None => vigie(&["run"]),
            // Which may not be allowed to see ours.
            Some(_) => vigie_at(&lent(directory.path()), &["run"]),
        };
        if let Some(text) = launch.config {
            let path = directory.path().join("config.toml");
            std::fs::write(&path, text).expect("a config file");
            command.arg("--config").arg(path);
        }
        command.args(["--set", &listen, "--set", &format!("paths.state=\"{}\"", state.display())]);
        command.args(launch.args).envs(launch.env.iter().copied());
        if let Some(user) = launch.user {
            command.uid(user).gid(user);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("vigie starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        let collected = Arc::clone(&log);
        std::thread::spawn(move || collect(stderr, &collected));
        Agent { child, port, socket, log, directory }
    }

    /// Waits until `/health/ready` says so.
    #[track_caller]
    pub(crate) fn wait_ready(&mut self) {
        until("the agent becomes ready", PATIENCE, || {
            if let Some(status) = self.child.try_wait().expect("the agent can be waited for") {
                panic!("the agent ended, {status}:\n{}", self.log());
            }
            let answer = self.connect().and_then(|mut connection| connection.get("/health/ready", &[])).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    pub(crate) fn connect(&self) -> std::io::Result<Connection> {
        match &self.socket {
            Some(path) => Connection::unix(path),
            None => Connection::tcp(self.port),
        }
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let headers: Vec<_> = headers.iter().copied().chain([("Connection", "close")]).collect();
        let answer = self.connect().and_then(|mut connection| connection.ask(method, path, &headers));
        answer.unwrap_or_else(|error| panic!("{method:?} {path}: {error}\n{}", self.log()))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::Get, path, headers)
    }

    /// The page as it is now.
    #[track_caller]
    pub(crate) fn page(&self) -> Page {
        let answer = self.get("/metrics", &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        parse(&answer.text())
    }

    #[track_caller]
    pub(crate) fn health(&self) -> serde_json::Value {
        self.get("/health", &[]).json()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// The agent's own files: `state/`, `config.toml`.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log has a line with this text.
    #[track_caller]
    pub(crate) fn wait_log(&self, text: &str) {
        until(&format!("{text:?} in the log:\n{}", self.log()), PATIENCE, || self.log().contains(text).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the agent takes a signal");
    }

    /// Waits for its end, and says how long that took.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let status = until("the agent ends", PATIENCE, || self.child.try_wait().expect("the agent can be waited for"));
        (status, begun.elapsed())
    }

    pub(crate) fn running(&mut self) -> bool {
        self.child.try_wait().expect("the agent can be waited for").is_none()
    }

    /// One number of `/proc/PID/status`.
    #[track_caller]
    pub(crate) fn status(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the agent has a status");
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).expect("the status has it");
        line.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).expect("it is a number")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}", self.log());
        }
    }
}

/// A copy of the binary in `directory` that everybody can run.
fn lent(directory: &Path) -> PathBuf {
    let path = directory.join("vigie");
    std::fs::copy(env!("CARGO_BIN_EXE_vigie"), &path).expect("a copy");
    std::fs::set_permissions(directory, Permissions::from_mode(0o755)).expect("a directory for everybody");
    path
}

fn collect(stderr: impl Read, log: &Mutex<String>) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&String::from_utf8_lossy(&line));
        log.push('\n');
    }
}
