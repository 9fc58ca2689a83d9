//! Reading one process: its `stat`, and what else is due.

use crate::samplers::root::glance::Missed;
use crate::samplers::root::{Buffer, Root};

use super::groups::{Groups, OTHER_ID};
use super::identity::{Name, Namer, Seen};
use super::path::ProcessPath;
use super::process::{Access, Process};
use super::stat::{parse_io, parse_open_limit, parse_proportional, parse_stat, parse_status};
use super::usage::Usage;

/// An unchanged process has its open files counted in every so many of its readings, its other details read in every so
/// many, and its group looked for in every so many.
const FILES_READS: u8 = 4;
const DETAILS_READS: u8 = 12;
const NAME_READS: u8 = 16;

/// What went wrong since the start, and what is not permitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Troubles {
    pub(super) partial_errors: u64,
    pub(super) read_errors: u64,
    /// Whether a process that is listed did not let itself be read since they were listed.
    pub(super) withheld: bool,
}

/// What became of a process that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It grew by so much, and its parent is the one that it had.
    Lives(Usage),
    /// The same, and it has another parent now.
    Adopted(Usage),
    /// It ended.
    Gone,
    /// It ended, and another process has its number.
    Replaced,
    /// It is there, and does not let itself be read.
    Hidden,
}

/// What is needed to look at processes.
pub(super) struct Scan<'a> {
    pub(super) root: &'a Root,
    pub(super) buffer: &'a mut Buffer,
    pub(super) path: &'a mut ProcessPath,
    pub(super) namer: &'a mut Namer,
    pub(super) groups: &'a mut Groups,
    pub(super) troubles: &'a mut Troubles,
    /// Whether the size of `fd` tells how many files are open.
    pub(super) fd_by_size: bool,
    /// Whether memory is asked for in parts of what is shared.
    pub(super) proportional: bool,
}

impl Scan<'_> {
    fn unreadable(&mut self) -> Look {
        self.troubles.read_errors += 1;
        Look::Hidden
    }

    fn missed(&mut self, missed: Missed) -> Look {
        match missed {
            Missed::Gone => Look::Gone,
            Missed::Denied => {
                self.troubles.withheld = true;
                Look::Hidden
            }
            Missed::Failed => self.unreadable(),
        }
    }

    /// Reads a process. `parents` gives the group of a process by its number, for what no rule matches.
    pub(super) fn look(&mut self, process: &mut Process, parents: impl Fn(u32) -> Option<u32>) -> Look {
        let line = match self.root.proc.glance(self.path.of(process.pid, "stat"), self.buffer) {
            Ok(line) => line,
            Err(missed) => return self.missed(missed),
        };
        let stat = match parse_stat(line) {
            Ok(stat) if stat.start == process.start || !process.seen => stat,
            Ok(_) => return Look::Replaced,
            Err(_) => return self.unreadable(),
        };
        let first = !process.seen;
        let (renamed, adopted) = (process.renamed(stat.comm), !first && stat.parent != process.parent);
        let mut comm = [0; 16];
        let length = stat.comm.len().min(comm.len());
        comm.iter_mut().zip(stat.comm).for_each(|(to, from)| *to = *from);
        let (mut grown, changed) = process.take_stat(&stat);
        let reads = process.reads;
        let nth = |every: u8| reads.is_multiple_of(every);
        // The kernel renames its workers after what they do: they stay where they are.
        let name = first || !process.kernel && (renamed || process.young() || nth(NAME_READS));
        if first || changed || nth(FILES_READS) {
            self.files(process);
        }
        if first || changed || name || nth(DETAILS_READS) {
            let user = self.details(process, &mut grown);
            if name {
                let comm = comm.get(..length).unwrap_or_default();
                let seen = Seen { pid: process.pid, comm, user, kernel: process.kernel };
                self.name(process, &seen, parents);
            }
        }
        if adopted { Look::Adopted(grown) } else { Look::Lives(grown) }
    }

    /// Reads what is beside `stat`, and gives the user. What only the owner may read is asked for once.
    fn details(&mut self, process: &mut Process, grown: &mut Usage) -> Option<u32> {
        let mut user = None;
        match self.root.proc.glance(self.path.of(process.pid, "status"), self.buffer) {
            Ok(text) => {
                let status = parse_status(text);
                *grown += process.take_status(&status);
                user = status.user;
            }
            Err(missed) => self.partly(missed),
        }
        if process.kernel {
            return user;
        }
        if process.io != Access::Denied || process.reads.is_multiple_of(NAME_READS) {
            match self.root.proc.glance(self.path.of(process.pid, "io"), self.buffer) {
                Ok(text) => match parse_io(text) {
                    Some(bytes) => *grown += process.take_io(bytes),
                    None => self.troubles.partial_errors += 1,
                },
                Err(Missed::Denied) => process.io = Access::Denied,
                Err(missed) => self.partly(missed),
            }
        }
        if self.proportional {
            let text = self.root.proc.glance(self.path.of(process.pid, "smaps_rollup"), self.buffer);
            process.proportional = text.ok().and_then(parse_proportional);
        }
        user
    }

    fn files(&mut self, process: &mut Process) {
        if !process.kernel && process.fd != Access::Denied {
            match self.root.proc.descriptors(self.path.of(process.pid, "fd"), self.fd_by_size) {
                Ok(count) => {
                    process.descriptors = u32::try_from(count).unwrap_or(u32::MAX);
                    process.fd = Access::Given;
                }
                Err(Missed::Denied) => process.fd = Access::Denied,
                Err(missed) => self.partly(missed),
            }
        }
    }

    fn partly(&mut self, missed: Missed) {
        self.troubles.partial_errors += u64::from(missed == Missed::Failed);
    }

    fn name(&mut self, process: &mut Process, seen: &Seen<'_>, parents: impl Fn(u32) -> Option<u32>) {
        process.group = match self.namer.name(self.root, self.buffer, self.path, seen) {
            Name::Group(name) => self.groups.number(&name),
            Name::Unmatched => parents(process.parent).unwrap_or(OTHER_ID),
        };
        if seen.kernel {
            return;
        }
        if let Ok(text) = self.root.proc.glance(self.path.of(process.pid, "limits"), self.buffer) {
            process.descriptors_limit = parse_open_limit(text).unwrap_or_default();
        }
    }
}
