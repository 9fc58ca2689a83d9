//! Who follows this server, who keeps its WAL, and what this server receives from another.

use super::family::{ALL_ROWS, Column, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

const CLIENT: Label = Label::new("application_name").otel("postgresql.application.name");
const ADDRESS: Label = Label::new("client_addr").otel("replication_client");
const STATE: Label = Label::new("state").otel("postgresql.replication.state");
const PID: Label = Label::new("pid").otel_int("process.pid");
const FOLLOWERS: &[Label] = &[OWN[0], OWN[1], CLIENT, ADDRESS, STATE, Label::new("slot_name").page_only(), PID];

const SLOT: Label = Label::new("slot_name").otel("postgresql.replication.slot.name");
const SLOTS: &[Label] =
    &[OWN[0], OWN[1], SLOT, Label::new("database").otel("db.namespace"), Label::new("slot_type").page_only()];
const RECEIVER: &[Label] = &[OWN[0], OWN[1], Label::new("upstream_host").page_only(), SLOT];

const fn gauge(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::gauge(name, unit, help, sql).labels(FOLLOWERS)
}

/// `pg_stat_replication`, with the slot that each uses.
pub(super) static FOLLOWING: Family = Family {
    name: "replication",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: FOLLOWERS,
    keys: &["r.application_name", "r.client_addr", "r.state", "s.slot_name", "r.pid"],
    columns: &[
        gauge(
            "pg_stat_replication_pg_current_wal_lsn_bytes",
            Unit::Bytes,
            "How much WAL was ever written here.",
            &[(0, "w.lsn - '0/0'")],
        ),
        gauge(
            "pg_stat_replication_pg_wal_lsn_diff",
            Unit::Bytes,
            "WAL written here that the follower has not replayed.",
            &[(0, "pg_catalog.pg_wal_lsn_diff(w.lsn, r.replay_lsn)")],
        )
        .otel_gauge("postgresql.replication.data_delay", "By"),
        gauge(
            "vigie_postgres_replication_write_lag_seconds",
            Unit::Seconds,
            "How long the follower takes to write what was written here.",
            &[(0, "EXTRACT(EPOCH FROM r.write_lag)")],
        )
        .otel_gauge("postgresql.wal.delay", "s")
        .fixed(&[("operation", "write")]),
        gauge(
            "vigie_postgres_replication_flush_lag_seconds",
            Unit::Seconds,
            "How long the follower takes to have on disk what was written here.",
            &[(0, "EXTRACT(EPOCH FROM r.flush_lag)")],
        )
        .otel_gauge("postgresql.wal.delay", "s")
        .fixed(&[("operation", "flush")]),
        gauge(
            "vigie_postgres_replication_replay_lag_seconds",
            Unit::Seconds,
            "How long the follower takes to replay what was written here.",
            &[(0, "EXTRACT(EPOCH FROM r.replay_lag)")],
        )
        .otel_gauge("postgresql.wal.delay", "s")
        .fixed(&[("operation", "replay")]),
    ],
    from: &[(
        0,
        "FROM pg_catalog.pg_stat_replication r LEFT JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid \
         CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() \
         ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) w ORDER BY r.pid LIMIT {top}",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

const fn slot(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::gauge(name, unit, help, sql).labels(SLOTS)
}

/// `pg_replication_slots`: a slot that nobody uses keeps WAL until the disk is full. postgres_exporter has called its
/// numbers by two names; both are here.
pub(super) static KEPT: Family = Family {
    name: "replication_slots",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: SLOTS,
    keys: &["s.slot_name", "s.database", "s.slot_type"],
    columns: &[
        slot("pg_replication_slots_active", Unit::One, "Whether somebody uses the slot.", &[(0, "s.active::int")]),
        slot(
            "pg_replication_slots_pg_wal_lsn_diff",
            Unit::Bytes,
            "WAL that the slot keeps.",
            &[(0, "pg_catalog.pg_wal_lsn_diff(w.lsn, s.restart_lsn)")],
        ),
        slot(
            "pg_replication_slot_slot_current_wal_lsn",
            Unit::Bytes,
            "How much WAL was ever written.",
            &[(0, "w.lsn - '0/0'")],
        ),
        slot(
            "pg_replication_slots_slot_current_wal_lsn",
            Unit::Bytes,
            "How much WAL was ever written.",
            &[(0, "w.lsn - '0/0'")],
        ),
        slot(
            "pg_replication_slot_slot_confirmed_flush_lsn",
            Unit::Bytes,
            "Up to where the follower of a logical slot has all.",
            &[(0, "s.confirmed_flush_lsn - '0/0'")],
        ),
        slot(
            "pg_replication_slots_slot_confirmed_flush_lsn",
            Unit::Bytes,
            "Up to where the follower of a logical slot has all.",
            &[(0, "s.confirmed_flush_lsn - '0/0'")],
        ),
        slot(
            "pg_replication_slot_slot_is_active",
            Unit::One,
            "Whether somebody uses the slot.",
            &[(0, "s.active::int")],
        ),
        slot(
            "pg_replication_slots_slot_is_active",
            Unit::One,
            "Whether somebody uses the slot.",
            &[(0, "s.active::int")],
        ),
        slot(
            "pg_replication_slot_safe_wal_size_bytes",
            Unit::Bytes,
            "How much WAL may be written until the slot is lost; nothing without max_slot_wal_keep_size.",
            &[(0, ""), (130_000, "s.safe_wal_size")],
        ),
        slot(
            "pg_replication_slots_safe_wal_size_bytes",
            Unit::Bytes,
            "How much WAL may be written until the slot is lost; nothing without max_slot_wal_keep_size.",
            &[(0, ""), (130_000, "s.safe_wal_size")],
        ),
        slot(
            "vigie_postgres_replication_slot_lost",
            Unit::One,
            "Whether the WAL that the slot needs is gone, so that its follower must be made anew.",
            &[(0, ""), (130_000, "(s.wal_status = 'lost')::int")],
        ),
        slot(
            "vigie_postgres_replication_slot_xmin_transactions",
            Unit::Of("{transaction}"),
            "How many transactions have begun since the oldest that the slot keeps from vacuum.",
            &[(0, "GREATEST(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin))")],
        ),
    ],
    from: &[(
        0,
        "FROM pg_catalog.pg_replication_slots s CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() \
         THEN pg_catalog.pg_last_wal_receive_lsn() ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) w \
         ORDER BY s.slot_name LIMIT {top}",
    )],
    total: ALL_ROWS,
    grant: "pg_monitor",
};

const fn received(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::gauge(name, unit, help, sql).labels(RECEIVER)
}

/// `pg_stat_wal_receiver`, on a replica.
pub(super) static RECEIVING: Family = Family {
    name: "wal_receiver",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: RECEIVER,
    keys: &["sender_host", "slot_name"],
    columns: &[
        received(
            "pg_stat_wal_receiver_status",
            Unit::One,
            "Whether WAL streams in from another server.",
            &[(0, "(status = 'streaming')::int")],
        ),
        received(
            "pg_stat_wal_receiver_flushed_lsn",
            Unit::Bytes,
            "Up to where what came is on disk.",
            &[(0, "received_lsn - '0/0'"), (130_000, "flushed_lsn - '0/0'")],
        ),
        received("pg_stat_wal_receiver_received_tli", Unit::One, "The timeline of what came.", &[(0, "received_tli")]),
        received(
            "pg_stat_wal_receiver_last_msg_send_time",
            Unit::Seconds,
            "When the last message was sent, by the sender's clock, since 1970.",
            &[(0, "EXTRACT(EPOCH FROM last_msg_send_time)")],
        ),
        received(
            "pg_stat_wal_receiver_last_msg_receipt_time",
            Unit::Seconds,
            "When the last message came, since 1970.",
            &[(0, "EXTRACT(EPOCH FROM last_msg_receipt_time)")],
        ),
    ],
    from: &[(0, "FROM pg_catalog.pg_stat_wal_receiver WHERE status IS NOT NULL")],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
