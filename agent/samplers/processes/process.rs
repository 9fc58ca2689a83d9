//! One process: what was last seen of it, and how much it grew since.

use super::stat::{Stat, Status};
use super::usage::Usage;

/// Bytes of a name, at most (`TASK_COMM_LEN`).
const COMM: usize = 16;

/// Passes without any change after which a process is idle.
const QUIET: u8 = 3;

/// In its first readings a process may still be what it was forked from.
const YOUNG_READS: u8 = 3;

/// An idle process is read in every so many passes.
pub(super) const IDLE_PASSES: u32 = 6;

/// Whether a file that only the owner may read was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Access {
    #[default]
    Unasked,
    Given,
    Denied,
}

/// What a parent reaps of a child, of what was counted already.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    user: u64,
    system: u64,
    read: u64,
    written: u64,
}

/// A process as it was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// Who waits for its end.
    pub(super) parent: u32,
    /// When it was started, in ticks since boot: with the number, what tells it from all others.
    pub(super) start: u64,
    pub(super) group: u32,
    pub(super) threads: u32,
    pub(super) usage: Usage,
    /// What it has reaped of its children's CPU, in ticks; their I/O is in `usage`.
    reaped: (u64, u64),
    /// What children used that ended since it was last read, and that was counted while they lived.
    counted: Counted,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
    pub(super) swapped_bytes: u64,
    /// Its part of what it shares, in RAM and in swap, where that is asked for.
    pub(super) proportional: Option<(u64, u64)>,
    pub(super) descriptors: u32,
    pub(super) descriptors_limit: u32,
    comm: [u8; COMM],
    pub(super) state: u8,
    pub(super) kernel: bool,
    /// Whether it was ever read.
    pub(super) seen: bool,
    pub(super) io: Access,
    pub(super) fd: Access,
    /// Whether it adopts orphans: what it reaps is not what its own children used.
    pub(super) adopts: bool,
    ignores_children: bool,
    /// Whether it reaped any CPU when it was last read.
    pub(super) reaps: bool,
    /// Passes in which it was read and had not changed.
    quiet: u8,
    /// How often it was read; wraps.
    pub(super) reads: u8,
    /// In how many more readings its group is looked for anew.
    young: u8,
}

impl Process {
    /// A process that is not read yet.
    pub(super) fn born(pid: u32) -> Process {
        Process { pid, adopts: pid == 1, young: YOUNG_READS, ..Process::default() }
    }

    /// The same for one that ran before the agent.
    pub(super) fn met(pid: u32) -> Process {
        Process { young: 0, ..Process::born(pid) }
    }

    /// Whether it may still be what it was forked from.
    pub(super) fn young(&self) -> bool {
        self.young > 0
    }

    /// Whether it is read in this pass. Idle ones take turns.
    pub(super) fn due(&self, pass: u32) -> bool {
        self.quiet < QUIET || pass.wrapping_add(self.pid).is_multiple_of(IDLE_PASSES)
    }

    /// Has it read in the next pass, whatever it did before.
    pub(super) fn rouse(&mut self) {
        self.quiet = 0;
    }

    /// Whether `comm` is another name than it had.
    pub(super) fn renamed(&self, comm: &[u8]) -> bool {
        self.comm != shortened(comm)
    }

    /// Takes over its `stat`; tells what it used since, and whether anything changed.
    ///
    /// A parent that waits for a child is told what that used, and what that had reaped: what no pass saw, of short
    /// lives and of the ends of longer ones, is in there. What was counted while they lived is taken off.
    pub(super) fn take_stat(&mut self, stat: &Stat<'_>) -> (Usage, bool) {
        let own = Usage { user: stat.user, system: stat.system, minor: stat.minor, major: stat.major, ..self.usage };
        let mut grown = own.since(&self.usage);
        let reaped = (stat.reaped_user, stat.reaped_system);
        let changed = own != self.usage
            || reaped != self.reaped
            || stat.resident_pages != self.resident_pages
            || stat.threads != u64::from(self.threads)
            || stat.state != self.state
            || !matches!(stat.state, b'S' | b'I' | b'Z' | b'T');
        self.reaps = reaped != self.reaped;
        if !self.adopts {
            let unseen = |now: u64, before: u64, counted: u64| now.saturating_sub(before).saturating_sub(counted);
            grown.user = grown.user.saturating_add(unseen(reaped.0, self.reaped.0, self.counted.user));
            grown.system = grown.system.saturating_add(unseen(reaped.1, self.reaped.1, self.counted.system));
        }
        (self.counted.user, self.counted.system) = (0, 0);
        (self.usage, self.reaped, self.start) = (own, reaped, stat.start);
        (self.virtual_bytes, self.resident_pages) = (stat.virtual_bytes, stat.resident_pages);
        self.threads = u32::try_from(stat.threads).unwrap_or(u32::MAX);
        (self.parent, self.state, self.kernel, self.seen) = (stat.parent, stat.state, stat.kernel, true);
        self.comm = shortened(stat.comm);
        self.adopts |= stat.comm == b"systemd";
        self.quiet = if changed { 0 } else { self.quiet.saturating_add(1) };
        (self.reads, self.young) = (self.reads.wrapping_add(1), self.young.saturating_sub(1));
        (grown, changed)
    }

