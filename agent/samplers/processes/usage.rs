//! What processes use: counters that only grow, and how far each has come.

use std::ops::AddAssign;

/// Counters of a process or a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU in their own code, in ticks.
    pub(super) user: u64,
    /// CPU in the kernel, in ticks.
    pub(super) system: u64,
    /// Bytes read from storage.
    pub(super) read: u64,
    /// Bytes written to storage.
    pub(super) written: u64,
    /// Page faults without I/O.
    pub(super) minor: u64,
    /// Page faults with I/O.
    pub(super) major: u64,
    /// Context switches to wait.
    pub(super) voluntary: u64,
    /// Context switches because the CPU was taken.
    pub(super) nonvoluntary: u64,
}

impl Usage {
    /// What grew since `before`. A counter that fell, as the main thread's do when another thread becomes it by exec,
    /// did not grow.
    pub(super) fn since(&self, before: &Usage) -> Usage {
        Usage {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
            read: self.read.saturating_sub(before.read),
            written: self.written.saturating_sub(before.written),
            minor: self.minor.saturating_sub(before.minor),
            major: self.major.saturating_sub(before.major),
            voluntary: self.voluntary.saturating_sub(before.voluntary),
            nonvoluntary: self.nonvoluntary.saturating_sub(before.nonvoluntary),
        }
    }

    /// What both have, of what a parent reaps: CPU and bytes.
    pub(super) fn reaped_of(&self, other: &Usage) -> Usage {
        Usage {
            user: self.user.min(other.user),
            system: self.system.min(other.system),
            read: self.read.min(other.read),
            written: self.written.min(other.written),
            ..Usage::default()
        }
    }

    /// CPU, in ticks.
    pub(super) fn cpu(&self) -> u64 {
        self.user.saturating_add(self.system)
    }

    /// Bytes from and to storage.
    pub(super) fn io(&self) -> u64 {
        self.read.saturating_add(self.written)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Usage) {
        self.user = self.user.saturating_add(more.user);
        self.system = self.system.saturating_add(more.system);
        self.read = self.read.saturating_add(more.read);
        self.written = self.written.saturating_add(more.written);
        self.minor = self.minor.saturating_add(more.minor);
        self.major = self.major.saturating_add(more.major);
        self.voluntary = self.voluntary.saturating_add(more.voluntary);
        self.nonvoluntary = self.nonvoluntary.saturating_add(more.nonvoluntary);
    }
}
