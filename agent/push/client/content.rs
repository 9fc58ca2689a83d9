//! The content of an answer, read within bounds.

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;

/// How much of an answer is kept, in bytes.
const KEPT: usize = 64 << 10;
/// How much of an answer is read (OTLP's bound of an answer), in bytes.
const READ: usize = 4 << 20;

/// The content of an answer, as much of it as came and is worth keeping.
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
