//! The content of an answer, read within bounds, and unpacked within the same.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// What was read of a content.
#[derive(Default)]
pub(super) struct Content {
    /// How long it is, unpacked, in bytes.
    pub(super) length: u64,
    /// How much of it came over the wire, in bytes.
    pub(super) wire: u64,
    /// Its beginning, as much of it as is looked at.
    pub(super) kept: Vec<u8>,
}

/// How much is read, and how much of it is kept, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) read: u64,
    pub(super) keep: usize,
}

/// Why a content was not read to its end.
pub(super) enum Flaw {
    /// It is longer than it may be.
    TooLong,
    /// The connection broke.
    Broken(hyper::Error),
    /// It is not what gzip makes.
    Packing(io::Error),
}

/// Reads a content to its end.
pub(super) async fn read(body: Incoming, gzip: bool, bounds: Bounds, content: &mut Content) -> Result<(), Flaw> {
    let mut body = body;
    let mut sink = Sink { content, bounds };
    if !gzip {
        while let Some(data) = next(&mut body).await? {
            sink.content.wire += data.len() as u64;
            sink.write_all(&data).map_err(|_| Flaw::TooLong)?;
        }
        return Ok(());
    }
    let mut decoder = MultiGzDecoder::new(sink);
    while let Some(data) = next(&mut body).await? {
        let content = &mut decoder.get_mut().content;
        content.wire += data.len() as u64;
        let done = if content.wire > bounds.read { Err(TOO_LONG.into()) } else { decoder.write_all(&data) };
        done.map_err(|error| flaw(error, decoder.get_ref()))?;
    }
    match decoder.get_ref().content.wire {
        // Nothing is nothing, packed or not.
        0 => Ok(()),
        _ => decoder.try_finish().map_err(|error| flaw(error, decoder.get_ref())),
    }
}

const TOO_LONG: io::ErrorKind = io::ErrorKind::FileTooLarge;

fn flaw(error: io::Error, sink: &Sink<'_>) -> Flaw {
    let too_long = error.kind() == TOO_LONG || sink.content.length > sink.bounds.read;
    if too_long { Flaw::TooLong } else { Flaw::Packing(error) }
}

async fn next(body: &mut Incoming) -> Result<Option<hyper::body::Bytes>, Flaw> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(Flaw::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Counts, and keeps the beginning.
struct Sink<'a> {
    content: &'a mut Content,
    bounds: Bounds,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.content.length += bytes.len() as u64;
        if self.content.length > self.bounds.read {
            return Err(TOO_LONG.into());
        }
        let room = self.bounds.keep.saturating_sub(self.content.kept.len());
        self.content.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
