//! The way to a server: a stream that an answer without an end does not fill the memory from.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::probes::connect::Stream;

/// The most that one statement may answer, in bytes.
const ANSWER_LIMIT: usize = 16 << 20;

/// So long nothing is heard of the other kernel until the connection is given up: milliseconds, and seconds between.
/// A server that hangs has a kernel that answers, and its connection is kept: a second one would hang beside it.
const DEAD: (u32, u32, u32, u32) = (30_000, 10, 5, 3);

/// How much of the answer may still come.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Lets a new answer come.
    pub(super) fn renew(&self) {
        self.0.store(ANSWER_LIMIT, Ordering::Relaxed);
    }
}

/// A stream, and what may still be read of it.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    allowance: Allowance,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> (Wire<S>, Allowance) {
        let allowance = Allowance(Arc::new(AtomicUsize::new(ANSWER_LIMIT)));
        (Wire { stream, allowance: allowance.clone() }, allowance)
    }
}

/// Has the kernel tell when the other one is gone. What it refuses is done without.
pub(super) fn watch(stream: &Stream) {
    let Stream::Tcp(stream) = stream else { return };
    let (user_timeout, idle, between, times) = DEAD;
    let socket = stream.as_fd();
    let _ = setsockopt(&socket, sockopt::KeepAlive, &true);
    let _ = setsockopt(&socket, sockopt::TcpKeepIdle, &idle);
    let _ = setsockopt(&socket, sockopt::TcpKeepInterval, &between);
    let _ = setsockopt(&socket, sockopt::TcpKeepCount, &times);
    let _ = setsockopt(&socket, sockopt::TcpUserTimeout, &user_timeout);
    let _ = stream.set_nodelay(true);
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.allowance.0.load(Ordering::Relaxed);
        if left == 0 {
            let message = format!("the answer is longer than {} MiB", ANSWER_LIMIT >> 20);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        let before = to.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, to);
        let count = to.filled().len().saturating_sub(before);
        self.allowance.0.store(left.saturating_sub(count), Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn an_answer_without_an_end_is_given_up() {
        let (here, mut there) = tokio::io::duplex(1 << 16);
        let endless = tokio::spawn(async move { while there.write_all(&[0; 1 << 16]).await.is_ok() {} });
        let (mut wire, allowance) = Wire::new(here);
        let mut read = 0;
        let mut chunk = vec![0; 1 << 16];
        for _ in 0..400 {
            allowance.renew();
            read += wire.read(&mut chunk).await.unwrap();
        }
        assert!(read > ANSWER_LIMIT);
        let error = wire.read_to_end(&mut chunk).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer is longer than 16 MiB");
        endless.abort();
    }
}
