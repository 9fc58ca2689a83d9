//! A folder that stands for a host, for the tests of the samplers.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::root::{Buffer, Root};
use super::{SampleError, Sampler};
use crate::snapshot::{Reading, Value};

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
        let root = Root::open(&folder.join("proc"), &folder.join("sys"), &folder).unwrap();
        let host = Host { folder, root };
        for (path, content) in files {
            host.write(path, content);
        }
        host
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
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

pub(crate) fn lines(reading: &Reading) -> Vec<String> {
    let mut lines = Vec::new();
    for family in reading.families() {
        for point in family.points() {
            let value = match point.value {
                Value::Int(value) => value.to_string(),
                Value::Float(value) => value.to_string(),
            };
            let labels = point.labels.page();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            lines.push(format!("{}{labels} {value}", family.metric.name));
        }
    }
    lines
}
