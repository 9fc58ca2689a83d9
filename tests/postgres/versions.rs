//! Every major version that this machine has.

use std::collections::BTreeSet;

use super::server::{Postgres, installed};
use super::{agent, find, until_page, up};
use crate::support::skipped;

#[test]
fn every_version_tells_all_that_it_has() {
    let installed = installed();
    let missing: BTreeSet<u32> = (12..=18).filter(|major| !installed.iter().any(|(found, _)| found == major)).collect();
    if !missing.is_empty() {
        skipped(&format!("PostgreSQL {missing:?} is not here: tests/setup fetches it where npm is"));
    }
    for (major, bin) in installed {
        let settings = ["shared_preload_libraries = 'pg_stat_statements'"];
        let Some(server) = Postgres::start_of(&bin, &settings) else { return skipped("psql is not installed") };
        let server = server.with_user();
        server.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (x int PRIMARY KEY)");
        let agent = agent(&server.probe("slow_interval = '1s'"));
        let page = until_page(&agent, "its tables are told", |page| {
            up(page) && page.of("pg_stat_user_tables_seq_scan").count() > 0
        });
        let withheld: Vec<_> = page.of("vigie_postgres_unavailable").map(|(series, _)| series.clone()).collect();
        assert!(withheld.is_empty(), "PostgreSQL {major} refuses {withheld:?}\n{}", server.log());
        let version = page.of("pg_static").next().unwrap().0.label("short_version").to_owned();
        assert!(version.starts_with(&format!("{major}.")), "{version}");
        for name in [
            "pg_stat_database_xact_commit",
            "pg_stat_bgwriter_checkpoints_timed_total",
            "pg_stat_bgwriter_buffers_alloc_total",
            "pg_stat_archiver_archived_count",
            "pg_stat_activity_count",
            "pg_locks_count",
            "pg_database_size_bytes",
            "pg_settings_max_connections",
            "pg_stat_statements_seconds_total",
            "pg_wal_size_bytes",
            "vigie_postgres_longest_lock_wait_seconds",
        ] {
            assert!(page.of(name).count() > 0, "PostgreSQL {major} does not tell {name}");
        }
        for (name, since, before) in [
            ("pg_stat_wal_records_total", 14, 99),
            ("pg_stat_database_sessions", 14, 99),
            ("pg_stat_bgwriter_buffers_backend_total", 12, 17),
            ("pg_stat_checkpointer_num_timed_total", 17, 99),
            ("pg_stat_checkpointer_num_done_total", 18, 99),
            ("pg_stat_database_conflicts_confl_active_logicalslot", 16, 99),
        ] {
            assert_eq!(page.of(name).count() > 0, (since..before).contains(&major), "{name} of PostgreSQL {major}");
        }
        assert!(
            find(&page, "pg_database_wraparound_age_datfrozenxid_seconds", &[("datname", "postgres")]).unwrap() > 0.0
        );
        assert!(!server.log().contains("ERROR"), "PostgreSQL {major}: {}", server.log());
    }
}
