//! The files of one cgroup.

use super::account::{Kept, Stalls};
use super::hierarchies::{Hierarchies, Owner};
use crate::samplers::pressure;
use crate::samplers::root::Buffer;

/// A file of a cgroup: where it is, its name, and its bit among those that do not answer.
#[derive(Clone, Copy)]
pub(super) struct File(u32, Owner, &'static str);

pub(super) const CPU_STAT: File = File(0, Owner::Unified, "cpu.stat");
pub(super) const MEMORY_CURRENT: File = File(1, Owner::Unified, "memory.current");
pub(super) const MEMORY_STAT: File = File(2, Owner::Unified, "memory.stat");
pub(super) const MEMORY_EVENTS: File = File(3, Owner::Unified, "memory.events");
pub(super) const MEMORY_SWAP: File = File(4, Owner::Unified, "memory.swap.current");
pub(super) const MEMORY_PEAK: File = File(5, Owner::Unified, "memory.peak");
pub(super) const MEMORY_MAX: File = File(6, Owner::Unified, "memory.max");
pub(super) const IO_STAT: File = File(7, Owner::Unified, "io.stat");
pub(super) const PIDS: File = File(8, Owner::Unified, "pids.current");
pub(super) const PIDS_MAX: File = File(9, Owner::Unified, "pids.max");
pub(super) const CPU_PRESSURE: File = File(10, Owner::Unified, "cpu.pressure");
pub(super) const MEMORY_PRESSURE: File = File(11, Owner::Unified, "memory.pressure");
pub(super) const IO_PRESSURE: File = File(12, Owner::Unified, "io.pressure");
pub(super) const LEGACY_CPU_STAT: File = File(13, Owner::Cpu, "cpu.stat");
pub(super) const CPUACCT_USAGE: File = File(14, Owner::Cpuacct, "cpuacct.usage");
pub(super) const CPUACCT_STAT: File = File(15, Owner::Cpuacct, "cpuacct.stat");
pub(super) const MEMORY_USAGE: File = File(16, Owner::Memory, "memory.usage_in_bytes");
pub(super) const LEGACY_MEMORY_STAT: File = File(17, Owner::Memory, "memory.stat");
pub(super) const MEMORY_KMEM: File = File(18, Owner::Memory, "memory.kmem.usage_in_bytes");
pub(super) const MEMORY_MAX_USAGE: File = File(19, Owner::Memory, "memory.max_usage_in_bytes");
pub(super) const MEMORY_FAILCNT: File = File(20, Owner::Memory, "memory.failcnt");
pub(super) const MEMORY_OOM: File = File(21, Owner::Memory, "memory.oom_control");
pub(super) const MEMORY_LIMIT: File = File(22, Owner::Memory, "memory.limit_in_bytes");
pub(super) const BLKIO_BYTES: File = File(23, Owner::Blkio, "blkio.throttle.io_service_bytes_recursive");
pub(super) const BLKIO_COUNT: File = File(24, Owner::Blkio, "blkio.throttle.io_serviced_recursive");
/// Older kernels count a cgroup without those below it.
pub(super) const OLD_BLKIO_BYTES: File = File(25, Owner::Blkio, "blkio.throttle.io_service_bytes");
pub(super) const OLD_BLKIO_COUNT: File = File(26, Owner::Blkio, "blkio.throttle.io_serviced");
pub(super) const LEGACY_PIDS: File = File(27, Owner::Pids, "pids.current");
pub(super) const LEGACY_PIDS_MAX: File = File(28, Owner::Pids, "pids.max");

/// The files of one cgroup. None stays open: thousands of cgroups must not take all that a process may open.
pub(super) struct Files<'a> {
    pub(super) hierarchies: &'a Hierarchies,
    /// Of the cgroup.
    pub(super) cgroup: &'a str,
    /// Where the path of a file is put together.
    pub(super) path: &'a mut String,
    pub(super) buffer: &'a mut Buffer,
    /// A bit for each file that did not answer, which is not asked again before the cgroup's next turn.
    pub(super) silent: &'a mut u32,
    /// What the pass before left; nothing in the cgroup's turn.
    pub(super) kept: &'a mut Option<Kept>,
}

impl Files<'_> {
    /// The text of a file. The kernel writes each with one read, into a buffer that is larger than nearly all of them.
    pub(super) fn text(&mut self, file: File) -> Option<&str> {
        self.read(file, false)
    }

    /// The text of a file that may be of any length.
    pub(super) fn long(&mut self, file: File) -> Option<&str> {
        self.read(file, true)
    }

    fn read(&mut self, File(bit, owner, name): File, whole: bool) -> Option<&str> {
        if *self.silent & (1 << bit) != 0 {
            return None;
        }
        let Some(dir) = self.hierarchies.of(owner) else {
            self.rest(File(bit, owner, name));
            return None;
        };
        self.path.clear();
        self.path.push_str(self.cgroup);
        self.path.push('/');
        self.path.push_str(name);
        let text = if whole { dir.whole(self.path, self.buffer) } else { dir.attribute(self.path, self.buffer) };
        if text.is_none() {
            *self.silent |= 1 << bit;
        }
        text
    }

    /// Asks for a file no more before the cgroup's next turn.
    pub(super) fn rest(&mut self, File(bit, ..): File) {
        *self.silent |= 1 << bit;
    }

    pub(super) fn number(&mut self, file: File) -> Option<u64> {
        self.text(file)?.trim_ascii().parse().ok()
    }

    pub(super) fn stalls(&mut self, file: File) -> Stalls {
        let stalls = self.text(file).and_then(|text| pressure::parse(text).ok()).unwrap_or_default();
        let seconds = |microseconds: Option<u64>| microseconds.map(|microseconds| microseconds as f64 / 1e6);
        Stalls { some_seconds: seconds(stalls.some_microseconds), full_seconds: seconds(stalls.full_microseconds) }
    }
}
