//! The one door to the kernel: files, directories and system calls, of this host or of a folder that stands for one.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::AccessFlags;
use rustix::fs::{FileType, RawDir};

use super::SampleError;
use super::fields::Malformed;
pub use buffer::Buffer;
use calls::Calls;
use handover::Handover;
use kept::{Budget, Kept};

mod buffer;
pub mod calls;
pub mod glance;
pub mod handover;
mod kept;

/// The host: its three trees and its system calls.
#[derive(Debug)]
pub struct Root {
    /// `/proc`.
    pub proc: Dir,
    /// `/sys`.
    pub sys: Dir,
    /// `/`, for what is read of `/etc`, `/run` and mount points.
    pub host: Dir,
    /// System calls.
    pub calls: Arc<Calls>,
    /// What `cpu` left for `stat`: one reading of `/proc/stat` serves both.
    pub stat: Handover,
}

/// What passed through a [`Root`]: path below the captured folder → what was there.
pub type Record = Arc<Mutex<BTreeMap<PathBuf, Passed>>>;

/// One thing that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// A file, with its content.
    File(Vec<u8>),
    /// A directory whose names were listed: an empty one is not the same as none.
    Directory,
}

impl Root {
    /// Opens the three trees. Where `root` holds a `capture.toml`, the system calls are answered from it.
    ///
    /// # Errors
    /// When one of them cannot be opened, or `capture.toml` is no such file.
    pub fn open(proc: &Path, sys: &Path, root: &Path) -> Result<Root, SampleError> {
        let budget = Budget::of_process();
        let (proc, mut sys, host) = (Dir::open(proc, &budget)?, Dir::open(sys, &budget)?, Dir::open(root, &budget)?);
        sys.kept = sys.kept.map(Kept::below);
        Ok(Root { proc, sys, host, calls: Arc::new(Calls::of(root)?), stat: Handover::default() })
    }

    /// Notes from now on everything that is read.
    pub fn recording(mut self, record: &Record) -> Root {
        for (dir, place) in [(&mut self.proc, "proc"), (&mut self.sys, "sys"), (&mut self.host, "")] {
            dir.record = Some((Arc::clone(record), PathBuf::from(place)));
        }
        self.calls.record();
        self
    }

    /// What the host's filesystem says of a file, without opening it. Of a capture, the modification
    /// time is what its `capture.toml` holds: that of a copy says nothing.
    ///
    /// # Errors
    /// [`SampleError::Absent`] where there is none, [`SampleError::Read`] where it cannot be asked.
    pub fn metadata(&self, path: &str) -> Result<Metadata, SampleError> {
        let mut metadata = self.host.metadata(path)?;
        if let Some(modified_seconds) = self.calls.captured_modified(path) {
            metadata.modified_seconds = modified_seconds;
        }
        if self.host.record.is_some() {
            self.calls.note_modified(path, metadata.modified_seconds);
        }
        Ok(metadata)
    }
}

/// What tells one state of a file from another, from fstatat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// When its content was written, in whole seconds since 1970.
    pub modified_seconds: i64,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Whether it is a plain file.
    pub plain: bool,
    inode: u64,
    modified_nanoseconds: i64,
    changed: (i64, i64),
}

/// An open directory, below which files are read.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    kept: Option<Kept>,
    record: Option<(Record, PathBuf)>,
}

