//! The spool: what waits to be sent, on disk, in `<paths.state>/spool/`.
//!
//! Records are appended to segments and read back in the same order, whatever breaks in between:
//!
//! - a crash costs nothing that was appended; what was sent last may be sent again;
//! - what is damaged is passed over and counted, and what stands before and behind it is sent; its segment is set aside
//!   as `*.bad`, of which an eighth of the spool is kept at most;
//! - while the disk cannot be written, the newest MiB waits in memory, behind what is on disk, and goes
//!   there when it can be written again;
//! - too much is dropped oldest first, a segment at once, and too old by the record.
//!
//! Age is the wall clock's: what was measured against what it is now. A clock that is set back makes records younger,
//! and those of the future never expire before it is their turn, but bytes bound them still. A clock that is set forth
//! by more than `max_age` expires what waits, as the collector's would.

pub mod cursor;
mod disk;
mod dropped;
mod fault;
pub mod frame;
pub mod keeper;
mod memory;
mod opening;
mod reading;
mod segment;
mod writing;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use self::disk::{Disk, Losses};
pub use self::dropped::{Count, Dropped, Reason};
use self::fault::{Troubles, Work};
use self::memory::Memory;
use self::opening::Unopened;
use crate::config;
use crate::push::record::Record;

/// How long a disk that cannot be written is left alone while nothing is appended.
const RETRY: Duration = Duration::from_secs(1);

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another agent uses its directory.
    #[error("another vigie uses the spool in {}: stop it, or give one of them another directory with paths.state", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
}

/// How the spool is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes of its files, and of the records in memory.
    pub bytes: u64,
    /// Records that wait; where some are damaged, that shows when it is their turn.
    pub records: u64,
    /// Points in them.
    pub points: u64,
    /// When the first of them was measured.
    pub oldest: Option<SystemTime>,
    /// What was given up.
    pub dropped: Dropped,
    /// Segments in which something was damaged.
    pub bad_segments: u64,
    /// Those of `records` that wait in memory: the end of the agent would be the end of them.
    pub in_memory: u64,
    /// All that waits is on disk, and so would be what comes next.
    pub on_disk: bool,
    /// What does not work, and what helps.
    pub trouble: Option<String>,
}

/// What waits to be sent.
pub struct Spool {
    directory: PathBuf,
    limits: config::Spool,
    disk: Option<Disk>,
    memory: Memory,
    /// The record that is out, until it is acknowledged.
    held: Option<Record>,
    /// What went wrong elsewhere than on the disk that is open.
    losses: Losses,
    troubles: Troubles,
    /// When the disk refused to be written, if it did.
    failed: Option<Instant>,
    clock: fn() -> SystemTime,
}

impl Spool {
    /// Opens the spool below `state`. A directory that cannot be used is no error: records wait in memory until it can.
    ///
    /// # Errors
    /// Where another agent uses it.
    pub fn open(state: &Path, limits: config::Spool) -> Result<Spool, SpoolError> {
        Spool::open_by(state, limits, SystemTime::now)
    }

