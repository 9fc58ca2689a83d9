//! A folder that stands for a host, for the tests of the samplers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::root::{Buffer, Root};
use super::{SampleError, Sampler};
use crate::snapshot::{Family, Point, Reading, Value};

/// Files below `proc`, `sys` and `etc` of a folder of its own, which goes when this goes.
pub(crate) struct Host {
    folder: PathBuf,
    pub(crate) root: Root,
}

impl Host {
    pub(crate) fn new(files: &[(&str, &str)]) -> Host {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vigie-host-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        for place in ["proc", "sys"] {
            fs::create_dir_all(folder.join(place)).unwrap();
        }
        for (path, content) in files {
            write(&folder.join(path), content.as_bytes());
        }
        let root = Root::open(&folder.join("proc"), &folder.join("sys"), &folder).unwrap();
        Host { folder, root }
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes or replaces a file.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        write(&self.folder.join(path), content.as_ref());
    }

    /// Removes a file.
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.folder.join(path)).unwrap();
    }

    /// Every point of one pass, as `name{labels} value`.
    pub(crate) fn pass(&self, sampler: &mut dyn Sampler) -> Result<Vec<String>, SampleError> {
        let mut reading = Reading::default();
        reading.start(Instant::now(), self.root.calls.now());
        sampler.sample(&self.root, &mut Buffer::default(), &mut reading)?;
        Ok(lines(&reading))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write(path: &Path, content: &[u8]) {
    let parent = path.parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    let next = parent.join(".next");
    fs::write(&next, content).unwrap();
    fs::rename(next, path).unwrap();
}

/// What a reading holds, as lines of `name{labels} value`.
pub(crate) fn lines(reading: &Reading) -> Vec<String> {
    reading.families().flat_map(|family| family.points().iter().map(|point| line(family, point))).collect()
}

fn line(family: &Family, point: &Point) -> String {
    let labels = match &*point.labels.page() {
        "" => String::new(),
        page => format!("{{{page}}}"),
    };
    let value = match point.value {
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
    };
    format!("{}{}{labels} {value}", family.metric.name, point.labels.suffix())
}
