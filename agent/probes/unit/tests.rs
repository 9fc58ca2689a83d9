use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::message::tests::{answer, units};
use super::*;
use crate::config::naming::Naming;
use crate::samplers::root::Root;
use crate::snapshot::{Labels, Reading};

fn unit(text: &str) -> Unit {
    toml::from_str(text).unwrap()
}

fn found(units: &[[&str; 4]]) -> Vec<Found> {
    let one = |[name, load, active, sub]: &[&str; 4]| {
        let text = |text: &&str| (*text).to_owned();
        Found { name: text(name), load: text(load), active: text(active), sub: text(sub), path: "/x".to_owned() }
    };
    units.iter().map(one).collect()
}

fn judged(text: &str, units: &[[&str; 4]]) -> String {
    match unit(text).judge(&found(units)) {
        Ok(()) => "good".to_owned(),
        Err(error) => format!("{}: {error} → {}", error.reason.word(), error.remedy()),
    }
}

#[test]
fn a_unit_is_in_its_state_or_it_is_said_where_to_look() {
    let nginx = "unit = 'nginx'";
    assert_eq!(judged(nginx, &[["nginx.service", "loaded", "active", "running"]]), "good");
    assert_eq!(judged(nginx, &[["nginx.service", "loaded", "reloading", "reload"]]), "good");
    assert_eq!(
        judged(nginx, &[["nginx.service", "loaded", "activating", "auto-restart"]]),
        "state: nginx.service is activating (auto-restart), expected active → look at journalctl -u nginx.service -e, \
         and systemctl status nginx.service"
    );
    assert!(
        judged(nginx, &[["nginx.service", "not-found", "inactive", "dead"]]).starts_with("absent: systemd knows no")
    );
    assert!(judged(nginx, &[["nginx.service", "masked", "inactive", "dead"]]).contains("is masked, expected active"));
    assert!(
        judged(nginx, &[["nginx.service", "bad-setting", "inactive", "dead"]]).contains("not loaded (bad-setting)")
    );
    let backup = "unit = 'backup'\nstates = ['active', 'activating', 'inactive']";
    assert_eq!(judged(backup, &[["backup.service", "loaded", "inactive", "dead"]]), "good");
    assert!(
        judged(backup, &[["backup.service", "loaded", "failed", "failed"]])
            .contains("active or activating or inactive")
    );
}

#[test]
fn of_a_pattern_all_must_run_or_so_many() {
    let three = &[
        ["pg@1.service", "loaded", "active", "running"],
        ["pg@2.service", "loaded", "failed", "failed"],
        ["pg@3.service", "loaded", "active", "running"],
    ];
    assert!(judged("unit = 'pg@*'", three).starts_with("state: pg@2.service is failed (failed)"));
    assert_eq!(judged("unit = 'pg@*'\nmin_count = 2", three), "good");
    assert!(judged("unit = 'pg@*'\nmin_count = 3", three).starts_with(
        "count: 2 of 3 units like pg@*.service are active, expected at least 3; pg@2.service is failed (failed)"
    ));
    assert!(judged("unit = 'pg@*'", &[]).starts_with("absent: systemd has loaded no unit like pg@*.service"));
    let refused = toml::from_str::<Unit>("unit = 'pg'\nmin_count = 2").unwrap_err();
    assert!(refused.message().contains("`unit` is one unit"), "{refused}");
}

