//! What is told of a server beside the numbers of INFO: redis_exporter's names, and the Collector's.

use super::series::LABELS;
use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::probes::{PROBE, SERVER};

const CMD: Label = Label::new("cmd");
const KEY: Label = Label::new("key");
const ERR: Label = Label::new("err");
const EVENT: Label = Label::new("event_name");
const WHAT: Label = Label::new("what");
const CLASS: Label = Label::new("class");
const LIMIT: Label = Label::new("limit");
const VALUE: Label = Label::new("value");
/// The Collector leaves `db` off.
const DB: Label = Label::new("db").otel_values(&[
    ("db0", "0"),
    ("db1", "1"),
    ("db2", "2"),
    ("db3", "3"),
    ("db4", "4"),
    ("db5", "5"),
    ("db6", "6"),
    ("db7", "7"),
    ("db8", "8"),
    ("db9", "9"),
    ("db10", "10"),
    ("db11", "11"),
    ("db12", "12"),
    ("db13", "13"),
    ("db14", "14"),
    ("db15", "15"),
]);

const OF_CMD: &[Label] = &[PROBE, SERVER, CMD];
const OF_DB: &[Label] = &[PROBE, SERVER, DB];
const OF_EVENT: &[Label] = &[PROBE, SERVER, EVENT];
const OF_REPLICA: &[Label] =
    &[PROBE, SERVER, Label::new("slave_ip"), Label::new("slave_port"), Label::new("slave_state")];
const OF_PRIMARY: &[Label] = &[PROBE, SERVER, Label::new("master_host"), Label::new("master_port")];

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::gauge(name, unit, help).labels(LABELS)
}

const fn of_cmd(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help).labels(OF_CMD).since(Since::Unknown)
}

pub(super) static UP: Metric = gauge("redis_up", Unit::One, "Whether the server said how it is.");
pub(super) static INSTANCE_INFO: Metric =
    Metric::gauge("redis_instance_info", Unit::One, "What the server is, always 1.").labels(&[
        PROBE,
        SERVER,
        Label::new("role"),
        Label::new("redis_version"),
        Label::new("redis_build_id"),
        Label::new("redis_mode"),
        Label::new("os"),
        Label::new("maxmemory_policy"),
        Label::new("tcp_port"),
        Label::new("run_id"),
        Label::new("process_id"),
        Label::new("master_replid"),
    ]);
pub(super) static START_TIME: Metric =
    gauge("redis_start_time_seconds", Unit::Seconds, "When the server started, since 1970.");
pub(super) static FRAGMENTATION: Metric = gauge(
    "redis_memory_fragmentation_ratio",
    Unit::One,
    "Memory given by the kernel for each byte given out, by the name that dashboards query.",
);
pub(super) static ROLE: Metric =
    Metric::otel_only(Kind::Gauge, "redis.role", Unit::Of("{role}"), "What the server is to others, always 1.")
        .labels(&[PROBE, SERVER, Label::new("role").otel_values(&[("master", "primary"), ("slave", "replica")])])
        .otel_up_down("redis.role")
        .since(Since::Unknown);

pub(super) static COMMANDS: Metric =
    of_cmd("redis_commands_total", Unit::Of("{call}"), "Calls of a command.").otel("redis.cmd.calls");
pub(super) static COMMANDS_DURATION: Metric =
    of_cmd("redis_commands_duration_seconds_total", Unit::Seconds, "How long the calls of a command took.")
        .otel("redis.cmd.sec");
pub(super) static COMMANDS_REJECTED: Metric =
    of_cmd("redis_commands_rejected_calls_total", Unit::Of("{call}"), "Calls of a command that were not carried out.");
pub(super) static COMMANDS_FAILED: Metric =
    of_cmd("redis_commands_failed_calls_total", Unit::Of("{call}"), "Calls of a command that ended in an error.");
