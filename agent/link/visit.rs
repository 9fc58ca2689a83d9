//! A connection of HTTP/1 for one request, for which whoever waits for the answer works.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::{Heard, Message, WINDOW};
use crate::stream::Stream;

/// An open connection. A task for it would be made for one request, and woken for each step of it.
pub(crate) struct Visit {
    sender: http1::SendRequest<Message>,
    /// What is left to do for it, as long as it is open.
    work: Option<http1::Connection<TokioIo<Box<dyn Stream>>, Message>>,
}

impl Visit {
    /// Speaks HTTP/1 over a stream, on which nothing was said yet.
    pub(crate) async fn open(stream: Box<dyn Stream>, heard: &Heard) -> hyper::Result<Visit> {
        let stream = TokioIo::new(heard.listen(stream));
        let (sender, work) = http1::Builder::new().max_buf_size(WINDOW as usize).handshake(stream).await?;
        Ok(Visit { sender, work: Some(work) })
    }

    /// Sends the request and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: Request<Message>) -> hyper::Result<Response<Incoming>> {
        let answer = pin!(self.sender.send_request(request));
        self.during(answer).await
    }

    /// Waits for what comes over the connection, such as the content of the answer.
    pub(crate) async fn during<T>(&mut self, mut what: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|context| {
            if let Poll::Ready(said) = what.as_mut().poll(context) {
                return Poll::Ready(said);
            }
            // How it ends is told to `what`.
            if self.work.as_mut().is_some_and(|work| Pin::new(work).poll(context).is_ready()) {
                self.work = None;
            }
            what.as_mut().poll(context)
        })
        .await
    }
}
