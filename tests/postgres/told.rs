//! What is told of real servers: replicas, tables, statements, secured ones.

use super::{agent, check, find, server, until_page, up};
use crate::support::{PATIENCE, skipped, until};

#[path = "../support/papers.rs"]
mod papers;

#[test]
fn a_replica_is_told_from_a_primary_until_it_is_one() {
    let Some(server) = server(&["max_slot_wal_keep_size = '64MB'"]) else { return };
    let replica = server.follow("stand by 1".replace(' ', "_").as_str());
    let second = replica.probe("").replace("'main'", "'replica'");
    let agent = agent(&format!("{}{second}", server.probe("")));
    server.sql("CREATE TABLE grows AS SELECT generate_series(1, 1000) AS x");
    let of = |probe: &'static str| [("probe", probe)];
    let page = until_page(&agent, "the replica streams", |page| {
        find(page, "pg_stat_wal_receiver_status", &of("replica")) == Some(1.0)
            && find(page, "pg_replication_slots_active", &of("main")) == Some(1.0)
    });
    assert_eq!(find(&page, "pg_replication_is_replica", &of("main")), Some(0.0));
    assert_eq!(find(&page, "pg_replication_is_replica", &of("replica")), Some(1.0));
    assert_eq!(find(&page, "pg_settings_in_hot_standby", &of("replica")), Some(1.0));
    assert!(
        find(&page, "pg_stat_replication_pg_wal_lsn_diff", &[("slot_name", "stand_by_1"), ("state", "streaming")])
            .is_some()
    );
    assert!(find(&page, "pg_replication_slot_safe_wal_size_bytes", &[("slot_name", "stand_by_1")]).unwrap() > 0.0);
    assert_eq!(page.of("vigie_postgres_unavailable").count(), 0, "{:?}", page.of("vigie_postgres_unavailable").next());
    replica.sql("SELECT pg_promote()");
    let page = until_page(&agent, "the replica is a primary", |page| {
        find(page, "pg_replication_is_replica", &of("replica")) == Some(0.0)
            && find(page, "pg_replication_slots_active", &of("main")) == Some(0.0)
    });
    assert_eq!(find(&page, "pg_stat_wal_receiver_status", &of("replica")), None);
    assert_eq!(page.of("pg_stat_replication_pg_wal_lsn_diff").count(), 0);
    assert_eq!(find(&page, "vigie_postgres_sessions_total", &of("replica")), Some(1.0));
}

#[test]
fn tables_and_statements_are_those_of_the_server() {
    let Some(server) = server(&["shared_preload_libraries = 'pg_stat_statements'", "max_connections = 33"]) else {
        return;
    };
    server.sql("CREATE EXTENSION pg_stat_statements SCHEMA public");
    server.sql("CREATE DATABASE shop");
    server.sql_in(
        "shop",
        "CREATE TABLE orders (id int PRIMARY KEY, what text); CREATE INDEX unused ON orders (what); \
         INSERT INTO orders SELECT g, 'secret text' FROM generate_series(1, 500) g",
    );
    server.sql_in("shop", "DELETE FROM orders WHERE id > 400");
    server.sql_in("shop", "SELECT what FROM orders WHERE id = 7");
    server.sql_in("shop", "VACUUM ANALYZE orders");
    let agent = agent(&server.probe("slow_interval = '1s'\ntop = 20"));
    let orders = [("datname", "shop"), ("schemaname", "public"), ("relname", "orders")];
    let page = until_page(&agent, "the tables are told", |page| {
        find(page, "pg_stat_user_tables_n_live_tup", &orders) == Some(400.0)
            && find(page, "pg_stat_user_tables_vacuum_count", &orders) == Some(1.0)
    });
    for (name, value) in [("n_tup_ins", 500.0), ("n_tup_del", 100.0), ("n_dead_tup", 0.0)] {
        assert_eq!(find(&page, &format!("pg_stat_user_tables_{name}"), &orders), Some(value), "{name}");
    }
    let exact = |sql: &str| server.sql_in("shop", sql).parse::<f64>().unwrap();
    assert_eq!(
        find(&page, "pg_stat_user_tables_table_size_bytes", &orders),
        Some(exact("SELECT pg_table_size('orders')"))
    );
    assert_eq!(
        find(&page, "pg_stat_user_tables_index_size_bytes", &orders),
        Some(exact("SELECT pg_indexes_size('orders')"))
    );
    assert_eq!(find(&page, "vigie_postgres_unused_indexes", &[("datname", "shop")]), Some(1.0));
    assert_eq!(find(&page, "pg_settings_max_connections", &[]), Some(33.0));
    // What our own session has of limits is none of the server's.
    assert_eq!(find(&page, "pg_settings_statement_timeout_seconds", &[]), Some(0.0));
    assert_eq!(find(&page, "pg_settings_jit", &[]), Some(1.0));
    let statements: Vec<_> = page.of("pg_stat_statements_calls_total").collect();
    assert_eq!(statements.len(), 20);
    assert!(find(&page, "vigie_postgres_left_out", &[("family", "statements")]).unwrap() > 0.0);
    let text = agent.get("/metrics", &[]).text();
    let shown = text
        .lines()
        .filter(|line| line.starts_with("pg_"))
        .find(|line| line.contains("SELECT") || line.contains("secret"));
    assert_eq!(shown, None, "a statement's text is shown");
    server.sql("ALTER SYSTEM SET work_mem = '5MB'");
    server.sql("SELECT pg_reload_conf()");
    until_page(&agent, "a setting that was changed is told", |page| {
        find(page, "pg_settings_work_mem_bytes", &[]) == Some(5_242_880.0)
    });
}

