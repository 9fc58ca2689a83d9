//! A throw-away copy of this very machine, with a real systemd: an overlay that is gone when it is powered off.
//! `VIGIE_E2E_ROOT` names the root of another system to boot a copy of.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::support::{self, PATIENCE, until};

/// What the shell does before systemd-nspawn takes its place. `$1` is an empty folder, `$2` one to be seen inside as /in,
/// `$3` the machine's name, `$4` whose copy it is.
///
/// The copy's services are off: this machine's databases and exporters would only be in the way. Debian's policy-rc.d
/// would keep packages from starting theirs.
const BOOT: &str = r#"set -e
mount -t tmpfs -o mode=755 vigie-e2e "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$4,upperdir=$1/upper,workdir=$1/work" vigie-e2e "$1/root"
cd "$1/root"
rm -f usr/sbin/policy-rc.d etc/fstab
# man-db would index the manuals of this whole machine at each installation.
rm -f var/lib/man-db/auto-update
find etc/systemd/system -maxdepth 1 -name '*.wants' -exec rm -rf {} +
rm -rf etc/rc?.d etc/vigie etc/systemd/system/vigie* var/lib/vigie var/lib/private/vigie usr/local/lib/systemd
# nspawn forbids even root what vigie's own unit must allow: reading the clock's discipline.
exec systemd-nspawn --boot --system-call-filter='adjtimex clock_adjtime' --quiet --directory=. --private-network \
    --register=no --keep-unit --console=pipe --machine="$3" --bind-ro="$2:/in"
"#;

pub(crate) struct Machine {
    nspawn: Child,
    /// The process that is number 1 inside.
    init: i32,
    log: PathBuf,
    _directory: TempDir,
}

/// What a command inside said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    /// Boots it, with this folder as `/in`; `Err` says why that cannot be done here.
    pub(crate) fn boot(shared: &Path) -> Result<Machine, String> {
        if !support::privileged() {
            return Err("booting a container takes root".to_owned());
        }
        for program in ["systemd-nspawn", "nsenter", "unshare", "dpkg"] {
            support::find(program).ok_or_else(|| format!("{program} is not installed"))?;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let machine = directory.path().join("machine");
        fs::create_dir(&machine).expect("a folder for the machine");
        let log = directory.path().join("log");
        let file = fs::File::create(&log).expect("a log of the boot");
        let root = std::env::var("VIGIE_E2E_ROOT").unwrap_or_else(|_| "/".to_owned());
        let name = format!("vigie-e2e-{}", std::process::id());
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", BOOT, "sh"])
            .args([&machine, shared])
            .arg(name)
            .arg(root);
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a second handle")).stderr(file);
        let nspawn = command.spawn().map_err(|error| format!("unshare does not start: {error}"))?;
        let mut machine = Machine { nspawn, init: 0, log, _directory: directory };
        machine.wait_for_init()?;
        until("systemd in the container is up", PATIENCE, || {
            let said = machine.run(&["systemctl", "is-system-running"]);
            matches!(said.out.trim(), "running" | "degraded").then_some(())
        });
        Ok(machine)
    }

    fn wait_for_init(&mut self) -> Result<(), String> {
        let nspawn = self.nspawn.id();
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                return Err(format!("systemd-nspawn does not boot this machine ({status}): {}", self.log().trim()));
            }
            if let Some(init) = child_of(nspawn, "systemd") {
                self.init = init;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("systemd-nspawn does not boot this machine: {}", self.log().trim()))
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A command as root inside, with a clean environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init)).args(["--mount", "--uts", "--ipc", "--net", "--pid"]);
        command.args(["--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]);
        command.args(["DEBIAN_FRONTEND=noninteractive"]).args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("nsenter starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// The same; the test fails where the command does.
    #[track_caller]
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {}{}\n{}", said.out, said.err, self.journal());
        said.out
    }

    /// A line of shell.
    #[track_caller]
    pub(crate) fn shell(&self, line: &str) -> String {
        self.good(&["sh", "-ec", line])
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        let value = self.good(&["systemctl", "show", "--value", &format!("--property={name}"), unit]);
        value.trim().to_owned()
    }

    /// The last that vigie and systemd said of each other.
    pub(crate) fn journal(&self) -> String {
        self.run(&["journalctl", "--no-pager", "--output=cat", "--lines=30", "--unit=vigie.service"]).out
    }

    /// Does something in the container's network, on a thread of its own.
    pub(crate) fn inside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.init)).expect("the container has a network");
        std::thread::spawn(move || {
            setns(network.as_fd(), CloneFlags::CLONE_NEWNET).expect("root may enter it");
            work()
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.init != 0 && !matches!(self.nspawn.try_wait(), Ok(Some(_))) {
            if std::thread::panicking() {
                eprintln!("vigie's journal:\n{}", self.journal());
            }
            let _ = self.run(&["systemctl", "poweroff"]);
            for _ in 0..250 {
                if matches!(self.nspawn.try_wait(), Ok(Some(_))) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Its end takes the container with it, and the overlay goes with the last process that saw it.
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        remove_cgroups();
    }
}

/// systemd-nspawn leaves these empty where systemd does not run the host.
fn remove_cgroups() {
    let Ok(text) = fs::read_to_string("/proc/self/cgroup") else { return };
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let hierarchy = match controllers {
            "" => "unified",
            named => named.strip_prefix("name=").unwrap_or(named),
        };
        for ours in ["payload", "supervisor"] {
            remove_cgroup(Path::new(&format!("/sys/fs/cgroup/{hierarchy}{path}/{ours}")));
        }
    }
}

fn remove_cgroup(cgroup: &Path) {
    for inner in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&inner.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}

fn child_of(parent: u32, name: &str) -> Option<i32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (before, after) = stat.rsplit_once(')')?;
        let is = before.split_once('(')?.1 == name && after.split_ascii_whitespace().nth(1)?.parse() == Ok(parent);
        is.then_some(id)
    })
}
