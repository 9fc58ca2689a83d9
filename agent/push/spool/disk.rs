//! The spool's directory: its segments, how far they are read, and how much they may take.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cursor;
use super::dropped::{Dropped, Reason};
use super::fault::Fault;
use super::frame::{Frame, Mark, SEGMENT_HEADER};
use super::segment::Segment;
use crate::config;

/// What waits on disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) directory: PathBuf,
    pub(super) limits: config::Spool,
    /// Oldest first; the first is being read. The last is being written where there is a `writer`.
    pub(super) segments: VecDeque<Segment>,
    pub(super) writer: Option<File>,
    pub(super) reader: Option<File>,
    /// Read to the end; they go with the next acknowledgement.
    pub(super) passed: VecDeque<Segment>,
    /// Set aside, oldest first.
    pub(super) bad: VecDeque<Segment>,
    /// The next record to be read, and where in the first segment the search for it begins.
    pub(super) read: Mark,
    pub(super) offset: u64,
    /// Its header, where it was looked at.
    pub(super) head: Option<Frame>,
    /// Since when the disk cannot read there.
    pub(super) unreadable: Option<SystemTime>,
    /// The record that is out, not acknowledged yet.
    pub(super) given: Option<u64>,
    /// The next record to be written.
    pub(super) end: Mark,
    /// The number in the next segment's name.
    pub(super) file: u64,
    /// What the cursor on disk says.
    pub(super) stored: Option<u64>,
    pub(super) losses: Losses,
    /// Held for as long as this lives.
    pub(super) _lock: File,
}

/// What went wrong for good.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    pub(super) dropped: Dropped,
    /// Segments in which something was damaged.
    pub(super) bad_segments: u64,
}

impl Losses {
    /// Both.
    pub(super) fn and(mut self, other: &Losses) -> Losses {
        for reason in Reason::ALL {
            let count = other.dropped.of(reason);
            self.dropped.add(reason, count.records, count.points);
        }
        self.bad_segments += other.bad_segments;
        self
    }
}

impl Disk {
    /// Bytes of all files of ours; a cursor has another beside it while it is replaced.
    pub(super) fn bytes(&self) -> u64 {
        let live: u64 = self.segments.iter().chain(&self.passed).map(|segment| segment.bytes).sum();
        live + self.bad_bytes() + 2 * cursor::BYTES
    }

    fn bad_bytes(&self) -> u64 {
        self.bad.iter().map(|segment| segment.bytes).sum()
    }

    /// Records and points that were not read yet.
    pub(super) fn waiting(&self) -> (u64, u64) {
        (self.end.number.saturating_sub(self.read.number), self.end.points.saturating_sub(self.read.points))
    }

    /// When the next record was measured, where that is known without a look at the disk.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        self.head.map(|head| head.taken())
    }

    /// How long a segment may get: a sixteenth of the spool is dropped at once.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.limits.max_bytes / 16).clamp(64 << 10, 4 << 20)
    }

    /// Where what the first segment holds ends.
    pub(super) fn first_end(&self) -> Mark {
        self.segments.get(1).map_or(self.end, |second| second.start)
    }

    /// Gives up what stands between the next record and `to`.
    pub(super) fn lose(&mut self, to: Mark, reason: Reason) {
        let records = to.number.saturating_sub(self.read.number);
        if records > 0 {
            self.losses.dropped.add(reason, records, to.points.saturating_sub(self.read.points));
            self.read = to;
        }
        self.head = None;
    }

    /// Notes that something in the first segment is damaged.
    pub(super) fn mark_damaged(&mut self) {
        if let Some(segment) = self.segments.front_mut()
            && !std::mem::replace(&mut segment.damaged, true)
        {
            self.losses.bad_segments += 1;
            let path = segment.path(&self.directory);
            tracing::warn!(path = %path.display(), "the spool has a damaged segment: what can be read in it is sent");
        }
    }

    /// Goes on to the second segment.
    pub(super) fn pass(&mut self) {
        self.passed.extend(self.segments.pop_front());
        if self.segments.is_empty() {
            self.writer = None;
        }
        self.begin_first();
    }

    /// Takes the last segment out, in which there is nothing.
    pub(super) fn forget_last(&mut self) {
        if let Some(last) = self.segments.pop_back() {
            self.file = last.file;
        }
        if self.segments.is_empty() {
            self.begin_first();
        }
    }

    fn begin_first(&mut self) {
        (self.reader, self.head, self.offset, self.unreadable) = (None, None, SEGMENT_HEADER, None);
    }

    /// Makes room for so many bytes, the oldest first. `false` where they do not fit at all.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<bool, Fault> {
        if bytes + 2 * cursor::BYTES > self.limits.max_bytes {
            return Ok(false);
        }
        while self.bytes() + bytes > self.limits.max_bytes {
            if let Some(bad) = self.bad.front() {
                remove(&bad.aside(&self.directory))?;
                self.bad.pop_front();
            } else if let Some(passed) = self.passed.front() {
                // The record in it that is out is in memory.
                remove(&passed.path(&self.directory))?;
                self.passed.pop_front();
            } else if !self.segments.is_empty() {
                self.lose(self.first_end(), Reason::Bytes);
                self.pass();
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Remembers that the record which is out, and all before it, are done with.
    pub(super) fn acknowledge(&mut self) -> Result<(), Fault> {
        self.given = None;
        self.settle()
    }

    /// Writes down how far things are, and clears away what nobody needs any more.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        let acknowledged = self.given.unwrap_or(self.read.number);
        let mut outcome = Ok(());
        if self.stored != Some(acknowledged) {
            outcome = cursor::store(&self.directory, acknowledged)
                .map_err(Fault::at("write", &self.directory.join(cursor::NEXT)));
            if outcome.is_ok() {
                self.stored = Some(acknowledged);
            }
        }
        if self.given.is_some() {
            // It may be in one of them.
            return outcome;
        }
        while let Some(segment) = self.passed.front().cloned() {
            let cleared = self.clear_away(segment);
            if cleared.is_err() {
                return outcome.and(cleared);
            }
            self.passed.pop_front();
        }
        outcome
    }

    /// Removes a segment; a damaged one is set aside, for whoever wants to know why.
    pub(super) fn clear_away(&mut self, segment: Segment) -> Result<(), Fault> {
        let path = segment.path(&self.directory);
        if !segment.damaged {
            return remove(&path);
        }
        match fs::rename(&path, segment.aside(&self.directory)) {
            Ok(()) => self.bad.push_back(segment),
            // It was what is damaged of it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => remove(&path)?,
        }
        while self.bad_bytes() > self.limits.max_bytes / 8
            && let Some(oldest) = self.bad.front()
        {
            remove(&oldest.aside(&self.directory))?;
            self.bad.pop_front();
        }
        Ok(())
    }
}

/// Removes a file; one that is gone already is as good.
pub(super) fn remove(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Fault::at("remove", path)(error)),
        _ => Ok(()),
    }
}
