//! Opening: what a run before left, after a crash too.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::cursor;
use super::disk::{Disk, Losses, remove};
use super::fault::Fault;
use super::frame::{Mark, SEGMENT_HEADER};
use super::segment::{Holes, Kind, Name, Rest, Segment, find, inspect, name, walk};
use super::writing::sync_directory;
use crate::config;

/// The file that says by its lock that the spool is in use.
const LOCK: &str = "lock";

/// Why a directory cannot be the spool.
#[derive(Debug)]
pub(super) enum Unopened {
    /// Another one uses it.
    Locked,
    /// The disk refuses.
    Fault(Fault),
}

impl From<Fault> for Unopened {
    fn from(fault: Fault) -> Unopened {
        Unopened::Fault(fault)
    }
}

impl Disk {
    /// Reads the headers of the segments, and of the records in the first and the last of them.
    pub(super) fn open(directory: &Path, limits: config::Spool) -> Result<Disk, Unopened> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(Fault::at("create", directory))?;
        if let Some(parent) = directory.parent() {
            // Its name must last too; where this cannot be asked for it does after a while.
            let _ = sync_directory(parent);
        }
        let lock = lock(directory)?;
        let mut disk = Disk {
            directory: directory.to_owned(),
            limits,
            segments: VecDeque::new(),
            writer: None,
            reader: None,
            passed: VecDeque::new(),
            bad: VecDeque::new(),
            read: Mark::default(),
            offset: SEGMENT_HEADER,
            head: None,
            unreadable: None,
            given: None,
            end: Mark::default(),
            file: 0,
            stored: cursor::load(directory),
            losses: Losses::default(),
            _lock: lock,
        };
        let lost_tail = disk.list()?;
        disk.find_end(lost_tail)?;
        disk.find_read();
        // What does not work here is met again, and told, when something is written.
        let _ = disk.settle();
        let _ = disk.make_room(0);
        Ok(disk)
    }

    /// Finds the segments. `true` where the last of them is lost.
    fn list(&mut self) -> Result<bool, Fault> {
        let failed = |error| Fault::at("read", &self.directory)(error);
        let (mut live, mut foreign) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let called = entry.file_name().to_string_lossy().into_owned();
            let facts = entry.metadata().ok().filter(fs::Metadata::is_file);
            let name = name(&called);
            if let Some(Name::Live(file) | Name::Bad(file)) = name {
                self.file = self.file.max(file.saturating_add(1));
            }
            match (name, facts) {
                (Some(Name::Live(file)), Some(facts)) => {
                    live.push(Segment { file, start: Mark::default(), bytes: facts.len(), damaged: false });
                }
                (Some(Name::Bad(file)), Some(facts)) => {
                    self.bad.push_back(Segment { file, start: Mark::default(), bytes: facts.len(), damaged: true });
                }
                _ if [LOCK, cursor::NAME, cursor::NEXT].contains(&called.as_str()) => {}
                _ => foreign.push(called),
            }
        }
        if let Some(first) = foreign.iter().min() {
            let (directory, files) = (self.directory.display(), foreign.len());
            tracing::warn!(%directory, files, first, "files in the spool's directory are not the spool's: left alone, and best moved elsewhere");
        }
        live.sort_unstable_by_key(|segment| segment.file);
        self.bad.make_contiguous().sort_unstable_by_key(|segment| segment.file);
        let (mut lost_tail, mut newer) = (false, 0_u64);
        for mut segment in live {
            let path = segment.path(&self.directory);
            let kind = File::open(&path).and_then(|file| inspect(&file, segment.bytes));
            let before = self.segments.back().map_or(Mark::default(), |last| last.start);
            match kind {
                // One that begins before the one before it is a copy of something, put there by somebody.
                Ok(Kind::Ours { start, damaged }) if start.number >= before.number => {
                    (segment.start, segment.damaged) = (start, damaged);
                    self.losses.bad_segments += u64::from(damaged);
                    self.segments.push_back(segment);
                    lost_tail = false;
                }
                Ok(Kind::Ours { .. } | Kind::Lost) => {
                    tracing::warn!(path = %path.display(), "nothing can be read in a segment of the spool: set aside");
                    (segment.damaged, lost_tail) = (true, true);
                    self.losses.bad_segments += 1;
                    // Where that fails it stays, and the next run tries again.
                    let _ = self.clear_away(segment);
                }
                Ok(Kind::Stillborn) => drop(remove(&path)),
                Ok(Kind::Newer(_)) => newer += 1,
                // To go on without it would give its numbers away once more.
                Err(error) => return Err(Fault::at("open", &path)(error)),
            }
        }
        if newer > 0 {
            let directory = self.directory.display();
            tracing::warn!(%directory, segments = newer, "a later vigie left records in the spool: run it again to send them, or remove them");
        }
        Ok(lost_tail)
    }

    /// Finds out where the last segment ends, and goes on writing it where it is whole.
    fn find_end(&mut self, lost_tail: bool) -> Result<(), Fault> {
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        let path = last.path(&self.directory);
        let opened = File::options().read(true).write(true).open(&path);
        let walked = opened.and_then(|file| Ok((walk(&file, last.bytes, last.start)?, file)));
        let (tail, file) = walked.map_err(Fault::at("open", &path))?;
        self.end = tail.end;
        if tail.rest == Rest::Torn {
            tracing::info!(path = %path.display(), bytes = last.bytes - tail.bytes, "cut off what a crash left half written");
        }
        let cut = tail.rest != Rest::Torn || file.set_len(tail.bytes).is_ok();
        if tail.rest == Rest::Torn {
            last.bytes = tail.bytes;
        }
        if tail.rest == Rest::Damaged || lost_tail {
            // How many records it were, nobody can tell.
            self.end.number = self.end.number.saturating_add(1);
        } else if cut && !last.damaged {
            self.writer = Some(file);
        }
        Ok(())
    }

    /// Finds the first record that is not acknowledged; without a cursor, and with one to what is gone, it is the first.
    fn find_read(&mut self) {
        let acknowledged = self.stored.unwrap_or_default();
        if acknowledged > self.end.number || self.segments.is_empty() {
            // More was sent than is here: there is nothing to go on from.
            self.writer = None;
            self.end.number = self.end.number.max(acknowledged);
        }
        while self.first_end().number <= acknowledged
            && (self.segments.len() > 1 || (self.segments.len() == 1 && self.writer.is_none()))
        {
            self.pass();
        }
        self.read = self.segments.front().map_or(self.end, |first| first.start);
        let (Some(first), end) = (self.segments.front(), self.first_end()) else { return };
        let Ok(file) = File::open(first.path(&self.directory)) else { return };
        let seek = |from, number| find(&file, from, first.bytes, number..end.number, Holes::Skipped).ok().flatten();
        while self.read.number < acknowledged {
            match seek(self.offset, self.read.number) {
                Some((at, frame)) if frame.mark.number < acknowledged => {
                    self.offset = at + frame.size();
                    self.read = frame.next();
                }
                // What is missing in between was missed before.
                _ => self.read.number = acknowledged,
            }
        }
    }
}

fn lock(directory: &Path) -> Result<File, Unopened> {
    let path = directory.join(LOCK);
    let options = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = options.map_err(Fault::at("open", &path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(Unopened::Locked),
        // A filesystem without locks: nobody can be asked.
        Err(TryLockError::Error(error)) => tracing::warn!(path = %path.display(), %error, "the spool cannot be locked"),
        Ok(()) => {}
    }
    Ok(file)
}
