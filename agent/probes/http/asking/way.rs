//! The connection of one request, whichever HTTP is spoken over it.

use std::pin::Pin;

use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::link::{Heard, Link, Message, Visit};
use crate::stream::Stream;

/// A connection, and what was heard over it.
pub(super) struct Way {
    link: Spoken,
    pub(super) heard: Heard,
}

enum Spoken {
    Http1(Box<Visit>),
    Http2(Link),
}

impl Way {
    /// Speaks HTTP/1 or HTTP/2 over a stream, on which nothing was said yet.
    ///
    /// # Errors
    /// What was heard goes with it: it tells why.
    pub(super) async fn open(stream: Box<dyn Stream>, http2: bool) -> Result<Way, (hyper::Error, Heard)> {
        let heard = Heard::default();
        let link = match http2 {
            true => Box::pin(Link::open(stream, http2, heard.clone())).await.map(Spoken::Http2),
            false => Visit::open(stream, &heard).await.map(Box::new).map(Spoken::Http1),
        };
        match link {
            Ok(link) => Ok(Way { link, heard }),
            Err(error) => Err((error, heard)),
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.link, Spoken::Http2(_))
    }

    /// Sends the request and waits for the head of the answer.
    pub(super) async fn send(&mut self, request: Request<Message>) -> hyper::Result<Response<Incoming>> {
        match &mut self.link {
            Spoken::Http1(visit) => visit.send(request).await,
            Spoken::Http2(link) => link.send(request).await,
        }
    }

    /// Waits for what comes over it.
    pub(super) async fn during<T>(&mut self, what: Pin<&mut impl Future<Output = T>>) -> T {
        match &mut self.link {
            Spoken::Http1(visit) => visit.during(what).await,
            Spoken::Http2(_) => what.await,
        }
    }
}
