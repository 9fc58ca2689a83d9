//! What `make deb` and `make install` make: the same bytes twice, and nothing left behind.

// Helpers of a test may panic as the test may. Tests may run other programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_types
)]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

fn of_the_project(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn good(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn files_below(folder: &Path) -> Vec<String> {
    let listed = good(Command::new("find").arg(folder).args(["-type", "f", "-printf", "%P\n"]));
    let mut files: Vec<_> = listed.lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn two_packages_of_one_program_are_the_same_bytes() {
    if support::find("dpkg-deb").is_none() {
        return support::skipped("dpkg-deb is not installed");
    }
    let package = |umask: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut pack = of_the_project("sh");
        pack.args(["-c", &format!("umask {umask}; exec packaging/deb 1.2.3 amd64")]);
        // The program itself does not matter here, and a small one packs faster.
        pack.env("BINARY", "/bin/true").env("OUT", folder.path()).env("SOURCE_DATE_EPOCH", "1700000000");
        good(&mut pack);
        std::fs::read(folder.path().join("vigie_1.2.3_amd64.deb")).unwrap()
    };
    assert!(package("022") == package("077"));
}

#[test]
fn what_is_installed_is_uninstalled_but_for_the_configuration() {
    if support::find("make").is_none() {
        return support::skipped("make is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let destination = format!("DESTDIR={}", folder.path().display());
    let make = |target: &str| {
        good(of_the_project("make").args([target, "BINARY=/bin/true", &destination, "PREFIX=/opt/vigie"]))
    };
    make("install");
    let unit = std::fs::read_to_string(folder.path().join("opt/vigie/lib/systemd/system/vigie.service")).unwrap();
    assert!(unit.contains("ExecStart=/opt/vigie/bin/vigie run"), "{unit}");
    let config = folder.path().join("etc/vigie/config.toml");
    std::fs::write(&config, "# Mine.\n").unwrap();
    make("install");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "# Mine.\n");
    make("uninstall");
    assert_eq!(files_below(folder.path()), ["etc/vigie/config.toml"]);
}

#[test]
fn a_package_names_whom_it_is_from_and_what_is_in_it() {
    if support::find("dpkg-deb").is_none() {
        return support::skipped("dpkg-deb is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut pack = of_the_project("packaging/deb");
    pack.args(["1.2.3", "amd64"]).env("BINARY", "/bin/true").env("OUT", folder.path()).env("COMPRESSION", "none");
    good(pack.env("MAINTAINER", "A & B <a@example.net>"));
    let package = folder.path().join("vigie_1.2.3_amd64.deb");
    let field = good(Command::new("dpkg-deb").arg("--field").arg(&package).arg("Maintainer"));
    assert_eq!(field, "A & B <a@example.net>\n");

    good(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(folder.path()));
    let notices = good(Command::new("zcat").arg(folder.path().join("usr/share/doc/vigie/NOTICES.gz")));
    let (list, texts) = notices.split_once("\n====").unwrap();
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    for (name, _) in manifest["dependencies"].as_table().unwrap() {
        let line = list.lines().find(|line| line.split(' ').next() == Some(name));
        let licence =
            line.and_then(|line| line.split_once("  ")).map(|(_, licence)| licence.trim()).unwrap_or_default();
        assert!(!licence.is_empty(), "{name} stands there without a licence: {line:?}");
    }
    // Whose licence asks for nothing but its text.
    for name in ["ring", "hyper", "subtle", "zlib-rs"] {
        assert!(
            texts.lines().any(|line| line.starts_with(&format!("{name} ")) || line.contains(&format!(", {name} ")))
        );
    }
}
