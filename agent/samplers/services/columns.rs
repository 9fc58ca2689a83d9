//! What is told of a unit, and beside each number what a container's is called.

use super::account::{Account, Io};
use super::container;
use crate::metric::{Label, Metric, Since, Unit};
use crate::snapshot::Value;

const NAME: Label = Label::new("name").otel("systemd.unit.name");
const TYPE: Label = Label::new("type").otel("systemd.unit.type");
const UNIT: &[Label] = &[NAME, TYPE];
const UNIT_MODE: &[Label] = &[NAME, TYPE, Label::new("mode").otel("cpu.mode")];
const UNIT_DEVICE: &[Label] = &[NAME, TYPE, Label::new("device").otel("system.device")];

const BYTES: Unit = Unit::Bytes;
const SECONDS: Unit = Unit::Seconds;
const OPERATIONS: Unit = Unit::Of("{operation}");
const TASK: Unit = Unit::Of("{task}");
const SOME: &[(&str, &str)] = &[("system.pressure.stall_type", "some")];
const FULL: &[(&str, &str)] = &[("system.pressure.stall_type", "full")];
const READ: &[(&str, &str)] = &[("disk.io.direction", "read")];
const WRITE: &[(&str, &str)] = &[("disk.io.direction", "write")];

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help).labels(UNIT).since(Since::Unknown)
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::gauge(name, unit, help).labels(UNIT).since(Since::Unknown)
}

pub(super) static INFO: Metric =
    Metric::gauge("vigie_unit_info", Unit::One, "Always 1; the slice says which one the unit is in.").labels(&[
        NAME,
        TYPE,
        Label::new("slice"),
    ]);
pub(super) static CPU: Metric = Metric::counter(
    "systemd_unit_cpu_seconds_total",
    SECONDS,
    "CPU time of the unit and of every process that it ever had, by mode.",
)
.labels(UNIT_MODE)
.since(Since::Unknown)
.otel("systemd.unit.cpu.time");
pub(super) static CPU_USAGE: Metric = counter(
    "vigie_unit_cpu_usage_seconds_total",
    SECONDS,
    "CPU time of the unit in all modes, as the scheduler measures it: exact where the modes are counted in ticks.",
);
pub(super) static CPU_PERIODS: Metric = counter(
    "vigie_unit_cpu_periods_total",
    Unit::Of("{period}"),
    "Periods in which the unit ran under its CPU quota; absent without a quota.",
);
pub(super) static CPU_THROTTLED_PERIODS: Metric = counter(
    "vigie_unit_cpu_throttled_periods_total",
    Unit::Of("{period}"),
    "Periods in which the unit used up its CPU quota and was stopped.",
);
pub(super) static CPU_THROTTLED: Metric = counter(
    "vigie_unit_cpu_throttled_seconds_total",
    SECONDS,
    "Time that the unit was stopped because its CPU quota was used up.",
)
.otel("systemd.unit.cpu.throttled.time");
pub(super) static MEMORY: Metric =
    gauge("systemd_unit_memory_bytes", BYTES, "Memory of the unit, with the files that it has in the page cache.")
        .otel_up_down("systemd.unit.memory.usage");
pub(super) static MEMORY_ANON: Metric =
    gauge("vigie_unit_memory_anon_bytes", BYTES, "Memory of the unit that is no file: heaps and stacks.")
        .otel_up_down("systemd.unit.memory.rss");
pub(super) static MEMORY_FILE: Metric = gauge(
    "vigie_unit_memory_file_bytes",
    BYTES,
    "Page cache of the unit, shared memory included; most of it goes when memory is wanted.",
)
.otel_up_down("systemd.unit.memory.cache");
pub(super) static MEMORY_KERNEL: Metric = gauge(
    "vigie_unit_memory_kernel_bytes",
    BYTES,
    "Memory that the kernel keeps for the unit: kernel stacks, page tables, slab, sockets' bookkeeping.",
)
.otel_up_down("systemd.unit.memory.kernel");
pub(super) static MEMORY_SWAP: Metric =
    gauge("vigie_unit_memory_swap_bytes", BYTES, "Memory of the unit that is swapped out.")
        .otel_up_down("systemd.unit.memory.swap");
pub(super) static MEMORY_PEAK: Metric =
    gauge("vigie_unit_memory_peak_bytes", BYTES, "The most memory that the unit ever had.")
        .otel("systemd.unit.memory.peak");
