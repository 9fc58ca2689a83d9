//! Who is connected and what they do: `pg_stat_activity`.

use super::family::{ALL_ROWS, Column, DATNAME, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Kind, Label, Metric, Unit};

const STATES: &[Label] = &[OWN[0], OWN[1], DATNAME, Label::new("state").otel("postgresql.connection.state")];
const LABELS: &[Label] = &OWN;

const fn gauge(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::gauge(name, unit, help, sql).labels(LABELS)
}

/// By database and state, with the zeros that postgres_exporter has: an alert needs no `or vector(0)`.
pub(super) static ACTIVITY: Family = Family {
    name: "activity",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: STATES,
    keys: &["d.datname", "s.state"],
    columns: &[
        Column::gauge(
            "pg_stat_activity_count",
            Unit::Of("{connection}"),
            "Connections by database and state.",
            &[(0, "COALESCE(a.count, 0)")],
        )
        .labels(STATES),
        Column::gauge(
            "pg_stat_activity_max_tx_duration",
            Unit::Seconds,
            "How long the longest transaction has run, by database and state.",
            &[(0, "COALESCE(a.longest, 0)")],
        )
        .labels(STATES),
    ],
    from: &[(
        0,
        "FROM pg_catalog.pg_database d CROSS JOIN (VALUES ('active'), ('idle'), ('idle in transaction'), \
         ('idle in transaction (aborted)'), ('fastpath function call'), ('disabled')) s(state) \
         LEFT JOIN (SELECT datid, state, pg_catalog.count(*) AS count, \
         pg_catalog.max(EXTRACT(EPOCH FROM pg_catalog.now() - xact_start)) AS longest \
         FROM pg_catalog.pg_stat_activity GROUP BY datid, state) a ON a.datid = d.oid AND a.state = s.state \
         ORDER BY d.oid, s.state",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

/// The whole server in one row. We are not counted among those who take long.
pub(super) static SESSIONS: Family = Family {
    name: "sessions",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &[],
    columns: &[
        gauge(
            "vigie_postgres_connections",
            Unit::Of("{connection}"),
            "Connections of clients, which pg_settings_max_connections limits.",
            &[(0, "pg_catalog.count(*) FILTER (WHERE a.backend_type = 'client backend')")],
        ),
        gauge(
            "vigie_postgres_connections_limit",
            Unit::Of("{connection}"),
            "Connections that clients without a reservation may have.",
            &[
                (
                    0,
                    "pg_catalog.current_setting('max_connections')::int \
                     - pg_catalog.current_setting('superuser_reserved_connections')::int",
                ),
                (
                    160_000,
                    "pg_catalog.current_setting('max_connections')::int \
                     - pg_catalog.current_setting('superuser_reserved_connections')::int \
                     - pg_catalog.current_setting('reserved_connections')::int",
                ),
            ],
        ),
        // On the page it is pg_settings_max_connections.
        Column {
            metric: Metric::otel_only(
                Kind::Gauge,
                "postgresql.connection.max",
                Unit::Of("{connections}"),
                "Connections that the server is configured for.",
            )
            .labels(LABELS),
            sql: &[(0, "pg_catalog.current_setting('max_connections')::int")],
        },
        gauge(
            "vigie_postgres_databases",
            Unit::Of("{database}"),
            "Databases of the server, templates aside.",
            &[(0, "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_database WHERE NOT datistemplate)")],
        )
        .otel("postgresql.database.count", "{databases}"),
        gauge(
            "vigie_postgres_longest_transaction_seconds",
            Unit::Seconds,
            "How long the oldest transaction has been open.",
            &[(
                0,
                "COALESCE(EXTRACT(EPOCH FROM pg_catalog.now() - pg_catalog.min(a.xact_start) FILTER (WHERE other)), 0)",
            )],
        ),
        gauge(
            "vigie_postgres_longest_query_seconds",
            Unit::Seconds,
            "How long the statement has run that has run the longest.",
            &[(
                0,
                "COALESCE(EXTRACT(EPOCH FROM pg_catalog.now() - pg_catalog.min(a.query_start) \
                 FILTER (WHERE other AND a.state = 'active')), 0)",
            )],
        ),
        gauge(
            "vigie_postgres_longest_idle_in_transaction_seconds",
            Unit::Seconds,
            "How long a client has left its transaction open without a statement.",
            &[(
                0,
                "COALESCE(EXTRACT(EPOCH FROM pg_catalog.now() - pg_catalog.min(a.state_change) \
                 FILTER (WHERE a.state LIKE 'idle in transaction%')), 0)",
            )],
        ),
        gauge(
            "vigie_postgres_blocked_sessions",
            Unit::Of("{connection}"),
            "Connections that wait for a lock that another holds.",
            &[(0, "pg_catalog.count(*) FILTER (WHERE a.wait_event_type = 'Lock')")],
        ),
        gauge(
            "vigie_postgres_longest_lock_wait_seconds",
            Unit::Seconds,
            "How long the one has waited for a lock that has waited the longest.",
            &[
                (0, WAIT_BY_STATEMENT),
                (
                    140_000,
                    "COALESCE((SELECT EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.min(waitstart)) \
                     FROM pg_catalog.pg_locks WHERE NOT granted), 0)",
                ),
            ],
        ),
        gauge(
            "vigie_postgres_oldest_xmin_transactions",
            Unit::Of("{transaction}"),
            "How many transactions have begun since the oldest snapshot that somebody still needs: vacuum keeps all that \
             was deleted since.",
            &[(0, "COALESCE(pg_catalog.max(pg_catalog.age(a.backend_xmin)) FILTER (WHERE other), 0)")],
        ),
        gauge(
            "vigie_postgres_autovacuum_workers",
            Unit::Of("{worker}"),
            "Workers of autovacuum that are at work, which pg_settings_autovacuum_max_workers limits.",
            &[(0, "pg_catalog.count(*) FILTER (WHERE a.backend_type = 'autovacuum worker')")],
        ),
        gauge(
            "pg_long_running_transactions",
            Unit::Of("{transaction}"),
            "Transactions that are open, ours and autovacuum's aside.",
            &[(0, "pg_catalog.count(*) FILTER (WHERE open)")],
        ),
        gauge(
            "pg_long_running_transactions_oldest_timestamp_seconds",
            Unit::Seconds,
            "How long the oldest of them has been open.",
            &[(
                0,
                "COALESCE(EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.min(a.xact_start) FILTER (WHERE open)), 0)",
            )],
        ),
    ],
    from: &[(
        0,
        "FROM (SELECT *, pid <> pg_catalog.pg_backend_pid() AS other, pid <> pg_catalog.pg_backend_pid() \
         AND state IS DISTINCT FROM 'idle' AND query NOT LIKE 'autovacuum:%' AND xact_start IS NOT NULL AS open \
         FROM pg_catalog.pg_stat_activity) a",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

/// Before PostgreSQL 14 nobody tells since when a lock is waited for: at most since the statement began.
const WAIT_BY_STATEMENT: &str = "COALESCE(EXTRACT(EPOCH FROM pg_catalog.now() - pg_catalog.min(a.query_start) \
    FILTER (WHERE a.wait_event_type = 'Lock')), 0)";
