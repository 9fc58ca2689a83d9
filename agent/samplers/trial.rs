//! A sampler run in the tests, on a folder that stands for a host.

use std::time::{Instant, SystemTime};

use super::host::{Host, lines};
use super::root::Buffer;
use super::{Declaration, Options, SampleError, Sampler};
use crate::snapshot::Reading;

/// A host of which only the system calls' answers are known, without adjtimex(2).
pub(crate) const CAPTURE: (&str, &str) = (
    "capture.toml",
    r##"
now = 1750000000.5
page_size = 4096
clock_ticks = 100

[uname]
sysname = "Linux"
nodename = "web-1"
release = "6.8.0"
version = "#1 SMP"
machine = "x86_64"
domainname = "(none)"
"##,
);

/// One sampler on a folder of its own, with what it keeps from pass to pass.
pub(crate) struct Trial {
    host: Host,
    sampler: Box<dyn Sampler>,
    buffer: Buffer,
    pub(crate) reading: Reading,
}

impl Trial {
    /// The sampler with these files, as `proc/meminfo` → text.
    pub(crate) fn of(declaration: &Declaration, options: &Options, files: &[(&str, &str)]) -> Trial {
        let (sampler, buffer, reading) = ((declaration.build)(options), Buffer::default(), Reading::default());
        Trial { host: Host::new(files), sampler, buffer, reading }
    }

    /// Changes a file of the host by replacing it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        self.host.write(path, content);
    }

    /// Removes a file of the host.
    pub(crate) fn remove(&self, path: &str) {
        self.host.remove(path);
    }

    /// Where the host's files are.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.host.folder()
    }

    /// One pass, as lines of `name{labels} value`.
    pub(crate) fn pass(&mut self) -> Result<Vec<String>, SampleError> {
        self.sample()?;
        Ok(lines(&self.reading))
    }

    /// One pass.
    pub(crate) fn sample(&mut self) -> Result<(), SampleError> {
        self.reading.start(Instant::now(), SystemTime::now());
        self.sampler.sample(&self.host.root, &mut self.buffer, &mut self.reading)
    }
}

/// One pass over these files.
pub(crate) fn sampled(declaration: &Declaration, files: &[(&str, &str)]) -> Result<Vec<String>, SampleError> {
    Trial::of(declaration, &Options::default(), files).pass()
}

/// What starts with the name of `metric`, of lines as [`Trial::pass`] gives them.
pub(crate) fn only<'a>(lines: &'a [String], metric: &str) -> Vec<&'a str> {
    let named = |line: &&str| line.split(['{', ' ']).next() == Some(metric);
    lines.iter().map(String::as_str).filter(named).collect()
}
