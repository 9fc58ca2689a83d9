//! Writing: a batch at a time, with one fsync.

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::disk::{Disk, remove};
use super::dropped::Reason;
use super::fault::Fault;
use super::frame::{self, Frame, LONGEST, SEGMENT_HEADER};
use super::segment::Segment;
use crate::push::record::Record;

impl Disk {
    /// Writes `records` and takes out what reached the disk: where it fails, the others stay in, and nothing of them
    /// stays on the disk.
    pub(super) fn append(&mut self, records: &mut VecDeque<Record>) -> Result<(), Fault> {
        if let (Some(file), Some(last)) = (&self.writer, self.segments.back())
            && !file.metadata().is_ok_and(|facts| facts.nlink() > 0 && facts.len() == last.bytes)
        {
            // Somebody removed or cut it.
            self.writer = None;
        }
        while let Some(first) = records.front() {
            if first.body.len() > LONGEST || !self.make_room(SEGMENT_HEADER + frame::size(first))? {
                self.losses.dropped.add(Reason::Bytes, 1, u64::from(first.points));
                records.pop_front();
                continue;
            }
            let group = self.open_for(records)?;
            self.write_group(records, group)?;
            records.drain(..group);
        }
        Ok(())
    }

    /// Opens the segment that the first records go to, with room for them; gives their number.
    fn open_for(&mut self, records: &VecDeque<Record>) -> Result<usize, Fault> {
        let limit = self.segment_bytes();
        let first = records.front().map_or(0, frame::size);
        if let Some(last) = self.segments.back()
            && last.bytes > SEGMENT_HEADER
            && last.bytes + first > limit
        {
            self.writer = None;
        }
        let begun = self.segments.back().filter(|_| self.writer.is_some()).map_or(SEGMENT_HEADER, |last| last.bytes);
        let (mut group, mut bytes) = (0, 0);
        for size in records.iter().map(frame::size) {
            if group > 0 && begun + bytes + size > limit {
                break;
            }
            group += 1;
            bytes += size;
        }
        if !self.make_room(SEGMENT_HEADER + bytes)? {
            // The first fits, as was seen before.
            group = 1;
        }
        if self.writer.is_none() {
            self.create()?;
        }
        Ok(group)
    }

    fn create(&mut self) -> Result<(), Fault> {
        let segment = Segment { file: self.file, start: self.end, bytes: SEGMENT_HEADER, damaged: false };
        let path = segment.path(&self.directory);
        let mut options = File::options();
        let created = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        if created.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
            // Whatever it is: the next number may be free.
            self.file += 1;
        }
        let file = created.map_err(Fault::at("create", &path))?;
        let begun = file.write_all_at(&frame::segment(self.end), 0);
        if let Err(error) = begun.and_then(|()| sync_directory(&self.directory)) {
            remove(&path)?;
            return Err(Fault::at("write", &path)(error));
        }
        self.file += 1;
        self.segments.push_back(segment);
        self.writer = Some(file);
        Ok(())
    }

    /// Writes the first `group` records to the last segment, or none of them.
    fn write_group(&mut self, records: &VecDeque<Record>, group: usize) -> Result<(), Fault> {
        let (Some(file), Some(last)) = (&self.writer, self.segments.back_mut()) else { return Ok(()) };
        let (mut at, mut end) = (last.bytes, self.end);
        let mut write = || {
            for record in records.iter().take(group) {
                let frame = Frame::of(record, end);
                let header = frame.bytes();
                file.write_all_at(&header, at)?;
                file.write_all_at(&record.body, at + header.len() as u64)?;
                (at, end) = (at + frame.size(), frame.next());
            }
            Ok(())
        };
        match write().and_then(|()| file.sync_data()) {
            Ok(()) => {
                (last.bytes, self.end) = (at, end);
                Ok(())
            }
            Err(error) => {
                let path = last.path(&self.directory);
                self.take_back();
                Err(Fault::at("write", &path)(error))
            }
        }
    }

    /// Cuts off what was half written. A segment that cannot be cut is written no further.
    fn take_back(&mut self) {
        let (Some(file), Some(last)) = (self.writer.take(), self.segments.back()) else { return };
        if last.start.number < self.end.number {
            let cut = file.set_len(last.bytes).and_then(|()| file.sync_data());
            self.writer = cut.is_ok().then_some(file);
        } else if remove(&last.path(&self.directory)).is_ok() {
            self.forget_last();
        }
    }
}

/// Makes the names in it last.
pub(super) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}
