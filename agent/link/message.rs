//! The body of a request, which is copied nowhere.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// A request's body: the head of gRPC's frame, where gRPC is spoken, and the request.
pub(crate) struct Message {
    head: Option<Bytes>,
    body: Bytes,
    framed: bool,
}

impl Message {
    /// As HTTP has it.
    pub(crate) fn bare(body: Bytes) -> Message {
        Message { head: None, body, framed: false }
    }

    /// As gRPC frames it; a request is far below 4 GiB.
    pub(crate) fn framed(body: Bytes, compressed: bool) -> Message {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut head = vec![u8::from(compressed)];
        head.extend_from_slice(&length);
        Message { head: Some(head.into()), body, framed: true }
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.head.take().or_else(|| Some(std::mem::take(&mut self.body)).filter(|body| !body.is_empty()));
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // gRPC's calls have no content-length.
        if self.framed { SizeHint::default() } else { SizeHint::with_exact(self.body.len() as u64) }
    }
}
