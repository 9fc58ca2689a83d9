//! What vacuum is at: `pg_stat_progress_vacuum`.

use super::family::{ALL_ROWS, Column, DATNAME, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

const LABELS: &[Label] = &[
    OWN[0],
    OWN[1],
    DATNAME,
    Label::new("schemaname").otel("postgresql.schema.name"),
    Label::new("relname").otel("db.collection.name"),
];

const fn gauge(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::gauge(name, unit, help, sql).labels(LABELS)
}

/// One row a vacuum under way. The table of another database goes by its number: its name is known there only.
pub(super) static VACUUM: Family = Family {
    name: "vacuum_progress",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &["v.datname", "n.nspname", "COALESCE(c.relname, v.relid::text)"],
    columns: &[
        gauge(
            "pg_stat_progress_vacuum_heap_blks",
            Unit::Of("{block}"),
            "Blocks of the table.",
            &[(0, "v.heap_blks_total")],
        ),
        gauge(
            "pg_stat_progress_vacuum_heap_blks_scanned",
            Unit::Of("{block}"),
            "Blocks that were looked at.",
            &[(0, "v.heap_blks_scanned")],
        ),
        gauge(
            "pg_stat_progress_vacuum_heap_blks_vacuumed",
            Unit::Of("{block}"),
            "Blocks that were cleaned.",
            &[(0, "v.heap_blks_vacuumed")],
        ),
        gauge(
            "pg_stat_progress_vacuum_index_vacuums",
            Unit::Of("{round}"),
            "Rounds through the indexes: more than one is a small maintenance_work_mem.",
            &[(0, "v.index_vacuum_count")],
        ),
        gauge(
            "pg_stat_progress_vacuum_max_dead_tuples",
            Unit::Of("{row}"),
            "Dead rows that fit into memory.",
            &[(0, "v.max_dead_tuples"), (170_000, "")],
        ),
        gauge(
            "pg_stat_progress_vacuum_num_dead_tuples",
            Unit::Of("{row}"),
            "Dead rows found since the last round through the indexes.",
            &[(0, "v.num_dead_tuples"), (170_000, "v.num_dead_item_ids")],
        ),
        gauge(
            "vigie_postgres_vacuum_seconds",
            Unit::Seconds,
            "For how long it has been at it.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.now() - a.xact_start)")],
        ),
    ],
    from: &[(
        0,
        "FROM pg_catalog.pg_stat_progress_vacuum v LEFT JOIN pg_catalog.pg_class c ON c.oid = v.relid \
         AND v.datname = pg_catalog.current_database() \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = v.pid ORDER BY v.pid LIMIT {top}",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
