//! A virtual machine with a kernel of its own, for what this machine's kernel may lack: all of control groups
//! version 2, a disk to write to, memory to run out of.
//!
//! It boots Debian's cloud kernel in emulation, without any privilege and without a disk image: what runs inside is
//! copied from here, each program with its libraries, and is the root file system.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::find;

/// What the tests inside may run; the first two are also what the machine is made ready with.
const PROGRAMS: &[&str] = &["sh", "mount", "ip", "cat", "dd", "head", "tr", "touch", "sleep", "setpriv"];

/// It says at the end how the tests inside ended, and turns the machine off.
const INIT: &str = r#"#!/bin/sh
export PATH=/bin HOME=/ RUST_BACKTRACE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
/tests --test-threads=1 --include-ignored --exact TESTS
echo "tests ended with $?"
echo o >/proc/sysrq-trigger
sleep 60
"#;

/// It boots in four seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The disk that nobody but the tests inside use.
pub(crate) const DISK: &str = "nvme0n1";

/// Runs tests of this very test binary inside, ignored ones too, and fails where they do; gives what they said.
///
/// # Errors
/// What is missing here.
pub(crate) fn run(tests: &[&str]) -> Result<String, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("the kernel that is booted is one for x86_64".to_owned());
    }
    let qemu = find("qemu-system-x86_64").ok_or("qemu-system-x86 is not installed")?;
    let kernel = kernel().ok_or("there is no kernel to boot: linux-image-cloud-amd64 could not be fetched")?;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = |name| directory.path().join(name);
    let (root, disk, log) = (place("root"), place("disk"), place("log"));
    fs::write(&root, archive(&files(tests)?)).expect("the root file system is written");
    fs::File::create(&disk).and_then(|disk| disk.set_len(256 << 20)).expect("a disk");
    let mut command = Command::new(qemu);
    command.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]);
    command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(root);
    command.args(["-append", "console=ttyS0 quiet panic=-1 psi=1"]);
    command.arg("-drive").arg(format!("file={},id=disk,if=none,format=raw,cache=unsafe", disk.display()));
    command.args(["-device", "nvme,serial=vigie,drive=disk"]);
    let output = fs::File::create(&log).expect("a log");
    let errors = output.try_clone().expect("a second handle");
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("qemu starts");
    let begun = Instant::now();
    while child.try_wait().expect("qemu can be waited for").is_none() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).replace('\r', "");
    assert!(said.contains("tests ended with 0\n"), "the tests inside failed:\n{said}");
    // A filter that finds nothing is no success.
    assert!(tests.iter().all(|test| said.contains(&format!("test {test} "))), "not all were there:\n{said}");
    Ok(said)
}

/// A kernel that tests/setup has unpacked.
fn kernel() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/boot");
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let is_kernel = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"));
    entries.filter(is_kernel).max()
}

/// What is inside: by its place there, its content and its mode.
type Files = BTreeMap<PathBuf, (Vec<u8>, u32)>;

fn files(tests: &[&str]) -> Result<Files, String> {
    let mut files = Files::new();
    for folder in ["/proc", "/sys", "/dev", "/tmp"] {
        files.insert(folder.into(), (Vec::new(), 0o040_755));
    }
    let init = INIT.replace("TESTS", &tests.join(" "));
    files.insert("/init".into(), (init.into_bytes(), 0o100_755));
    let mut programs = vec![
        (std::env::current_exe().expect("this test is a file"), PathBuf::from("/tests")),
        (env!("CARGO_BIN_EXE_vigie").into(), env!("CARGO_BIN_EXE_vigie").into()),
    ];
    for name in PROGRAMS {
        let program = find(name).ok_or_else(|| format!("{name} is not installed"))?;
        programs.push((program, Path::new("/bin").join(name)));
    }
    let mut libraries = Vec::new();
    for (program, _) in &programs {
        let said = Command::new("ldd").arg(program).output().map_err(|error| format!("ldd: {error}"))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        libraries.extend(said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
    }
    programs.extend(libraries.into_iter().map(|library| (library.clone(), library)));
    for (from, to) in programs {
        let content = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        let mode = fs::metadata(&from).map_or(0o755, |metadata| metadata.permissions().mode() & 0o777);
        for folder in to.ancestors().skip(1).filter(|folder| folder.parent().is_some()) {
            files.entry(folder.to_owned()).or_insert((Vec::new(), 0o040_755));
        }
        files.insert(to, (content, 0o100_000 | mode));
    }
    Ok(files)
}

/// The files as the kernel unpacks them: Documentation/driver-api/early-userspace/buffer-format.rst.
fn archive(files: &Files) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut add = |name: &str, content: &[u8], mode: u32, inode: usize| {
        let [size, name_size] = [content.len(), name.len() + 1];
        let fields = [inode, mode as usize, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        archive.extend_from_slice(b"070701");
        fields.iter().for_each(|field| archive.extend_from_slice(format!("{field:08X}").as_bytes()));
        for part in [&[name.as_bytes(), &[0]].concat(), content] {
            archive.extend_from_slice(part);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
    };
    // Folders come before what is in them: the paths are in order.
    for (inode, (path, (content, mode))) in files.iter().enumerate() {
        add(path.to_str().expect("a path of letters").trim_start_matches('/'), content, *mode, inode + 1);
    }
    add("TRAILER!!!", &[], 0, 0);
    archive
}
