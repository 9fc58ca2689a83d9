//! One connection to a server that speaks HTTP/1 or HTTP/2, for one request or for many.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::stream::Stream;
pub(crate) use heard::{Fault, Heard, Tongue};
pub(crate) use message::Message;
pub(crate) use shown::shown;
pub(crate) use visit::Visit;

mod heard;
mod message;
mod shown;
mod visit;

/// How much of an answer may be under way, in bytes: HTTP/2's windows, and the buffer of HTTP/1.
const WINDOW: u32 = 64 << 10;

/// An open connection.
pub(crate) struct Link {
    sender: Sender,
    crew: Crew,
    pub(crate) heard: Heard,
    /// Whether a request was answered on it.
    pub(crate) proven: bool,
}

enum Sender {
    Http1(http1::SendRequest<Message>),
    Http2(http2::SendRequest<Message>),
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

impl Drop for Link {
    fn drop(&mut self) {
        self.crew.tasks().abort_all();
    }
}

impl Link {
    /// Speaks HTTP/1 or HTTP/2 over a stream, on which nothing was said yet.
    pub(crate) async fn open(stream: Box<dyn Stream>, http2: bool, heard: Heard) -> hyper::Result<Link> {
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
    pub(crate) async fn send(&mut self, request: Request<Message>) -> hyper::Result<Response<Incoming>> {
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
