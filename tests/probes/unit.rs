//! unit: against a real bus that systemd is not on. With systemd, tests/e2e asks for units.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::{PATIENCE, find, skipped, until};
use super::{Said, one};

/// A bus below `run/dbus` of a folder.
struct Bus(Child);

impl Bus {
    fn start(root: &Path, policy: &str) -> Option<Bus> {
        let program = find("dbus-daemon")?;
        let socket = root.join("run/dbus/system_bus_socket");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let config = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">
             <busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
             <policy context=\"default\"><allow user=\"*\"/>{policy}<allow receive_type=\"error\"/>
             <allow receive_type=\"method_return\"/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(root.join("bus.conf"), config).unwrap();
        let mut command = Command::new(program);
        command.arg(format!("--config-file={}", root.join("bus.conf").display())).args(["--nofork", "--nopidfile"]);
        let bus = Bus(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until("the bus listens", PATIENCE, || std::os::unix::net::UnixStream::connect(&socket).ok());
        Some(bus)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn unit(root: &Path) -> Said {
    one(&format!(
        "[paths]\nproc = '/proc'\nsys = '/sys'\nroot = '{}'\n[[probe.unit]]\nname = 'x'\nunit = 'nginx'\n",
        root.display()
    ))
}

#[test]
fn no_bus_and_a_bus_without_systemd_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let said = unit(root.path());
    assert!(said.result == "connect" && said.why.contains("mount the host's /run/dbus"), "{said:?}");
    let everything = "<allow send_destination=\"*\"/>";
    let Some(_bus) = Bus::start(root.path(), everything) else { return skipped("dbus-daemon is not installed") };
    let said = unit(root.path());
    assert!(said.result == "connect" && said.why.contains("systemd is not on the system's bus"), "{said:?}");
}

#[test]
fn a_bus_that_hangs_up_on_us_is_told_with_what_mends_it() {
    let root = tempfile::tempdir().unwrap();
    let Some(_bus) = Bus::start(root.path(), "<deny user=\"*\"/>") else {
        return skipped("dbus-daemon is not installed");
    };
    let said = unit(root.path());
    assert!(said.result == "permission" && said.why.contains("systemd-sysusers vigie.conf"), "{said:?}");
}
