//! The programs that vigie is compared with or read by, each on a spare port with a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::Pid;
use tempfile::TempDir;

use super::{Answer, Connection, PATIENCE, Page, parse, spare_port, until};

/// A running peer. Dropping it kills it.
pub(crate) struct Peer {
    child: Child,
    pub(crate) port: u16,
    directory: TempDir,
}

/// Where a program is, if this machine has it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(PathBuf::from);
    // What tests/setup unpacks without installing it.
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/usr/bin");
    std::env::split_paths(&path)
        .chain(usual)
        .chain([unpacked])
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Debian's node_exporter with these arguments; nothing where it is not installed.
pub(crate) fn node_exporter(args: &[&str]) -> Option<Peer> {
    let program = find("prometheus-node-exporter").or_else(|| find("node_exporter"))?;
    let peer = Peer::spawn(&program, |port, command, _| {
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(args);
    });
    peer.wait_answer("/");
    Some(peer)
}

/// Debian's blackbox_exporter with these modules; nothing where it is not installed.
pub(crate) fn blackbox_exporter(modules: &str) -> Option<Peer> {
    let program = find("prometheus-blackbox-exporter").or_else(|| find("blackbox_exporter"))?;
    let peer = Peer::spawn(&program, |port, command, directory| {
        let file = directory.join("blackbox.yml");
        std::fs::write(&file, modules).expect("a configuration for blackbox_exporter");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg(format!("--config.file={}", file.display()));
    });
    peer.wait_answer("/-/healthy");
    Some(peer)
}

/// Debian's process-exporter with this configuration, for processes and not their threads.
pub(crate) fn process_exporter(config: &str) -> Option<Peer> {
    let program = find("prometheus-process-exporter").or_else(|| find("process-exporter"))?;
    let peer = Peer::spawn(&program, |port, command, directory| {
        let file = directory.join("names.yml");
        std::fs::write(&file, config).expect("a configuration for process-exporter");
        command
            .arg(format!("-web.listen-address=127.0.0.1:{port}"))
            .arg(format!("-config.path={}", file.display()))
            .args(["-threads=false", "-gather-smaps=false"]);
    });
    peer.wait_answer("/");
    Some(peer)
}

/// Debian's redis_exporter of the server on `port`.
pub(crate) fn redis_exporter(port: u16) -> Option<Peer> {
    let program = find("prometheus-redis-exporter").or_else(|| find("redis_exporter"))?;
    let peer = Peer::spawn(&program, |own, command, _| {
        command.arg(format!("-web.listen-address=127.0.0.1:{own}"));
        command.arg(format!("-redis.addr=redis://127.0.0.1:{port}"));
    });
    peer.wait_answer("/health");
    Some(peer)
}

/// Prometheus with this configuration, in which `PORT` of the scraped agent stands already.
pub(crate) fn prometheus(config: &str) -> Option<Peer> {
    let program = find("prometheus")?;
    let peer = Peer::spawn(&program, |port, command, directory| {
        let file = directory.join("prometheus.yml");
        std::fs::write(&file, config).expect("a configuration for Prometheus");
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
    });
    peer.wait_answer("/-/ready");
    Some(peer)
}

/// tinyproxy, which asks for this user and password; nothing where it is not installed.
pub(crate) fn tinyproxy(user: &str, password: &str) -> Option<Peer> {
    let program = find("tinyproxy")?;
    let peer = Peer::spawn(&program, |port, command, directory| {
        let file = directory.join("tinyproxy.conf");
        let config = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nBasicAuth {user} {password}\n");
        std::fs::write(&file, config).expect("a configuration for tinyproxy");
        command.arg("-d").arg("-c").arg(file);
    });
    until("tinyproxy listens", PATIENCE, || Connection::tcp(peer.port).ok());
    Some(peer)
}

/// VictoriaMetrics, which takes OTLP/HTTP; nothing where it could not be had.
pub(crate) fn victoria_metrics() -> Option<Peer> {
    let program = find("victoria-metrics")?;
    let peer = Peer::spawn(&program, |port, command, directory| {
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        command.arg(format!("-storageDataPath={}", directory.join("data").display()));
        // A point is found at once.
        command.args(["-search.latencyOffset=0s", "-inmemoryDataFlushInterval=1s"]);
    });
    peer.wait_answer("/health");
    Some(peer)
}

/// rotel, which takes OTLP/HTTP on its port and OTLP/gRPC on the other one, and passes it on to a collector for OTLP/gRPC
/// on this port of the loopback.
///
/// # Errors
/// Why there is none.
pub(crate) fn rotel(collector: u16) -> Result<(Peer, u16), String> {
    let program = find("rotel-agent").ok_or("rotel is not here")?;
    let tried = Command::new(&program).arg("--help").stdin(Stdio::null()).output();
    let tried = tried.map_err(|error| format!("rotel does not run: {error}"))?;
    if !tried.status.success() {
        // It wants the Python's library that its wheel is for.
        return Err(format!("rotel does not run: {}", String::from_utf8_lossy(&tried.stderr).trim()));
    }
    let grpc = spare_port();
    let peer = Peer::spawn(&program, |port, command, directory| {
        command.arg("start");
        command.arg(format!("--pid-file={}", directory.join("pid").display()));
        command.arg(format!("--log-file={}", directory.join("rotel.log").display()));
        command.arg(format!("--otlp-grpc-endpoint=127.0.0.1:{grpc}"));
        command.arg(format!("--otlp-http-endpoint=127.0.0.1:{port}"));
        command.args(["--exporter=otlp", "--otlp-exporter-protocol=grpc"]);
        command.arg(format!("--otlp-exporter-endpoint=http://127.0.0.1:{collector}"));
    });
    for port in [peer.port, grpc] {
        until("rotel listens", PATIENCE, || Connection::tcp(port).ok());
    }
    Ok((peer, grpc))
}

impl Peer {
    #[track_caller]
    pub(super) fn spawn(program: &Path, arguments: impl FnOnce(u16, &mut Command, &Path)) -> Peer {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = spare_port();
        let mut command = Command::new(program);
        arguments(port, &mut command, directory.path());
        let log = std::fs::File::create(directory.path().join("log")).expect("a log file");
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Peer { child, port, directory }
    }

    #[track_caller]
    fn wait_answer(&self, path: &str) {
        until(&format!("{path} answers\n{}", self.log()), PATIENCE, || {
            let answer = Connection::tcp(self.port).and_then(|mut connection| connection.get(path, &[])).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        let answer = Connection::tcp(self.port).and_then(|mut connection| connection.get(path, &[]));
        answer.unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    #[track_caller]
    pub(crate) fn page(&self) -> Page {
        parse(&self.get("/metrics").text())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the peer's log:\n{}", self.log());
        }
    }
}

/// The collectors of node_exporter 1.5 that vigie takes the place of.
pub(crate) const COLLECTORS: &[&str] = &[
    "arp",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "entropy",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "os",
    "pressure",
    "schedstat",
    "selinux",
    "sockstat",
    "softnet",
    "stat",
    "textfile",
    "time",
    "timex",
    "udp_queues",
    "uname",
    "vmstat",
];
