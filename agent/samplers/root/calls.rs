//! System calls about the host, or the answers that `capture.toml` holds of another one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::unistd::SysconfVar;
use serde::{Deserialize, Serialize};

use super::SampleError;
use crate::config;

/// The file that makes a folder a captured host.
pub const CAPTURE: &str = "capture.toml";

/// System calls, asked of the kernel or of a capture.
#[derive(Debug)]
pub struct Calls {
    root: PathBuf,
    captured: Option<Answers>,
    /// Modification times that were asked for while recording.
    modified: Mutex<BTreeMap<String, i64>>,
    /// What statvfs(3) said since [`Calls::record`].
    recorded: Mutex<Option<BTreeMap<String, Answer>>>,
}

/// What the system calls said when a host was captured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Seconds since 1970 by the wall clock.
    pub now: f64,
    /// Bytes of a page of memory.
    pub page_size: u64,
    /// Kernel ticks a second (`USER_HZ`).
    pub clock_ticks: u64,
    /// uname(2).
    pub uname: Uname,
    /// adjtimex(2), where it was allowed.
    pub timex: Option<Timex>,
    /// statvfs(3) by mount point.
    #[serde(default)]
    pub statvfs: BTreeMap<String, Answer>,
    /// When files were modified, in seconds since 1970, by path below `/`.
    #[serde(default)]
    pub modified: BTreeMap<String, i64>,
}

/// What statvfs(3) said of one mount point.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Its numbers.
    Space(Space),
    /// Its error, by number.
    Failed {
        /// errno(3).
        errno: i32,
    },
}

/// The space of a filesystem, from statvfs(3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// All of it, in bytes.
    pub size_bytes: u64,
    /// What is free, in bytes.
    pub free_bytes: u64,
    /// What is free for users that are not root, in bytes.
    pub available_bytes: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
}

/// The names of the system, from uname(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Uname {
    /// `Linux`.
    pub sysname: String,
    /// The hostname.
    pub nodename: String,
    /// The kernel's version.
    pub release: String,
    /// The kernel's build.
    pub version: String,
    /// The architecture.
    pub machine: String,
    /// The NIS domain, `(none)` nearly always.
    pub domainname: String,
}

/// The state of the kernel's clock discipline, from adjtimex(2), in its own units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Timex {
    /// `TIME_OK`, …, `TIME_ERROR` (5).
    pub state: i32,
    /// The `STA_*` bits.
    pub status: i32,
    /// Microseconds, or nanoseconds with `STA_NANO`.
    pub offset: i64,
    /// Parts per million × 65,536.
    pub freq: i64,
    /// Microseconds.
    pub maxerror: i64,
    /// Microseconds.
    pub esterror: i64,
    /// The time constant of the loop.
    pub constant: i64,
    /// Microseconds a tick.
    pub tick: i64,
    /// Parts per million × 65,536.
    pub ppsfreq: i64,
    /// Microseconds, or nanoseconds with `STA_NANO`.
    pub jitter: i64,
    /// Seconds, as a power of two.
    pub shift: i32,
    /// Parts per million × 65,536.
    pub stabil: i64,
    /// Times that the jitter was over the limit.
    pub jitcnt: i64,
    /// Calibration intervals.
    pub calcnt: i64,
    /// Calibration errors.
    pub errcnt: i64,
    /// Times that the stability was over the limit.
    pub stbcnt: i64,
    /// Seconds between TAI and UTC.
    pub tai: i32,
}

