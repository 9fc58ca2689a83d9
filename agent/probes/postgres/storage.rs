//! How large databases are, how close their transaction numbers are to the end, and who may connect how often.

use super::family::{ALL_ROWS, Column, DATNAME, Family, OWN, Pace, VersionOf};
use crate::metric::{Label, Unit};

const LABELS: &[Label] = &[OWN[0], OWN[1], DATNAME];
const ROLES: &[Label] = &[OWN[0], OWN[1], Label::new("rolname").otel("postgresql.role.name")];

/// A look at each file of each database, and no lock.
pub(super) static SIZE: Family = Family {
    name: "database_size",
    pace: Pace::Slow,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &["datname"],
    columns: &[
        Column::gauge(
            "pg_database_size_bytes",
            Unit::Bytes,
            "How large the database is on disk; nothing where neither CONNECT nor pg_read_all_stats is granted.",
            &[(
                0,
                "CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT') \
                 OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_catalog.pg_database_size(oid) END",
            )],
        )
        .labels(LABELS)
        .otel("postgresql.db_size", "By"),
        Column::gauge(
            "pg_database_connection_limit",
            Unit::Of("{connection}"),
            "The most connections to the database at a time; -1 is no limit.",
            &[(0, "datconnlimit")],
        )
        .labels(LABELS),
    ],
    from: &[(0, "FROM pg_catalog.pg_database ORDER BY oid")],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

/// At 2^31 the server takes no more transactions; autovacuum begins long before.
pub(super) static WRAPAROUND: Family = Family {
    name: "wraparound",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &["datname"],
    columns: &[
        Column::gauge(
            "pg_database_wraparound_age_datfrozenxid_seconds",
            Unit::Of("{transaction}"),
            "Transactions, and no seconds, since the oldest that is not frozen: at 2^31 the server stops.",
            &[(0, "pg_catalog.age(datfrozenxid)")],
        )
        .labels(LABELS),
        Column::gauge(
            "pg_database_wraparound_age_datminmxid_seconds",
            Unit::Of("{multixact}"),
            "Multixacts, and no seconds, since the oldest that is kept: at 2^31 the server stops.",
            &[(0, "pg_catalog.mxid_age(datminmxid)")],
        )
        .labels(LABELS),
    ],
    from: &[(0, "FROM pg_catalog.pg_database WHERE datallowconn ORDER BY oid")],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

/// Roles that may log in, and those that others are members of.
pub(super) static ROLE_LIMITS: Family = Family {
    name: "roles",
    pace: Pace::Slow,
    of: VersionOf::Server,
    labels: ROLES,
    keys: &["rolname"],
    columns: &[Column::gauge(
        "pg_roles_connection_limit",
        Unit::Of("{connection}"),
        "The most connections of the role at a time; -1 is no limit.",
        &[(0, "rolconnlimit")],
    )
    .labels(ROLES)],
    from: &[(0, "FROM pg_catalog.pg_roles ORDER BY rolconnlimit DESC, oid LIMIT {top}")],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