pub(super) static PERCENTILES: Metric = Metric::new(
    Kind::Summary,
    "redis_latency_percentiles_usec",
    Unit::One,
    "How many microseconds a call took, by percent of the calls that took no longer.",
)
.labels(OF_CMD)
.since(Since::Unknown);
pub(super) static LATENCY: Metric = Metric::otel_only(
    Kind::Gauge,
    "redis.cmd.latency",
    Unit::Seconds,
    "How long a call took, by percent of the calls.",
)
.labels(&[PROBE, SERVER, CMD, Label::new("percentile")]);
pub(super) static LATENCIES: Metric = Metric::new(
    Kind::Histogram,
    "redis_commands_latencies_usec",
    Unit::One,
    "How many microseconds the calls of a command took.",
)
.labels(OF_CMD)
.since(Since::Unknown);
pub(super) static ERRORS: Metric =
    Metric::counter("redis_errors_total", Unit::Of("{error}"), "Errors that were answered, by their first word.")
        .labels(&[PROBE, SERVER, ERR])
        .since(Since::Unknown);

pub(super) static DB_KEYS: Metric =
    Metric::gauge("redis_db_keys", Unit::Of("{key}"), "Keys of a database.").labels(OF_DB).otel("redis.db.keys");
pub(super) static DB_EXPIRING: Metric =
    Metric::gauge("redis_db_keys_expiring", Unit::Of("{key}"), "Keys of a database that have a time.")
        .labels(OF_DB)
        .otel("redis.db.expires");
pub(super) static DB_TTL: Metric =
    Metric::gauge("redis_db_avg_ttl_seconds", Unit::Seconds, "How long keys with a time have left, on average.")
        .labels(OF_DB)
        .otel("redis.db.avg_ttl");
pub(super) static DB_CACHED: Metric =
    Metric::gauge("redis_db_keys_cached", Unit::One, "Keys of a database held in memory, of KeyDB.").labels(OF_DB);
pub(super) static DB_SUBEXPIRY: Metric =
    Metric::gauge("redis_db_keys_with_expiring_items", Unit::One, "Keys of a database whose fields have a time.")
        .labels(OF_DB);

pub(super) static SLOWLOG_LENGTH: Metric =
    gauge("redis_slowlog_length", Unit::One, "Entries of the log of slow calls.");
pub(super) static SLOWLOG_ID: Metric = gauge("redis_slowlog_last_id", Unit::One, "The number of its newest entry.");
pub(super) static SLOWLOG_DURATION: Metric =
    gauge("redis_last_slow_execution_duration_seconds", Unit::Seconds, "How long that call took.");
pub(super) static SPIKE_LAST: Metric =
    Metric::gauge("redis_latency_spike_last", Unit::One, "When an event was last slow, in seconds since 1970.")
        .labels(OF_EVENT);
pub(super) static SPIKE_DURATION: Metric =
    Metric::gauge("redis_latency_spike_duration_seconds", Unit::Seconds, "How long it then took.").labels(OF_EVENT);

pub(super) static REPLICA_OFFSET: Metric = Metric::gauge(
    "redis_connected_slave_offset_bytes",
    Unit::Bytes,
    "How far a replica has come in the stream of changes.",
)
.labels(OF_REPLICA);
pub(super) static REPLICA_LAG: Metric = Metric::gauge(
    "redis_connected_slave_lag_seconds",
    Unit::Seconds,
    "How long ago a replica last said how far it has come.",
)
.labels(OF_REPLICA);
pub(super) static LINK_UP: Metric =
    Metric::gauge("redis_master_link_up", Unit::One, "Whether this replica is connected to its primary.")
        .labels(OF_PRIMARY);
pub(super) static LINK_IO: Metric = Metric::gauge(
    "redis_master_last_io_seconds_ago",
    Unit::Seconds,
    "How long ago the primary was last heard of; -1 is not connected.",
)
.labels(OF_PRIMARY);
pub(super) static LINK_SYNC: Metric =
    Metric::gauge("redis_master_sync_in_progress", Unit::One, "Whether this replica is being sent everything.")
        .labels(OF_PRIMARY);
