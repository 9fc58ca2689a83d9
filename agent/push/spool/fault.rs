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

/// What does not work, told when it begins and when it ends.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<String>);

impl Trouble {
    /// Takes note of how it went.
    pub(super) fn note<T>(&mut self, outcome: Result<T, impl fmt::Display>) -> Option<T> {
        match outcome {
            Ok(value) => {
                if self.0.take().is_some() {
                    tracing::info!("the spool works again");
                }
                Some(value)
            }
            Err(trouble) => {
                let trouble = trouble.to_string();
                if self.0.as_ref() != Some(&trouble) {
                    tracing::warn!("the spool: {trouble}");
                }
                self.0 = Some(trouble);
                None
            }
        }
    }

    /// What does not work, and what helps.
    pub(super) fn text(&self) -> Option<String> {
        self.0.clone()
    }
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
}
