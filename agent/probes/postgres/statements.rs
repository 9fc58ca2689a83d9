//! The statements that take the most time: `pg_stat_statements`, where it is created in the database that is connected to.
//!
//! They go by their number. The texts lie in a file that the server reads whole for whoever asks for one, and they may
//! tell secrets: they are not asked for.

use super::family::{ALL_ROWS, Column, DATNAME, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

const LABELS: &[Label] = &[
    OWN[0],
    OWN[1],
    Label::new("user").otel("postgresql.role.name"),
    DATNAME,
    Label::new("queryid").otel("postgresql.query.id"),
];

const fn counter(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::counter(name, unit, help, sql).labels(LABELS)
}

/// One row a statement, the `top` of them by time.
pub(super) static STATEMENTS: Family = Family {
    name: "statements",
    pace: Pace::Slow,
    of: VersionOf::Statements,
    labels: LABELS,
    keys: &["pg_catalog.pg_get_userbyid(s.userid)", "d.datname", "s.queryid"],
    columns: &[
        counter(
            "pg_stat_statements_calls_total",
            Unit::Of("{call}"),
            "Times that it ran.",
            &[(0, "pg_catalog.sum(s.calls)")],
        ),
        counter(
            "pg_stat_statements_seconds_total",
            Unit::Seconds,
            "Time in which it ran.",
            &[(0, "pg_catalog.sum(s.total_time) / 1000"), (108, "pg_catalog.sum(s.total_exec_time) / 1000")],
        ),
        counter(
            "pg_stat_statements_rows_total",
            Unit::Of("{row}"),
            "Rows that it gave or changed.",
            &[(0, "pg_catalog.sum(s.rows)")],
        ),
        counter(
            "pg_stat_statements_block_read_seconds_total",
            Unit::Seconds,
            "Time in which it read blocks, where track_io_timing is on.",
            &[(0, "pg_catalog.sum(s.blk_read_time) / 1000"), (111, "pg_catalog.sum(s.shared_blk_read_time) / 1000")],
        ),
        counter(
            "pg_stat_statements_block_write_seconds_total",
            Unit::Seconds,
            "Time in which it wrote blocks, where track_io_timing is on.",
            &[(0, "pg_catalog.sum(s.blk_write_time) / 1000"), (111, "pg_catalog.sum(s.shared_blk_write_time) / 1000")],
        ),
    ],
    // Several entries of one number are one statement, called by a client and within functions.
    from: &[
        (
            0,
            "FROM {statements}.pg_stat_statements(false) s JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
             WHERE s.queryid IS NOT NULL GROUP BY s.userid, d.datname, s.queryid \
             ORDER BY pg_catalog.sum(s.total_time) DESC, s.queryid LIMIT {top}",
        ),
        (
            108,
            "FROM {statements}.pg_stat_statements(false) s JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
             WHERE s.queryid IS NOT NULL GROUP BY s.userid, d.datname, s.queryid \
             ORDER BY pg_catalog.sum(s.total_exec_time) DESC, s.queryid LIMIT {top}",
        ),
    ],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
