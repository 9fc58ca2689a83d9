//! Probes of a running agent: on the page, in `/health`, in the log, and over a reload.

use std::net::TcpListener;

use nix::sys::signal::Signal;

use super::servers::{mail, nobody, silent};
use super::support::Run;
use super::{agent, check, health, until_probe};

fn tcp(name: &str, address: impl std::fmt::Display) -> String {
    format!("[[probe.tcp]]\nname = '{name}'\naddress = '{address}'\ninterval = '1s'\ntimeout = '500ms'\n")
}

#[test]
fn each_probe_is_on_the_page_under_the_names_that_dashboards_know() {
    let (good, bad) = (mail(), nobody());
    let agent = agent(&format!("{}{}", tcp("good", good), tcp("bad", bad)));
    until_probe(&agent, "good", "up", |probe| probe["up"] == true);
    until_probe(&agent, "bad", "down", |probe| probe["up"] == false);
    assert_eq!(health(&agent, "bad")["reason"], "connect");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let page = agent.page();
    let (good, bad) = (good.to_string(), bad.to_string());
    let good = [("probe", "good"), ("kind", "tcp"), ("target", &*good)];
    let bad = [("probe", "bad"), ("kind", "tcp"), ("target", &*bad)];
    assert_eq!((page.value("probe_success", &good), page.value("probe_success", &bad)), (1.0, 0.0));
    assert_eq!((page.value("vigie_probe_up", &good), page.value("vigie_probe_up", &bad)), (1.0, 0.0));
    assert_eq!((page.value("probe_ip_protocol", &good), page.value("probe_ip_protocol", &bad)), (4.0, 4.0));
    assert!(page.value("probe_duration_seconds", &good) < 0.5);
    assert!(page.value("vigie_probe_age_seconds", &good) < 3.0);
    assert!(page.value("vigie_probe_consecutive_failures", &bad) >= 3.0);
    assert!(page.value("vigie_probe_failures_total", &[&bad[..], &[("reason", "connect")]].concat()) >= 3.0);
    assert!(page.find("vigie_probe_last_success_timestamp_seconds", &bad).is_none());
    assert_eq!(page.type_of("vigie_probe_duration_seconds_bucket"), Some("histogram"));
    let infinite = [&good[..], &[("le", "+Inf")]].concat();
    let checks = page.value("vigie_probe_duration_seconds_bucket", &infinite);
    assert_eq!(checks, page.value("vigie_probe_duration_seconds_count", &good));
    assert!(agent.log().contains("probe is down"), "{}", agent.log());
    assert_eq!(agent.log().matches("probe is down").count(), 1, "{}", agent.log());
    let open = agent.get("/metrics", &[("Accept", "application/openmetrics-text;version=1.0.0")]);
    super::support::parse_open_metrics(&open.text());
}

#[test]
fn what_comes_back_is_told_once() {
    let place = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let agent = agent(&tcp("service", address));
    until_probe(&agent, "service", "down", |probe| probe["up"] == false);
    let _service = TcpListener::bind(address).unwrap();
    until_probe(&agent, "service", "up", |probe| probe["up"] == true);
    agent.wait_log("probe is up again");
    assert_eq!(agent.log().matches("probe is").count(), 2, "{}", agent.log());
}

#[test]
fn a_reload_adds_and_takes_away_and_leaves_the_rest() {
    let same = tcp("same", nobody());
    let mut agent = agent(&format!("{same}{}", tcp("gone", silent())));
    until_probe(&agent, "same", "down", |probe| probe["up"] == false);
    let failures = health(&agent, "same")["failures"].as_u64().unwrap();
    let file = agent.directory().join("config.toml");
    std::fs::write(&file, format!("{same}{}", tcp("new", silent()))).unwrap();
    agent.signal(Signal::SIGHUP);
    until_probe(&agent, "same", "still known", |_| agent.log().contains("the new configuration is in force"));
    until_probe(&agent, "new", "up", |probe| probe["up"] == true);
    assert!(health(&agent, "same")["failures"].as_u64().unwrap() >= failures);
    assert!(!agent.health().to_string().contains("gone"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(agent.page().of("probe_success").all(|(series, _)| series.label("probe") != "gone"));
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait_end().0.success());
}

#[test]
fn check_tells_the_whole_table_and_fails_where_one_does() {
    let (run, said) = check(&format!("{}{}", tcp("good", silent()), tcp("bad", nobody())));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("1 of 2 probes fail"), "{run:?}");
    assert_eq!(said.iter().map(|said| &*said.result).collect::<Vec<_>>(), ["good", "connect"]);
    let (run, _) = check(&tcp("good", silent()));
    assert_eq!(run.code, Some(0), "{run:?}");
    let without = Run::of(&["check", "--set", "probe.tcp=[{name='a', address='127.0.0.1:1'}]"]);
    assert!(without.out.contains("probes: 1"), "{without:?}");
}
