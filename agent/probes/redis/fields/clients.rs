//! INFO, section Clients.

use super::{Field, field, gauge};
use crate::metric::Unit::{Bytes, Of, One};

pub(super) static FIELDS: &[Field] = &[
    field(
        "connected_clients",
        gauge("redis_connected_clients", Of("{client}"), "Connections of clients, without those of replicas.")
            .otel_up_down("redis.clients.connected"),
    ),
    field("cluster_connections", gauge("redis_cluster_connections", One, "Sockets of the bus between cluster nodes.")),
    field("maxclients", gauge("redis_max_clients", One, "The most connections that the server takes.")),
    field(
        "client_recent_max_input_buffer",
        gauge(
            "redis_client_recent_max_input_buffer_bytes",
            Bytes,
            "The largest buffer of what a client sent, of late.",
        )
        .otel("redis.clients.max_input_buffer"),
    ),
    field(
        "client_recent_max_output_buffer",
        gauge(
            "redis_client_recent_max_output_buffer_bytes",
            Bytes,
            "The largest buffer of what a client gets, of late.",
        )
        .otel("redis.clients.max_output_buffer"),
    ),
    field(
        "client_longest_output_list",
        gauge("redis_client_longest_output_list", One, "The longest list of what a client gets, before version 5."),
    ),
    field(
        "client_biggest_input_buf",
        gauge("redis_client_biggest_input_buf", One, "The largest buffer of what a client sent, before version 5."),
    ),
    field(
        "blocked_clients",
        gauge("redis_blocked_clients", Of("{client}"), "Clients that wait in a command such as BLPOP.")
            .otel_up_down("redis.clients.blocked"),
    ),
    field("tracking_clients", gauge("redis_tracking_clients", One, "Clients that are told when keys change.")),
    field("pubsub_clients", gauge("redis_pubsub_clients", One, "Clients that subscribed to something.")),
    field("watching_clients", gauge("redis_watching_clients", One, "Clients that watch keys for a transaction.")),
    field(
        "clients_in_timeout_table",
        gauge("redis_clients_in_timeout_table", One, "Clients that wait no longer than some time."),
    ),
    field("total_watched_keys", gauge("redis_total_watched_keys", One, "Keys that clients watch.")),
    field("total_blocking_keys", gauge("redis_total_blocking_keys", One, "Keys that clients wait for.")),
    field(
        "total_blocking_keys_on_nokey",
        gauge("redis_total_blocking_keys_on_nokey", One, "Keys whose deletion clients wait for."),
    ),
];
