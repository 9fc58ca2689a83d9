//! INFO, section Replication: what does not depend on who the others are.

use super::{Field, field, gauge};
use crate::metric::Unit::{Bytes, Of, One};

pub(super) static FIELDS: &[Field] = &[
    field(
        "connected_slaves",
        gauge("redis_connected_slaves", Of("{replica}"), "Replicas that are connected.")
            .otel_up_down("redis.slaves.connected"),
    ),
    field(
        "master_repl_offset",
        gauge("redis_master_repl_offset", One, "How far the stream of changes has come, in bytes.")
            .otel("redis.replication.offset")
            .otel_unit(Bytes),
    ),
    field(
        "second_repl_offset",
        gauge("redis_second_repl_offset", One, "Up to where the stream of the primary before is known; -1 is none."),
    ),
    field(
        "repl_backlog_active",
        gauge("redis_repl_backlog_is_active", One, "Whether changes are kept for replicas that lost the connection."),
    ),
    field("repl_backlog_size", gauge("redis_replication_backlog_bytes", Bytes, "How many bytes of them are kept.")),
    field(
        "repl_backlog_first_byte_offset",
        gauge("redis_repl_backlog_first_byte_offset", One, "Where in the stream those that are kept begin.")
            .otel("redis.replication.backlog_first_byte_offset")
            .otel_unit(Bytes),
    ),
    field(
        "repl_backlog_histlen",
        gauge("redis_repl_backlog_history_bytes", Bytes, "How many bytes of them there are."),
    ),
    field("slave_priority", gauge("redis_slave_priority", One, "Who becomes primary first: the lowest; 0 is never.")),
];
