//! The monitor is never the outage.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::server::Postgres;
use super::{agent, find, server, until_page, up};
use crate::support::{PATIENCE, skipped, until};

const OTHER: &str = "pid <> pg_backend_pid()";

/// The process of our session.
fn pid(server: &Postgres) -> Option<i32> {
    server.sql("SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'vigie'").parse().ok()
}

/// Looks many times, for so long, how many sessions are ours: the most there were.
fn most_of_ours(server: &Postgres, long: Duration) -> usize {
    let begun = Instant::now();
    let mut most = 0;
    while begun.elapsed() < long {
        most = most.max(server.ours());
        let held = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
            WHERE a.application_name = 'vigie' AND a.state LIKE 'idle%'";
        // The two views are not of one moment: a lock that is really held is there again and again.
        assert!((0..5).any(|_| server.sql(held) == "0"), "a lock is held between statements");
        assert_eq!(
            server.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vigie' AND state LIKE 'idle in%'"
            ),
            "0"
        );
    }
    most
}

#[test]
fn there_is_one_session_and_a_second_for_a_moment() {
    let Some(server) = server(&[]) else { return };
    for name in ["one", "two", "\"a \"\"b\"\" 'c' \\ d\""] {
        server.sql(&format!("CREATE DATABASE {name}"));
    }
    let agent = agent(&server.probe("slow_interval = '1s'"));
    until_page(&agent, "it is up", up);
    let first = pid(&server);
    assert!(most_of_ours(&server, Duration::from_secs(6)) <= 2);
    let page = until_page(&agent, "every database was visited", |page| {
        page.of("vigie_postgres_database_age_seconds").count() == 4
    });
    assert!(find(&page, "pg_database_size_bytes", &[("datname", "a \"b\" 'c' \\ d")]).is_some_and(|size| size > 1e6));
    assert_eq!(find(&page, "vigie_postgres_unused_indexes", &[("datname", "a \"b\" 'c' \\ d")]), Some(0.0));
    assert_eq!(find(&page, "vigie_postgres_sessions_total", &[]), Some(1.0));
    assert_eq!(page.of("vigie_postgres_unavailable").count(), 0, "{:?}", page.of("vigie_postgres_unavailable").next());
    assert_eq!(pid(&server).min(first), first);
    let without = super::agent(&server.probe("databases = { max = 0 }"));
    drop(agent);
    until_page(&without, "it is up", up);
    until("the other agent's session is gone", PATIENCE, || (server.ours() == 1).then_some(()));
    assert_eq!(most_of_ours(&server, Duration::from_secs(3)), 1);
}

