//! The metrics of process groups: process-exporter's names, and what only we tell.

use crate::metric::{Kind, Label, Metric, Since, Unit};

/// The attribute of a group, which no convention has.
const GROUP: Label = Label::new("groupname").otel("vigie.process.group.name");
const PLAIN: &[Label] = &[GROUP];
const FAULT: &str = "system.paging.fault.type";

pub(super) static PROCESSES: Metric = Metric::gauge(
    "namedprocess_namegroup_num_procs",
    Unit::Of("{process}"),
    "Processes of the group; `other` has those of all groups that are not shown.",
)
.labels(PLAIN)
.otel_up_down("vigie.process.group.size")
.since(Since::Agent);
pub(super) static CPU: Metric = Metric::counter(
    "namedprocess_namegroup_cpu_seconds_total",
    Unit::Seconds,
    "CPU that the group has used since the agent first looked, with members that ended and their short-lived children.",
)
.labels(&[GROUP, Label::new("mode").otel("cpu.mode")])
.otel("process.cpu.time")
.since(Since::Agent);
pub(super) static MEMORY: Metric = Metric::gauge(
    "namedprocess_namegroup_memory_bytes",
    Unit::Bytes,
    "Memory of the group: in RAM, of which what members share counts for each; address space; in swap; proportional: what is shared is divided.",
)
.labels(&[GROUP, Label::new("memtype")]);
pub(super) static RESIDENT: Metric =
    Metric::otel_only(Kind::Gauge, "process.memory.usage", Unit::Bytes, "RAM of the group.")
        .labels(PLAIN)
        .otel_up_down("process.memory.usage")
        .since(Since::Agent);
pub(super) static VIRTUAL: Metric =
    Metric::otel_only(Kind::Gauge, "process.memory.virtual", Unit::Bytes, "Address space of the group.")
        .labels(PLAIN)
        .otel_up_down("process.memory.virtual")
        .since(Since::Agent);
pub(super) static READ: Metric = Metric::counter(
    "namedprocess_namegroup_read_bytes_total",
    Unit::Bytes,
    "Bytes that the group has had read from storage; absent where no member lets its I/O be seen.",
)
.labels(PLAIN)
.otel("process.disk.io")
.otel_fixed(&[("disk.io.direction", "read")])
.since(Since::Agent);
pub(super) static WRITTEN: Metric = Metric::counter(
    "namedprocess_namegroup_write_bytes_total",
    Unit::Bytes,
    "Bytes that the group has had written to storage; absent where no member lets its I/O be seen.",
)
.labels(PLAIN)
.otel("process.disk.io")
.otel_fixed(&[("disk.io.direction", "write")])
.since(Since::Agent);
pub(super) static MAJOR: Metric = Metric::counter(
    "namedprocess_namegroup_major_page_faults_total",
    Unit::Of("{fault}"),
    "Page faults of the group that waited for storage.",
)
.labels(PLAIN)
.otel("process.paging.faults")
.otel_fixed(&[(FAULT, "major")])
.since(Since::Agent);
pub(super) static MINOR: Metric = Metric::counter(
    "namedprocess_namegroup_minor_page_faults_total",
    Unit::Of("{fault}"),
    "Page faults of the group that memory served.",
)
.labels(PLAIN)
.otel("process.paging.faults")
.otel_fixed(&[(FAULT, "minor")])
.since(Since::Agent);
pub(super) static SWITCHES: Metric = Metric::counter(
    "namedprocess_namegroup_context_switches_total",
    Unit::Of("{context_switch}"),
    "Times that main threads of the group gave the CPU away to wait, or had it taken.",
)
.labels(&[
    Label::new("ctxswitchtype").otel("process.context_switch.type").otel_values(&[("nonvoluntary", "involuntary")]),
    GROUP,
])
.otel("process.context_switches")
.since(Since::Agent);
pub(super) static DESCRIPTORS: Metric = Metric::gauge(
    "namedprocess_namegroup_open_filedesc",
    Unit::Of("{file_descriptor}"),
    "File descriptors that the group has open; absent where no member lets them be seen.",
)
.labels(PLAIN)
.otel_up_down("process.unix.file_descriptor.count")
.since(Since::Agent);
pub(super) static WORST_DESCRIPTORS: Metric = Metric::gauge(
    "namedprocess_namegroup_worst_fd_ratio",
    Unit::One,
    "Open file descriptors as a part of what is allowed, of the member that is nearest to its limit.",
)
.labels(PLAIN);
pub(super) static OLDEST: Metric = Metric::gauge(
    "namedprocess_namegroup_oldest_start_time_seconds",
    Unit::Seconds,
    "When the oldest process of the group was started, in seconds since 1970.",
)
.labels(PLAIN);
pub(super) static THREADS: Metric =
    Metric::gauge("namedprocess_namegroup_num_threads", Unit::Of("{thread}"), "Threads of the group.")
        .labels(PLAIN)
        .otel_up_down("process.thread.count")
        .since(Since::Agent);
pub(super) static STATES: Metric = Metric::gauge(
    "namedprocess_namegroup_states",
    Unit::Of("{process}"),
    "Processes of the group by the state of their main thread; Waiting is for storage.",
)
.labels(&[GROUP, Label::new("state")]);
pub(super) static PARTIAL_ERRORS: Metric = Metric::counter(
    "namedprocess_scrape_partial_errors",
    Unit::Of("{error}"),
    "Files of living processes that could not be read for another reason than a missing permission.",
)
.since(Since::Agent);
pub(super) static READ_ERRORS: Metric = Metric::counter(
    "namedprocess_scrape_procread_errors",
    Unit::Of("{error}"),
    "Living processes that could not be read at all.",
)
.since(Since::Agent);
pub(super) static UNATTRIBUTED: Metric = Metric::counter(
    "vigie_process_cpu_unattributed_seconds_total",
    Unit::Seconds,
    "CPU that the host spent in user, nice and system, and no group: of processes that ended between two passes.",
)
.otel("vigie.process.cpu.unattributed.time")
.since(Since::Agent);
pub(super) static GROUPS: Metric = Metric::gauge(
    "vigie_process_groups",
    Unit::Of("{group}"),
    "Groups of processes that are shown by name, and that are folded into `other`.",
)
.labels(&[Label::new("state").otel("vigie.process.group.state")])
.otel_up_down("vigie.process.group.count")
.since(Since::Agent);
pub(super) static UNAVAILABLE: Metric = Metric::gauge(
    "vigie_process_fields_unavailable",
    Unit::One,
    "Whether the agent may not see that of some processes; the drop-in process-details.conf lets it.",
)
.labels(&[Label::new("field").otel("vigie.process.field"), Label::new("reason").otel("vigie.reason")])
.otel("vigie.process.fields.unavailable");

pub(super) static ALL: &[&Metric] = &[
    &PROCESSES,
    &CPU,
    &MEMORY,
    &RESIDENT,
    &VIRTUAL,
    &READ,
    &WRITTEN,
    &MAJOR,
    &MINOR,
    &SWITCHES,
    &DESCRIPTORS,
    &WORST_DESCRIPTORS,
    &OLDEST,
    &THREADS,
    &STATES,
    &PARTIAL_ERRORS,
    &READ_ERRORS,
    &UNATTRIBUTED,
    &GROUPS,
    &UNAVAILABLE,
];
