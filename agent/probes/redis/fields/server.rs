//! INFO, sections Server and CPU.

use super::{Field, counter, field, gauge};
use crate::metric::Unit::{One, Seconds};

pub(super) static FIELDS: &[Field] = &[
    field("process_id", gauge("redis_process_id", One, "The server's PID.")),
    field(
        "uptime_in_seconds",
        counter("redis_uptime_in_seconds", Seconds, "How long the server runs.").page_gauge().otel("redis.uptime"),
    ),
    field("hz", gauge("redis_hz", One, "How often a second the server does its housekeeping now.")),
    field("configured_hz", gauge("redis_configured_hz", One, "How often a second it does when little is to be done.")),
    field("io_threads_active", gauge("redis_io_threads_active", One, "Whether threads read and write for clients.")),
    field("server_threads", gauge("redis_server_threads_total", One, "Threads of the server, of KeyDB.")),
    field("long_lock_waits", gauge("redis_long_lock_waits_total", One, "Waits for a lock that took long, of KeyDB.")),
    field("current_client_thread", gauge("redis_current_client_thread", One, "The thread that answers, of KeyDB.")),
    field(
        "used_cpu_sys",
        counter("redis_cpu_sys_seconds_total", Seconds, "CPU time of the server in the kernel.")
            .otel("redis.cpu.time")
            .otel_fixed(&[("state", "sys")]),
    ),
    field(
        "used_cpu_user",
        counter("redis_cpu_user_seconds_total", Seconds, "CPU time of the server in its own code.")
            .otel("redis.cpu.time")
            .otel_fixed(&[("state", "user")]),
    ),
    field(
        "used_cpu_sys_children",
        counter("redis_cpu_sys_children_seconds_total", Seconds, "CPU time in the kernel of processes that save.")
            .otel("redis.cpu.time")
            .otel_fixed(&[("state", "sys_children")]),
    ),
    field(
        "used_cpu_user_children",
        counter("redis_cpu_user_children_seconds_total", Seconds, "CPU time in their own code of processes that save.")
            .otel("redis.cpu.time")
            .otel_fixed(&[("state", "user_children")]),
    ),
    field(
        "used_cpu_sys_main_thread",
        counter(
            "redis_cpu_sys_main_thread_seconds_total",
            Seconds,
            "CPU time in the kernel of the thread that answers.",
        )
        .otel("redis.cpu.time")
        .otel_fixed(&[("state", "sys_main_thread")]),
    ),
    field(
        "used_cpu_user_main_thread",
        counter(
            "redis_cpu_user_main_thread_seconds_total",
            Seconds,
            "CPU time in its own code of the thread that answers.",
        )
        .otel("redis.cpu.time")
        .otel_fixed(&[("state", "user_main_thread")]),
    ),
];
