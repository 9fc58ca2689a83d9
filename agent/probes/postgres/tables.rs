//! The tables of one database that take the most room: `pg_stat_user_tables`, `pg_statio_user_tables` and their sizes.

use super::family::{Column, DATNAME, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

const SCHEMA: Label = Label::new("schemaname").otel("postgresql.schema.name");
const TABLE: Label = Label::new("relname").otel("db.collection.name");
const LABELS: &[Label] = &[OWN[0], OWN[1], DATNAME, SCHEMA, TABLE];

const ROWS: Unit = Unit::Of("{row}");
const SCANS: Unit = Unit::Of("{scan}");
const BLOCKS: Unit = Unit::Of("{block}");

const fn counter(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::counter(name, unit, help, sql).labels(LABELS)
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::gauge(name, unit, help, sql).labels(LABELS)
}

/// One row a table. No lock is taken: what vacuum last counted (`relpages`) says which are the largest, and which tables
/// somebody has, or wants, for itself alone is known before their size is asked for. Their series lack the size.
pub(super) static TABLES: Family = Family {
    name: "tables",
    pace: Pace::Slow,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &["pg_catalog.current_database()", "t.nspname", "t.relname"],
    columns: &[
        counter(
            "pg_stat_user_tables_seq_scan",
            SCANS,
            "Scans of the whole table.",
            &[(0, "pg_catalog.pg_stat_get_numscans(t.oid)")],
        )
        .otel("postgresql.sequential_scans", "{sequential_scan}"),
        counter(
            "pg_stat_user_tables_seq_tup_read",
            ROWS,
            "Rows read by them.",
            &[(0, "pg_catalog.pg_stat_get_tuples_returned(t.oid)")],
        ),
        counter("pg_stat_user_tables_idx_scan", SCANS, "Scans by its indexes.", &[(0, "i.scans")]),
        counter(
            "pg_stat_user_tables_idx_tup_fetch",
            ROWS,
            "Rows read by them.",
            &[(0, "i.fetched + pg_catalog.pg_stat_get_tuples_fetched(t.oid)")],
        ),
        counter(
            "pg_stat_user_tables_n_tup_ins",
            ROWS,
            "Rows inserted.",
            &[(0, "pg_catalog.pg_stat_get_tuples_inserted(t.oid)")],
        )
        .otel("postgresql.operations", "1")
        .fixed(&[("operation", "ins")]),
        counter(
            "pg_stat_user_tables_n_tup_upd",
            ROWS,
            "Rows updated.",
            &[(0, "pg_catalog.pg_stat_get_tuples_updated(t.oid)")],
        )
        .otel("postgresql.operations", "1")
        .fixed(&[("operation", "upd")]),
        counter(
            "pg_stat_user_tables_n_tup_del",
            ROWS,
            "Rows deleted.",
            &[(0, "pg_catalog.pg_stat_get_tuples_deleted(t.oid)")],
        )
        .otel("postgresql.operations", "1")
        .fixed(&[("operation", "del")]),
        counter(
            "pg_stat_user_tables_n_tup_hot_upd",
            ROWS,
            "Rows updated without a change of any index.",
            &[(0, "pg_catalog.pg_stat_get_tuples_hot_updated(t.oid)")],
        )
        .otel("postgresql.operations", "1")
        .fixed(&[("operation", "hot_upd")]),
        gauge(
            "pg_stat_user_tables_n_live_tup",
            ROWS,
            "Rows, estimated.",
            &[(0, "pg_catalog.pg_stat_get_live_tuples(t.oid)")],
        )
        .otel("postgresql.rows", "1")
        .fixed(&[("state", "live")]),
        gauge(
            "pg_stat_user_tables_n_dead_tup",
            ROWS,
            "Rows that nobody needs any more, estimated.",
            &[(0, "pg_catalog.pg_stat_get_dead_tuples(t.oid)")],
        )
        .otel("postgresql.rows", "1")
        .fixed(&[("state", "dead")]),
        gauge(
            "pg_stat_user_tables_n_mod_since_analyze",
            ROWS,
            "Rows changed since the table was analysed, estimated.",
            &[(0, "pg_catalog.pg_stat_get_mod_since_analyze(t.oid)")],
        ),
        gauge(
            "pg_stat_user_tables_last_vacuum",
            Unit::Seconds,
            "When it was last vacuumed by hand, since 1970; nothing where never.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.pg_stat_get_last_vacuum_time(t.oid))")],
        ),
        gauge(
            "pg_stat_user_tables_last_autovacuum",
            Unit::Seconds,
            "When it was last vacuumed by the server, since 1970; nothing where never.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.pg_stat_get_last_autovacuum_time(t.oid))")],
        ),
        gauge(
            "pg_stat_user_tables_last_analyze",
            Unit::Seconds,
            "When it was last analysed by hand, since 1970; nothing where never.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.pg_stat_get_last_analyze_time(t.oid))")],
        ),
        gauge(
            "pg_stat_user_tables_last_autoanalyze",
            Unit::Seconds,
            "When it was last analysed by the server, since 1970; nothing where never.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid))")],
        ),
        counter(
            "pg_stat_user_tables_vacuum_count",
            Unit::Of("{vacuum}"),
            "Vacuums by hand.",
            &[(0, "pg_catalog.pg_stat_get_vacuum_count(t.oid)")],
        )
        .otel("postgresql.table.vacuum.count", "{vacuum}"),
        counter(
            "pg_stat_user_tables_autovacuum_count",
            Unit::Of("{vacuum}"),
            "Vacuums by the server.",
            &[(0, "pg_catalog.pg_stat_get_autovacuum_count(t.oid)")],
        ),
        counter(
            "pg_stat_user_tables_analyze_count",
            Unit::Of("{analyze}"),
            "Analyses by hand.",
            &[(0, "pg_catalog.pg_stat_get_analyze_count(t.oid)")],
        ),
        counter(
            "pg_stat_user_tables_autoanalyze_count",
            Unit::Of("{analyze}"),
            "Analyses by the server.",
            &[(0, "pg_catalog.pg_stat_get_autoanalyze_count(t.oid)")],
        ),
        gauge(
            "pg_stat_user_tables_table_size_bytes",
            Unit::Bytes,
            "The table on disk, without its indexes.",
            &[(0, "CASE WHEN i.free THEN pg_catalog.pg_table_size(t.oid) END")],
        )
        .otel("postgresql.table.size", "By"),
        gauge(
            "pg_stat_user_tables_index_size_bytes",
            Unit::Bytes,
            "Its indexes on disk.",
            &[(0, "CASE WHEN i.free THEN pg_catalog.pg_indexes_size(t.oid) END")],
        ),
        counter(
            "pg_statio_user_tables_heap_blocks_read",
            BLOCKS,
            "Blocks of the table that the kernel was asked for.",
            &[(0, "pg_catalog.pg_stat_get_blocks_fetched(t.oid) - pg_catalog.pg_stat_get_blocks_hit(t.oid)")],
        )
        .otel("postgresql.blocks_read", "1")
        .fixed(&[("source", "heap_read")]),
        counter(
            "pg_statio_user_tables_heap_blocks_hit",
            BLOCKS,
            "Blocks of the table that were in shared_buffers.",
            &[(0, "pg_catalog.pg_stat_get_blocks_hit(t.oid)")],
        )
        .otel("postgresql.blocks_read", "1")
        .fixed(&[("source", "heap_hit")]),
        counter(
            "pg_statio_user_tables_idx_blocks_read",
            BLOCKS,
            "Blocks of its indexes that the kernel was asked for.",
            &[(0, "i.read")],
        )
        .otel("postgresql.blocks_read", "1")
        .fixed(&[("source", "idx_read")]),
        counter(
            "pg_statio_user_tables_idx_blocks_hit",
            BLOCKS,
            "Blocks of its indexes that were in shared_buffers.",
            &[(0, "i.hit")],
        )
        .otel("postgresql.blocks_read", "1")
        .fixed(&[("source", "idx_hit")]),
        gauge(
            "vigie_postgres_table_frozen_age_transactions",
            Unit::Of("{transaction}"),
            "Transactions since the oldest of the table that is not frozen.",
            &[(0, "NULLIF(pg_catalog.age(t.relfrozenxid), 2147483647)")],
        ),
    ],
    from: &[(
        0,
        "FROM (SELECT pg_catalog.count(*) OVER () AS total, c.oid, c.relname, n.nspname, c.relpages, c.relfrozenxid, \
         c.reltoastrelid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND n.nspname !~ '^pg_t' ORDER BY c.relpages DESC, c.oid LIMIT {top}) t \
         CROSS JOIN (SELECT ARRAY(SELECT l.relation FROM pg_catalog.pg_locks l \
         WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL) AS list) locked \
         CROSS JOIN LATERAL (SELECT pg_catalog.sum(pg_catalog.pg_stat_get_numscans(x.indexrelid)) AS scans, \
         pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid)) AS fetched, \
         pg_catalog.sum(pg_catalog.pg_stat_get_blocks_fetched(x.indexrelid) \
         - pg_catalog.pg_stat_get_blocks_hit(x.indexrelid)) AS read, \
         pg_catalog.sum(pg_catalog.pg_stat_get_blocks_hit(x.indexrelid)) AS hit, \
         NOT (t.oid = ANY (locked.list) OR t.reltoastrelid = ANY (locked.list) \
         OR COALESCE(pg_catalog.bool_or(x.indexrelid = ANY (locked.list)), false)) AS free \
         FROM pg_catalog.pg_index x WHERE x.indrelid = t.oid) i",
    )],
    total: "t.total",
    grant: "pg_monitor",
};
