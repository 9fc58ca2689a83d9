//! The indexes of one database: how much they are used, and how much lies there unused.

use super::family::{ALL_ROWS, Column, DATNAME, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

const LABELS: &[Label] = &[
    OWN[0],
    OWN[1],
    DATNAME,
    Label::new("schemaname").otel("postgresql.schema.name"),
    Label::new("relname").otel("db.collection.name"),
    Label::new("indexrelname").otel("postgresql.index.name"),
];
const TOTALS: &[Label] = &[OWN[0], OWN[1], DATNAME];

const fn counter(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::counter(name, unit, help, sql).labels(LABELS)
}

/// One row an index, the largest by what vacuum last counted.
pub(super) static INDEXES: Family = Family {
    name: "indexes",
    pace: Pace::Slow,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &["pg_catalog.current_database()", "n.nspname", "r.relname", "c.relname"],
    columns: &[
        counter(
            "pg_stat_user_indexes_idx_scan",
            Unit::Of("{scan}"),
            "Scans of the index.",
            &[(0, "pg_catalog.pg_stat_get_numscans(c.oid)")],
        )
        .otel("postgresql.index.scans", "{scans}"),
        counter(
            "pg_statio_user_indexes_idx_blks_read_total",
            Unit::Of("{block}"),
            "Blocks of the index that the kernel was asked for.",
            &[(0, "pg_catalog.pg_stat_get_blocks_fetched(c.oid) - pg_catalog.pg_stat_get_blocks_hit(c.oid)")],
        ),
        counter(
            "pg_statio_user_indexes_idx_blks_hit_total",
            Unit::Of("{block}"),
            "Blocks of the index that were in shared_buffers.",
            &[(0, "pg_catalog.pg_stat_get_blocks_hit(c.oid)")],
        ),
        Column::gauge(
            "vigie_postgres_index_size_bytes",
            Unit::Bytes,
            "How large the index was when it was last vacuumed.",
            &[(0, "c.relpages::bigint * pg_catalog.current_setting('block_size')::int")],
        )
        .labels(LABELS)
        .otel_gauge("postgresql.index.size", "By"),
    ],
    from: &[(
        0,
        "FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid \
         JOIN pg_catalog.pg_class r ON r.oid = x.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
         WHERE c.relkind = 'i' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND n.nspname !~ '^pg_t' ORDER BY c.relpages DESC, c.oid LIMIT {top}",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

/// Indexes that were never scanned since the statistics began, and that nothing but scans would need.
pub(super) static UNUSED: Family = Family {
    name: "unused_indexes",
    pace: Pace::Slow,
    of: VersionOf::Server,
    labels: TOTALS,
    keys: &["pg_catalog.current_database()"],
    columns: &[
        Column::gauge(
            "vigie_postgres_unused_indexes",
            Unit::Of("{index}"),
            "Indexes that were never scanned, and are no part of a constraint.",
            &[(0, "pg_catalog.count(*)")],
        )
        .labels(TOTALS),
        Column::gauge(
            "vigie_postgres_unused_indexes_bytes",
            Unit::Bytes,
            "How large they were when they were last vacuumed.",
            &[(0, "COALESCE(pg_catalog.sum(c.relpages::bigint * pg_catalog.current_setting('block_size')::int), 0)")],
        )
        .labels(TOTALS),
    ],
    from: &[(
        0,
        "FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'i' AND NOT x.indisunique AND NOT x.indisexclusion \
         AND pg_catalog.pg_stat_get_numscans(c.oid) = 0 \
         AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_t'",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
