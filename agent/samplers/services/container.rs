//! What is told of a container, under cAdvisor's names. What else cAdvisor tells of it (image, pod) only its runtime
//! knows.

use super::account::Account;
use crate::metric::{Label, Metric, Since, Unit};
use crate::snapshot::{Labels, Reading};

const ID: Label = Label::new("id").page_only();
/// The convention allows a shortened id.
const NAME: Label = Label::new("name").otel("container.id");
const CONTAINER: &[Label] = &[ID, NAME];
const CONTAINER_DEVICE: &[Label] = &[ID, NAME, Label::new("device").otel("system.device")];

const BYTES: Unit = Unit::Bytes;
const SECONDS: Unit = Unit::Seconds;
const PERIOD: Unit = Unit::Of("{period}");
const OPERATION: Unit = Unit::Of("{operation}");
const THREAD: Unit = Unit::Of("{thread}");

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help).labels(CONTAINER).since(Since::Unknown)
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::gauge(name, unit, help).labels(CONTAINER).since(Since::Unknown)
}

const fn io(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help).labels(CONTAINER_DEVICE).since(Since::Unknown)
}

pub(super) static CPU_USAGE: Metric =
    counter("container_cpu_usage_seconds_total", SECONDS, "CPU time of the container in all modes.");
pub(super) static CPU_USER: Metric =
    counter("container_cpu_user_seconds_total", SECONDS, "CPU time of the container in user mode.")
        .otel("container.cpu.time")
        .otel_fixed(&[("cpu.mode", "user")]);
pub(super) static CPU_SYSTEM: Metric =
    counter("container_cpu_system_seconds_total", SECONDS, "CPU time of the container in the kernel.")
        .otel("container.cpu.time")
        .otel_fixed(&[("cpu.mode", "system")]);
pub(super) static CPU_PERIODS: Metric = counter(
    "container_cpu_cfs_periods_total",
    PERIOD,
    "Periods in which the container ran under its CPU quota; absent without a quota.",
);
pub(super) static CPU_THROTTLED_PERIODS: Metric = counter(
    "container_cpu_cfs_throttled_periods_total",
    PERIOD,
    "Periods in which the container used up its CPU quota and was stopped.",
);
pub(super) static CPU_THROTTLED: Metric = counter(
    "container_cpu_cfs_throttled_seconds_total",
    SECONDS,
    "Time that the container was stopped because its CPU quota was used up.",
);
pub(super) static MEMORY: Metric = gauge(
    "container_memory_usage_bytes",
    BYTES,
    "Memory of the container, with the files that it has in the page cache.",
)
.otel_up_down("container.memory.usage");
pub(super) static MEMORY_WORKING_SET: Metric = gauge(
    "container_memory_working_set_bytes",
    BYTES,
    "Memory of the container without files that it has not touched lately.",
)
.otel_up_down("container.memory.working_set");
pub(super) static MEMORY_ANON: Metric =
    gauge("container_memory_rss", BYTES, "Memory of the container that is no file: heaps and stacks.")
        .otel_up_down("container.memory.rss");
pub(super) static MEMORY_FILE: Metric =
    gauge("container_memory_cache", BYTES, "Page cache of the container, shared memory included.");
pub(super) static MEMORY_KERNEL: Metric =
    gauge("container_memory_kernel_usage", BYTES, "Memory that the kernel keeps for the container.");
pub(super) static MEMORY_SWAP: Metric =
    gauge("container_memory_swap", BYTES, "Memory of the container that is swapped out.");
pub(super) static MEMORY_PEAK: Metric =
    gauge("container_memory_max_usage_bytes", BYTES, "The most memory that the container ever had.");
pub(super) static MEMORY_LIMIT: Metric = gauge(
    "container_spec_memory_limit_bytes",
    BYTES,
    "The most memory that the container may have; absent without a limit.",
);
pub(super) static MEMORY_LIMIT_HITS: Metric = counter(
    "container_memory_failcnt",
    Unit::Of("{hit}"),
    "Times that the container was about to go over its memory limit and had to give memory back first.",
);
pub(super) static OOM_EVENTS: Metric = counter(
    "container_oom_events_total",
    Unit::Of("{process}"),
    "Processes of the container that the kernel killed for want of memory.",
);
pub(super) static THREADS: Metric = gauge("container_threads", THREAD, "Processes and threads of the container.");
pub(super) static THREADS_LIMIT: Metric = gauge(
    "container_threads_max",
    THREAD,
    "The most processes and threads that the container may have; absent without a limit.",
);
pub(super) static CPU_WAITING: Metric = counter(
    "container_pressure_cpu_waiting_seconds_total",
    SECONDS,
    "Time that some task of the container was ready to run and had no CPU.",
);
pub(super) static CPU_STALLED: Metric = counter(
    "container_pressure_cpu_stalled_seconds_total",
    SECONDS,
    "Time that tasks of the container were ready to run and none of them had a CPU.",
);
pub(super) static MEMORY_WAITING: Metric = counter(
    "container_pressure_memory_waiting_seconds_total",
    SECONDS,
    "Time that some task of the container waited for memory to be freed or read back.",
);
pub(super) static MEMORY_STALLED: Metric = counter(
    "container_pressure_memory_stalled_seconds_total",
    SECONDS,
    "Time that the container stood still because each of its tasks waited for memory.",
);
pub(super) static IO_WAITING: Metric = counter(
    "container_pressure_io_waiting_seconds_total",
    SECONDS,
    "Time that some task of the container waited for I/O.",
);
pub(super) static IO_STALLED: Metric = counter(
    "container_pressure_io_stalled_seconds_total",
    SECONDS,
    "Time that the container stood still because each of its tasks waited for I/O.",
);
pub(super) static READ_BYTES: Metric =
    io("container_fs_reads_bytes_total", BYTES, "Bytes that the container read from the device.")
        .otel("container.disk.io")
        .otel_fixed(&[("disk.io.direction", "read")]);
pub(super) static WRITTEN_BYTES: Metric =
    io("container_fs_writes_bytes_total", BYTES, "Bytes that the container wrote to the device.")
        .otel("container.disk.io")
        .otel_fixed(&[("disk.io.direction", "write")]);
pub(super) static READS: Metric = io("container_fs_reads_total", OPERATION, "Reads of the device for the container.");
pub(super) static WRITES: Metric =
    io("container_fs_writes_total", OPERATION, "Writes to the device for the container.");

/// Writes what a unit has in another form, or not at all.
pub(super) fn put(account: &Account, labels: &Labels, reading: &mut Reading) {
    let memory = &account.memory;
    for (metric, seconds) in [(&CPU_USER, account.cpu.user_seconds), (&CPU_SYSTEM, account.cpu.system_seconds)] {
        if let Some(seconds) = seconds {
            reading.put_with(metric, labels, seconds);
        }
    }
    if let Some((current, inactive)) = memory.current.zip(memory.inactive_file) {
        reading.put_with(&MEMORY_WORKING_SET, labels, current.saturating_sub(inactive));
    }
}
