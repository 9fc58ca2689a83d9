//! One file of the spool: where its records are, damaged or not.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{Frame, Header, Mark, RECORD_HEADER, SEGMENT_HEADER, parse_record, parse_segment};

/// A file of the spool.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The number in its name.
    pub(super) file: u64,
    /// Where its first record stands.
    pub(super) start: Mark,
    /// How long it is.
    pub(super) bytes: u64,
    /// Something in it is damaged.
    pub(super) damaged: bool,
}

impl Segment {
    pub(super) fn path(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{:016}.{LIVE}", self.file))
    }

    /// Where it goes once what was readable in it is sent.
    pub(super) fn aside(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{:016}.{BAD}", self.file))
    }
}

const LIVE: &str = "seg";
const BAD: &str = "bad";

/// What no name of ours reaches: the numbers behind it have sixteen digits too.
const MOST: u64 = 1_000_000_000_000_000;

/// What a file of the spool's directory is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Live(u64),
    Bad(u64),
}

/// `None` where it is none of ours.
pub(super) fn name(text: &str) -> Option<Name> {
    let (digits, kind) = text.split_once('.')?;
    let ours = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let file = digits.parse().ok().filter(|file| ours && *file < MOST)?;
    match kind {
        LIVE => Some(Name::Live(file)),
        BAD => Some(Name::Bad(file)),
        _ => None,
    }
}

/// What a segment is, as far as its beginning tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It begins here; `damaged` where only its records tell so.
    Ours { start: Mark, damaged: bool },
    /// A later vigie's.
    Newer(u32),
    /// A crash left it before there was anything in it.
    Stillborn,
    /// Nothing in it can be read.
    Lost,
}

/// Looks at the beginning of a segment.
pub(super) fn inspect(file: &File, bytes: u64) -> io::Result<Kind> {
    let mut header = [0; SEGMENT_HEADER as usize];
    if bytes < SEGMENT_HEADER {
        return Ok(Kind::Stillborn);
    }
    match file.read_exact_at(&mut header, 0).map(|()| parse_segment(&header)) {
        Ok(Some(Header::Ours(start))) => Ok(Kind::Ours { start, damaged: false }),
        Ok(Some(Header::Newer(version))) => Ok(Kind::Newer(version)),
        // Unreadable is as good as damaged.
        Ok(None) | Err(_) if bytes == SEGMENT_HEADER => Ok(Kind::Stillborn),
        Ok(None) | Err(_) => Ok(match find(file, SEGMENT_HEADER, bytes, 0..u64::MAX, Holes::Skipped)? {
            Some((_, frame)) => Kind::Ours { start: frame.mark, damaged: true },
            None => Kind::Lost,
        }),
    }
}

/// How a segment ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Where the record after its last one stands.
    pub(super) end: Mark,
    /// Where its last record ends.
    pub(super) bytes: u64,
    /// What comes behind.
    pub(super) rest: Rest,
}

/// What stands behind a segment's last record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    /// What a crash left of a record that was never taken over.
    Torn,
    /// What was a record, or several.
    Damaged,
}

/// Walks from header to header to a segment's end.
pub(super) fn walk(file: &File, bytes: u64, start: Mark) -> io::Result<Tail> {
    let (mut end, mut at) = (start, SEGMENT_HEADER);
    while let Some((found, frame)) = find(file, at, bytes, end.number..u64::MAX, Holes::Skipped)? {
        end = frame.next();
        at = found + frame.size();
    }
    let rest = if at >= bytes {
        Rest::Nothing
    } else {
        let torn = bytes - at < RECORD_HEADER as u64 || header(file, at).is_ok_and(|frame| frame.is_some());
        // What cannot be read is as good as damaged.
        if torn || is_zero(file, at, bytes).unwrap_or(false) { Rest::Torn } else { Rest::Damaged }
    };
    Ok(Tail { end, bytes: at, rest })
}

/// The header of the record at this place.
fn header(file: &File, at: u64) -> io::Result<Option<Frame>> {
    let mut bytes = [0; RECORD_HEADER];
    match file.read_exact_at(&mut bytes, at) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        outcome => outcome.map(|()| parse_record(&bytes)),
    }
}

/// A power failure can leave a file longer than what reached the disk.
fn is_zero(file: &File, mut at: u64, end: u64) -> io::Result<bool> {
    let mut window = vec![0; WINDOW];
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(WINDOW).min(WINDOW);
        let Some(part) = window.get_mut(..length) else { break };
        file.read_exact_at(part, at)?;
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}

/// What happens where the disk cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holes {
    /// It is an error.
    Refused,
    /// They are passed over as if they were damaged.
    Skipped,
}

/// Bytes that are searched at once.
const WINDOW: usize = 8 << 10;

/// Bytes that are passed over where the disk cannot read.
const HOLE: u64 = 4 << 10;

