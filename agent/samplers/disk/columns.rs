//! The numbers of a line of `/proc/diskstats`, each with its metric.

use crate::metric::{Metric, Unit};
use crate::snapshot::Value;

const OPERATION: Unit = Unit::Of("{operation}");
const READ: &[(&str, &str)] = &[("disk.io.direction", "read")];
const WRITE: &[(&str, &str)] = &[("disk.io.direction", "write")];

pub(super) static READS: Metric =
    counter("node_disk_reads_completed_total", OPERATION, "Reads that the device has completed.")
        .otel("system.disk.operations")
        .otel_fixed(READ);
pub(super) static READS_MERGED: Metric = counter(
    "node_disk_reads_merged_total",
    OPERATION,
    "Reads that were joined with a neighbouring one before the device saw them.",
)
.otel("system.disk.merged")
.otel_fixed(READ);
pub(super) static READ_BYTES: Metric =
    counter("node_disk_read_bytes_total", Unit::Bytes, "Bytes read from the device.")
        .otel("system.disk.io")
        .otel_fixed(READ);
pub(super) static READ_TIME: Metric = counter(
    "node_disk_read_time_seconds_total",
    Unit::Seconds,
    "Time that reads took, summed over all of them: divided by the reads it is their latency.",
)
.otel("system.disk.operation_time")
.otel_fixed(READ);
pub(super) static WRITES: Metric =
    counter("node_disk_writes_completed_total", OPERATION, "Writes that the device has completed.")
        .otel("system.disk.operations")
        .otel_fixed(WRITE);
pub(super) static WRITES_MERGED: Metric = counter(
    "node_disk_writes_merged_total",
    OPERATION,
    "Writes that were joined with a neighbouring one before the device saw them.",
)
.otel("system.disk.merged")
.otel_fixed(WRITE);
pub(super) static WRITTEN_BYTES: Metric =
    counter("node_disk_written_bytes_total", Unit::Bytes, "Bytes written to the device.")
        .otel("system.disk.io")
        .otel_fixed(WRITE);
pub(super) static WRITE_TIME: Metric = counter(
    "node_disk_write_time_seconds_total",
    Unit::Seconds,
    "Time that writes took, summed over all of them: divided by the writes it is their latency.",
)
.otel("system.disk.operation_time")
.otel_fixed(WRITE);
pub(super) static IO_NOW: Metric = Metric::gauge(
    "node_disk_io_now",
    Unit::Of("{operation}"),
    "Requests that the device has and has not answered yet.",
)
.labels(super::DEVICE)
.otel_up_down("system.disk.pending_operations")
// The Collector's plural: no convention has this metric.
.otel_unit(Unit::Of("{operations}"));
pub(super) static IO_TIME: Metric =
    counter("node_disk_io_time_seconds_total", Unit::Seconds, "Time in which the device had something to do; a rate of 1 is busy all the time, which an SSD can be with room to spare.")
        .otel("system.disk.io_time");
pub(super) static IO_TIME_WEIGHTED: Metric = counter(
    "node_disk_io_time_weighted_seconds_total",
    Unit::Seconds,
    "Time that requests spent in the device or its queue; its rate is the average length of that queue.",
)
.otel("system.disk.weighted_io_time");
pub(super) static DISCARDS: Metric =
    counter("node_disk_discards_completed_total", OPERATION, "Discards (TRIM) that the device has completed.");
pub(super) static DISCARDS_MERGED: Metric =
    counter("node_disk_discards_merged_total", OPERATION, "Discards that were joined with a neighbouring one.");
pub(super) static DISCARDED: Metric =
    counter("node_disk_discarded_sectors_total", Unit::Of("{sector}"), "Sectors of 512 bytes that were discarded.");
pub(super) static DISCARD_TIME: Metric =
    counter("node_disk_discard_time_seconds_total", Unit::Seconds, "Time that discards took, summed over all of them.");
pub(super) static FLUSHES: Metric =
    counter("node_disk_flush_requests_total", OPERATION, "Flushes of the device's write cache that it has completed.");
pub(super) static FLUSH_TIME: Metric = counter(
    "node_disk_flush_requests_time_seconds_total",
    Unit::Seconds,
    "Time that flushes of the write cache took; high where databases wait for fsync.",
);

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric::counter(name, unit, help).labels(super::DEVICE)
}

/// What a number of `/proc/diskstats` counts. A sector is 512 bytes there, whatever the device's own are
/// (`Documentation/block/stat.rst`).
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Plain,
    Sectors,
    Milliseconds,
}

/// The numbers of a line, in order (`Documentation/admin-guide/iostats.rst`): 11 always, 4 for discards since 4.18, 2
/// for flushes since 5.5.
pub(super) static COLUMNS: [(&Metric, Scale); 17] = [
    (&READS, Scale::Plain),
    (&READS_MERGED, Scale::Plain),
    (&READ_BYTES, Scale::Sectors),
    (&READ_TIME, Scale::Milliseconds),
    (&WRITES, Scale::Plain),
    (&WRITES_MERGED, Scale::Plain),
    (&WRITTEN_BYTES, Scale::Sectors),
    (&WRITE_TIME, Scale::Milliseconds),
    (&IO_NOW, Scale::Plain),
    (&IO_TIME, Scale::Milliseconds),
    (&IO_TIME_WEIGHTED, Scale::Milliseconds),
    (&DISCARDS, Scale::Plain),
    (&DISCARDS_MERGED, Scale::Plain),
    (&DISCARDED, Scale::Plain),
    (&DISCARD_TIME, Scale::Milliseconds),
    (&FLUSHES, Scale::Plain),
    (&FLUSH_TIME, Scale::Milliseconds),
];

impl Scale {
    pub(super) fn value(self, number: u64) -> Value {
        match self {
            Scale::Plain => number.into(),
            Scale::Sectors => number.saturating_mul(512).into(),
            Scale::Milliseconds => (number as f64 / 1000.0).into(),
        }
    }
}