/// A host of its own, and what a probe is born into there.
fn host() -> (tempfile::TempDir, Setting) {
    let place = tempfile::tempdir().unwrap();
    let below = |name| {
        let path = place.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let root = Arc::new(Root::open(&below("proc"), &below("sys"), place.path()).unwrap());
    let (probe, kind, target) = ("x", "unit", "nginx.service");
    let labels = Labels::new(&[("probe", probe), ("kind", kind), ("target", target)]);
    let setting = Setting { root, probe: probe.into(), kind, target: target.into(), naming: Naming::default(), labels };
    (place, setting)
}

/// A bus on which systemd gives these answers, one after the other, each to a connection that stays open.
fn systemd(root: &Path, answers: Vec<(Option<&'static str>, &'static str, Vec<u8>)>) {
    std::fs::create_dir_all(root.join("run/dbus")).unwrap();
    let listener = UnixListener::bind(root.join("run/dbus/system_bus_socket")).unwrap();
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut greeting = [0; bus_greeting()];
            stream.read_exact(&mut greeting).await.unwrap();
            stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").await.unwrap();
            let mut next = Some((None, "s", b"\x04\0\0\0:1.7\0".to_vec()));
            while let Some((error, signature, body)) = next {
                let mut fixed = [0; message::FIXED];
                if stream.read_exact(&mut fixed).await.is_err() {
                    break;
                }
                let mut rest = vec![0; message::parse_length(&fixed).unwrap() - fixed.len()];
                stream.read_exact(&mut rest).await.unwrap();
                let serial = u32::from_le_bytes(fixed[8..12].try_into().unwrap());
                // A signal in between is nobody's answer.
                let other = answer(0, None, "s", b"\0\0\0\0\0");
                let said = [other, answer(serial, error, signature, &body)].concat();
                stream.write_all(&said).await.unwrap();
                next = answers.next();
            }
        }
    });
}

const fn bus_greeting() -> usize {
    b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".len()
}

fn number(signature: &str, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.signature(signature).unwrap();
    write(&mut writer);
    writer.into_bytes()
}

#[tokio::test]
async fn what_systemd_says_is_told() {
    let (host, setting) = host();
    let list = || units(&[["nginx.service", "loaded", "active", "running"]]);
    let refused = (Some("org.freedesktop.DBus.Error.UnknownProperty"), "s", b"\0\0\0\0\0".to_vec());
    systemd(
        host.path(),
        vec![
            (None, "a(ssssssouso)", list()),
            (None, "v", number("t", |writer| writer.long(1_500_000))),
            (None, "v", number("u", |writer| writer.number(3))),
            (None, "a(ssssssouso)", list()),
            (None, "v", number("t", |writer| writer.long(0))),
            refused,
        ],
    );
    let mut probe = unit("unit = 'nginx'").probe(&setting);
    let mut told: Vec<Vec<(String, usize)>> = Vec::new();
    for _ in 0..2 {
        let mut report = Report::new(Arc::new(Reading::default()), &Labels::none());
        assert_eq!(probe.check(&mut report).await, Ok(()));
        let reading = report.into_reading();
        told.push(reading.families().map(|family| (family.metric.name.to_string(), family.points().len())).collect());
    }
    let family = |name: &str, count| (name.to_owned(), count);
    let (state, restarts) = (family("vigie_probe_unit_state", 5), family("vigie_probe_unit_restarts_total", 1));
    let first: Vec<(String, usize)> = vec![state.clone(), restarts, family("vigie_probe_unit_start_time_seconds", 1)];
    assert_eq!(told, [first, vec![state]]);
}

#[tokio::test]
async fn a_bus_that_is_not_there_or_refuses_is_told_with_what_mends_it() {
    let ask = async |setting: &Setting| {
        let mut report = Report::new(Arc::new(Reading::default()), &Labels::none());
        unit("unit = 'nginx'").probe(setting).check(&mut report).await.unwrap_err()
    };
    let (_host, setting) = host();
    let error = ask(&setting).await;
    assert!(error.reason == Reason::Connect && error.remedy().contains("mount the host's /run/dbus"), "{error}");
    for (name, reason) in [
        ("org.freedesktop.DBus.Error.AccessDenied", Reason::Permission),
        ("org.freedesktop.DBus.Error.ServiceUnknown", Reason::Connect),
        ("org.freedesktop.DBus.Error.UnknownMethod", Reason::Protocol),
    ] {
        let (host, setting) = host();
        systemd(host.path(), vec![(Some(name), "s", b"\0\0\0\0\0".to_vec())]);
        let error = ask(&setting).await;
        assert_eq!(error.reason, reason, "{error}");
    }
}
