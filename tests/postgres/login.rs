//! Getting in, and all the ways of not getting in.

use super::server::PASSWORD;
use super::{agent, check, server, until_page, up};
use crate::support::{Connection, now_seconds, spare_port};

#[test]
fn who_does_not_get_in_is_told_why_and_what_to_do() {
    let Some(server) = server(&["max_connections = 6", "superuser_reserved_connections = 1"]) else { return };
    let probe =
        |url: &str, more: &str| format!("[[probe.postgres]]\nname = 'x'\nurl = '{url}'\ntimeout = '3s'\n{more}\n");
    let port = server.port;
    let wrong = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(wrong.path(), "wrong-horse").unwrap();
    let password = format!("password = {{ file = '{}' }}", wrong.path().display());
    let (table, result) = check(&probe(&format!("postgresql://vigie@127.0.0.1:{port}/postgres"), &password));
    assert_eq!(result, "auth", "{table}");
    assert!(
        table.contains("password authentication failed") && table.contains("check the password of vigie"),
        "{table}"
    );
    assert!(!table.contains("wrong-horse"), "{table}");
    let (table, result) = check(&probe(&format!("postgresql://vigie@127.0.0.1:{port}/postgres"), ""));
    assert_eq!(result, "auth", "{table}");
    assert!(table.contains("write `password = {"), "{table}");
    let socket = format!("postgresql:///nowhere?host={}&port={port}", server.directory().display());
    let (table, result) = check(&probe(&socket, ""));
    assert_eq!(result, "absent", "{table}");
    let (table, result) = check(&probe(&socket.replace("/nowhere", "/postgres"), ""));
    assert_eq!(result, "good", "{table}");
    let (table, result) = check(&probe(&format!("{}&user=postgres", socket.replace("/nowhere", "/postgres")), ""));
    assert_eq!(result, "good", "{table}");
    let (table, result) = check(&probe(&format!("postgresql://127.0.0.1:{}/", spare_port()), ""));
    assert_eq!(result, "connect", "{table}");
    let _clients: Vec<_> = (0..5).map(|_| server.hold("postgres", "SELECT 1")).collect();
    crate::support::until("no room is left", crate::support::PATIENCE, || {
        (server.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()",
        ) == "5")
            .then_some(())
    });
    let (table, result) = check(&server.probe(""));
    assert_eq!(result, "full", "{table}");
    assert!(table.contains("too many clients") || table.contains("reserved"), "{table}");
    assert!(table.contains("raise max_connections"), "{table}");
}

#[test]
fn who_may_not_see_is_told_the_grant() {
    let Some(server) = server(&[]) else { return };
    server.sql("REVOKE pg_monitor FROM vigie; CREATE TABLE secrets (x int)");
    let query =
        "[[probe.postgres.query]]\nname = 'own'\nsql = 'SELECT count(*) AS n FROM public.secrets'\nvalues = ['n']";
    let (table, result) = check(&server.probe(query));
    assert_eq!(result, "good", "{table}");
    for words in [
        "statistics: this user does not see what the others do: GRANT pg_monitor TO vigie;",
        "wal: permission denied for function pg_ls_waldir: GRANT pg_monitor TO vigie;",
        "query own: permission denied for table secrets: GRANT pg_read_all_data TO vigie;",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    server.sql("GRANT pg_monitor TO vigie; GRANT SELECT ON secrets TO vigie");
    let (table, _) = check(&server.probe(query));
    assert!(!table.contains("GRANT"), "{table}");
}

#[test]
fn the_password_is_to_be_seen_nowhere() {
    let Some(server) = server(&[]) else { return };
    let passfile = server.directory().join("pgpass");
    std::fs::write(&passfile, format!("127.0.0.1:*:*:vigie:{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let second = server.probe("").replace("'main'", "'second'");
    let second: String =
        second.lines().filter(|line| !line.starts_with("password")).map(|line| format!("{line}\n")).collect();
    let config = format!("[log]\nlevel = 'debug'\n{}{second}passfile = '{}'\n", server.probe(""), passfile.display());
    let agent = agent(&config);
    let page = until_page(&agent, "both are up", |page| page.of("pg_up").filter(|(_, up)| *up == 1.0).count() == 2);
    assert!(up(&page) && now_seconds() > 0.0);
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", agent.pid())).unwrap();
    let health = agent.get("/health", &[]).text();
    for text in [agent.get("/metrics", &[]).text(), health, agent.log(), String::from_utf8_lossy(&cmdline).into_owned()]
    {
        assert!(!text.contains(PASSWORD));
    }
    let _ = Connection::tcp(agent.port);
}