impl Calls {
    /// Of the host whose `/` is `root`: a captured one where that folder has a `capture.toml`.
    pub(super) fn of(root: &Path) -> Result<Calls, SampleError> {
        let path = root.join(CAPTURE);
        let captured = match std::fs::read_to_string(&path) {
            Ok(text) => Some(
                config::parse_file(&path, text).map_err(|error| SampleError::Other(format!("cannot parse {error}")))?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(SampleError::Read { path, source }),
        };
        Ok(Calls { root: root.to_owned(), captured, modified: Mutex::default(), recorded: Mutex::default() })
    }

    pub(super) fn captured_modified(&self, path: &str) -> Option<i64> {
        self.captured.as_ref()?.modified.get(path).copied()
    }

    pub(super) fn note_modified(&self, path: &str, seconds: i64) {
        self.modified.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), seconds);
    }

    /// Notes from now on what statvfs(3) says.
    pub(super) fn record(&self) {
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeMap::new());
    }

    /// Whether the answers come from a capture.
    pub fn captured(&self) -> bool {
        self.captured.is_some()
    }

    /// Now, by the wall clock.
    pub fn now(&self) -> SystemTime {
        match &self.captured {
            Some(answers) => UNIX_EPOCH + Duration::try_from_secs_f64(answers.now).unwrap_or_default(),
            None => SystemTime::now(),
        }
    }

    /// When the host was booted, by the wall clock of now: it moves when that is set. A capture does not tell.
    pub fn booted(&self) -> Option<SystemTime> {
        if self.captured() {
            return None;
        }
        let up = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
        SystemTime::now().checked_sub(up.into())
    }

    /// Bytes of a page of memory.
    pub fn page_size(&self) -> u64 {
        self.captured.as_ref().map_or_else(|| sysconf(SysconfVar::PAGE_SIZE, 4096), |answers| answers.page_size)
    }

    /// Kernel ticks a second (`USER_HZ`), the unit of the times in `/proc/stat`.
    pub fn clock_ticks(&self) -> u64 {
        self.captured.as_ref().map_or_else(|| sysconf(SysconfVar::CLK_TCK, 100), |answers| answers.clock_ticks)
    }

    /// uname(2).
    ///
    /// # Errors
    /// [`SampleError::Call`].
    pub fn uname(&self) -> Result<Uname, SampleError> {
        if let Some(answers) = &self.captured {
            return Ok(answers.uname.clone());
        }
        let names =
            nix::sys::utsname::uname().map_err(|errno| SampleError::Call { call: "uname", source: errno.into() })?;
        let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
        Ok(Uname {
            sysname: text(names.sysname()),
            nodename: text(names.nodename()),
            release: text(names.release()),
            version: text(names.version()),
            machine: text(names.machine()),
            domainname: text(names.domainname()),
        })
    }

    /// adjtimex(2), reading only.
    ///
    /// # Errors
    /// [`SampleError::Call`], also where a seccomp filter forbids it.
    pub fn adjtimex(&self) -> Result<Timex, SampleError> {
        if let Some(answers) = &self.captured {
            let denied = || SampleError::Call { call: "adjtimex", source: io::ErrorKind::PermissionDenied.into() };
            return answers.timex.ok_or_else(denied);
        }
        let mut timex = rtime_clock::adjtime::Timex::new();
        let state = rtime_clock::adjtime::adjtimex(&mut timex)
            .map_err(|source| SampleError::Call { call: "adjtimex", source })?;
        let kernel = timex.0;
        Ok(Timex {
            state,
            status: kernel.status,
            offset: kernel.offset,
            freq: kernel.freq,
            maxerror: kernel.maxerror,
            esterror: kernel.esterror,
            constant: kernel.constant,
            tick: kernel.tick,
            ppsfreq: kernel.ppsfreq,
            jitter: kernel.jitter,
            shift: kernel.shift,
            stabil: kernel.stabil,
            jitcnt: kernel.jitcnt,
            calcnt: kernel.calcnt,
            errcnt: kernel.errcnt,
            stbcnt: kernel.stbcnt,
            tai: kernel.tai,
        })
    }

    /// statvfs(3) of a mount point of the host. May hang for ever: only the lanes of the filesystem sampler call it.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn statvfs(&self, mount_point: &Path) -> io::Result<Space> {
        let said = self.ask_statvfs(mount_point);
        if let Some(recorded) = &mut *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) {
            let answer = match &said {
                Ok(space) => Answer::Space(*space),
                Err(error) => Answer::Failed { errno: error.raw_os_error().unwrap_or(nix::errno::Errno::EIO as i32) },
            };
            recorded.insert(mount_point.to_string_lossy().into_owned(), answer);
        }
        said
    }

    fn ask_statvfs(&self, mount_point: &Path) -> io::Result<Space> {
        if let Some(answers) = &self.captured {
            return match answers.statvfs.get(&*mount_point.to_string_lossy()) {
                Some(Answer::Space(space)) => Ok(*space),
                Some(Answer::Failed { errno }) => Err(io::Error::from_raw_os_error(*errno)),
                None => Err(io::ErrorKind::NotFound.into()),
            };
        }
        let path = self.root.join(mount_point.strip_prefix("/").unwrap_or(mount_point));
        #[allow(clippy::disallowed_methods)]
        let stat = nix::sys::statvfs::statvfs(&path)?;
        let unit = stat.fragment_size();
        Ok(Space {
            size_bytes: stat.blocks().saturating_mul(unit),
            free_bytes: stat.blocks_free().saturating_mul(unit),
            available_bytes: stat.blocks_available().saturating_mul(unit),
            files: stat.files(),
            files_free: stat.files_free(),
        })
    }

    /// What is asked here of every host, and what statvfs(3) said of the mounts that were recorded.
    pub fn answers(&self) -> Answers {
        Answers {
            now: self.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            page_size: self.page_size(),
            clock_ticks: self.clock_ticks(),
            uname: self.uname().unwrap_or_default(),
            timex: self.adjtimex().ok(),
            modified: self.modified.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            statvfs: self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default(),
        }
    }
}

fn sysconf(name: SysconfVar, usual: u64) -> u64 {
    let known = nix::unistd::sysconf(name).ok().flatten();
    known.and_then(|value| u64::try_from(value).ok()).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_that_is_none_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        for (text, told) in [("now = 1.5\npage_size = 'x'", ":2:13: `page_size`: expected"), ("now =", ":1:6: ")] {
            std::fs::write(dir.path().join(CAPTURE), text).unwrap();
            let error = Calls::of(dir.path()).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("cannot parse {}{told}", dir.path().join(CAPTURE).display())),
                "{error}"
            );
        }
    }
}
