//! The server as a whole: since when it runs, whether it follows another, and how far behind it is.

use super::family::{ALL_ROWS, Column, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

const LABELS: &[Label] = &OWN;

const LAG: &str = "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN 0 \
    WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0 \
    ELSE GREATEST(0, EXTRACT(EPOCH FROM pg_catalog.now() - pg_catalog.pg_last_xact_replay_timestamp())) END";

const WRITTEN: &str = "(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
    ELSE pg_catalog.pg_current_wal_lsn() END) - '0/0'::pg_catalog.pg_lsn";

const fn gauge(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::gauge(name, unit, help, sql).labels(LABELS)
}

/// One row.
pub(super) static SERVER: Family = Family {
    name: "server",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &[],
    columns: &[
        gauge(
            "pg_postmaster_start_time_seconds",
            Unit::Seconds,
            "When the server was started, since 1970.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.pg_postmaster_start_time())")],
        ),
        gauge(
            "pg_replication_is_replica",
            Unit::One,
            "Whether the server follows another one.",
            &[(0, "pg_catalog.pg_is_in_recovery()::int")],
        ),
        gauge(
            "pg_replication_lag_seconds",
            Unit::Seconds,
            "How old the last transaction is that was replayed, where not all that was received is replayed.",
            &[(0, LAG)],
        ),
        gauge(
            "pg_replication_lag",
            Unit::Seconds,
            "The same as pg_replication_lag_seconds, as it was called.",
            &[(0, LAG)],
        ),
        gauge(
            "pg_replication_last_replay_seconds",
            Unit::Seconds,
            "How long ago the last transaction that was replayed was committed; on a primary 0.",
            &[(0, "GREATEST(0, EXTRACT(EPOCH FROM pg_catalog.now() - pg_catalog.pg_last_xact_replay_timestamp()))")],
        ),
        gauge(
            "pg_xlog_location_bytes",
            Unit::Bytes,
            "How much WAL was ever written, and on a replica replayed.",
            &[(0, WRITTEN)],
        ),
    ],
    from: &[(0, "FROM (SELECT) one")],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

/// What lies in `pg_wal`. It takes a look at each file.
pub(super) static WAL_FILES: Family = Family {
    name: "wal",
    pace: Pace::Slow,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &[],
    columns: &[
        gauge("pg_wal_segments", Unit::Of("{segment}"), "Files of WAL that are kept.", &[(0, "pg_catalog.count(*)")]),
        gauge("pg_wal_size_bytes", Unit::Bytes, "How much WAL is kept.", &[(0, "pg_catalog.sum(size)")]),
        gauge(
            "vigie_postgres_wal_oldest_seconds",
            Unit::Seconds,
            "How long ago the oldest WAL that is kept was last written.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.now() - pg_catalog.min(modification))")],
        )
        .otel_gauge("postgresql.wal.age", "s"),
    ],
    from: &[(0, "FROM pg_catalog.pg_ls_waldir()")],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
