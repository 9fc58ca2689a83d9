//! What the other end has said so far: enough of it to tell who speaks there.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls;

use super::shown;
use crate::stream::Stream;

/// How much is kept, in bytes.
const KEPT: usize = 64;

/// What was heard of a connection, shared with whoever wants to know.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Words>>);

#[derive(Default)]
struct Words {
    first: Vec<u8>,
    first_at: Option<Instant>,
    total: u64,
    fault: Option<Fault>,
}

/// How a connection broke.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// TLS says so.
    Tls(rustls::Error),
    /// The kernel says so, in these words.
    Io(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Tls(error) => error.fmt(f),
            Fault::Io(words) => f.write_str(words),
        }
    }
}

impl Fault {
    pub(crate) fn of(error: &io::Error) -> Fault {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Fault::Tls(error.clone()),
            None => Fault::Io(error.to_string()),
        }
    }
}

/// Who speaks there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    /// Nobody.
    Silence,
    /// HTTP/1.
    Http1,
    /// HTTP/2: its settings come first.
    Http2,
    /// TLS.
    Tls,
    /// Somebody else, who begins so.
    Other(String),
}

impl Heard {
    fn words(&self) -> MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes.
    pub(crate) fn total(&self) -> u64 {
        self.words().total
    }

    /// When the first of them came.
    pub(crate) fn first_at(&self) -> Option<Instant> {
        self.words().first_at
    }

    /// The first error, if there was one.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.words().fault.clone()
    }

    /// How it began.
    pub(crate) fn first(&self) -> Vec<u8> {
        self.words().first.clone()
    }

    pub(crate) fn tongue(&self) -> Tongue {
        parse_tongue(&self.words().first)
    }

    /// The stream, listened to.
    pub(crate) fn listen(&self, stream: impl Stream + 'static) -> Box<dyn Stream> {
        Box::new(Listened { stream, heard: self.clone() })
    }

    fn failed(&self, error: io::Error) -> io::Error {
        self.words().fault.get_or_insert_with(|| Fault::of(&error));
        error
    }
}

/// Tells by the first bytes who speaks.
pub(crate) fn parse_tongue(first: &[u8]) -> Tongue {
    match first {
        [] => Tongue::Silence,
        // A part of what comes next.
        b"H" | b"HT" | b"HTT" | b"HTTP" => Tongue::Http1,
        [b'H', b'T', b'T', b'P', b'/', ..] => Tongue::Http1,
        // SETTINGS on stream 0 (RFC 9113, 6.5).
        [0, _, _, 4, _, 0, 0, 0, 0, ..] => Tongue::Http2,
        // A handshake or an alert (RFC 8446, 5.1).
        [0x15 | 0x16, 3, 0..=4, ..] => Tongue::Tls,
        _ => Tongue::Other(shown(first.split(|byte| *byte == b'\n').next().unwrap_or_default())),
    }
}

/// A stream that is listened to.
struct Listened<S> {
    stream: S,
    heard: Heard,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listened<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let new = buffer.filled().get(before..).unwrap_or_default();
        let mut words = self.heard.words();
        words.total += new.len() as u64;
        if !new.is_empty() {
            words.first_at.get_or_insert_with(Instant::now);
        }
        let room = KEPT.saturating_sub(words.first.len());
        words.first.extend(new.iter().take(room));
        drop(words);
        Poll::Ready(read.map_err(|error| self.heard.failed(error)))
    }
}

impl<S: AsyncRead + Unpin> Listened<S> {
    /// Whoever closes a connection may have said why. That can be read where writing has failed already, and is waited
    /// for: after such an error the kernel tells the end of a socket at once, and the error again whoever writes.
    fn poll_last_words<T>(&mut self, cx: &mut Context<'_>, wrote: io::Result<T>) -> Poll<io::Result<T>> {
        let error = match wrote {
            Ok(wrote) => return Poll::Ready(Ok(wrote)),
            Err(error) => error,
        };
        let mut words = [0; KEPT];
        // Whether it ends in words or in another error: the listening keeps it.
        drop(ready!(Pin::new(&mut *self).poll_read(cx, &mut ReadBuf::new(&mut words))));
        Poll::Ready(Err(self.heard.failed(error)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Listened<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.poll_last_words(cx, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.poll_last_words(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.poll_last_words(cx, wrote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_is_told_by_the_first_bytes() {
        let other = |text: &str| Tongue::Other(text.to_owned());
        let cases: [(&[u8], Tongue); 9] = [
            (b"", Tongue::Silence),
            (b"HT", Tongue::Http1),
            (b"HTTP/1.1 400 Bad Request\r\n", Tongue::Http1),
            (b"\0\0\x12\x04\0\0\0\0\0\0\x03", Tongue::Http2),
            (b"\x15\x03\x01\0\x02\x02\x16", Tongue::Tls),
            (b"SSH-2.0-OpenSSH_9.2p1\r\nmore", other("SSH-2.0-OpenSSH_9.2p1")),
            (b"-ERR unknown command 'PRI'\r\n", other("-ERR unknown command 'PRI'")),
            (b"\x16", other("")),
            (b"\xff\xff", other("\u{fffd}\u{fffd}")),
        ];
        for (bytes, tongue) in cases {
            assert_eq!(parse_tongue(bytes), tongue, "{bytes:?}");
        }
    }
}
