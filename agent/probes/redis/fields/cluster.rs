//! INFO, section Cluster; CLUSTER INFO; and the numbers of a Sentinel.

use super::{Field, field, gauge};
use crate::metric::Unit::{Of, One};

pub(super) static FIELDS: &[Field] = &[
    field("cluster_enabled", gauge("redis_cluster_enabled", One, "Whether this is a node of a cluster.")),
    field("cluster_state", gauge("redis_cluster_state", One, "Whether this node serves: 1 is ok, 0 is fail.")),
    field(
        "cluster_slots_assigned",
        gauge("redis_cluster_slots_assigned", Of("{slots}"), "Slots that some node has.")
            .otel("redis.cluster.slots_assigned"),
    ),
    field("cluster_slots_ok", gauge("redis_cluster_slots_ok", One, "Slots whose node is well.")),
    field("cluster_slots_pfail", gauge("redis_cluster_slots_pfail", One, "Slots whose node this one cannot reach.")),
    field("cluster_slots_fail", gauge("redis_cluster_slots_fail", One, "Slots whose node most cannot reach.")),
    field("cluster_known_nodes", gauge("redis_cluster_known_nodes", One, "Nodes that this one knows.")),
    field("cluster_size", gauge("redis_cluster_size", One, "Primaries that have slots.")),
    field("cluster_current_epoch", gauge("redis_cluster_current_epoch", One, "The newest epoch of the cluster.")),
    field("cluster_my_epoch", gauge("redis_cluster_my_epoch", One, "The epoch of this node's slots.")),
    field("cluster_stats_messages_sent", gauge("redis_cluster_messages_sent_total", One, "Messages to other nodes.")),
    field(
        "cluster_stats_messages_received",
        gauge("redis_cluster_messages_received_total", One, "Messages from other nodes."),
    ),
    field("cluster_stats_messages_ping_sent", gauge("redis_cluster_stats_messages_ping_sent", One, "Pings sent.")),
    field(
        "cluster_stats_messages_ping_received",
        gauge("redis_cluster_stats_messages_ping_received", One, "Pings got."),
    ),
    field("cluster_stats_messages_pong_sent", gauge("redis_cluster_stats_messages_pong_sent", One, "Pongs sent.")),
    field(
        "cluster_stats_messages_pong_received",
        gauge("redis_cluster_stats_messages_pong_received", One, "Pongs got."),
    ),
    field("cluster_stats_messages_meet_sent", gauge("redis_cluster_stats_messages_meet_sent", One, "Greetings sent.")),
    field(
        "cluster_stats_messages_meet_received",
        gauge("redis_cluster_stats_messages_meet_received", One, "Greetings got."),
    ),
    field("cluster_stats_messages_fail_sent", gauge("redis_cluster_stats_messages_fail_sent", One, "Failures told.")),
    field(
        "cluster_stats_messages_fail_received",
        gauge("redis_cluster_stats_messages_fail_received", One, "Failures heard of."),
    ),
    field(
        "cluster_stats_messages_publish_sent",
        gauge("redis_cluster_stats_messages_publish_sent", One, "Messages of channels passed on."),
    ),
    field(
        "cluster_stats_messages_publish_received",
        gauge("redis_cluster_stats_messages_publish_received", One, "Messages of channels got."),
    ),
    field(
        "cluster_stats_messages_auth-req_sent",
        gauge("redis_cluster_stats_messages_auth_req_sent", One, "Votes asked for."),
    ),
    field(
        "cluster_stats_messages_auth-req_received",
        gauge("redis_cluster_stats_messages_auth_req_received", One, "Votes that others asked for."),
    ),
    field(
        "cluster_stats_messages_auth-ack_sent",
        gauge("redis_cluster_stats_messages_auth_ack_sent", One, "Votes given."),
    ),
    field(
        "cluster_stats_messages_auth-ack_received",
        gauge("redis_cluster_stats_messages_auth_ack_received", One, "Votes got."),
    ),
    field(
        "cluster_stats_messages_update_sent",
        gauge("redis_cluster_stats_messages_update_sent", One, "Updates sent."),
    ),
    field(
        "cluster_stats_messages_update_received",
        gauge("redis_cluster_stats_messages_update_received", One, "Updates got."),
    ),
    field("sentinel_masters", gauge("redis_sentinel_masters", One, "Primaries that this Sentinel watches.")),
    field("sentinel_tilt", gauge("redis_sentinel_tilt", One, "Whether it trusts its clock no more, and only watches.")),
    field("sentinel_running_scripts", gauge("redis_sentinel_running_scripts", One, "Scripts that it runs now.")),
    field(
        "sentinel_scripts_queue_length",
        gauge("redis_sentinel_scripts_queue_length", One, "Scripts that it will run."),
    ),
    field(
        "sentinel_simulate_failure_flags",
        gauge("redis_sentinel_simulate_failure_flags", One, "Failures that it was told to simulate."),
    ),
];
