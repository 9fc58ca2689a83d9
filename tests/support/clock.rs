//! A wall clock for one agent, which the test sets while the agent runs: libfaketime, preloaded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

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
        let faketime = find("faketime").ok_or("faketime is not installed")?;
        // It knows where its library for programs with threads is, and preloads it to whatever it runs.
        let mut asked = Command::new(&faketime);
        asked.args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).stdin(Stdio::null());
        let asked = asked.output().map_err(|error| format!("{}: {error}", faketime.display()))?;
        let library = OsString::from_vec(asked.stdout.trim_ascii().to_vec());
        if library.is_empty() {
            return Err(format!("{} preloads nothing", faketime.display()));
        }
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

/// Our own clock, in seconds since 1970.
pub(crate) fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs_f64()
}
