//! Clocks for agents, by libfaketime, preloaded: one that the test sets while the agent runs, and one that goes fast.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::find;

/// How far the wall clock of an agent is from ours; its monotonic clock is the kernel's.
pub(crate) struct WallClock {
    library: OsString,
    file: PathBuf,
    directory: TempDir,
}

impl WallClock {
    /// A clock that shows our time until it is set.
    ///
    /// # Errors
    /// Why this machine has none.
    pub(crate) fn new() -> Result<WallClock, String> {
        let library = library()?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = WallClock { library, file: directory.path().join("clock"), directory };
        clock.set(0);
        Ok(clock)
    }

    /// What an agent is started with to live by this clock.
    pub(crate) fn env(&self) -> [(&'static str, &OsStr); 5] {
        let on = OsStr::new("1");
        [
            ("LD_PRELOAD", &self.library),
            ("FAKETIME_TIMESTAMP_FILE", self.file.as_os_str()),
            // The file is read whenever somebody asks for the time.
            ("FAKETIME_NO_CACHE", on),
            ("FAKETIME_DONT_FAKE_MONOTONIC", on),
            ("NO_FAKE_STAT", on),
        ]
    }

    /// Sets the clock this many seconds before or after ours, from one moment to the next.
    pub(crate) fn set(&self, offset_seconds: i64) {
        let aside = self.directory.path().join("aside");
        std::fs::write(&aside, format!("{offset_seconds:+}\n")).expect("an offset");
        std::fs::rename(&aside, &self.file).expect("a new offset");
    }
}

/// A clock for a row of agents that goes so many times as fast as ours. Timers of tokio follow it; what waits on a
/// condition of the standard library's does not, and wakes only when it is woken.
pub(crate) struct FastClock {
    library: OsString,
    rate: u32,
    begun: Instant,
}

impl FastClock {
    /// A clock that shows our time now.
    ///
    /// # Errors
    /// Why this machine has none.
    pub(crate) fn new(rate: u32) -> Result<FastClock, String> {
        Ok(FastClock { library: library()?, rate, begun: Instant::now() })
    }

    /// What an agent is started with now to live by this clock.
    pub(crate) fn env(&self) -> [(&'static str, OsString); 3] {
        // Its clock begins with it: what those before it were ahead of ours by, it is too.
        let ahead = self.begun.elapsed() * (self.rate - 1);
        let when = format!("+{}s x{}", ahead.as_secs() + 1, self.rate);
        [("LD_PRELOAD", self.library.clone()), ("FAKETIME", when.into()), ("NO_FAKE_STAT", "1".into())]
    }

    /// How long it has gone.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed() * self.rate
    }

    /// How long that is by our own clock.
    pub(crate) fn ours(&self, time: Duration) -> Duration {
        time / self.rate
    }

    /// Waits for so long by this clock.
    pub(crate) fn sleep(&self, time: Duration) {
        std::thread::sleep(self.ours(time));
    }
}

/// libfaketime's library for programs with threads: faketime knows where it is, and preloads it to whatever it runs.
fn library() -> Result<OsString, String> {
    let faketime = find("faketime").ok_or("faketime is not installed")?;
    let mut asked = Command::new(&faketime);
    asked.args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).stdin(Stdio::null());
    let asked = asked.output().map_err(|error| format!("{}: {error}", faketime.display()))?;
    match OsString::from_vec(asked.stdout.trim_ascii().to_vec()) {
        library if library.is_empty() => Err(format!("{} preloads nothing", faketime.display())),
        library => Ok(library),
    }
}

/// Our own clock, in seconds since 1970.
pub(crate) fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs_f64()
}
