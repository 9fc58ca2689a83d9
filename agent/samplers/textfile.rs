//! What other programs leave in `*.prom` files, in Prometheus' text format.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::samplers;
use crate::snapshot::Reading;
use folder::{File, Folder, Room};
use union::{Owned, Union};

mod folder;
pub mod format;
mod union;

static SCRAPE_ERROR: Metric = Metric::gauge(
    "node_textfile_scrape_error",
    Unit::One,
    "1 if a text file or folder cannot be read or something of it is refused; the log says which and why.",
);
static MTIME: Metric = Metric::gauge(
    "node_textfile_mtime_seconds",
    Unit::Seconds,
    "When a text file was written; too long ago means that its job no longer runs.",
)
.labels(&[Label::new("file")]);

/// The declaration of `textfile`.
pub static SAMPLER: Declaration = Declaration {
    name: "textfile",
    tier: Tier::Standard,
    metrics: &[&MTIME, &SCRAPE_ERROR],
    build: |config| Box::new(Textfile::new(config)),
};

/// `[samplers.textfile]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The folder whose `*.prom` files are read.
    pub directory: Option<String>,
    /// The same for several folders.
    pub directories: Vec<String>,
}

struct Textfile {
    folders: Vec<Folder>,
    owned: Owned,
    union: Union,
    /// What the last change complained of: each complaint is logged when it is new.
    complaints: BTreeSet<String>,
}

impl Textfile {
    fn new(config: &samplers::Options) -> Textfile {
        let Options { directory, directories } = &config.textfile;
        Textfile {
            folders: directory.iter().chain(directories).map(|path| Folder::of(path)).collect(),
            owned: Owned::of(super::ALL.iter().flat_map(|declaration| declaration.metrics).copied()),
            union: Union::default(),
            complaints: BTreeSet::new(),
        }
    }

    /// Reads what changed, and tells whether anything did.
    fn refresh(&mut self, root: &Root, buffer: &mut Buffer) -> bool {
        let mut room = Room::beside(self.folders.iter());
        let mut changed = false;
        for folder in &mut self.folders {
            changed |= folder.refresh(root, buffer, &mut room);
        }
        changed
    }

    fn merge(&mut self) {
        let mut complaints: BTreeSet<String> = self.folders.iter().flat_map(Folder::complaints).cloned().collect();
        let contents = self.folders.iter().flat_map(Folder::files).filter_map(File::content);
        self.union.renew(contents, &self.owned, |reason| {
            complaints.insert(reason);
        });
        for complaint in complaints.difference(&self.complaints) {
            tracing::warn!(sampler = "textfile", "{complaint}");
        }
        self.complaints = complaints;
    }
}

impl Sampler for Textfile {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        if self.refresh(root, buffer) {
            self.merge();
        }
        for (metric, series) in self.union.metrics() {
            for (labels, value) in series {
                reading.put_born(metric, labels, *value);
            }
        }
        for (labels, modified_seconds) in self.folders.iter().flat_map(Folder::files).filter_map(File::mtime) {
            reading.put_with(&MTIME, labels, modified_seconds);
        }
        reading.put(&SCRAPE_ERROR, !self.complaints.is_empty());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::folder::{FILE_BYTES, SAMPLES};
    use super::*;
    use crate::samplers::trial::{Trial, only, sampled};

    fn trial(files: &[(&str, &str)]) -> Trial {
        let directory = Some("/var/lib/text/".to_owned());
        let textfile = Options { directory, directories: Vec::new() };
        let config = samplers::Options { textfile, ..samplers::Options::default() };
        let keep = [("var/lib/text/README", "not read")];
        Trial::of(&SAMPLER, &config, &[files, &keep].concat())
    }

    fn error(page: &[String]) -> bool {
        only(page, "node_textfile_scrape_error") == ["node_textfile_scrape_error 1"]
    }

    #[test]
    fn without_a_folder_there_is_nothing_to_fail() {
        assert_eq!(sampled(&SAMPLER, &[]).unwrap(), ["node_textfile_scrape_error 0"]);
    }

    #[test]
    fn one_bad_file_spoils_nothing() {
        let mut trial = trial(&[("var/lib/text/bad.prom", "a b c"), ("var/lib/text/good.prom", "good 1")]);
        let page = trial.pass().unwrap();
        assert_eq!(only(&page, "good"), ["good 1"]);
        assert!(only(&page, "node_textfile_mtime_seconds").concat().contains(r#"file="/var/lib/text/good.prom""#));
        assert_eq!((page.len(), error(&page)), (3, true));
        trial.write("var/lib/text/bad.prom", "a 1");
        let page = trial.pass().unwrap();
        assert_eq!((page.len(), error(&page)), (5, false));
    }

    #[test]
    fn what_changes_or_goes_is_seen() {
        let mut trial = trial(&[("var/lib/text/a.prom", "a 1"), ("var/lib/text/b.prom", "b 1")]);
        assert_eq!(trial.pass().unwrap().len(), 5);
        trial.write("var/lib/text/a.prom", "a 2");
        assert_eq!(only(&trial.pass().unwrap(), "a"), ["a 2"]);
        trial.remove("var/lib/text/a.prom");
        let page = trial.pass().unwrap();
        assert_eq!((only(&page, "a").len(), only(&page, "b").len(), page.len()), (0, 1, 3));
    }

    #[test]
    fn a_missing_folder_and_what_is_no_text_are_errors() {
        let textfile = Options { directories: vec!["/nowhere".to_owned()], ..Options::default() };
        let config = samplers::Options { textfile, ..samplers::Options::default() };
        assert!(error(&Trial::of(&SAMPLER, &config, &[]).pass().unwrap()));
        assert!(error(&trial(&[("var/lib/text/folder.prom/x", "")]).pass().unwrap()));
        let mut trial = trial(&[]);
        assert!(!error(&trial.pass().unwrap()));
        trial.write("var/lib/text/a.prom", [b'a', 0xff]);
        assert!(error(&trial.pass().unwrap()));
    }

    #[test]
    fn files_are_bounded_one_by_one_and_together() {
        let mut trial = trial(&[("var/lib/text/small.prom", "small 1")]);
        trial.write("var/lib/text/large.prom", "#".repeat(FILE_BYTES as usize + 1));
        let page = trial.pass().unwrap();
        assert_eq!((page.len(), error(&page)), (3, true));
        let many = |name: &str| (0..SAMPLES * 2 / 3).map(|n| format!("{name}{{n=\"{n}\"}} 1\n")).collect::<String>();
        trial.write("var/lib/text/a.prom", many("a"));
        trial.write("var/lib/text/b.prom", many("b"));
        let page = trial.pass().unwrap();
        assert_eq!((only(&page, "a").len(), only(&page, "b").len()), (SAMPLES * 2 / 3, 0));
    }

    #[test]
    fn a_captured_host_keeps_its_modification_times() {
        let capture =
            format!("{}\n[modified]\n\"var/lib/text/a.prom\" = 1700000000\n", crate::samplers::trial::CAPTURE.1);
        let page = trial(&[("capture.toml", &capture), ("var/lib/text/a.prom", "a 1")]).pass().unwrap();
        let expected = r#"node_textfile_mtime_seconds{file="/var/lib/text/a.prom"} 1700000000"#;
        assert_eq!(only(&page, "node_textfile_mtime_seconds"), [expected]);
    }
}
