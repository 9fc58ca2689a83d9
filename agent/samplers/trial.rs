//! A sampler run in the tests, on a folder that stands for a host.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime};

use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler};
use crate::catalog::Metric;
use crate::config;
use crate::snapshot::{Family, Point, Reading, Value};

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

/// A folder with `proc`, `sys` and whatever of `/` is written, and one sampler of it.
pub(crate) struct Trial {
    folder: PathBuf,
    root: Root,
    sampler: Box<dyn Sampler>,
    buffer: Buffer,
    pub(crate) reading: Reading,
}

impl Trial {
    /// The sampler with these files, as `proc/meminfo` → text.
    pub(crate) fn of(declaration: &Declaration, config: &config::Samplers, files: &[(&str, &str)]) -> Trial {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("vigie-{}-{number}", std::process::id()));
        for tree in ["proc", "sys"] {
            std::fs::create_dir_all(folder.join(tree)).unwrap();
        }
        for (path, text) in files {
            write(&folder.join(path), text.as_bytes());
        }
        let root = Root::open(&folder.join("proc"), &folder.join("sys"), &folder).unwrap();
        let (sampler, buffer, reading) = ((declaration.build)(config), Buffer::default(), Reading::default());
        Trial { folder, root, sampler, buffer, reading }
    }

    /// Changes a file of the host by replacing it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        write(&self.folder.join(path), content.as_ref());
    }

    /// Removes a file of the host.
    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.folder.join(path)).unwrap();
    }

    /// One pass, as lines of `name{labels} value`.
    pub(crate) fn pass(&mut self) -> Result<Vec<String>, SampleError> {
        self.reading.start(Instant::now(), SystemTime::now());
        self.sampler.sample(&self.root, &mut self.buffer, &mut self.reading)?;
        Ok(lines(&self.reading))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// What a reading holds, as lines of `name{labels} value`.
pub(crate) fn lines(reading: &Reading) -> Vec<String> {
    reading.families().flat_map(|family| family.points().iter().map(|point| line(family, point))).collect()
}

/// One pass over these files.
pub(crate) fn sampled(declaration: &Declaration, files: &[(&str, &str)]) -> Result<Vec<String>, SampleError> {
    Trial::of(declaration, &config::Samplers::default(), files).pass()
}

/// What starts with the name of `metric`, of lines as [`Trial::pass`] gives them.
pub(crate) fn only<'a>(lines: &'a [String], metric: &str) -> Vec<&'a str> {
    let named = |line: &&str| line.split(['{', ' ']).next() == Some(metric);
    lines.iter().map(String::as_str).filter(named).collect()
}

fn write(path: &std::path::Path, content: &[u8]) {
    let parent = path.parent().unwrap();
    std::fs::create_dir_all(parent).unwrap();
    let next = parent.join(".next");
    std::fs::write(&next, content).unwrap();
    std::fs::rename(next, path).unwrap();
}

fn line(family: &Family, point: &Point) -> String {
    let metric: &Metric = &family.metric;
    let labels = match point.labels.page() {
        "" => String::new(),
        page => format!("{{{page}}}"),
    };
    let value = match point.value {
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
    };
    format!("{}{}{labels} {value}", metric.name, point.labels.suffix())
}
