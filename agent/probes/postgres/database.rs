//! What each database has done: `pg_stat_database`, and why queries of a replica were cancelled there.

use super::family::{ALL_ROWS, Column, DATNAME, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

/// The one of no database is about what all share, and has no name.
const LABELS: &[Label] = &[OWN[0], OWN[1], Label::new("datid").page_only(), DATNAME];

const MS: Unit = Unit::Of("ms");

const fn counter(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::counter(name, unit, help, sql).labels(LABELS)
}

const fn things(name: &'static str, unit: &'static str, help: &'static str, sql: Variants) -> Column {
    counter(name, Unit::Of(unit), help, sql)
}

/// One row a database.
pub(super) static DATABASE: Family = Family {
    name: "database",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &["d.datid", "d.datname"],
    columns: &[
        Column::gauge("pg_stat_database_numbackends", Unit::Of("{connection}"), "Connections.", &[(0, "numbackends")])
            .labels(LABELS)
            .otel("postgresql.backends", "1"),
        things("pg_stat_database_xact_commit", "{transaction}", "Transactions committed.", &[(0, "xact_commit")])
            .otel("postgresql.commits", "1"),
        things("pg_stat_database_xact_rollback", "{transaction}", "Transactions rolled back.", &[(0, "xact_rollback")])
            .otel("postgresql.rollbacks", "1"),
        things("pg_stat_database_blks_read", "{block}", "Blocks that the kernel was asked for.", &[(0, "blks_read")])
            .otel("postgresql.blks_read", "{blks_read}"),
        things("pg_stat_database_blks_hit", "{block}", "Blocks that were in shared_buffers.", &[(0, "blks_hit")])
            .otel("postgresql.blks_hit", "{blks_hit}"),
        things("pg_stat_database_tup_returned", "{row}", "Rows that scans went over.", &[(0, "tup_returned")])
            .otel("postgresql.tup_returned", "{tup_returned}"),
        things("pg_stat_database_tup_fetched", "{row}", "Rows that indexes led to.", &[(0, "tup_fetched")])
            .otel("postgresql.tup_fetched", "{tup_fetched}"),
        things("pg_stat_database_tup_inserted", "{row}", "Rows inserted.", &[(0, "tup_inserted")])
            .otel("postgresql.tup_inserted", "{tup_inserted}"),
        things("pg_stat_database_tup_updated", "{row}", "Rows updated.", &[(0, "tup_updated")])
            .otel("postgresql.tup_updated", "{tup_updated}"),
        things("pg_stat_database_tup_deleted", "{row}", "Rows deleted.", &[(0, "tup_deleted")])
            .otel("postgresql.tup_deleted", "{tup_deleted}"),
        things(
            "pg_stat_database_conflicts",
            "{query}",
            "Queries of a replica that were cancelled for what came from the primary.",
            &[(0, "conflicts")],
        )
        .otel("postgresql.query.conflicts", "{query}"),
        things("pg_stat_database_temp_files", "{file}", "Temporary files of queries.", &[(0, "temp_files")])
            .otel("postgresql.temp_files", "{temp_file}"),
        counter("pg_stat_database_temp_bytes", Unit::Bytes, "Written to temporary files.", &[(0, "temp_bytes")])
            .otel("postgresql.temp.io", "By"),
        things("pg_stat_database_deadlocks", "{deadlock}", "Deadlocks found.", &[(0, "deadlocks")])
            .otel("postgresql.deadlocks", "{deadlock}"),
        things(
            "pg_stat_database_checksum_failures",
            "{page}",
            "Pages whose checksum was wrong; nothing without data_checksums.",
            &[(0, "checksum_failures")],
        )
        .untyped(),
        Column::gauge(
            "pg_stat_database_checksum_last_failure",
            Unit::Seconds,
            "When a checksum was last wrong, since 1970.",
            &[(0, "EXTRACT(EPOCH FROM checksum_last_failure)")],
        )
        .labels(LABELS)
        .untyped(),
        counter(
            "pg_stat_database_blk_read_time",
            MS,
            "Time in reading blocks, where track_io_timing is on.",
            &[(0, "blk_read_time")],
        ),
        counter(
            "pg_stat_database_blk_write_time",
            MS,
            "Time in writing blocks, where track_io_timing is on.",
            &[(0, "blk_write_time")],
        ),
        counter("pg_stat_database_session_time", MS, "Time of all sessions.", &[(0, ""), (140_000, "session_time")])
            .untyped(),
        counter("pg_stat_database_active_time", MS, "Time in statements.", &[(0, ""), (140_000, "active_time")])
            .untyped(),
        counter(
            "pg_stat_database_active_time_seconds_total",
            Unit::Seconds,
            "Time in statements.",
            &[(0, ""), (140_000, "active_time / 1000")],
        ),
        counter(
            "pg_stat_database_idle_in_transaction_time",
            MS,
            "Time in transactions and no statement.",
            &[(0, ""), (140_000, "idle_in_transaction_time")],
        )
        .untyped(),
        things("pg_stat_database_sessions", "{session}", "Sessions begun.", &[(0, ""), (140_000, "sessions")])
            .untyped(),
        things(
            "pg_stat_database_sessions_abandoned",
            "{session}",
            "Sessions whose client was gone.",
            &[(0, ""), (140_000, "sessions_abandoned")],
        )
        .untyped(),
        things(
            "pg_stat_database_sessions_fatal",
            "{session}",
            "Sessions that an error ended.",
            &[(0, ""), (140_000, "sessions_fatal")],
        )
        .untyped(),
        things(
            "pg_stat_database_sessions_killed",
            "{session}",
            "Sessions that an operator ended.",
            &[(0, ""), (140_000, "sessions_killed")],
        )
        .untyped(),
        things(
            "pg_stat_database_parallel_workers_to_launch",
            "{worker}",
            "Parallel workers that were planned.",
            &[(0, ""), (180_000, "parallel_workers_to_launch")],
        )
        .untyped(),
        things(
            "pg_stat_database_parallel_workers_launched",
            "{worker}",
            "Parallel workers that were there.",
            &[(0, ""), (180_000, "parallel_workers_launched")],
        )
        .untyped(),
        counter(
            "pg_stat_database_stats_reset",
            Unit::Seconds,
            "When these numbers were last set to zero, since 1970.",
            &[(0, "EXTRACT(EPOCH FROM stats_reset)")],
        ),
        things(
            "pg_stat_database_conflicts_confl_tablespace",
            "{query}",
            "Queries cancelled as a tablespace was dropped.",
            &[(0, "c.confl_tablespace")],
        ),
        things(
            "pg_stat_database_conflicts_confl_lock",
            "{query}",
            "Queries cancelled as the primary took a lock.",
            &[(0, "c.confl_lock")],
        ),
        things(
            "pg_stat_database_conflicts_confl_snapshot",
            "{query}",
            "Queries cancelled as the primary removed rows that they could see.",
            &[(0, "c.confl_snapshot")],
        ),
        things(
            "pg_stat_database_conflicts_confl_bufferpin",
            "{query}",
            "Queries cancelled as they held a buffer.",
            &[(0, "c.confl_bufferpin")],
        ),
        things(
            "pg_stat_database_conflicts_confl_deadlock",
            "{query}",
            "Queries cancelled as they and the replay waited for each other.",
            &[(0, "c.confl_deadlock")],
        ),
        things(
            "pg_stat_database_conflicts_confl_active_logicalslot",
            "{query}",
            "Logical slots cancelled as the primary removed rows, or its wal_level fell.",
            &[(0, ""), (160_000, "c.confl_active_logicalslot")],
        ),
    ],
    from: &[(
        0,
        "FROM pg_catalog.pg_stat_database d LEFT JOIN pg_catalog.pg_stat_database_conflicts c ON c.datid = d.datid \
         ORDER BY d.datid",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
