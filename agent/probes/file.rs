//! A file that must be there, and be new and large enough: "the newest dump is younger than 26 h and larger than 1 MB".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::aside::Aside;
use super::glob::Glob;
use super::{Ask, Checking, Kind, LABELS, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::config::quantity::{self, Human};
use crate::metric::{Metric, Since, Unit};
use crate::samplers::root::Root;

static FILES: Metric = Metric::gauge("vigie_probe_file_count", Unit::Of("{file}"), "Files that match the path.")
    .labels(LABELS)
    .otel_up_down("vigie.probe.file.count")
    .since(Since::Agent);
static MODIFIED: Metric = Metric::gauge(
    "vigie_probe_file_modified_timestamp_seconds",
    Unit::Seconds,
    "When the newest file that matches the path was written.",
)
.labels(LABELS);
static AGE: Metric =
    Metric::gauge("vigie_probe_file_age_seconds", Unit::Seconds, "How old the newest file that matches the path is.")
        .labels(LABELS)
        .otel("vigie.probe.file.age");
static SIZE: Metric =
    Metric::gauge("vigie_probe_file_size_bytes", Unit::Bytes, "How large the newest file that matches the path is.")
        .labels(LABELS)
        .otel("vigie.probe.file.size");

/// This kind.
pub static KIND: Kind = Kind {
    name: "file",
    metrics: &[&FILES, &MODIFIED, &AGE, &SIZE],
    plans: |options| Plan::each(KIND.name, &options.file),
};

/// `[[probe.file]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Which files: the newest of those that match is looked at.
    pub path: Glob,
    /// The oldest that it may be.
    pub max_age: Option<Age>,
    /// The smallest that it may be, in bytes.
    #[serde(default, deserialize_with = "quantity::size::<_, 0, 9_007_199_254_740_992>")]
    pub min_size: u64,
    /// The fewest files that may match.
    #[serde(default = "one", deserialize_with = "quantity::count::<_, 1, 100_000>")]
    pub min_count: usize,
}

fn one() -> usize {
    1
}

/// A duration of up to ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Age(#[serde(deserialize_with = "quantity::duration::<_, 1_000, 315_360_000_000>")] pub Duration);

impl Ask for File {
    fn target(&self) -> String {
        self.path.to_string()
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Box::new(Looking { file: self.clone(), root: setting.root.clone(), aside: Aside::default() })
    }
}

struct Looking {
    file: File,
    root: std::sync::Arc<Root>,
    aside: Aside,
}

/// The newest file, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    count: usize,
    newest: Option<Newest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Newest {
    path: String,
    modified_seconds: i64,
    size_bytes: u64,
}

fn find(glob: &Glob, root: &Root) -> Result<Found, ProbeError> {
    let mut found = Found::default();
    glob.walk(root, |path, metadata| {
        found.count += 1;
        if found.newest.as_ref().is_none_or(|newest| metadata.modified_seconds > newest.modified_seconds) {
            let (modified_seconds, size_bytes) = (metadata.modified_seconds, metadata.size_bytes);
            found.newest = Some(Newest { path: format!("/{path}"), modified_seconds, size_bytes });
        }
    })?;
    Ok(found)
}

impl Probe for Looking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            report.doing("looking through the files");
            let (glob, root) = (self.file.path.clone(), self.root.clone());
            let found = self.aside.run(move || find(&glob, &root)).await??;
            let now = self.root.calls.now();
            report.put(&FILES, found.count as u64);
            if let Some(newest) = &found.newest {
                report.put(&MODIFIED, newest.modified_seconds);
                report.put(&AGE, newest.age(now).as_secs_f64());
                report.put(&SIZE, newest.size_bytes);
            }
            self.file.judge(&found, now)
        })
    }
}

impl Newest {
    /// How old it is; one of tomorrow is new.
    fn age(&self, now: SystemTime) -> Duration {
        let modified = UNIX_EPOCH + Duration::from_secs(u64::try_from(self.modified_seconds).unwrap_or_default());
        now.duration_since(modified).unwrap_or_default()
    }
}

impl File {
    fn judge(&self, found: &Found, now: SystemTime) -> Result<(), ProbeError> {
        let Some(newest) = &found.newest else {
            return Err(ProbeError::new(Reason::Absent, format!("no file matches {}", self.path)));
        };
        if found.count < self.min_count {
            let (count, least) = (found.count, self.min_count);
            let message = format!("{count} files match {}, expected at least {least}", self.path);
            return Err(ProbeError::new(Reason::Count, message));
        }
        let age = newest.age(now);
        if let Some(Age(most)) = self.max_age.filter(|Age(most)| age > *most) {
            let old = Human(Duration::from_secs(age.as_secs()));
            let message = format!("{} is {old} old, expected at most {}", newest.path, Human(most));
            return Err(ProbeError::new(Reason::Age, message));
        }
        if newest.size_bytes < self.min_size {
            let (size, least) = (newest.size_bytes, self.min_size);
            let message = format!("{} has {size} bytes, expected at least {least}", newest.path);
            return Err(ProbeError::new(Reason::Size, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &str, count: usize, newest: Option<(u64, u64)>) -> Result<(), String> {
        let file: File = toml::from_str(&format!("path = '/b/*'\n{file}")).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let newest = newest.map(|(age, size_bytes)| Newest {
            path: "/b/1".to_owned(),
            modified_seconds: 1_000_000 - age as i64,
            size_bytes,
        });
        file.judge(&Found { count, newest }, now).map_err(|error| format!("{}: {error}", error.reason.word()))
    }

    #[test]
    fn the_newest_is_young_and_large_enough_or_it_is_said_why_not() {
        let dump = "max_age = '26h'\nmin_size = '1MB'\nmin_count = 2";
        assert_eq!(judged(dump, 2, Some((26 * 3_600, 1_000_000))), Ok(()));
        let said = |answer: Result<(), String>| answer.unwrap_err();
        assert_eq!(said(judged(dump, 0, None)), "absent: no file matches /b/*");
        assert_eq!(said(judged(dump, 1, Some((0, 0)))), "count: 1 files match /b/*, expected at least 2");
        assert_eq!(said(judged(dump, 2, Some((26 * 3_600 + 1, 0)))), "age: /b/1 is 1d2h1s old, expected at most 1d2h");
        assert_eq!(said(judged(dump, 2, Some((5, 999_999)))), "size: /b/1 has 999999 bytes, expected at least 1000000");
        assert_eq!(judged("", 1, Some((9_999, 0))), Ok(()));
    }
}