#[test]
fn nobody_is_waited_for_who_holds_a_table_for_himself() {
    let Some(server) = server(&[]) else { return };
    server.sql(
        "CREATE TABLE free (x int PRIMARY KEY); CREATE TABLE held (x int PRIMARY KEY); INSERT INTO held VALUES (1); \
        INSERT INTO free VALUES (1)",
    );
    let _client = server.hold("postgres", "BEGIN; ALTER TABLE held ADD COLUMN y int; CREATE INDEX ON held (y)");
    until("the table is held", PATIENCE, || {
        (server.sql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'held'::regclass")
            != "0")
            .then_some(())
    });
    // Somebody waits behind: who came after would wait behind both.
    let _waiting = server.hold("postgres", "BEGIN; LOCK TABLE held");
    until("somebody waits", PATIENCE, || {
        (server.sql(&format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {OTHER}"))
            == "1")
            .then_some(())
    });
    let agent = agent(&server.probe("slow_interval = '1s'"));
    let page = until_page(&agent, "the tables are there", |page| page.of("pg_stat_user_tables_seq_scan").count() == 2);
    assert!(find(&page, "pg_stat_user_tables_table_size_bytes", &[("relname", "free")]).is_some());
    assert_eq!(find(&page, "pg_stat_user_tables_table_size_bytes", &[("relname", "held")]), None);
    assert_eq!(find(&page, "vigie_postgres_blocked_sessions", &[]), Some(1.0));
    assert!(find(&page, "vigie_postgres_longest_lock_wait_seconds", &[]).unwrap() > 0.0);
    assert_eq!(page.of("vigie_postgres_unavailable").count(), 0);
    // Three more rounds: none takes as long as a lock's timeout.
    let checks = find(&page, "pg_exporter_scrapes_total", &[]).unwrap();
    until_page(&agent, "it goes on", |page| {
        assert!(up(page));
        find(page, "pg_exporter_scrapes_total", &[]).unwrap() >= checks + 3.0
    });
    assert!(!server.log().contains("lock timeout"), "{}", server.log());
}

#[test]
fn a_server_that_hangs_has_no_second_session_to_carry() {
    let Some(server) = server(&[]) else { return };
    let agent = agent(&server.probe("timeout = '1s'\ndatabases = { max = 0 }"));
    until_page(&agent, "it is up", up);
    let ours = pid(&server).unwrap();
    kill(Pid::from_raw(ours), Signal::SIGSTOP).unwrap();
    let page = until_page(&agent, "it is down", |page| {
        find(page, "vigie_probe_failures_total", &[("reason", "timeout")]).is_some_and(|failures| failures >= 4.0)
    });
    assert_eq!(find(&page, "pg_up", &[]), Some(0.0));
    assert_eq!(server.ours(), 1);
    let health = agent.health().to_string();
    assert!(health.contains("the statement before this one still hangs on the server"), "{health}");
    kill(Pid::from_raw(ours), Signal::SIGCONT).unwrap();
    let page = until_page(&agent, "it is up again", up);
    assert_eq!((server.ours(), pid(&server)), (1, Some(ours)));
    assert_eq!(find(&page, "vigie_postgres_sessions_total", &[]), Some(1.0));
}

#[test]
fn a_statement_that_takes_too_long_costs_itself_only() {
    let Some(server) = server(&[]) else { return };
    server.sql("CREATE SEQUENCE numbers; GRANT ALL ON numbers TO vigie");
    let query = "statement_timeout = '200ms'\n[[probe.postgres.query]]\nname = 'slow'\nvalues = ['n']\n\
        sql = 'SELECT 1 AS n FROM pg_catalog.pg_sleep(5)'\n\
        [[probe.postgres.query]]\nname = 'write'\nvalues = ['n']\nsql = \"SELECT pg_catalog.nextval('public.numbers') AS n\"\n\
        [[probe.postgres.query]]\nname = 'good'\nlabels = ['a']\nvalues = ['n']\nlimit = 2\n\
        sql = \"SELECT * FROM (VALUES ('x', 9007199254740993), ('y', 2), ('z', 3)) v(a, n);\"";
    let agent = agent(&server.probe(query));
    let page = until_page(&agent, "it is up", up);
    for reason in ["timeout", "read_only", "limit"] {
        assert_eq!(
            find(&page, "vigie_postgres_unavailable", &[("family", "query"), ("reason", reason)]),
            Some(1.0),
            "{reason}"
        );
    }
    assert!(agent.get("/metrics", &[]).text().contains("a=\"x\"} 9007199254740993\n"));
    assert_eq!(page.of("good_n").count(), 2);
    assert_eq!(page.of("slow_n").count() + page.of("write_n").count(), 0);
    assert!(find(&page, "pg_postmaster_start_time_seconds", &[]).is_some());
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let Some(mut server) = server(&[]) else { return };
    let agent = agent(&server.probe(""));
    until_page(&agent, "it is up", up);
    server.stop();
    until_page(&agent, "it is down", |page| find(page, "pg_up", &[]) == Some(0.0));
    server.run();
    until_page(&agent, "it is up again", up);
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vigie'");
    until_page(&agent, "it has another session", |page| {
        up(page) && find(page, "vigie_postgres_sessions_total", &[]) == Some(3.0)
    });
}

#[test]
fn nothing_of_ours_is_left_in_what_a_pooler_shares() {
    let Some(server) = server(&[]) else { return };
    let Some(pooler) = pooler(&server) else { return skipped("pgbouncer is not installed") };
    let config =
        server.probe("databases = { max = 0 }").replace(&format!(":{}/", server.port), &format!(":{}/", pooler.port));
    let agent = agent(&config);
    until_page(&agent, "it is up", |page| {
        assert!(page.of("vigie_postgres_unavailable").count() == 0);
        up(page) && find(page, "pg_exporter_scrapes_total", &[]).is_some_and(|checks| checks >= 3.0)
    });
    let shown = "SELECT current_setting('transaction_read_only') || current_setting('statement_timeout') \
        || current_setting('lock_timeout') || current_setting('search_path') || current_setting('jit')";
    let mut through = std::process::Command::new("psql");
    through.args(["-X", "-A", "-t", "-c", shown, "-h", "127.0.0.1", "-U", "vigie", "-d", "postgres"]);
    let said =
        through.args(["-p", &pooler.port.to_string()]).env("PGPASSWORD", super::server::PASSWORD).output().unwrap();
    // One connection to the server is shared by all of this user.
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "off00\"$user\", publicon", "{said:?}");
}

struct Pooler {
    child: std::process::Child,
    port: u16,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pooler(server: &Postgres) -> Option<Pooler> {
    use std::os::unix::process::CommandExt;
    let program = crate::support::find("pgbouncer")?;
    let port = crate::support::spare_port();
    let (users, file) = (server.directory().join("users"), server.directory().join("pgbouncer.ini"));
    std::fs::write(&users, format!("\"vigie\" \"{}\"\n", super::server::PASSWORD)).unwrap();
    let lines = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         auth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 1\nunix_socket_dir =\n",
        server.port,
        users.display()
    );
    std::fs::write(&file, lines).unwrap();
    let mut command = std::process::Command::new(program);
    if nix::unistd::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let log = std::fs::File::create(server.directory().join("pgbouncer.log")).unwrap();
    let child = command
        .arg(file)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    until("pgbouncer listens", PATIENCE, || crate::support::Connection::tcp(port).ok());
    Some(Pooler { child, port })
}