impl Dir {
    fn open(path: &Path, budget: &Budget) -> Result<Dir, SampleError> {
        let fd = openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| read_error(path, errno))?;
        Ok(Dir { kept: Kept::of(&fd, budget), fd, path: path.to_owned(), record: None })
    }

    /// Opens a directory below this one, to read several of its files.
    ///
    /// # Errors
    /// [`SampleError::Absent`] where there is none, [`SampleError::Read`] where it cannot be opened.
    pub fn dir(&self, path: &str) -> Result<Dir, SampleError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, path, flags, Mode::empty()).map_err(|errno| read_error(&self.at(path), errno))?;
        let record = self.record.as_ref().map(|(record, place)| (Arc::clone(record), place.join(path)));
        let kept = self.kept.as_ref().and_then(|kept| Kept::of(&fd, kept.budget()));
        Ok(Dir { fd, path: self.at(path), kept, record })
    }

    /// Where `path` below this directory is, for messages.
    pub fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        let has = nix::unistd::faccessat(&self.fd, path, AccessFlags::F_OK, AtFlags::empty()).is_ok();
        if has {
            self.note_once(path);
        }
        has
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// [`SampleError::Absent`] where there is none, [`SampleError::Read`] where it cannot be read or is larger than 16 MiB.
    pub fn read<'b>(&self, path: &str, buffer: &'b mut Buffer) -> Result<&'b str, SampleError> {
        self.fill(path, buffer, false).map_err(|errno| read_error(&self.at(path), errno))?;
        Ok(buffer.text())
    }

    /// Reads a whole file that is no text.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn read_bytes<'b>(&self, path: &str, buffer: &'b mut Buffer) -> Result<&'b [u8], SampleError> {
        self.fill(path, buffer, false).map_err(|errno| read_error(&self.at(path), errno))?;
        Ok(buffer.filled())
    }

    fn metadata(&self, path: &str) -> Result<Metadata, SampleError> {
        let stat = fstatat(&self.fd, path, AtFlags::empty()).map_err(|errno| read_error(&self.at(path), errno))?;
        Ok(Metadata {
            modified_seconds: stat.st_mtime,
            size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            plain: SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG,
            inode: stat.st_ino,
            modified_nanoseconds: stat.st_mtime_nsec,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        })
    }

    /// Where a symbolic link leads to.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn link(&self, path: &str) -> Result<String, SampleError> {
        let target = nix::fcntl::readlinkat(&self.fd, path).map_err(|errno| read_error(&self.at(path), errno))?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// Reads a whole file and parses it; a parse failure names the file.
    ///
    /// # Errors
    /// As [`Dir::read`], and [`SampleError::Parse`].
    pub fn parse<T>(
        &self,
        path: &str,
        buffer: &mut Buffer,
        parse: impl FnOnce(&str) -> Result<T, Malformed>,
    ) -> Result<T, SampleError> {
        let text = self.read(path, buffer)?;
        parse(text).map_err(|malformed| SampleError::parse(&self.at(path), malformed))
    }

    /// Reads one attribute of sysfs, trimmed. Nothing where this device has no such attribute, or does not tell it.
    pub fn attribute<'b>(&self, path: &str, buffer: &'b mut Buffer) -> Option<&'b str> {
        self.fill(path, buffer, true).ok()?;
        Some(buffer.text().trim_ascii())
    }

    /// Reads a whole file that comes and goes: nothing where it is not there, or does not tell.
    pub fn whole<'b>(&self, path: &str, buffer: &'b mut Buffer) -> Option<&'b str> {
        self.fill(path, buffer, false).ok()?;
        Some(buffer.text())
    }

    /// The names in a directory below this one, sorted. `names` is overwritten and its memory used again.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn list(&self, path: &str, names: &mut Vec<String>) -> Result<(), SampleError> {
        let mut count = 0;
        self.each(path, |name, _| {
            match names.get_mut(count) {
                Some(slot) => {
                    slot.clear();
                    slot.push_str(name);
                }
                None => names.push(name.to_owned()),
            }
            count += 1;
        })?;
        names.truncate(count);
        names.sort_unstable();
        self.note(path, || Passed::Directory);
        Ok(())
    }

    /// Visits the names of the directories in a directory below this one, in no order, and their inodes.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn each_directory(&self, path: &str, mut visit: impl FnMut(&str, u64)) -> Result<(), SampleError> {
        let directories = |name: &str, kind, inode| {
            if matches!(kind, FileType::Directory | FileType::Unknown) {
                if self.record.is_some() {
                    self.note_once(&format!("{path}/{name}"));
                }
                visit(name, inode);
            }
            true
        };
        self.entries(path, directories).map_err(|errno| read_error(&self.at(path), errno))?;
        self.note(path, || Passed::Directory);
        Ok(())
    }

    /// How many entries a directory of procfs below this one has. Since Linux 6.2 the size of `/proc/PID/fd` says it;
    /// where it says nothing they are counted.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn count(&self, path: &str) -> Result<u64, SampleError> {
        if self.kept.is_some() && self.record.is_none() {
            let size = self.metadata(path)?.size_bytes;
            if size > 0 {
                return Ok(size);
            }
        }
        let mut count = 0;
        self.each(path, |name, _| {
            count += 1;
            if self.record.is_some() {
                self.note(&format!("{path}/{name}"), || Passed::File(Vec::new()));
            }
        })?;
        Ok(count)
    }

    fn each(&self, path: &str, mut visit: impl FnMut(&str, FileType)) -> Result<(), SampleError> {
        let all = |name: &str, kind, _| {
            visit(name, kind);
            true
        };
        self.entries(path, all).map_err(|errno| read_error(&self.at(path), errno))
    }

    /// Visits the names in a directory below this one, in no order, until `visit` says no.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn each_until(&self, path: &str, mut visit: impl FnMut(&str) -> bool) -> Result<(), SampleError> {
        self.entries(path, |name, _, _| visit(name)).map_err(|errno| read_error(&self.at(path), errno))
    }

    fn entries(&self, path: &str, mut visit: impl FnMut(&str, FileType, u64) -> bool) -> Result<(), Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = openat(&self.fd, path, flags, Mode::empty())?;
        let mut entries = [MaybeUninit::uninit(); 4 << 10];
        let mut entries = RawDir::new(dir, &mut entries);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." && !visit(&name, entry.file_type(), entry.ino()) {
                break;
            }
        }
        Ok(())
    }

    /// Fills the buffer with the file. An attribute of sysfs comes whole with the first read and is at most a page.
    fn fill(&self, path: &str, buffer: &mut Buffer, attribute: bool) -> Result<(), Errno> {
        if let Some(kept) = &self.kept
            && let Some(file) = kept.get(path)
        {
            if buffer.fill(&file, attribute).is_ok() {
                self.note(path, || Passed::File(buffer.filled().to_vec()));
                return Ok(());
            }
            kept.forget(path);
        }
        let file = openat(&self.fd, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?;
        buffer.fill(&file, attribute)?;
        if let Some(kept) = &self.kept {
            kept.keep(path, file);
        }
        self.note(path, || Passed::File(buffer.filled().to_vec()));
        Ok(())
    }

    /// Notes that something is there, whatever is in it.
    fn note_once(&self, path: &str) {
        if let Some((record, place)) = &self.record {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let directory = openat(&self.fd, path, flags, Mode::empty()).is_ok();
            let passed = || if directory { Passed::Directory } else { Passed::File(Vec::new()) };
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            record.entry(place.join(path)).or_insert_with(passed);
        }
    }

    fn note(&self, path: &str, passed: impl FnOnce() -> Passed) {
        if let Some((record, place)) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).insert(place.join(path), passed());
        }
    }
}

fn read_error(path: &Path, errno: Errno) -> SampleError {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => SampleError::Absent(path.to_owned()),
        errno => SampleError::Read { path: path.to_owned(), source: errno.into() },
    }
}
