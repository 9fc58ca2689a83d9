//! A collector for OTLP/HTTP: takes whatever is posted, over HTTP/1 or HTTP/2, with TLS or without, and answers what it
//! is told to. With trailers it also stands in for gRPC servers that no library would be.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// One port of the client's is one connection.
    pub(crate) port: u16,
    /// What it is answered with.
    pub(crate) status: u16,
}

impl Post {
    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// 0: 200.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(&'static str, String)>,
    pub(crate) delay: Duration,
}

impl Reply {
    pub(crate) fn of(status: u16, headers: &[(&'static str, &str)], body: impl Into<Vec<u8>>) -> Reply {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Reply { status, headers, body: body.into(), ..Reply::default() }
    }

    /// A gRPC answer of these bytes, which ends with these trailers.
    pub(crate) fn call(body: impl Into<Vec<u8>>, trailers: &[(&'static str, &str)]) -> Reply {
        let trailers = trailers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Reply { trailers, ..Reply::of(200, &[("content-type", "application/grpc")], body) }
    }
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    replies: VecDeque<Reply>,
    otherwise: Reply,
}

#[derive(Clone, Default)]
struct Service(Arc<Mutex<State>>);

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn converse<S>(self, stream: S, port: u16)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
            let service = self.clone();
            async move { Ok::<_, Infallible>(service.answer(request, port).await) }
        });
        let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
    }

    async fn answer(
        &self,
        request: Request<hyper::body::Incoming>,
        port: u16,
    ) -> Response<http_body_util::combinators::BoxBody<Bytes, Infallible>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (method, uri) = (head.method.to_string(), head.uri.to_string());
        let reply = {
            let mut state = self.state();
            let reply = state.replies.pop_front().unwrap_or_else(|| state.otherwise.clone());
            let status = reply.status.max(200);
            state.posts.push(Post { method, uri, version: head.version, headers: head.headers, body, port, status });
            reply
        };
        tokio::time::sleep(reply.delay).await;
        let pairs = |pairs: Vec<(&'static str, String)>| {
            let pair = |(name, value): (&'static str, String)| {
                (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap())
            };
            pairs.into_iter().map(pair).collect::<HeaderMap>()
        };
        let body = Bytes::from(reply.body);
        let body = if reply.trailers.is_empty() {
            Full::new(body).boxed()
        } else {
            let frames = [Ok(Frame::data(body)), Ok(Frame::trailers(pairs(reply.trailers)))];
            StreamBody::new(tokio_stream::iter(frames)).boxed()
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(reply.status.max(200)).unwrap();
        *response.headers_mut() = pairs(reply.headers);
        response
    }
}

/// A collector at work, in a thread of its own. Dropping it ends it, and cuts its connections.
pub(crate) struct HttpCollector {
    service: Service,
    pub(crate) port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpCollector {
    /// On some port of the loopback, without TLS.
    pub(crate) fn start() -> HttpCollector {
        HttpCollector::on(0, None)
    }

    /// On some port of every address of this host.
    pub(crate) fn public() -> HttpCollector {
        HttpCollector::at(([0; 4], 0).into(), None)
    }

    pub(crate) fn on(port: u16, tls: Option<ServerConfig>) -> HttpCollector {
        HttpCollector::at(([127, 0, 0, 1], port).into(), tls)
    }

    fn at(address: SocketAddr, tls: Option<ServerConfig>) -> HttpCollector {
        let service = Service::default();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let served = service.clone();
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                let serve = async {
                    loop {
                        let (stream, from) = listener.accept().await.unwrap();
                        stream.set_nodelay(true).unwrap();
                        let (served, tls) = (served.clone(), tls.clone());
                        tokio::spawn(async move {
                            match tls {
                                None => served.converse(stream, from.port()).await,
                                Some(tls) => {
                                    if let Ok(stream) = tls.accept(stream).await {
                                        served.converse(stream, from.port()).await;
                                    }
                                }
                            }
                        });
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        let port = told.recv().unwrap();
        HttpCollector { service, port, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What answers the next requests, one each; after them it is 200 without a body, or as [`HttpCollector::always`]
    /// says.
    pub(crate) fn then(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service.state().replies.extend(replies);
    }

    /// What answers every other request.
    pub(crate) fn always(&self, reply: Reply) {
        self.service.state().otherwise = reply;
    }

    /// How many of [`HttpCollector::then`] have answered nothing yet.
    pub(crate) fn pending(&self) -> usize {
        self.service.state().replies.len()
    }

    /// What came so far, which is forgotten.
    pub(crate) fn take(&self) -> Vec<Post> {
        std::mem::take(&mut self.service.state().posts)
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.service.state().posts.clone()
    }
}

impl Drop for HttpCollector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