    /// The same, by another clock.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn open_by(state: &Path, limits: config::Spool, clock: fn() -> SystemTime) -> Result<Spool, SpoolError> {
        let mut spool = Spool {
            directory: state.join("spool"),
            limits,
            disk: None,
            memory: Memory::default(),
            held: None,
            losses: Losses::default(),
            troubles: Troubles::default(),
            failed: None,
            clock,
        };
        spool.try_disk().map(|()| spool)
    }

    /// Adds records behind all others. When it returns they are on the disk, or in memory where that does not work.
    pub fn append(&mut self, records: Vec<Record>) {
        self.memory.records.extend(records);
        // What is too old makes room, and what is the oldest may be another one then.
        self.expire();
        self.flush();
        self.expire();
        self.memory.bound(&mut self.losses.dropped);
        self.settle();
    }

    /// The oldest record; the same again until [`Spool::done`]. It is neither too much nor too old any more.
    pub fn front(&mut self) -> Option<Record> {
        if self.held.is_none() {
            self.flush_again();
            self.expire();
            let read = self.disk.as_mut().map_or(Ok(None), |disk| disk.read((self.clock)()));
            let failed = read.is_err();
            self.held = self.troubles.note(Work::Reading, read).flatten();
            // What the disk holds comes first, even where it cannot be read just now.
            if self.held.is_none() && !failed {
                self.held = self.memory.records.pop_front();
            }
            self.settle();
        }
        self.held.clone()
    }

    /// Acknowledges what [`Spool::front`] gave; without that, nothing.
    pub fn done(&mut self) {
        if self.held.take().is_some() {
            if let Some(disk) = &mut self.disk {
                self.troubles.note(Work::Acknowledging, disk.acknowledge());
            }
            self.flush_again();
        }
    }

    /// Takes over other limits, from now on.
    pub fn set_limits(&mut self, limits: config::Spool) {
        self.limits = limits;
        if let Some(disk) = &mut self.disk {
            disk.limits = limits;
            if let Err(fault) = disk.make_room(0) {
                self.troubles.note::<()>(Work::Acknowledging, Err(fault));
            }
        }
        self.expire();
        self.settle();
    }

    /// Ends it; tells what is lost by that.
    pub fn close(mut self) {
        self.flush();
        let records = self.in_memory();
        if records > 0 {
            tracing::warn!(records, "records that waited in memory are lost: the spool could not be written");
        }
    }

    /// How it is; does not look at the disk.
    pub fn status(&self) -> Status {
        let (records, points) = self.disk.as_ref().map_or((0, 0), Disk::waiting);
        let (held, held_points) = self.held.as_ref().map_or((0, 0), |held| (1, u64::from(held.points)));
        let first = || self.memory.records.front().map(|record| record.taken);
        let losses = self.losses();
        Status {
            bytes: self.disk.as_ref().map_or(0, Disk::bytes) + self.memory.bytes() as u64,
            records: records + held + self.memory.records.len() as u64,
            points: points + held_points + self.memory.points(),
            oldest: self.held.as_ref().map(|held| held.taken).or_else(|| self.disk.as_ref()?.oldest()).or_else(first),
            dropped: losses.dropped,
            bad_segments: losses.bad_segments,
            in_memory: self.in_memory(),
            on_disk: self.disk.is_some() && self.in_memory() == 0 && !self.troubles.has(Work::Writing),
            trouble: self.troubles.text(),
        }
    }

    /// Records that the disk does not have, the one that is out among them.
    fn in_memory(&self) -> u64 {
        let given = self.disk.as_ref().is_some_and(|disk| disk.given.is_some());
        self.memory.records.len() as u64 + u64::from(self.held.is_some() && !given)
    }

    fn losses(&self) -> Losses {
        self.disk.as_ref().map_or(self.losses, |disk| self.losses.and(&disk.losses))
    }

    /// Opens the directory, where that was not possible before.
    fn try_disk(&mut self) -> Result<(), SpoolError> {
        match Disk::open(&self.directory, self.limits) {
            Ok(disk) => {
                self.disk = Some(disk);
                self.troubles.note::<()>(Work::Writing, Ok::<_, SpoolError>(()));
            }
            Err(Unopened::Locked) => return Err(SpoolError::Locked { path: self.directory.clone() }),
            Err(Unopened::Fault(fault)) => drop(self.troubles.note::<()>(Work::Writing, Err(fault))),
        }
        Ok(())
    }

    /// Tries the disk without a reason, as long as that is not all that is done.
    fn flush_again(&mut self) {
        if self.failed.is_none_or(|failed| failed.elapsed() >= RETRY) {
            self.flush();
        }
    }

    /// Brings to the disk what waits in memory.
    fn flush(&mut self) {
        if self.disk.is_none()
            && let Err(locked) = self.try_disk()
        {
            self.troubles.note::<()>(Work::Writing, Err(locked));
        }
        self.failed = self.disk.is_none().then(Instant::now);
        let Some(disk) = &mut self.disk else { return };
        // What is out of memory is safe only on the disk too.
        let held = self.held.as_ref().filter(|_| disk.given.is_none() && disk.waiting().0 == 0);
        if let Some(held) = held {
            self.memory.records.push_front(held.clone());
        }
        if self.memory.records.is_empty() {
            return;
        }
        let outcome = disk.append(&mut self.memory.records);
        if held.is_some() {
            if self.memory.records.front() == held {
                self.memory.records.pop_front();
            } else {
                self.troubles.note(Work::Reading, disk.read((self.clock)()));
            }
        }
        let gone = outcome.as_ref().is_err_and(|fault| fault.kind() == std::io::ErrorKind::NotFound);
        self.failed = outcome.is_err().then(Instant::now);
        self.troubles.note(Work::Writing, outcome);
        if gone && !self.directory.exists() {
            // Somebody removed it: another one is made.
            disk.lose(disk.end, Reason::Corrupt);
            self.losses = self.losses();
            self.disk = None;
        }
    }

    fn expire(&mut self) {
        let now = (self.clock)();
        let Some(horizon) = now.checked_sub(self.limits.max_age) else { return };
        if let Some(Err(fault)) = self.disk.as_mut().map(|disk| disk.expire(now, horizon)) {
            // That it ends is told by whoever reads more than headers.
            self.troubles.note::<()>(Work::Reading, Err(fault));
        }
        if self.disk.as_ref().is_none_or(|disk| disk.waiting().0 == 0) {
            self.memory.expire(horizon, &mut self.losses.dropped);
        }
    }

    fn settle(&mut self) {
        if let Some(disk) = &mut self.disk {
            self.troubles.note(Work::Acknowledging, disk.settle());
        }
    }
}