pub(super) static MEMORY_LIMIT: Metric =
    gauge("vigie_unit_memory_limit_bytes", BYTES, "The most memory that the unit may have; absent without a limit.")
        .otel_up_down("systemd.unit.memory.limit");
pub(super) static MEMORY_LIMIT_HITS: Metric = counter(
    "vigie_unit_memory_limit_hits_total",
    Unit::Of("{hit}"),
    "Times that the unit was about to go over its memory limit and had to give memory back first.",
);
pub(super) static OOM_EVENTS: Metric = counter(
    "vigie_unit_oom_events_total",
    Unit::Of("{event}"),
    "Times that the unit was out of memory at its limit, and an allocation was about to fail.",
);
pub(super) static OOM_KILLS: Metric = counter(
    "vigie_unit_oom_kills_total",
    Unit::Of("{process}"),
    "Processes of the unit that the kernel killed for want of memory.",
)
.otel("systemd.unit.oom.kills");
pub(super) static TASKS: Metric = gauge("systemd_unit_tasks_current", TASK, "Processes and threads of the unit.")
    .otel_up_down("systemd.unit.task.count");
pub(super) static TASKS_LIMIT: Metric = gauge(
    "systemd_unit_tasks_max",
    TASK,
    "The most processes and threads that the unit may have; absent without a limit.",
)
.otel_up_down("systemd.unit.task.limit");
pub(super) static CPU_WAITING: Metric = counter(
    "vigie_unit_pressure_cpu_waiting_seconds_total",
    SECONDS,
    "Time that some task of the unit was ready to run and had no CPU.",
)
.otel("systemd.unit.cpu.linux.pressure.total")
.otel_fixed(SOME);
pub(super) static CPU_STALLED: Metric = counter(
    "vigie_unit_pressure_cpu_stalled_seconds_total",
    SECONDS,
    "Time that tasks of the unit were ready to run and none of them had a CPU, as under a quota.",
)
.otel("systemd.unit.cpu.linux.pressure.total")
.otel_fixed(FULL);
pub(super) static MEMORY_WAITING: Metric = counter(
    "vigie_unit_pressure_memory_waiting_seconds_total",
    SECONDS,
    "Time that some task of the unit waited for memory to be freed or read back.",
)
.otel("systemd.unit.memory.linux.pressure.total")
.otel_fixed(SOME);
pub(super) static MEMORY_STALLED: Metric = counter(
    "vigie_unit_pressure_memory_stalled_seconds_total",
    SECONDS,
    "Time that the unit stood still because each of its tasks waited for memory.",
)
.otel("systemd.unit.memory.linux.pressure.total")
.otel_fixed(FULL);
pub(super) static IO_WAITING: Metric =
    counter("vigie_unit_pressure_io_waiting_seconds_total", SECONDS, "Time that some task of the unit waited for I/O.")
        .otel("systemd.unit.io.linux.pressure.total")
        .otel_fixed(SOME);
pub(super) static IO_STALLED: Metric = counter(
    "vigie_unit_pressure_io_stalled_seconds_total",
    SECONDS,
    "Time that the unit stood still because each of its tasks waited for I/O.",
)
.otel("systemd.unit.io.linux.pressure.total")
.otel_fixed(FULL);

const fn io(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help).labels(UNIT_DEVICE).since(Since::Unknown)
}

pub(super) static READ_BYTES: Metric =
    io("systemd_unit_io_read_bytes_total", BYTES, "Bytes that the unit read from the device.")
        .otel("systemd.unit.disk.io")
        .otel_fixed(READ);
pub(super) static WRITTEN_BYTES: Metric =
    io("systemd_unit_io_write_bytes_total", BYTES, "Bytes that the unit wrote to the device.")
        .otel("systemd.unit.disk.io")
        .otel_fixed(WRITE);
pub(super) static READS: Metric =
    io("systemd_unit_io_read_operations_total", OPERATIONS, "Reads of the device for the unit.")
        .otel("systemd.unit.disk.operations")
        .otel_fixed(READ);
pub(super) static WRITES: Metric =
    io("systemd_unit_io_write_operations_total", OPERATIONS, "Writes to the device for the unit.")
        .otel("systemd.unit.disk.operations")
        .otel_fixed(WRITE);

