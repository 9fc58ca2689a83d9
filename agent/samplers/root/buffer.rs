//! The memory that files are read into, one after the other.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::uio::pread;

/// The most that is read of one file, in bytes. The largest file of a large host, `/proc/net/udp` with 65,536
/// sockets, has 8 MiB.
const FILE_LIMIT: usize = 16 << 20;

/// The least room that a read is given, in bytes: a page, which is what the kernel hands out at a time.
const READ_ROOM: usize = 4 << 10;

/// What a buffer shrinks to after a file that was larger, in bytes.
const BUFFER_KEPT: usize = 256 << 10;

/// The memory that files are read into, used again for each.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    /// Gives back what an exceptionally large file took.
    pub fn shrink(&mut self) {
        if self.bytes.capacity() > BUFFER_KEPT {
            *self = Buffer::default();
        }
    }

    /// Reads a file from its beginning: to its end, or once.
    pub(super) fn fill(&mut self, file: &OwnedFd, once: bool) -> Result<(), Errno> {
        self.filled = 0;
        loop {
            if self.bytes.len() - self.filled < READ_ROOM {
                self.bytes.resize((self.bytes.len() * 2).max(2 * READ_ROOM), 0);
            }
            let offset = i64::try_from(self.filled).unwrap_or(i64::MAX);
            let count = pread(file, self.bytes.get_mut(self.filled..).unwrap_or_default(), offset)?;
            self.filled += count;
            if count == 0 || once {
                return Ok(());
            }
            if self.filled > FILE_LIMIT {
                self.filled = 0;
                return Err(Errno::EFBIG);
            }
        }
    }

    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// What was read, as text. Bytes that are no UTF-8 become `U+FFFD`: one odd mount point must not hide the others.
    pub(super) fn text(&mut self) -> &str {
        if str::from_utf8(self.filled()).is_err() {
            self.bytes = String::from_utf8_lossy(self.filled()).into_owned().into_bytes();
            self.filled = self.bytes.len();
        }
        str::from_utf8(self.filled()).unwrap_or_default()
    }
}
