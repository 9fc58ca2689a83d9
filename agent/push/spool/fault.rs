//! What the disk refused, and what helps.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The disk refused something.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {source}: {}", path.display(), remedy(source))]
pub(super) struct Fault {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Fault {
    /// For `map_err`.
    pub(super) fn at<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Fault + use<'a> {
        move |source| Fault { verb, path: path.to_owned(), source }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        self.source.kind()
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on its filesystem, or let the spool have less of it with otlp.spool.max_bytes"
        }
        ErrorKind::ReadOnlyFilesystem => "mount its filesystem writable, or choose another directory with paths.state",
        ErrorKind::PermissionDenied => "let vigie's user write there, or choose another directory with paths.state",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => {
            "move away what is in its place, or choose another directory with paths.state"
        }
        ErrorKind::NotFound => "do not remove the spool's files while vigie runs",
        _ => "the kernel's log (dmesg) may tell why",
    }
}

/// What the spool does with its disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Writing,
    Reading,
    Acknowledging,
}

/// What of it does not work, told when it begins and when all works again.
#[derive(Debug, Default)]
pub(super) struct Troubles([Option<String>; 3]);

impl Troubles {
    /// Takes note of how it went. What has one cause is told once, whatever it keeps from working.
    pub(super) fn note<T>(&mut self, work: Work, outcome: Result<T, impl fmt::Display>) -> Option<T> {
        let (value, trouble) = match outcome {
            Ok(value) => (Some(value), None),
            Err(trouble) => (None, Some(trouble.to_string())),
        };
        if let Some(trouble) = &trouble
            && !self.0.iter().flatten().any(|known| cause(known) == cause(trouble))
        {
            tracing::warn!("the spool: {trouble}");
        }
        if let Some(known) = self.0.get_mut(work as usize) {
            let before = std::mem::replace(known, trouble);
            if before.is_some() && self.text().is_none() {
                tracing::info!("the spool works again");
            }
        }
        value
    }

    /// Whether this does not work.
    pub(super) fn has(&self, work: Work) -> bool {
        self.0.get(work as usize).is_some_and(Option::is_some)
    }

    /// What does not work, and what helps.
    pub(super) fn text(&self) -> Option<String> {
        self.0.iter().flatten().next().cloned()
    }
}

/// A trouble without the file that it showed at.
fn cause(trouble: &str) -> &str {
    trouble.split_once(": ").map_or(trouble, |(_, cause)| cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_file_and_the_remedy() {
        let path = Path::new("/var/lib/vigie/spool/lock");
        let fault = Fault::at("open", path)(io::Error::from_raw_os_error(nix::libc::EROFS));
        assert_eq!(
            fault.to_string(),
            "cannot open /var/lib/vigie/spool/lock: Read-only file system (os error 30): \
             mount its filesystem writable, or choose another directory with paths.state"
        );
    }

    #[test]
    fn one_cause_is_one_trouble_until_all_works() {
        let mut troubles = Troubles::default();
        let fails = |path: &'static str, error| {
            Err::<(), _>(Fault::at("write", Path::new(path))(io::Error::from_raw_os_error(error)))
        };
        let good = || Ok::<_, Fault>(7);
        troubles.note(Work::Acknowledging, fails("/s/cursor.new", nix::libc::ENOSPC));
        troubles.note(Work::Writing, fails("/s/0.seg", nix::libc::ENOSPC));
        assert!(troubles.text().unwrap().starts_with("cannot write /s/0.seg: "));
        assert_eq!(troubles.note(Work::Writing, good()), Some(7));
        assert!(!troubles.has(Work::Writing) && troubles.has(Work::Acknowledging));
        assert!(troubles.text().unwrap().starts_with("cannot write /s/cursor.new: "));
        troubles.note(Work::Acknowledging, good());
        assert_eq!(troubles.text(), None);
    }
}
