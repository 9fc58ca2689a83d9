//! One connection to a server that speaks HTTP/1 or HTTP/2, for one request or for many.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

pub(crate) use heard::{Fault, Heard, Stream, Tongue};

mod heard;
mod shown;

pub(crate) use shown::shown;

/// How much of an answer may be under way, in bytes: HTTP/2's windows, and the buffer of HTTP/1.
const WINDOW: u32 = 64 << 10;

/// An open connection.
pub(crate) struct Link<B> {
    sender: Sender<B>,
    crew: Crew,
    pub(crate) heard: Heard,
    /// Whether a request was answered on it.
    pub(crate) proven: bool,
}

enum Sender<B> {
    Http1(http1::SendRequest<B>),
    Http2(http2::SendRequest<B>),
}

/// What works for a connection; it ends with it, even where the other end hangs.
#[derive(Clone, Default)]
struct Crew(Arc<Mutex<JoinSet<()>>>);

impl Crew {
    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Crew {
    fn execute(&self, future: F) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { drop(future.await) });
    }
}

impl<B> Drop for Link<B> {
    fn drop(&mut self) {
        self.crew.tasks().abort_all();
    }
}

impl<B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static> Link<B> {
    /// Speaks HTTP/1 or HTTP/2 over a stream, on which nothing was said yet.
    pub(crate) async fn open(stream: impl Stream + 'static, http2: bool, heard: Heard) -> hyper::Result<Link<B>> {
        let (crew, stream) = (Crew::default(), TokioIo::new(heard.listen(stream)));
        let sender = if http2 {
            let (sender, connection) = http2::Builder::new(crew.clone())
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .handshake(stream)
                .await?;
            // How it ends is told to the request that waits for its answer.
            crew.execute(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::Builder::new().max_buf_size(WINDOW as usize).handshake(stream).await?;
            crew.execute(connection);
            Sender::Http1(sender)
        };
        Ok(Link { sender, crew, heard, proven: false })
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Whether the other end has closed it, as far as is known.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: Request<B>) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}
