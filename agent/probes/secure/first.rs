//! A stream that remembers the first that was said on it: where no TLS is spoken, it tells what is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is remembered, in bytes.
const REMEMBERED: usize = 48;

/// A stream, otherwise as it was.
#[derive(Debug)]
pub struct First<S> {
    stream: S,
    heard: [u8; REMEMBERED],
    length: usize,
}

impl<S> First<S> {
    pub(super) fn new(stream: S) -> First<S> {
        First { stream, heard: [0; REMEMBERED], length: 0 }
    }

    /// What was said first.
    pub(super) fn heard(&self) -> &[u8] {
        self.heard.get(..self.length).unwrap_or_default()
    }

    fn hear(&mut self, said: &[u8]) {
        let room = self.heard.get_mut(self.length..).unwrap_or_default();
        let count = room.len().min(said.len());
        room.iter_mut().zip(said).for_each(|(to, from)| *to = *from);
        self.length += count;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for First<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = to.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, to);
        if this.length < REMEMBERED {
            this.hear(to.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for First<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, from)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
