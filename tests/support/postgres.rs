//! A private PostgreSQL: a cluster in a temporary directory, on a spare port and a socket beside it.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{PATIENCE, find, spare_port, until};

/// nobody: root may not start a server.
const NOBODY: u32 = 65_534;

/// A server. Dropping it kills it.
pub(crate) struct Postgres {
    child: Option<Child>,
    bin: PathBuf,
    directory: TempDir,
    pub(crate) port: u16,
}

/// The programs of every major version that this machine has: the system's, and those that tests/setup has unpacked.
pub(crate) fn installed() -> Vec<(u32, PathBuf)> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/postgres");
    let bin = |major: u32| {
        [PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")), unpacked.join(format!("{major}/native/bin"))]
            .into_iter()
            .find(|bin| bin.join("postgres").is_file())
    };
    (12..=18).filter_map(|major| Some((major, bin(major)?))).collect()
}

impl Postgres {
    /// The system's own version with these settings; nothing where there is none, or no psql.
    #[track_caller]
    pub(crate) fn start(settings: &[&str]) -> Option<Postgres> {
        let (_, bin) = installed().into_iter().find(|(_, bin)| bin.starts_with("/usr"))?;
        Postgres::start_of(&bin, settings)
    }

    /// A new server of these programs.
    #[track_caller]
    pub(crate) fn start_of(bin: &Path, settings: &[&str]) -> Option<Postgres> {
        find("psql")?;
        let mut server = Postgres::empty(bin);
        let data = server.data();
        let mut initdb = server.command("initdb");
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.write("pg_hba.conf", PG_HBA);
        let mut lines = vec![
            "fsync = off",
            "password_encryption = 'scram-sha-256'",
            "listen_addresses = '127.0.0.1'",
            "logging_collector = off",
            "wal_level = replica",
        ];
        lines.extend(settings);
        server.write("postgresql.auto.conf", &format!("{}\n", lines.join("\n")));
        server.run();
        Some(server)
    }

    /// A replica of this server, which follows it by a slot.
    #[track_caller]
    pub(crate) fn follow(&self, slot: &str) -> Postgres {
        let mut replica = Postgres::empty(&self.bin);
        let data = replica.data();
        let mut copy = replica.command("pg_basebackup");
        copy.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-R", "-C"]);
        copy.args(["-S", slot, "--checkpoint=fast", "--no-sync"]);
        let made = copy.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        replica.run();
        replica
    }

    fn empty(bin: &Path) -> Postgres {
        let directory = tempfile::tempdir().unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Postgres { child: None, bin: bin.to_owned(), directory, port: spare_port() }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Writes a file of the cluster.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, text).unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        let mut command = Command::new(if path.is_file() { path } else { find(program).unwrap() });
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir(self.directory.path()).stdin(Stdio::null()).env("LC_ALL", "C");
        command
    }

    /// Starts it, and waits until it answers.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path()).args(["-p", &self.port.to_string()]);
        self.child = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        until("the server answers", PATIENCE, || self.try_sql("postgres", "SELECT 1").ok());
    }

    /// Ends it as `systemctl stop` does.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        child.wait().unwrap();
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = self.command("psql");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.arg("-h").arg(self.directory.path()).args(["-p", &self.port.to_string()]);
        command.env("PGAPPNAME", "a test");
        command
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let said = self.psql(database).arg("-c").arg(sql).output().unwrap();
        if said.status.success() {
            Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&said.stderr).into_owned())
        }
    }

    /// Runs statements as the superuser; the answer without decoration.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.sql_in("postgres", sql)
    }

    /// The same in another database.
    #[track_caller]
    pub(crate) fn sql_in(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log()))
    }

    /// Runs statements and stays in them, until what it gives is dropped.
    #[track_caller]
    pub(crate) fn hold(&self, database: &str, sql: &str) -> Client {
        let mut command = self.psql(database);
        let sleeping = format!("{sql}; SELECT pg_catalog.pg_sleep(600)");
        Client(command.arg("-c").arg(sleeping).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Any other client of it, such as pgbench.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        command
    }

    /// A user `vigie` who may see statistics.
    #[track_caller]
    pub(crate) fn with_user(self) -> Postgres {
        self.sql(&format!("CREATE ROLE vigie LOGIN PASSWORD '{PASSWORD}'; GRANT pg_monitor TO vigie"));
        self
    }

    /// The sessions that are ours: how many, now.
    #[track_caller]
    pub(crate) fn ours(&self) -> usize {
        self.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vigie'").parse().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// `[[probe.postgres]]` of this server, over TCP with a password; `more` are further lines.
    pub(crate) fn probe(&self, more: &str) -> String {
        let file = self.directory.path().join("password");
        std::fs::write(&file, PASSWORD).unwrap();
        format!(
            "[[probe.postgres]]\nname = 'main'\nurl = 'postgresql://vigie@127.0.0.1:{}/postgres'\n\
             password = {{ file = '{}' }}\ninterval = '2s'\n{more}\n",
            self.port,
            file.display()
        )
    }
}

/// The password of the user, which is to be seen nowhere.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

const PG_HBA: &str = "local all all trust\n\
    host all postgres 127.0.0.1/32 trust\n\
    host replication all 127.0.0.1/32 trust\n\
    host all all 127.0.0.1/32 scram-sha-256\n";

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGQUIT);
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// A client that holds on to something.
pub(crate) struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