    /// Takes over its `status`; tells the context switches since.
    pub(super) fn take_status(&mut self, status: &Status) -> Usage {
        self.swapped_bytes = status.swapped_bytes;
        self.ignores_children = status.ignores_children;
        let now = Usage { voluntary: status.voluntary, nonvoluntary: status.nonvoluntary, ..self.usage };
        let grown = now.since(&self.usage);
        self.usage = now;
        grown
    }

    /// Takes over its `io`; tells the bytes since. The first time tells all, unless it was denied before.
    pub(super) fn take_io(&mut self, (read, written): (u64, u64)) -> Usage {
        let now = Usage { read, written, ..self.usage };
        let mut grown = now.since(&self.usage);
        grown.read = grown.read.saturating_sub(self.counted.read);
        grown.written = grown.written.saturating_sub(self.counted.written);
        (self.counted.read, self.counted.written) = (0, 0);
        self.usage = now;
        if self.io == Access::Denied {
            grown = Usage::default();
        }
        self.io = Access::Given;
        grown
    }

    /// All that was counted of it and of what it reaped: what its parent will have reaped with it.
    pub(super) fn whole(&self) -> Usage {
        Usage {
            user: self.usage.user.saturating_add(self.reaped.0),
            system: self.usage.system.saturating_add(self.reaped.1),
            ..self.usage
        }
    }

    /// Notes that a child ended that had come so far.
    pub(super) fn charge(&mut self, child: Usage) {
        if self.ignores_children {
            return;
        }
        let Counted { user, system, read, written } = &mut self.counted;
        for (counted, more) in
            [(user, child.user), (system, child.system), (read, child.read), (written, child.written)]
        {
            *counted = counted.saturating_add(more);
        }
    }
}

fn shortened(comm: &[u8]) -> [u8; COMM] {
    let mut short = [0; COMM];
    short.iter_mut().zip(comm).for_each(|(to, from)| *to = *from);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::processes::stat::parse_stat;

    /// A process that has used this much, and reaped that much, in ticks.
    fn line(user: u64, reaped: u64) -> String {
        format!("7 (a) S 1 7 7 0 -1 0 0 0 0 0 {user} 0 {reaped} 0 20 0 1 0 1234 4096 1")
    }

    fn take(process: &mut Process, user: u64, reaped: u64) -> (Usage, bool) {
        process.take_stat(&parse_stat(line(user, reaped).as_bytes()).unwrap())
    }

    #[test]
    fn a_process_that_does_nothing_is_read_in_every_sixth_pass() {
        let mut process = Process::born(7);
        for _ in 0..4 {
            assert!(process.due(0) && process.due(1));
            take(&mut process, 5, 0);
        }
        assert_eq!((0..12).filter(|pass| process.due(*pass)).count(), 2);
        take(&mut process, 6, 0);
        assert!(process.due(0) && process.due(1));
    }

    #[test]
    fn a_process_that_runs_or_waits_for_a_disk_is_never_idle() {
        let mut process = Process::born(7);
        for _ in 0..9 {
            process.take_stat(&parse_stat(line(5, 0).replace(" S ", " D ").as_bytes()).unwrap());
        }
        assert!(process.due(0) && process.due(1));
    }

    #[test]
    fn what_children_used_unseen_is_their_parents() {
        let mut process = Process::born(7);
        take(&mut process, 5, 10);
        assert_eq!(take(&mut process, 6, 30).0.cpu(), 1 + 20);
        process.charge(Usage { user: 15, ..Usage::default() });
        assert_eq!(take(&mut process, 6, 50).0.cpu(), 5);
        // A child that was buried without it leaves no debt.
        process.charge(Usage { user: 15, ..Usage::default() });
        assert_eq!(take(&mut process, 6, 50).0.cpu(), 0);
        assert_eq!(take(&mut process, 7, 60).0.cpu(), 11);
    }

    #[test]
    fn what_an_adopter_reaps_is_nobodys() {
        let mut process = Process::born(1);
        take(&mut process, 5, 10);
        assert_eq!(take(&mut process, 6, 500).0.cpu(), 1);
    }

    #[test]
    fn a_parents_io_has_its_childrens_in_it_only_once() {
        let mut process = Process::born(7);
        assert_eq!(process.take_io((100, 0)).read, 100);
        process.charge(Usage { read: 4000, ..Usage::default() });
        assert_eq!(process.take_io((4200, 0)).read, 100);
        process.take_status(&Status { ignores_children: true, ..Status::default() });
        process.charge(Usage { read: 4000, ..Usage::default() });
        assert_eq!(process.take_io((4300, 0)).read, 100);
    }

    #[test]
    fn io_that_was_denied_counts_from_when_it_is_given() {
        let mut process = Process { io: Access::Denied, ..Process::default() };
        assert_eq!(process.take_io((100, 0)).read, 0);
        assert_eq!(process.take_io((150, 0)).read, 50);
    }

    #[test]
    fn a_process_takes_less_than_its_room() {
        assert!(size_of::<Process>() + size_of::<u32>() <= 300, "{}", size_of::<Process>());
    }
}
