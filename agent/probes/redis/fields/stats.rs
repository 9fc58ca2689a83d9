//! INFO, section Stats.

use super::{Field, counter, field, gauge};
use crate::metric::Unit::{Bytes, Of, One, Seconds};

pub(super) static FIELDS: &[Field] = &[
    field(
        "total_connections_received",
        counter("redis_connections_received_total", Of("{connection}"), "Connections that were accepted.")
            .otel("redis.connections.received"),
    ),
    field(
        "total_commands_processed",
        counter("redis_commands_processed_total", Of("{command}"), "Commands that were carried out.")
            .otel("redis.commands.processed"),
    ),
    field(
        "total_net_input_bytes",
        counter("redis_net_input_bytes_total", Bytes, "Bytes that came from clients.").otel("redis.net.input"),
    ),
    field(
        "total_net_output_bytes",
        counter("redis_net_output_bytes_total", Bytes, "Bytes that went to clients.").otel("redis.net.output"),
    ),
    field(
        "total_net_repl_input_bytes",
        counter("redis_net_repl_input_bytes_total", Bytes, "Bytes that came from the primary."),
    ),
    field(
        "total_net_repl_output_bytes",
        counter("redis_net_repl_output_bytes_total", Bytes, "Bytes that went to replicas."),
    ),
    field(
        "rejected_connections",
        counter("redis_rejected_connections_total", Of("{connection}"), "Connections over the most that are taken.")
            .otel("redis.connections.rejected"),
    ),
    field("sync_full", gauge("redis_replica_resyncs_full", One, "Times that a replica was sent everything.")),
    field(
        "sync_partial_ok",
        gauge("redis_replica_partial_resync_accepted", One, "Times that a replica went on where it had been."),
    ),
    field(
        "sync_partial_err",
        gauge("redis_replica_partial_resync_denied", One, "Times that a replica asked to go on, and could not."),
    ),
    field(
        "expired_keys",
        counter("redis_expired_keys_total", Of("{event}"), "Keys whose time was over.").otel("redis.keys.expired"),
    ),
    field("expired_subkeys", counter("redis_expired_subkeys_total", One, "Fields of hashes whose time was over.")),
    field(
        "expired_stale_perc",
        gauge("redis_expired_stale_percentage", One, "Percent of keys with a time that are likely to be over it."),
    ),
    field(
        "expired_time_cap_reached_count",
        counter(
            "redis_expired_time_cap_reached_total",
            One,
            "Times that expiring keys took too long, and was put off.",
        ),
    ),
    field(
        "expire_cycle_cpu_milliseconds",
        counter("redis_expire_cycle_cpu_time_ms_total", One, "Milliseconds that expiring keys took."),
    ),
    field(
        "evicted_keys",
        counter("redis_evicted_keys_total", Of("{key}"), "Keys that had to go as memory was short.")
            .otel("redis.keys.evicted"),
    ),
    field(
        "evicted_clients",
        counter("redis_evicted_clients_total", One, "Clients that had to go as memory was short."),
    ),
    field("evicted_scripts", counter("redis_evicted_scripts_total", One, "Scripts that had to go from the cache.")),
    field(
        "total_eviction_exceeded_time",
        counter("redis_eviction_exceeded_time_ms_total", One, "Milliseconds during which memory was over the limit."),
    ),
    field(
        "current_eviction_exceeded_time",
        gauge("redis_current_eviction_exceeded_time_ms", One, "Milliseconds since memory is over the limit; 0 is not."),
    ),
    field(
        "keyspace_hits",
        counter("redis_keyspace_hits_total", Of("{hit}"), "Keys that were looked for and found.")
            .otel("redis.keyspace.hits"),
    ),
    field(
        "keyspace_misses",
        counter("redis_keyspace_misses_total", Of("{miss}"), "Keys that were looked for and not found.")
            .otel("redis.keyspace.misses"),
    ),
    field("pubsub_channels", gauge("redis_pubsub_channels", One, "Channels that somebody subscribed to.")),
    field("pubsub_patterns", gauge("redis_pubsub_patterns", One, "Patterns of channels that somebody subscribed to.")),
    field("pubsubshard_channels", gauge("redis_pubsubshard_channels", One, "Channels of this shard, likewise.")),
    Field {
        key: "latest_fork_usec",
        metric: gauge("redis_latest_fork_seconds", Seconds, "How long the last fork took.").otel("redis.latest_fork"),
        scale: 1e-6,
    },
    field(
        "migrate_cached_sockets",
        gauge("redis_migrate_cached_sockets_total", One, "Sockets that are open to move keys to other servers."),
    ),
    field(
        "slave_expires_tracked_keys",
        gauge("redis_slave_expires_tracked_keys", One, "Keys with a time that this replica was given itself."),
    ),
    field("active_defrag_hits", gauge("redis_defrag_hits", One, "Values that defragmentation moved.")),
    field("active_defrag_misses", gauge("redis_defrag_misses", One, "Values that it left where they were.")),
    field("active_defrag_key_hits", gauge("redis_defrag_key_hits", One, "Keys of which it moved something.")),
    field("active_defrag_key_misses", gauge("redis_defrag_key_misses", One, "Keys of which it moved nothing.")),
    field("tracking_total_keys", gauge("redis_tracking_total_keys", One, "Keys of whose changes clients are told.")),
    field("tracking_total_items", gauge("redis_tracking_total_items", One, "Clients to be told, for each such key.")),
    field("tracking_total_prefixes", gauge("redis_tracking_total_prefixes", One, "Prefixes of such keys.")),
    field(
        "unexpected_error_replies",
        counter("redis_unexpected_error_replies", One, "Errors that a replica met and should not have."),
    ),
    field("total_error_replies", counter("redis_total_error_replies", One, "Errors that were answered.")),
    field(
        "dump_payload_sanitizations",
        counter("redis_dump_payload_sanitizations", One, "Values from elsewhere that were checked in depth."),
    ),
    field("total_reads_processed", counter("redis_total_reads_processed", One, "Reads from clients.")),
    field("total_writes_processed", counter("redis_total_writes_processed", One, "Writes to clients.")),
    field("io_threaded_reads_processed", counter("redis_io_threaded_reads_processed", One, "Reads by other threads.")),
    field(
        "io_threaded_writes_processed",
        counter("redis_io_threaded_writes_processed", One, "Writes by other threads."),
    ),
    field(
        "client_query_buffer_limit_disconnections",
        counter("redis_client_query_buffer_limit_disconnections_total", One, "Clients that sent more than they may."),
    ),
    field(
        "client_output_buffer_limit_disconnections",
        counter("redis_client_output_buffer_limit_disconnections_total", One, "Clients that read too slowly."),
    ),
    field("reply_buffer_shrinks", counter("redis_reply_buffer_shrinks_total", One, "Buffers of clients made smaller.")),
    field("reply_buffer_expands", counter("redis_reply_buffer_expands_total", One, "Buffers of clients made larger.")),
    field("acl_access_denied_auth", counter("redis_acl_access_denied_auth_total", One, "Logins that were refused.")),
    field("acl_access_denied_cmd", counter("redis_acl_access_denied_cmd_total", One, "Commands that a user may not.")),
    field("acl_access_denied_key", counter("redis_acl_access_denied_key_total", One, "Keys that a user may not.")),
    field(
        "acl_access_denied_channel",
        counter("redis_acl_access_denied_channel_total", One, "Channels that a user may not."),
    ),
    field("eventloop_cycles", counter("redis_eventloop_cycles_total", One, "Rounds of the server's loop.")),
    field(
        "eventloop_duration_sum",
        counter("redis_eventloop_duration_sum_usec_total", One, "Microseconds that they took."),
    ),
    field(
        "eventloop_duration_cmd_sum",
        counter("redis_eventloop_duration_cmd_sum_usec_total", One, "Microseconds of them that went into commands."),
    ),
    field(
        "instantaneous_eventloop_cycles_per_sec",
        gauge("redis_instantaneous_eventloop_cycles_per_sec", One, "Rounds of the loop a second, of late."),
    ),
    field(
        "instantaneous_eventloop_duration_usec",
        gauge("redis_instantaneous_eventloop_duration_usec", One, "Microseconds that a round took, of late."),
    ),
    field("cached_keys", counter("redis_cached_keys_total", One, "Keys held in memory, of KeyDB.")),
    field(
        "storage_provider_read_hits",
        counter("redis_storage_provider_read_hits", One, "Keys found on disk, of KeyDB."),
    ),
    field(
        "storage_provider_read_misses",
        counter("redis_storage_provider_read_misses", One, "Keys not found on disk, of KeyDB."),
    ),
    // The Collector's rate, which Redis computes; Prometheus computes its own from the counter.
    field(
        "instantaneous_ops_per_sec",
        crate::metric::Metric::otel_only(
            crate::metric::Kind::Gauge,
            "redis.commands",
            Of("{ops}/s"),
            "Commands that were carried out a second, as the server counts.",
        )
        .labels(crate::probes::redis::series::LABELS),
    ),
];