/// One number of a cgroup.
pub(super) struct Column {
    /// What it is called of a unit.
    pub(super) unit: &'static Metric,
    /// Whether systemd_exporter calls it so: then a container's scope has it too.
    pub(super) by_systemd: bool,
    /// What cAdvisor calls it of a container.
    pub(super) container: Option<&'static Metric>,
    pub(super) value: fn(&Account) -> Option<Value>,
}

const fn systemds(unit: &'static Metric, container: &'static Metric, value: fn(&Account) -> Option<Value>) -> Column {
    Column { unit, by_systemd: true, container: Some(container), value }
}

const fn ours(unit: &'static Metric, container: &'static Metric, value: fn(&Account) -> Option<Value>) -> Column {
    Column { unit, by_systemd: false, container: Some(container), value }
}

fn int(value: Option<u64>) -> Option<Value> {
    value.map(Value::from)
}

fn float(value: Option<f64>) -> Option<Value> {
    value.map(Value::from)
}

/// All that have one number each.
pub(super) static COLUMNS: &[Column] = &[
    ours(&CPU_USAGE, &container::CPU_USAGE, |of| float(of.cpu.usage_seconds)),
    ours(&CPU_PERIODS, &container::CPU_PERIODS, |of| int(of.cpu.periods)),
    ours(&CPU_THROTTLED_PERIODS, &container::CPU_THROTTLED_PERIODS, |of| int(of.cpu.throttled_periods)),
    ours(&CPU_THROTTLED, &container::CPU_THROTTLED, |of| float(of.cpu.throttled_seconds)),
    systemds(&MEMORY, &container::MEMORY, |of| int(of.memory.current)),
    ours(&MEMORY_ANON, &container::MEMORY_ANON, |of| int(of.memory.anon)),
    ours(&MEMORY_FILE, &container::MEMORY_FILE, |of| int(of.memory.file)),
    ours(&MEMORY_KERNEL, &container::MEMORY_KERNEL, |of| int(of.memory.kernel)),
    ours(&MEMORY_SWAP, &container::MEMORY_SWAP, |of| int(of.memory.swap)),
    ours(&MEMORY_PEAK, &container::MEMORY_PEAK, |of| int(of.memory.peak)),
    ours(&MEMORY_LIMIT, &container::MEMORY_LIMIT, |of| int(of.limits.memory_bytes)),
    ours(&MEMORY_LIMIT_HITS, &container::MEMORY_LIMIT_HITS, |of| int(of.memory.limit_hits)),
    Column { unit: &OOM_EVENTS, by_systemd: false, container: None, value: |of| int(of.memory.ooms) },
    ours(&OOM_KILLS, &container::OOM_EVENTS, |of| int(of.memory.oom_kills)),
    systemds(&TASKS, &container::THREADS, |of| int(of.tasks)),
    systemds(&TASKS_LIMIT, &container::THREADS_LIMIT, |of| int(of.limits.tasks)),
    ours(&CPU_WAITING, &container::CPU_WAITING, |of| float(of.cpu_stalls.some_seconds)),
    ours(&CPU_STALLED, &container::CPU_STALLED, |of| float(of.cpu_stalls.full_seconds)),
    ours(&MEMORY_WAITING, &container::MEMORY_WAITING, |of| float(of.memory_stalls.some_seconds)),
    ours(&MEMORY_STALLED, &container::MEMORY_STALLED, |of| float(of.memory_stalls.full_seconds)),
    ours(&IO_WAITING, &container::IO_WAITING, |of| float(of.io_stalls.some_seconds)),
    ours(&IO_STALLED, &container::IO_STALLED, |of| float(of.io_stalls.full_seconds)),
];

/// One number of a cgroup and a device.
pub(super) struct DeviceColumn {
    pub(super) unit: &'static Metric,
    pub(super) container: &'static Metric,
    pub(super) value: fn(&Io) -> Option<Value>,
}

pub(super) static DEVICE_COLUMNS: &[DeviceColumn] = &[
    DeviceColumn { unit: &READ_BYTES, container: &container::READ_BYTES, value: |io| int(io.read_bytes) },
    DeviceColumn { unit: &WRITTEN_BYTES, container: &container::WRITTEN_BYTES, value: |io| int(io.written_bytes) },
    DeviceColumn { unit: &READS, container: &container::READS, value: |io| int(io.reads) },
    DeviceColumn { unit: &WRITES, container: &container::WRITES, value: |io| int(io.writes) },
];