#[test]
fn thousands_of_tables_are_counted_and_the_largest_shown() {
    if std::env::var_os("VIGIE_LONG").is_none() {
        return skipped("it takes a minute: VIGIE_LONG=1");
    }
    let Some(server) = server(&["max_locks_per_transaction = 512"]) else { return };
    server.sql("CREATE DATABASE wide");
    server.sql_in(
        "wide",
        "DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE TABLE t%s (x int PRIMARY KEY)', i); END LOOP; END $$",
    );
    let agent = agent(&server.probe("slow_interval = '2s'"));
    let left_out = |family: &'static str| {
        move |page: &crate::support::Page| find(page, "vigie_postgres_left_out", &[("family", family)]) == Some(4_950.0)
    };
    until_page(&agent, "the tables are counted", left_out("tables"));
    let page = until_page(&agent, "the indexes are counted", left_out("indexes"));
    assert_eq!(page.of("pg_stat_user_tables_n_live_tup").count(), 50);
    assert_eq!(page.of("vigie_postgres_unavailable").count(), 0);
    let took = find(&page, "probe_duration_seconds", &[]).unwrap();
    assert!(took < 1.0, "a check takes {took} s");
}

#[test]
fn a_secured_server_is_known_by_its_certificate() {
    let Some(mut server) = server(&[]) else { return };
    let papers = papers::Papers::new();
    server.write("server.crt", &papers.read("server.pem"));
    server.write("server.key", &papers.read("server.key"));
    server.write("ca.crt", &papers.read("ca.pem"));
    server.write(
        "pg_hba.conf",
        "local all all trust\nhostssl all vigie 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n",
    );
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql("ALTER SYSTEM SET ssl_ca_file = 'ca.crt'");
    server.stop();
    server.run();
    let url = |host: &str, mode: &str| format!("postgresql://vigie@{host}:{}/postgres?sslmode={mode}", server.port);
    let probe = |url: &str, tls: &str| {
        let lines = server.probe("").lines().filter(|line| !line.starts_with("url")).collect::<Vec<_>>().join("\n");
        format!("{lines}\nurl = '{url}'\ntls = {{ {tls} }}\n")
    };
    let own =
        format!("cert = '{}', key = '{}'", papers.path("client.pem").display(), papers.path("client.key").display());
    let all = format!("ca = '{}', {own}", papers.path("ca.pem").display());
    for (url, tls, expected, words) in [
        (url("localhost", "verify-full"), &*all, "good", ""),
        (url("127.0.0.1", "require"), &*own, "good", "does not look who is at the other end"),
        (url("127.0.0.1", "prefer"), &*own, "good", ""),
        (url("127.0.0.1", "verify-full"), &*all, "tls", "localhost"),
        (url("localhost", "verify-full"), &*own, "tls", ""),
        (url("localhost", "disable"), &*all, "auth", "no pg_hba.conf entry"),
    ] {
        let (table, result) = check(&probe(&url, tls));
        assert_eq!(result, expected, "{url} {tls}: {table}");
        assert!(table.contains(words), "{url} {tls}: {table}");
    }
    let agent = agent(&probe(&url("localhost", "verify-full"), &all));
    let page = until_page(&agent, "it is up", up);
    assert!(find(&page, "probe_ssl_earliest_cert_expiry", &[]).is_some());
    let encrypted =
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'vigie'";
    until("both are encrypted", PATIENCE, || (server.sql(encrypted) == "t").then_some(()));
}
