//! The body of an answer: bytes that are there, or a page that is rendered as it is read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

use super::prometheus::Rendering;

/// How much is rendered at a time, in bytes, and the room for it: with the family that goes over it, nearly always.
const PIECE: usize = 48 << 10;
const ROOM: usize = 64 << 10;

/// What is to be sent, piece by piece.
#[derive(Debug)]
pub struct Body(Left);

#[derive(Debug)]
enum Left {
    /// Nothing where it is sent.
    Whole(Bytes),
    Rendering(Rendering),
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Body {
        Body(Left::Whole(bytes.into()))
    }
}

impl From<Rendering> for Body {
    fn from(rendering: Rendering) -> Body {
        Body(Left::Rendering(rendering))
    }
}

impl Iterator for Body {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let piece = match &mut self.0 {
            Left::Whole(bytes) => std::mem::take(bytes),
            Left::Rendering(rendering) => {
                let mut piece = Vec::with_capacity(ROOM);
                rendering.more(PIECE, &mut piece);
                piece.into()
            }
        };
        Some(piece).filter(|piece| !piece.is_empty())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Left::Whole(bytes) if bytes.is_empty())
    }

    /// The length of what is there, so that the answer has it in its head.
    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Left::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Left::Rendering(_) => SizeHint::default(),
        }
    }
}
