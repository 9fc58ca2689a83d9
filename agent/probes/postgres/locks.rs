//! Locks that are held and waited for: `pg_locks`.

use super::family::{ALL_ROWS, Column, DATNAME, Family, OWN, Pace, VersionOf};
use crate::metric::{Label, Unit};

const LABELS: &[Label] = &[OWN[0], OWN[1], DATNAME, Label::new("mode").otel("mode")];

/// By database and mode, with zeros.
pub(super) static LOCKS: Family = Family {
    name: "locks",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &["d.datname", "m.mode"],
    columns: &[Column::gauge(
        "pg_locks_count",
        Unit::Of("{lock}"),
        "Locks that are held or waited for, by database and mode.",
        &[(0, "COALESCE(l.count, 0)")],
    )
    .labels(LABELS)
    .otel_gauge("postgresql.database.locks", "{lock}")],
    from: &[(
        0,
        "FROM pg_catalog.pg_database d CROSS JOIN (VALUES ('accesssharelock'), ('rowsharelock'), ('rowexclusivelock'), \
         ('shareupdateexclusivelock'), ('sharelock'), ('sharerowexclusivelock'), ('exclusivelock'), \
         ('accessexclusivelock'), ('sireadlock')) m(mode) \
         LEFT JOIN (SELECT database, pg_catalog.lower(mode) AS mode, pg_catalog.count(*) AS count \
         FROM pg_catalog.pg_locks WHERE database IS NOT NULL GROUP BY 1, 2) l \
         ON l.database = d.oid AND l.mode = m.mode ORDER BY d.oid, m.mode",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