pub(super) static OWN_OFFSET: Metric = Metric::gauge(
    "redis_slave_repl_offset",
    Unit::One,
    "How far this replica has come in the stream of changes, in bytes.",
)
.labels(OF_PRIMARY)
.otel("redis.replication.replica_offset")
.otel_unit(Unit::Bytes);
pub(super) static REPLICA_INFO: Metric =
    Metric::gauge("redis_slave_info", Unit::One, "Whose replica this is, and whether it is read only, always 1.")
        .labels(&[PROBE, SERVER, Label::new("master_host"), Label::new("master_port"), Label::new("read_only")]);

pub(super) static CONFIG_MAXMEMORY: Metric =
    gauge("redis_config_maxmemory", Unit::One, "The most memory for data in bytes, as configured; 0 is no limit.")
        .otel("redis.maxmemory")
        .otel_unit(Unit::Bytes);
pub(super) static CONFIG_MAXCLIENTS: Metric =
    gauge("redis_config_maxclients", Unit::One, "The most connections, as configured.");
pub(super) static CONFIG_IO_THREADS: Metric =
    gauge("redis_config_io_threads", Unit::One, "Threads that read and write, as configured.");
pub(super) static CONFIG_BACKLOG: Metric =
    gauge("redis_config_repl_backlog_size", Unit::One, "Bytes of changes kept for replicas, as configured.");
pub(super) static CONFIG_BUFFER: Metric = Metric::gauge(
    "redis_config_client_output_buffer_limit_bytes",
    Unit::Bytes,
    "How much may wait for a client before it is cut off.",
)
.labels(&[PROBE, SERVER, CLASS, LIMIT]);
pub(super) static CONFIG_OVERCOME: Metric = Metric::gauge(
    "redis_config_client_output_buffer_limit_overcome_seconds",
    Unit::Seconds,
    "How long more than the soft limit may wait for it.",
)
.labels(&[PROBE, SERVER, CLASS, LIMIT]);
pub(super) static CONFIG_TEXT: Metric =
    Metric::gauge("redis_config_key_value", Unit::One, "What an option is set to that is no number, always 1.")
        .labels(&[PROBE, SERVER, KEY, VALUE]);

pub(super) static UNAVAILABLE: Metric = Metric::gauge(
    "vigie_redis_unavailable",
    Unit::One,
    "What the server does not give, and why; vigie check --connect says what mends it.",
)
.labels(&[PROBE, SERVER, WHAT, Label::new("reason")])
.otel("vigie.redis.unavailable");
pub(super) static LEFT_OUT: Metric = Metric::gauge(
    "vigie_redis_left_out",
    Unit::Of("{thing}"),
    "Commands, databases, replicas and so on that are not shown as there are too many.",
)
.labels(&[PROBE, SERVER, WHAT])
.otel_up_down("vigie.redis.left_out")
.since(Since::Agent);

/// Every one of them.
pub(super) static METRICS: &[&Metric] = &[
    &UP,
    &INSTANCE_INFO,
    &START_TIME,
    &FRAGMENTATION,
    &ROLE,
    &COMMANDS,
    &COMMANDS_DURATION,
    &COMMANDS_REJECTED,
    &COMMANDS_FAILED,
    &PERCENTILES,
    &LATENCY,
    &LATENCIES,
    &ERRORS,
    &DB_KEYS,
    &DB_EXPIRING,
    &DB_TTL,
    &DB_CACHED,
    &DB_SUBEXPIRY,
    &SLOWLOG_LENGTH,
    &SLOWLOG_ID,
    &SLOWLOG_DURATION,
    &SPIKE_LAST,
    &SPIKE_DURATION,
    &REPLICA_OFFSET,
    &REPLICA_LAG,
    &LINK_UP,
    &LINK_IO,
    &LINK_SYNC,
    &OWN_OFFSET,
    &REPLICA_INFO,
    &CONFIG_MAXMEMORY,
    &CONFIG_MAXCLIENTS,
    &CONFIG_IO_THREADS,
    &CONFIG_BACKLOG,
    &CONFIG_BUFFER,
    &CONFIG_OVERCOME,
    &CONFIG_TEXT,
    &UNAVAILABLE,
    &LEFT_OUT,
];
