//! How far the spool is sent, in the file `cursor`.
//!
//! It is replaced by rename after each acknowledgement, without fsync: what a crash of the host takes back is sent again.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::frame::{long, number, take};

/// Bytes of the file.
pub(super) const BYTES: u64 = 20;

/// What it is called, and what its next version is called until it takes its place.
pub(super) const NAME: &str = "cursor";
pub(super) const NEXT: &str = "cursor.new";

const MAGIC: [u8; 8] = *b"vigiecu1";

/// Reads a cursor: the number of the first record that is not acknowledged. `None` where it is damaged.
pub fn parse(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes;
    let (magic, acknowledged) = (take(&mut rest)?, long(&mut rest)?);
    let whole = number(&mut rest)? == crc32c::crc32c(bytes.get(..16)?);
    (magic == MAGIC && whole && rest.is_empty() && acknowledged < u64::MAX).then_some(acknowledged)
}

fn bytes(acknowledged: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(acknowledged.to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// The cursor in `directory`; `None` where there is none that can be read.
pub(super) fn load(directory: &Path) -> Option<u64> {
    let path = directory.join(NAME);
    let facts = fs::symlink_metadata(&path).ok()?;
    if !facts.is_file() || facts.len() != BYTES {
        return None;
    }
    parse(&fs::read(path).ok()?)
}

/// Puts another cursor in the place of the one in `directory`. On a disk that has no room for a second file, into the
/// first: the worst that comes of that is no cursor.
pub(super) fn store(directory: &Path, acknowledged: u64) -> io::Result<()> {
    let (next, path) = (directory.join(NEXT), directory.join(NAME));
    let bytes = bytes(acknowledged);
    let replaced = fs::write(&next, &bytes).and_then(|()| fs::rename(&next, &path));
    replaced.or_else(|error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            File::options().write(true).open(&path).and_then(|file| file.write_all_at(&bytes, 0)).map_err(|_| error)
        }
        _ => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(load(directory.path()), None);
        for number in [0, 1, 77, u64::MAX - 1] {
            store(directory.path(), number).unwrap();
            assert_eq!(load(directory.path()), Some(number));
        }
        assert_eq!(fs::metadata(directory.path().join(NAME)).unwrap().len(), BYTES);
    }

    #[test]
    fn a_damaged_one_is_none() {
        let whole = bytes(77);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&bytes), None, "bit {bit}");
        }
        (0..whole.len()).for_each(|length| assert_eq!(parse(&whole[..length]), None));
        assert_eq!(parse(&[&whole[..], b"\n"].concat()), None);
    }
}
