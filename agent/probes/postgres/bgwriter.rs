//! What is written behind everybody's back: by checkpointer, background writer and archiver, and to the WAL.

use super::family::{ALL_ROWS, Column, Family, OWN, Pace, Variants, VersionOf};
use crate::metric::{Label, Unit};

const LABELS: &[Label] = &OWN;
const MS: Unit = Unit::Of("ms");
const BUFFERS: Unit = Unit::Of("{buffer}");
const CHECKPOINTS: Unit = Unit::Of("{checkpoint}");

const fn counter(name: &'static str, unit: Unit, help: &'static str, sql: Variants) -> Column {
    Column::counter(name, unit, help, sql).labels(LABELS)
}

/// `pg_stat_bgwriter`, of which PostgreSQL 17 made two: what went to `pg_stat_checkpointer` has its old names and new
/// ones there; what the server no longer counts is not there.
pub(super) static BGWRITER: Family = Family {
    name: "bgwriter",
    pace: Pace::Check,
    of: VersionOf::Server,
    labels: LABELS,
    keys: &[],
    columns: &[
        counter(
            "pg_stat_bgwriter_checkpoints_timed_total",
            CHECKPOINTS,
            "Checkpoints made as it was time.",
            &[(0, "b.checkpoints_timed"), (170_000, "c.num_timed")],
        )
        .otel("postgresql.bgwriter.checkpoint.count", "{checkpoints}")
        .fixed(&[("type", "scheduled")]),
        counter(
            "pg_stat_bgwriter_checkpoints_req_total",
            CHECKPOINTS,
            "Checkpoints made as somebody asked, or there was much WAL.",
            &[(0, "b.checkpoints_req"), (170_000, "c.num_requested")],
        )
        .otel("postgresql.bgwriter.checkpoint.count", "{checkpoints}")
        .fixed(&[("type", "requested")]),
        counter(
            "pg_stat_bgwriter_checkpoint_write_time_total",
            MS,
            "Time in which checkpoints wrote.",
            &[(0, "b.checkpoint_write_time"), (170_000, "c.write_time")],
        )
        .otel("postgresql.bgwriter.duration", "ms")
        .fixed(&[("type", "write")]),
        counter(
            "pg_stat_bgwriter_checkpoint_sync_time_total",
            MS,
            "Time in which checkpoints waited for the disk.",
            &[(0, "b.checkpoint_sync_time"), (170_000, "c.sync_time")],
        )
        .otel("postgresql.bgwriter.duration", "ms")
        .fixed(&[("type", "sync")]),
        counter(
            "pg_stat_bgwriter_buffers_checkpoint_total",
            BUFFERS,
            "Buffers that checkpoints wrote.",
            &[(0, "b.buffers_checkpoint"), (170_000, "c.buffers_written")],
        )
        .otel("postgresql.bgwriter.buffers.writes", "{buffers}")
        .fixed(&[("source", "checkpoints")]),
        counter(
            "pg_stat_bgwriter_buffers_clean_total",
            BUFFERS,
            "Buffers that the background writer wrote.",
            &[(0, "b.buffers_clean")],
        )
        .otel("postgresql.bgwriter.buffers.writes", "{buffers}")
        .fixed(&[("source", "bgwriter")]),
        counter(
            "pg_stat_bgwriter_maxwritten_clean_total",
            Unit::Of("{round}"),
            "Rounds that the background writer ended as it had written enough.",
            &[(0, "b.maxwritten_clean")],
        )
        .otel("postgresql.bgwriter.maxwritten", "1"),
        counter(
            "pg_stat_bgwriter_buffers_backend_total",
            BUFFERS,
            "Buffers that the servers of clients had to write themselves.",
            &[(0, "b.buffers_backend"), (170_000, "")],
        )
        .otel("postgresql.bgwriter.buffers.writes", "{buffers}")
        .fixed(&[("source", "backend")]),
        counter(
            "pg_stat_bgwriter_buffers_backend_fsync_total",
            BUFFERS,
            "Times that the servers of clients had to wait for the disk themselves.",
            &[(0, "b.buffers_backend_fsync"), (170_000, "")],
        )
        .otel("postgresql.bgwriter.buffers.writes", "{buffers}")
        .fixed(&[("source", "backend_fsync")]),
        counter("pg_stat_bgwriter_buffers_alloc_total", BUFFERS, "Buffers taken into use.", &[(0, "b.buffers_alloc")])
            .otel("postgresql.bgwriter.buffers.allocated", "{buffers}"),
        counter(
            "pg_stat_bgwriter_stats_reset_total",
            Unit::Seconds,
            "When these numbers were last set to zero, since 1970.",
            &[(0, "EXTRACT(EPOCH FROM b.stats_reset)")],
        ),
        counter(
            "pg_stat_checkpointer_num_timed_total",
            CHECKPOINTS,
            "Checkpoints made as it was time.",
            &[(0, ""), (170_000, "c.num_timed")],
        ),
        counter(
            "pg_stat_checkpointer_num_requested_total",
            CHECKPOINTS,
            "Checkpoints made as somebody asked, or there was much WAL.",
            &[(0, ""), (170_000, "c.num_requested")],
        ),
        counter(
            "pg_stat_checkpointer_num_done_total",
            CHECKPOINTS,
            "Checkpoints that were made.",
            &[(0, ""), (180_000, "c.num_done")],
        ),
        counter(
            "pg_stat_checkpointer_restartpoints_timed_total",
            CHECKPOINTS,
            "Restartpoints due as it was time, on a replica.",
            &[(0, ""), (170_000, "c.restartpoints_timed")],
        ),
        counter(
            "pg_stat_checkpointer_restartpoints_req_total",
            CHECKPOINTS,
            "Restartpoints asked for, on a replica.",
            &[(0, ""), (170_000, "c.restartpoints_req")],
        ),
        counter(
            "pg_stat_checkpointer_restartpoints_done_total",
            CHECKPOINTS,
            "Restartpoints made, on a replica.",
            &[(0, ""), (170_000, "c.restartpoints_done")],
        ),
        counter(
            "pg_stat_checkpointer_write_time_total",
            MS,
            "Time in which checkpoints wrote.",
            &[(0, ""), (170_000, "c.write_time")],
        ),
        counter(
            "pg_stat_checkpointer_sync_time_total",
            MS,
            "Time in which checkpoints waited for the disk.",
            &[(0, ""), (170_000, "c.sync_time")],
        ),
        counter(
            "pg_stat_checkpointer_buffers_written_total",
            BUFFERS,
            "Buffers that checkpoints wrote.",
            &[(0, ""), (170_000, "c.buffers_written")],
        ),
        counter(
            "pg_stat_checkpointer_stats_reset_total",
            Unit::Seconds,
            "When these numbers were last set to zero, since 1970.",
            &[(0, ""), (170_000, "EXTRACT(EPOCH FROM c.stats_reset)")],
        ),
        counter(
            "pg_stat_archiver_archived_count",
            Unit::Of("{file}"),
            "Files of WAL that were archived.",
            &[(0, "a.archived_count")],
        ),
        counter(
            "pg_stat_archiver_failed_count",
            Unit::Of("{attempt}"),
            "Times that a file of WAL could not be archived.",
            &[(0, "a.failed_count")],
        ),
        Column::gauge(
            "pg_stat_archiver_last_archive_age",
            Unit::Seconds,
            "How long ago a file of WAL was last archived; nothing where none was.",
            &[(0, "EXTRACT(EPOCH FROM pg_catalog.now() - a.last_archived_time)")],
        )
        .labels(LABELS),
        counter(
            "pg_stat_wal_records_total",
            Unit::Of("{record}"),
            "Records written to the WAL.",
            &[(0, ""), (140_000, "w.wal_records")],
        ),
        counter(
            "pg_stat_wal_fpi_total",
            Unit::Of("{page}"),
            "Whole pages written to the WAL.",
            &[(0, ""), (140_000, "w.wal_fpi")],
        ),
        counter("pg_stat_wal_bytes_total", Unit::Bytes, "WAL written.", &[(0, ""), (140_000, "w.wal_bytes")]),
        counter(
            "pg_stat_wal_buffers_full_total",
            Unit::Of("{write}"),
            "Times that WAL was written to disk as its buffers were full.",
            &[(0, ""), (140_000, "w.wal_buffers_full")],
        ),
    ],
    from: &[
        (0, "FROM pg_catalog.pg_stat_bgwriter b CROSS JOIN pg_catalog.pg_stat_archiver a"),
        (
            140_000,
            "FROM pg_catalog.pg_stat_bgwriter b CROSS JOIN pg_catalog.pg_stat_archiver a \
             CROSS JOIN pg_catalog.pg_stat_wal w",
        ),
        (
            170_000,
            "FROM pg_catalog.pg_stat_bgwriter b CROSS JOIN pg_catalog.pg_stat_archiver a \
             CROSS JOIN pg_catalog.pg_stat_wal w CROSS JOIN pg_catalog.pg_stat_checkpointer c",
        ),
    ],
    total: ALL_ROWS,
    grant: "pg_monitor",
};
