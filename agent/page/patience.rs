//! How long a connection may keep us waiting.

use std::io::Result;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

/// A request's head, from its first byte to its last; for the first one, from the moment the connection stands.
const HEAD: Duration = Duration::from_secs(5);
/// Between an answer and the next request, the sending included. Longer than most scrape intervals.
const IDLE: Duration = Duration::from_secs(75);
/// Our own answer: longer than any deadline.
const ANSWER: Duration = Duration::from_secs(60);

/// What a connection is at, and how often that has changed: `changes * 4 + state`.
#[derive(Clone, Debug, Default)]
pub struct Patience(Arc<AtomicU32>);

const READS_HEAD: u32 = 0;
const ANSWERS: u32 = 1;
const IDLES: u32 = 2;

impl Patience {
    /// A request came in.
    pub fn answering(&self) {
        self.enter(ANSWERS);
    }

    /// Its answer is made.
    pub fn answered(&self) {
        self.enter(IDLES);
    }

    /// Waits while a request's head is on its way. Polled beside the connection, which moves it on.
    pub async fn asked(&self) {
        std::future::poll_fn(|_| match self.0.load(Ordering::Relaxed) % 4 {
            READS_HEAD => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// The stream, which tells us of the first byte after a pause.
    pub fn watch<S>(&self, stream: S) -> Watched<S> {
        Watched { stream, patience: self.clone() }
    }

    fn enter(&self, state: u32) {
        let changes = self.0.load(Ordering::Relaxed) / 4;
        self.0.store((changes.wrapping_add(1) % (u32::MAX / 4)) * 4 + state, Ordering::Relaxed);
    }

    fn heard(&self) {
        if self.0.load(Ordering::Relaxed) % 4 == IDLES {
            self.enter(READS_HEAD);
        }
    }
}

/// Runs a connection to its end, or to the end of our patience.
pub async fn patient(mut connection: Pin<&mut impl Future>, patience: &Patience) {
    let mut deadline = pin!(sleep(HEAD));
    let mut known = 0;
    std::future::poll_fn(|context| {
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let now = patience.0.load(Ordering::Relaxed);
        if now != known {
            known = now;
            let limit = match now % 4 {
                READS_HEAD => HEAD,
                ANSWERS => ANSWER,
                _ => IDLE,
            };
            deadline.as_mut().reset(Instant::now() + limit);
        }
        deadline.as_mut().poll(context)
    })
    .await;
}

/// A stream whose reads are noticed.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    patience: Patience,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.patience.heard();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// The second in which a connection ends whose client plays `scene`; a `.` is a request that takes us 20 seconds.
    async fn ends(scene: impl AsyncFnOnce(&mut DuplexStream)) -> u64 {
        let (mut client, server) = duplex(64);
        let patience = Patience::default();
        let mut watched = patience.watch(server);
        let connection = async {
            while let Ok(byte) = watched.read_u8().await {
                if byte == b'.' {
                    patience.answering();
                    sleep(Duration::from_secs(20)).await;
                    patience.answered();
                }
            }
        };
        let start = Instant::now();
        let connection = pin!(connection);
        let ((), end) = tokio::join!(
            async {
                scene(&mut client).await;
                sleep(Duration::from_secs(1000)).await;
            },
            async {
                patient(connection, &patience).await;
                start.elapsed()
            }
        );
        end.as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_before_the_first_request() {
        assert_eq!(ends(async |_| {}).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_is_not_bought_time_by_its_bytes() {
        let trickle = async |client: &mut DuplexStream| {
            for _ in 0..4 {
                sleep(Duration::from_secs(2)).await;
                client.write_all(b"G").await.ok();
            }
        };
        assert_eq!(ends(trickle).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn idling_after_an_answer_is_longer_and_ends_too() {
        assert_eq!(ends(async |client| client.write_all(b".").await.unwrap()).await, 20 + 75);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_head_is_as_short_as_the_first() {
        let next = async |client: &mut DuplexStream| {
            client.write_all(b".").await.unwrap();
            sleep(Duration::from_secs(60)).await;
            client.write_all(b"G").await.unwrap();
        };
        assert_eq!(ends(next).await, 65);
    }
}
