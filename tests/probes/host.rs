//! What is looked at on this host: files, mounts, ports and processes.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, SystemTime};

use super::support::{Hanging, skipped, spare_port, with_own_mounts};
use super::{Said, agent, check, health, one, until_probe};

fn file(path: &str, more: &str) -> Said {
    one(&format!("[[probe.file]]\nname = 'x'\npath = '{path}'\n{more}\n"))
}

#[test]
fn the_newest_of_the_files_that_match_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display();
    let make = |name: &str, size: usize, hours: u64| {
        let path = directory.path().join(name);
        std::fs::write(&path, vec![0; size]).unwrap();
        let modified = SystemTime::now() - Duration::from_secs(hours * 3_600);
        File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    };
    let dump = "max_age = '26h'\nmin_size = '1KB'";
    assert_eq!(file(&format!("{place}/*.gz"), dump).result, "absent");
    make("b.sql.gz", 2_000, 50);
    make("notes.txt", 0, 0);
    let old = file(&format!("{place}/*.gz"), dump);
    assert_eq!(old.result, "age", "{old:?}");
    assert!(old.why.contains("b.sql.gz is 2d2h") && old.why.contains("at most 1d2h"), "{old:?}");
    make("a.sql.gz", 10, 1);
    let small = file(&format!("{place}/*.gz"), dump);
    assert_eq!(small.result, "size", "{small:?}");
    make("a.sql.gz", 1_000, 1);
    assert_eq!(file(&format!("{place}/*.gz"), dump).result, "good");
    assert_eq!(file(&format!("{place}/*.gz"), "min_count = 3").result, "count");
    let (parent, own) = (directory.path().parent().unwrap(), directory.path().file_name().unwrap().to_str().unwrap());
    let wild = format!("{}/{}?{}/[ab].sql.*", parent.display(), &own[..2], &own[3..]);
    assert_eq!(file(&wild, "min_count = 2").result, "good", "{wild}");
}

#[test]
fn a_filesystem_that_hangs_costs_its_own_probe_only() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("dead");
    let mut reason = None;
    let outcome = with_own_mounts(|| match Hanging::mount(&place) {
        Ok(_hanging) => watch_what_hangs(&place.display().to_string()),
        Err(why) => reason = Some(why),
    });
    if let Some(why) = outcome.err().or(reason) {
        skipped(&why);
    }
}

fn watch_what_hangs(place: &str) {
    let agent = agent(&format!(
        "[[probe.file]]\nname = 'dead'\npath = '{place}/*'\ninterval = '1s'\n\
         [[probe.file]]\nname = 'alive'\npath = '/etc/passwd'\ninterval = '1s'\n\
         [[probe.mount]]\nname = 'mounted'\npath = '{place}'\ninterval = '1s'\n"
    ));
    until_probe(&agent, "dead", "down", |probe| probe["up"] == false);
    assert_eq!(health(&agent, "dead")["reason"], "timeout");
    until_probe(&agent, "dead", "said to hang", |probe| {
        probe["message"].as_str().is_some_and(|message| message.contains("still hangs"))
    });
    until_probe(&agent, "alive", "up", |probe| probe["up"] == true && probe["consecutive_failures"] == 0);
    until_probe(&agent, "mounted", "up", |probe| probe["up"] == true);
    assert!(agent.status("Threads") < 20, "{}", agent.status("Threads"));
}

#[test]
fn mounts_are_there_or_not() {
    let mount = |path: &str, more: &str| one(&format!("[[probe.mount]]\nname = 'x'\npath = '{path}'\n{more}\n"));
    assert_eq!(mount("/", "").result, "good");
    assert_eq!(mount("/proc", "").result, "good");
    let absent = mount("/nowhere/at/all", "");
    assert_eq!(absent.result, "absent");
    assert!(absent.why.contains("/etc/fstab"), "{absent:?}");
}

#[test]
fn ports_that_somebody_listens_on_are_seen_without_a_connection() {
    let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    tcp.set_nonblocking(true).unwrap();
    let port = |port: u16, more: &str| format!("[[probe.port]]\nname = '{more}{port}'\nport = {port}\n{more}\n");
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    assert_eq!(one(&port(tcp_port, "")).result, "good");
    assert_eq!(one(&format!("[[probe.port]]\nname = 'x'\nport = {udp_port}\nprotocol = 'udp'\n")).result, "good");
    assert_eq!(
        one(&format!("[[probe.port]]\nname = 'x'\nport = {tcp_port}\naddress = '192.0.2.1'\n")).result,
        "absent"
    );
    assert_eq!(one(&port(spare_port(), "")).result, "absent");
    assert!(tcp.accept().is_err());
}

#[test]
fn processes_that_run_are_counted() {
    let own = std::env::current_exe().unwrap().display().to_string();
    let process = |name: &str, keys: &str| format!("[[probe.process]]\nname = '{name}'\n{keys}\n");
    let (run, said) = check(&format!(
        "{}{}{}",
        process("exe", &format!("exe = '^{}$'", own.replace('.', "\\."))),
        process("none", "comm = '^no such program$'"),
        process("many", "cmdline = '.'\nmin_count = 90000"),
    ));
    let results: Vec<&str> = said.iter().map(|said| &*said.result).collect();
    assert_eq!(results, ["good", "absent", "count"], "{run:?}");
}
