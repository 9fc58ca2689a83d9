//! A folder of text files, each read again when it was written.

use super::format::{self, Family};
use crate::samplers::SampleError;
use crate::samplers::born::Born;
use crate::samplers::root::{Buffer, Metadata, Root};
use crate::snapshot::Labels;

/// The most of one file and of all, in bytes: a script that runs wild must not take the agent with it.
pub(super) const FILE_BYTES: u64 = 4 << 20;
const ALL_BYTES: u64 = 16 << 20;

/// The most samples of all files. With [`FILES`] it stays below what one source may have.
pub(super) const SAMPLES: usize = 15_000;

/// The most files of one folder.
const FILES: usize = 1_000;

/// One folder of the configuration.
pub(super) struct Folder {
    /// As the configuration has it.
    path: String,
    names: Vec<String>,
    files: Born<File>,
    failure: Option<String>,
    /// How many files the last pass had.
    count: usize,
}

/// One of its files.
pub(super) struct File {
    path: String,
    labels: Labels,
    state: Option<Metadata>,
    content: Result<Vec<Family>, String>,
}

/// What is left of the bounds on all files together.
pub(super) struct Room {
    bytes: u64,
    samples: usize,
}

impl Room {
    pub(super) fn beside<'a>(folders: impl Iterator<Item = &'a Folder>) -> Room {
        let mut room = Room { bytes: ALL_BYTES, samples: SAMPLES };
        for file in folders.flat_map(Folder::files) {
            room.take(file);
        }
        room
    }

    fn take(&mut self, file: &File) {
        self.bytes = self.bytes.saturating_sub(file.bytes());
        self.samples = self.samples.saturating_sub(file.samples());
    }

    fn give_back(&mut self, file: &File) {
        self.bytes = self.bytes.saturating_add(file.bytes());
        self.samples = self.samples.saturating_add(file.samples());
    }
}

impl Folder {
    pub(super) fn of(path: &str) -> Folder {
        let path = path.trim_end_matches('/').to_owned();
        Folder { path, names: Vec::new(), files: Born::default(), failure: None, count: 0 }
    }

    /// The files that the last pass met, in the order of their names.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.met()
    }

    /// Why it, or a file of it, could not be read.
    pub(super) fn complaints(&self) -> impl Iterator<Item = &String> {
        self.failure.iter().chain(self.files().filter_map(|file| file.content.as_ref().err()))
    }

    /// Reads what was written since the last pass, and tells whether anything is other than it was.
    pub(super) fn refresh(&mut self, root: &Root, buffer: &mut Buffer, room: &mut Room) -> bool {
        let failure = self.list(root).err();
        let mut changed = failure != self.failure;
        self.failure = failure;
        self.files.start();
        let mut count = 0;
        for name in self.names.iter().filter(|name| name.ends_with(".prom")).take(FILES) {
            let file = self.files.meet(name, || File::of(&self.path, name));
            changed |= file.refresh(root, buffer, room);
            count += 1;
        }
        changed |= count != self.count;
        self.count = count;
        changed
    }

    fn list(&mut self, root: &Root) -> Result<(), String> {
        if let Err(error) = root.host.list(below_root(&self.path), &mut self.names) {
            self.names.clear();
            return Err(error.to_string());
        }
        let count = self.names.iter().filter(|name| name.ends_with(".prom")).count();
        if count > FILES { Err(format!("{}: only {FILES} of its {count} files are read", self.path)) } else { Ok(()) }
    }
}

impl File {
    fn of(folder: &str, name: &str) -> File {
        let path = format!("{folder}/{name}");
        let labels = Labels::new(&[("file", &path)]);
        File { path, labels, state: None, content: Ok(Vec::new()) }
    }

    /// Its path and what it says, if it could be read.
    pub(super) fn content(&self) -> Option<(&str, &[Family])> {
        Some((&self.path, self.content.as_deref().ok()?))
    }

    /// Its label and when it was written, if it could be read.
    pub(super) fn mtime(&self) -> Option<(&Labels, i64)> {
        let state = self.content.as_ref().ok().and(self.state)?;
        Some((&self.labels, state.modified_seconds))
    }

    /// Costs one stat while the file is as it was.
    fn refresh(&mut self, root: &Root, buffer: &mut Buffer, room: &mut Room) -> bool {
        let state = match root.metadata(below_root(&self.path)) {
            Ok(state) if Some(state) == self.state => return false,
            Ok(state) => Some(state),
            // It went after the folder was listed.
            Err(SampleError::Absent(_)) => None,
            Err(error) => return self.replace(None, Err(error.to_string())),
        };
        room.give_back(self);
        let content = match state {
            Some(state) => self.read(state, root, buffer, room).map_err(|reason| format!("{}: {reason}", self.path)),
            None => Ok(Vec::new()),
        };
        let changed = self.replace(state, content);
        room.take(self);
        changed
    }

    fn replace(&mut self, state: Option<Metadata>, content: Result<Vec<Family>, String>) -> bool {
        let stays = state.is_none() && self.state.is_none() && content.as_ref().err() == self.content.as_ref().err();
        (self.state, self.content) = (state, content);
        !stays
    }

    fn read(&self, state: Metadata, root: &Root, buffer: &mut Buffer, room: &Room) -> Result<Vec<Family>, String> {
        if !state.plain {
            return Err("is no file".to_owned());
        }
        if state.size_bytes > FILE_BYTES.min(room.bytes) {
            return Err(format!("has {} bytes, too many for one file or for all", state.size_bytes));
        }
        let bytes = root.host.read_bytes(below_root(&self.path), buffer).map_err(|error| error.to_string())?;
        let text = str::from_utf8(bytes).map_err(|error| format!("is no UTF-8 text: {error}"))?;
        format::parse(text, room.samples).map_err(|malformed| malformed.to_string())
    }

    fn bytes(&self) -> u64 {
        self.content.as_ref().ok().and(self.state).map_or(0, |state| state.size_bytes)
    }

    fn samples(&self) -> usize {
        self.content.iter().flatten().map(|family| family.series.len()).sum()
    }
}

/// An absolute path as one below the host's `/`.
fn below_root(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        below => below,
    }
}
