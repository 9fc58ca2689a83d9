//! The bytes of a segment: its header, then records, each behind a header of its own. Numbers are little-endian.
//!
//! ```text
//! segment  magic 8 · version 4 · CRC32C of these 4 │ number of its first record 8 · points before it 8 · CRC32C of these 4
//! record   magic 4 · length 4 · number 8 · points before it 8 · taken 8 · points 4 · encoding 4
//!          · CRC32C of the body 4 · CRC32C of all this 4 · body
//! ```
//!
//! Records are numbered from the spool's birth on, and their points are added up: where something is missing, the next
//! record that is whole tells how much. The first 16 bytes of a segment are the same in every version of the format.

use std::time::{Duration, SystemTime};

use crate::push::record::{Encoding, Record};

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: u64 = 36;

/// Bytes of a record's header.
pub(super) const RECORD_HEADER: usize = 48;

/// The longest body that is read; one of more is none of ours.
pub(super) const LONGEST: usize = 16 << 20;

/// The version of the format that is written.
const VERSION: u32 = 1;

const SEGMENT: [u8; 8] = *b"vigiespl";

/// Not text, and not what gzip or a request begins with.
const RECORD: [u8; 4] = [0xf7, b'v', b'g', 0x9e];

/// How far things are: the records before this place, and the points in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The number of the next record.
    pub number: u64,
    /// Points in all before it.
    pub points: u64,
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// A segment of ours, and where it begins.
    Ours(Mark),
    /// A later vigie wrote it, in this version of the format.
    Newer(u32),
}

/// Reads a segment's header; `None` where it is damaged.
pub fn parse_segment(bytes: &[u8]) -> Option<Header> {
    let mut rest = bytes;
    let (magic, version) = (take(&mut rest)?, number(&mut rest)?);
    if magic != SEGMENT || number(&mut rest)? != crc32c::crc32c(bytes.get(..12)?) {
        return None;
    }
    match version {
        VERSION => {
            let mark = Mark { number: long(&mut rest)?, points: long(&mut rest)? };
            (number(&mut rest)? == crc32c::crc32c(bytes.get(16..32)?)).then_some(Header::Ours(mark))
        }
        0 => None,
        newer => Some(Header::Newer(newer)),
    }
}

/// The header of a segment that begins at `mark`.
pub(super) fn segment(mark: Mark) -> Vec<u8> {
    let mut bytes = SEGMENT.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    let place = [mark.number.to_le_bytes(), mark.points.to_le_bytes()].concat();
    bytes.extend(&place);
    bytes.extend(crc32c::crc32c(&place).to_le_bytes());
    bytes
}

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of its body.
    pub length: u32,
    /// Where it stands among all records.
    pub mark: Mark,
    /// When it was measured, in nanoseconds since 1970.
    pub taken: u64,
    /// Points that it holds.
    pub points: u32,
    /// How its body is compressed.
    pub encoding: Encoding,
    /// CRC32C of its body.
    pub checksum: u32,
}

/// Reads a record's header; `None` where `bytes` begin with none.
pub fn parse_record(bytes: &[u8]) -> Option<Frame> {
    let mut rest = bytes;
    if take(&mut rest)? != RECORD {
        return None;
    }
    let length = number(&mut rest)?;
    let mark = Mark { number: long(&mut rest)?, points: long(&mut rest)? };
    let (taken, points) = (long(&mut rest)?, number(&mut rest)?);
    let encoding = match number(&mut rest)? {
        0 => Encoding::Identity,
        1 => Encoding::Gzip,
        _ => return None,
    };
    let frame = Frame { length, mark, taken, points, encoding, checksum: number(&mut rest)? };
    let whole = number(&mut rest)? == crc32c::crc32c(bytes.get(..RECORD_HEADER - 4)?);
    // The last number is nobody's, so that there is always a next one.
    (whole && length as usize <= LONGEST && mark.number < u64::MAX).then_some(frame)
}

impl Frame {
    /// Of a record that is written at `mark`.
    pub(super) fn of(record: &Record, mark: Mark) -> Frame {
        let since = record.taken.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Frame {
            // What is longer is never written.
            length: u32::try_from(record.body.len()).unwrap_or(u32::MAX),
            mark,
            taken: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            points: record.points,
            encoding: record.encoding,
            checksum: crc32c::crc32c(&record.body),
        }
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_HEADER);
        bytes.extend(RECORD);
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.mark.number.to_le_bytes());
        bytes.extend(self.mark.points.to_le_bytes());
        bytes.extend(self.taken.to_le_bytes());
        bytes.extend(self.points.to_le_bytes());
        let encoding: u32 = match self.encoding {
            Encoding::Identity => 0,
            Encoding::Gzip => 1,
        };
        bytes.extend(encoding.to_le_bytes());
        bytes.extend(self.checksum.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Bytes of its header and its body.
    pub(super) fn size(&self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.length)
    }

    /// Where the record after it stands.
    pub(super) fn next(&self) -> Mark {
        let points = self.mark.points.saturating_add(u64::from(self.points));
        Mark { number: self.mark.number.saturating_add(1), points }
    }

    /// When it was measured.
    pub(super) fn taken(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.taken)
    }
}

/// Bytes that `record` takes in a segment.
pub(super) fn size(record: &Record) -> u64 {
    (RECORD_HEADER + record.body.len()) as u64
}

pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

pub(super) fn number(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_le_bytes)
}

pub(super) fn long(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let record = Record {
            body: "body".into(),
            encoding: Encoding::Gzip,
            taken: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789),
            points: 7,
        };
        Frame::of(&record, Mark { number: 3, points: 40 })
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let frame = frame();
        assert_eq!(frame.bytes().len(), RECORD_HEADER);
        assert_eq!(parse_record(&frame.bytes()), Some(frame));
        assert_eq!(frame.next(), Mark { number: 4, points: 47 });
        assert_eq!(frame.taken().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos(), 123_456_789);
        let mark = Mark { number: 5, points: 6 };
        assert_eq!(segment(mark).len() as u64, SEGMENT_HEADER);
        assert_eq!(parse_segment(&segment(mark)), Some(Header::Ours(mark)));
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_passes() {
        let (frame, segment) = (frame().bytes(), segment(Mark { number: 5, points: 6 }));
        for bit in 0..frame.len() * 8 {
            let mut bytes = frame.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse_record(&bytes), None, "bit {bit}");
        }
        for bit in 0..segment.len() * 8 {
            let mut bytes = segment.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse_segment(&bytes), None, "bit {bit}");
        }
        (0..frame.len()).for_each(|length| assert_eq!(parse_record(&frame[..length]), None));
        (0..segment.len()).for_each(|length| assert_eq!(parse_segment(&segment[..length]), None));
    }

    #[test]
    fn a_later_version_is_known_by_its_first_bytes() {
        let mut bytes = SEGMENT.to_vec();
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        assert_eq!(parse_segment(&bytes), Some(Header::Newer(2)));
    }

    #[test]
    fn a_time_before_1970_is_1970() {
        let taken = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        let record = Record { body: "".into(), encoding: Encoding::Identity, taken, points: 0 };
        assert_eq!(Frame::of(&record, Mark::default()).taken, 0);
    }
}
