//! The bodies: of a request, which is copied nowhere, and of an answer, which is read within bounds.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

/// How much of an answer is kept, in bytes.
const KEPT: usize = 64 << 10;
/// How much of an answer is read (OTLP's bound of an answer), in bytes.
const READ: usize = 4 << 20;

/// A request's body: the head of gRPC's frame, where gRPC is spoken, and the request.
pub(super) struct Message {
    head: Option<Bytes>,
    body: Bytes,
    framed: bool,
}

impl Message {
    /// As OTLP/HTTP posts it.
    pub(super) fn bare(body: Bytes) -> Message {
        Message { head: None, body, framed: false }
    }

    /// As gRPC frames it; a request is far below 4 GiB.
    pub(super) fn framed(body: Bytes, compressed: bool) -> Message {
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

/// An answer's body, as much of it as came and is worth keeping.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) end: End,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    #[default]
    Whole,
    /// Longer than any answer is; the rest was not read.
    TooLong,
    /// The connection broke.
    Cut,
}

impl Answer {
    pub(super) async fn read(mut body: Incoming) -> Answer {
        let (mut answer, mut read) = (Answer::default(), 0);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                answer.end = End::Cut;
                break;
            };
            match frame.into_data() {
                Ok(data) => {
                    read += data.len();
                    let room = KEPT - answer.bytes.len();
                    answer.bytes.extend(data.iter().take(room));
                }
                Err(frame) => answer.trailers = frame.into_trailers().ok(),
            }
            if read > READ {
                answer.end = End::TooLong;
                break;
            }
        }
        answer
    }
}