/// The first whole record from this place on with a number of `numbers`, and where it is; `bytes` is the file's length.
pub(super) fn find(
    file: &File,
    from: u64,
    bytes: u64,
    numbers: Range<u64>,
    holes: Holes,
) -> io::Result<Option<(u64, Frame)>> {
    let fits = |at: u64, frame: &Frame| numbers.contains(&frame.mark.number) && at + frame.size() <= bytes;
    match header(file, from) {
        Ok(Some(frame)) if fits(from, &frame) => return Ok(Some((from, frame))),
        Err(error) if holes == Holes::Refused => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let mut window = Vec::new();
    let mut at = from.saturating_add(1);
    while at + RECORD_HEADER as u64 <= bytes {
        let length = usize::try_from(bytes - at).unwrap_or(WINDOW).min(WINDOW);
        window.resize(length, 0);
        match file.read_exact_at(&mut window, at) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(_) if holes == Holes::Skipped => {
                at += HOLE;
                continue;
            }
            Err(error) => return Err(error),
        }
        for (place, candidate) in (at..).zip(window.windows(RECORD_HEADER)) {
            if let Some(frame) = parse_record(candidate)
                && fits(place, &frame)
            {
                return Ok(Some((place, frame)));
            }
        }
        at += (length - RECORD_HEADER + 1) as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::super::frame;
    use super::*;
    use crate::push::record::{Encoding, Record};

    /// A segment of records with these bodies, from this mark on.
    fn file(start: Mark, bodies: &[&[u8]]) -> (File, u64, Mark) {
        let (mut bytes, mut mark) = (frame::segment(start), start);
        for body in bodies {
            let body = Bytes::copy_from_slice(body);
            let record = Record { body, encoding: Encoding::Gzip, taken: SystemTime::now(), points: 5 };
            let frame = Frame::of(&record, mark);
            mark = frame.next();
            bytes.extend(frame.bytes());
            bytes.extend(&record.body);
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes.len() as u64, mark)
    }

    const START: Mark = Mark { number: 10, points: 100 };

    #[test]
    fn names_are_sixteen_digits_and_a_kind() {
        assert_eq!(name("0000000000000042.seg"), Some(Name::Live(42)));
        assert_eq!(name("0000000000000042.bad"), Some(Name::Bad(42)));
        for foreign in [
            "42.seg",
            "0000000000000042",
            "000000000000004x.seg",
            "9999999999999999.seg",
            "0000000000000042.seg~",
            "cursor",
            "+",
            "",
        ] {
            assert_eq!(name(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_walk_ends_behind_the_last_record() {
        let (file, bytes, end) = file(START, &[b"a", b"", b"ccc"]);
        assert_eq!(inspect(&file, bytes).unwrap(), Kind::Ours { start: START, damaged: false });
        assert_eq!(walk(&file, bytes, START).unwrap(), Tail { end, bytes, rest: Rest::Nothing });
        assert_eq!(end, Mark { number: 13, points: 115 });
    }

    #[test]
    fn a_damaged_beginning_is_made_up_for_by_the_first_record() {
        let (file, bytes, _) = file(START, &[b"a", b"b"]);
        file.write_all_at(b"x", 3).unwrap();
        assert_eq!(inspect(&file, bytes).unwrap(), Kind::Ours { start: START, damaged: true });
        file.write_all_at(b"x", SEGMENT_HEADER).unwrap();
        let start = Mark { number: 11, points: 105 };
        assert_eq!(inspect(&file, bytes).unwrap(), Kind::Ours { start, damaged: true });
        file.write_all_at(b"x", SEGMENT_HEADER + 49).unwrap();
        assert_eq!(inspect(&file, bytes).unwrap(), Kind::Lost);
    }

    #[test]
    fn zeros_behind_the_last_record_are_torn_and_others_damaged() {
        let (mut file, bytes, end) = file(START, &[b"a"]);
        file.set_len(bytes + 20_000).unwrap();
        assert_eq!(walk(&file, bytes + 20_000, START).unwrap(), Tail { end, bytes, rest: Rest::Torn });
        file.write_all(&[0, 7]).unwrap();
        assert_eq!(walk(&file, bytes + 20_000, START).unwrap(), Tail { end, bytes, rest: Rest::Damaged });
    }

    #[test]
    fn a_record_is_found_wherever_the_search_windows_meet() {
        for length in WINDOW - 100..WINDOW + 10 {
            let (file, bytes, _) = file(START, &[&vec![0xf7; length], b"second"]);
            file.write_all_at(b"x", SEGMENT_HEADER).unwrap();
            let (at, frame) = find(&file, SEGMENT_HEADER, bytes, 0..u64::MAX, Holes::Refused).unwrap().unwrap();
            assert_eq!((at + frame.size(), frame.mark.number), (bytes, 11), "{length}");
        }
    }

    #[test]
    fn numbers_that_do_not_belong_here_are_passed_over() {
        let (file, bytes, _) = file(START, &[b"a", b"b", b"c"]);
        let found = |numbers| find(&file, SEGMENT_HEADER, bytes, numbers, Holes::Refused).unwrap();
        assert_eq!(found(11..13).unwrap().1.mark.number, 11);
        assert_eq!(found(0..10), None);
    }
}
