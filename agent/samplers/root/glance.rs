//! Looking at processes: files that are read once and left, and whose loss is no error.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use super::{Buffer, Dir, Passed};
use crate::samplers::SampleError;

/// Why a file of a process was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The process ended, or this kernel has no such file.
    Gone,
    /// Only its owner may read it.
    Denied,
    /// Anything else.
    Failed,
}

impl From<Errno> for Missed {
    fn from(errno: Errno) -> Missed {
        match errno {
            Errno::ENOENT | Errno::ESRCH | Errno::ENOTDIR => Missed::Gone,
            Errno::EACCES | Errno::EPERM => Missed::Denied,
            _ => Missed::Failed,
        }
    }
}

impl Dir {
    /// What one read gives of a file, which is all of a process' small ones. Nothing stays open, and no path is built
    /// for an error that is none: processes end all the time. Command lines pass through no record.
    ///
    /// # Errors
    /// [`Missed`].
    pub fn glance<'b>(&self, path: &str, buffer: &'b mut Buffer) -> Result<&'b [u8], Missed> {
        let file = openat(&self.fd, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?;
        buffer.fill(&file, true)?;
        if !path.ends_with("/cmdline") {
            self.note(path, || Passed::File(buffer.filled().to_vec()));
        }
        Ok(buffer.filled())
    }

    /// The names in this directory that are numbers, in ascending order. `numbers` is overwritten.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn numbers(&self, numbers: &mut Vec<u32>) -> Result<(), SampleError> {
        numbers.clear();
        self.each(".", |name, _| {
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                numbers.extend(name.parse::<u32>());
            }
        })?;
        if !numbers.is_sorted() {
            numbers.sort_unstable();
        }
        Ok(())
    }

    /// How many files a process has open, by the size of its `fd`, which anybody may ask since Linux 6.2. The kernels
    /// before that say 0, and let only the owner and who may trace it count them.
    ///
    /// # Errors
    /// [`Missed`].
    pub fn descriptors(&self, path: &str, by_size: bool) -> Result<u64, Missed> {
        if by_size {
            let stat = fstatat(&self.fd, path, AtFlags::empty())?;
            return Ok(u64::try_from(stat.st_size).unwrap_or_default());
        }
        let mut count = 0;
        self.entries(path, |_, _, _| {
            count += 1;
            true
        })
        .map_err(Missed::from)?;
        Ok(count)
    }

    /// Whether the size of an `fd` is the number of its entries.
    pub fn tells_descriptors(&self) -> bool {
        self.kept.is_some() && fstatat(&self.fd, "self/fd", AtFlags::empty()).is_ok_and(|stat| stat.st_size > 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::samplers::host::Host;
    use crate::samplers::root::{Buffer, Root};

    use super::*;

    #[test]
    fn only_numbers_are_listed_and_they_ascend() {
        let host = Host::new(&[("proc/10/stat", ""), ("proc/9/stat", ""), ("proc/uptime", ""), ("proc/9x", "")]);
        let mut numbers = vec![7];
        host.root.proc.numbers(&mut numbers).unwrap();
        assert_eq!(numbers, [9, 10]);
    }

    #[test]
    fn what_ended_is_gone_and_no_error() {
        let (host, mut buffer) = (Host::new(&[("proc/9/stat", "x")]), Buffer::default());
        assert_eq!(host.root.proc.glance("9/stat", &mut buffer), Ok(&b"x"[..]));
        assert_eq!(host.root.proc.glance("10/stat", &mut buffer), Err(Missed::Gone));
    }

    #[test]
    fn a_command_line_passes_through_no_record() {
        let host = Host::new(&[("proc/9/stat", "x"), ("proc/9/cmdline", "x")]);
        let record = crate::samplers::root::Record::default();
        let proc = host.folder().join("proc");
        let root = Root::open(&proc, &host.folder().join("sys"), host.folder()).unwrap().recording(&record);
        for file in ["9/stat", "9/cmdline"] {
            root.proc.glance(file, &mut Buffer::default()).unwrap();
        }
        let record = record.lock().unwrap();
        assert_eq!(record.keys().collect::<Vec<_>>(), [std::path::Path::new("proc/9/stat")]);
    }

    #[test]
    fn open_files_are_counted_either_way() {
        let paths = ["/proc", "/sys", "/"].map(std::path::Path::new);
        let root = Root::open(paths[0], paths[1], paths[2]).unwrap();
        let counted = root.proc.descriptors("self/fd", false).unwrap();
        assert!(counted >= 3);
        if root.proc.tells_descriptors() {
            assert!(root.proc.descriptors("self/fd", true).unwrap() >= 3);
        }
    }
}
