//! Reading: the oldest record first, and past whatever is damaged.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use super::disk::Disk;
use super::dropped::Reason;
use super::fault::Fault;
use super::frame::{Frame, Mark, RECORD_HEADER};
use super::segment::{Holes, find};
use crate::push::record::Record;

/// How long the disk may fail to read a record before the record counts as damaged: a disk that is away for a moment
/// must not cost what is on it.
const PATIENCE: Duration = Duration::from_secs(60);

impl Disk {
    /// The oldest record that was not read yet.
    pub(super) fn read(&mut self, now: SystemTime) -> Result<Option<Record>, Fault> {
        while let Some(head) = self.peek(now)? {
            let body = self.read_body(&head);
            match self.unless_hopeless(body, now)? {
                Some(body) if crc32c::crc32c(&body) == head.checksum => {
                    self.given = Some(self.read.number);
                    self.step(&head);
                    let (encoding, taken, points) = (head.encoding, head.taken(), head.points);
                    return Ok(Some(Record { body: body.into(), encoding, taken, points }));
                }
                _ => {
                    self.mark_damaged();
                    self.offset += head.size();
                    self.lose(head.next(), Reason::Corrupt);
                }
            }
        }
        Ok(None)
    }

    /// Drops what was measured before `horizon`, as far as it comes first: order goes before age.
    pub(super) fn expire(&mut self, now: SystemTime, horizon: SystemTime) -> Result<(), Fault> {
        while let Some(head) = self.peek(now)?.filter(|head| head.taken() < horizon) {
            self.offset += head.size();
            self.lose(head.next(), Reason::Age);
        }
        Ok(())
    }

    /// The header of the oldest record that was not read yet.
    fn peek(&mut self, now: SystemTime) -> Result<Option<Frame>, Fault> {
        loop {
            if self.head.is_some() {
                return Ok(self.head);
            }
            let Some((path, bytes)) = self.segments.front().map(|first| (first.path(&self.directory), first.bytes))
            else {
                self.lose(self.end, Reason::Corrupt);
                return Ok(None);
            };
            let end = self.first_end();
            if self.read.number >= end.number {
                if self.segments.len() == 1 && self.writer.is_some() {
                    return Ok(None);
                }
                self.pass();
                continue;
            }
            if self.reader.is_none() {
                match File::open(&path) {
                    Ok(file) => self.reader = Some(file),
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        self.mark_damaged();
                        self.give_up_first(end);
                        continue;
                    }
                    Err(error) => return Err(Fault::at("open", &path)(error)),
                }
            }
            let Some(file) = &self.reader else { return Ok(None) };
            let holes = if self.is_out_of_patience(now) { Holes::Skipped } else { Holes::Refused };
            let found = find(file, self.offset, bytes, self.read.number..end.number, holes);
            match self.unless_hopeless(found, now)?.flatten() {
                Some((at, frame)) => {
                    if at != self.offset || frame.mark.number != self.read.number {
                        self.mark_damaged();
                        self.lose(frame.mark, Reason::Corrupt);
                    }
                    self.offset = at;
                    self.head = Some(frame);
                }
                None => {
                    // Where it is read to its end, a segment that came after it is what is missing.
                    if self.offset < bytes {
                        self.mark_damaged();
                    }
                    self.give_up_first(end);
                }
            }
        }
    }

    fn give_up_first(&mut self, end: Mark) {
        self.lose(end, Reason::Corrupt);
        self.pass();
    }

    fn read_body(&self, head: &Frame) -> io::Result<Vec<u8>> {
        // Looked at before: it is not longer than its file.
        let mut body = vec![0; head.length as usize];
        let file = self.reader.as_ref().ok_or(ErrorKind::NotFound)?;
        file.read_exact_at(&mut body, self.offset + RECORD_HEADER as u64)?;
        Ok(body)
    }

    fn is_out_of_patience(&self, now: SystemTime) -> bool {
        self.unreadable.is_some_and(|since| now.duration_since(since).is_ok_and(|passed| passed >= PATIENCE))
    }

    /// `None` where the disk could not read for long enough.
    fn unless_hopeless<T>(&mut self, outcome: io::Result<T>, now: SystemTime) -> Result<Option<T>, Fault> {
        match outcome {
            Ok(value) => {
                self.unreadable = None;
                Ok(Some(value))
            }
            // It is shorter than it was.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(_) if self.is_out_of_patience(now) => {
                self.unreadable = None;
                Ok(None)
            }
            Err(error) => {
                // A clock that was set back begins anew.
                self.unreadable = Some(self.unreadable.filter(|since| *since <= now).unwrap_or(now));
                self.reader = None;
                let path = self.segments.front().map(|first| first.path(&self.directory));
                Err(Fault::at("read", path.as_deref().unwrap_or(&self.directory))(error))
            }
        }
    }

    fn step(&mut self, head: &Frame) {
        self.offset += head.size();
        self.read = head.next();
        self.head = None;
    }
}
