//! The client of the push: sends one request after the other to the collector over one connection, by OTLP/gRPC or
//! OTLP/HTTP, and tells what became of it.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Method, Request};
use tokio::time::{Instant, timeout_at};

use super::record::Encoding;
use crate::config::{self, Endpoint, Protocol};
use crate::link::{Heard, Link, Message, Tongue};
use crate::stream::Stream;
pub use backoff::Backoff;
use connect::Place;
pub use failure::{ClientError, ExportError, Reason, Retry};
use headers::Headers;
use proxy::Proxy;
use teller::Teller;
use tls::Tls;
use uris::Uris;

pub mod answer;
mod backoff;
mod connect;
mod content;
mod failure;
mod grpc;
mod headers;
mod http;
mod proxy;
mod teller;
mod tls;
mod uris;
mod verdict;

/// Who we are: the product, its version and its language, as OTLP wants it of an exporter ("OpenTelemetry Protocol
/// Exporter", User Agent).
const AGENT: HeaderValue = HeaderValue::from_static(concat!("vigie/", env!("CARGO_PKG_VERSION"), " (Rust)"));

/// A request that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// How many of its data points the collector did not take. They are lost: it must not be sent again.
    pub rejected_points: u64,
    /// What the collector says of it, empty where it says nothing. With no point rejected it is a warning.
    pub message: String,
}

impl Accepted {
    fn with_a_warning(message: &str) -> Accepted {
        Accepted { rejected_points: 0, message: message.to_owned() }
    }
}

/// Sends requests to the collector.
pub struct Client {
    /// As it is shown.
    name: String,
    endpoint: Endpoint,
    protocol: Protocol,
    timeout: Duration,
    uris: Uris,
    headers: Headers,
    tls: Option<Tls>,
    proxy: Option<Proxy>,
    link: Option<Link>,
    /// How far the last attempt came.
    stage: Stage,
}

/// What an attempt waits for.
enum Stage {
    Connection,
    /// TLS, with what was heard so far.
    Tls(Heard),
    /// The answer, in this tongue.
    Answer(Heard, Tongue),
}

/// How a request ended that has no answer.
enum Unanswered {
    /// The connection was closed before a word of it came: perhaps while it was idle.
    Unheard(ExportError),
    Failed(ExportError),
}

impl Client {
    /// A client that has not connected yet. Reads the secrets, the files of TLS, and the variables of the proxy.
    ///
    /// # Errors
    /// When one of them cannot be used; the message names the option or the file, and the remedy.
    pub fn new(config: &config::Otlp) -> Result<Client, ClientError> {
        let config::Otlp { protocol, timeout, headers, tls: files, .. } = config;
        let endpoint = config.collector().cloned().ok_or(ClientError::NoEndpoint)?;
        let tls = match &endpoint {
            Endpoint::Url { tls: true, host, .. } => Some(Tls::load(files, *protocol, host)?),
            _ => None,
        };
        Ok(Client {
            name: endpoint.to_string(),
            uris: Uris::of(config)?,
            headers: Headers::load(headers)?,
            proxy: Proxy::of(&endpoint)?,
            protocol: *protocol,
            timeout: *timeout,
            tls,
            endpoint,
            link: None,
            stage: Stage::Connection,
        })
    }

    /// Sends one request, within the configured timeout, and waits for what the collector says. To drop the future ends
    /// the attempt, and the connection with it.
    ///
    /// # Errors
    /// When it did not arrive, or was refused.
    pub async fn export(&mut self, body: Bytes, encoding: Encoding) -> Result<Accepted, ExportError> {
        let deadline = Instant::now() + self.timeout;
        self.stage = Stage::Connection;
        let delivered = timeout_at(deadline, self.deliver(&body, encoding, deadline)).await;
        match delivered.unwrap_or_else(|_| Err(self.overdue())) {
            Ok(Accepted { rejected_points, message }) => {
                Ok(Accepted { rejected_points, message: self.headers.hide(message) })
            }
            Err(error) => Err(error.map(|sentence| self.headers.hide(sentence))),
        }
    }

    /// Tries the whole way once, with a request that is valid and holds nothing.
    ///
    /// # Errors
    /// As [`Client::export`]'s.
    pub async fn try_once(&mut self) -> Result<Accepted, ExportError> {
        self.export(Bytes::new(), Encoding::Identity).await
    }

    async fn deliver(&mut self, body: &Bytes, encoding: Encoding, deadline: Instant) -> Result<Accepted, ExportError> {
        let mut renewed = false;
        loop {
            let open = self.link.take().filter(|link| !link.is_closed());
            let link = match open {
                Some(link) => link,
                None => self.connect(deadline).await?,
            };
            let proven = link.proven;
            match self.ask(link, body, encoding, deadline).await {
                // Once: the next connection is a new one.
                Err(Unanswered::Unheard(_)) if proven => {}
                Err(Unanswered::Unheard(error) | Unanswered::Failed(error)) => return Err(error),
                // Somebody may have renewed the credentials since they were read.
                Ok(Err(error)) if error.is_auth() && !std::mem::replace(&mut renewed, true) => {
                    if !self.headers.renew() {
                        return Err(error);
                    }
                }
                Ok(result) => return result,
            }
        }
    }

    /// Sends a request over `link`, and keeps that where it is of further use.
    async fn ask(
        &mut self,
        mut link: Link,
        body: &Bytes,
        encoding: Encoding,
        deadline: Instant,
    ) -> Result<Result<Accepted, ExportError>, Unanswered> {
        let expected = if link.is_http2() { Tongue::Http2 } else { Tongue::Http1 };
        self.stage = Stage::Answer(link.heard.clone(), expected.clone());
        let before = link.heard.total();
        let request = self.request(link.is_http2(), body.clone(), encoding, deadline);
        let response = match link.send(request).await {
            Ok(response) => response,
            Err(error) => {
                let unheard = link.is_http2() || link.heard.total() == before;
                let error = self.broken(&link.heard, &expected, &error);
                return Err(if unheard { Unanswered::Unheard(error) } else { Unanswered::Failed(error) });
            }
        };
        let (result, usable) = match self.protocol {
            Protocol::Grpc => grpc::hear(&self.teller(), response).await,
            Protocol::Http => http::hear(&self.teller(), response).await,
        };
        if usable {
            link.proven = true;
            self.link = Some(link);
        }
        Ok(result)
    }

    fn request(&self, http2: bool, body: Bytes, encoding: Encoding, deadline: Instant) -> Request<Message> {
        let message = match self.protocol {
            Protocol::Grpc => Message::framed(body, encoding == Encoding::Gzip),
            Protocol::Http => Message::bare(body),
        };
        let mut request = Request::new(message);
        *request.method_mut() = Method::POST;
        let forward = self.forward();
        *request.uri_mut() = if http2 || forward.is_some() { &self.uris.absolute } else { &self.uris.path }.clone();
        let headers = request.headers_mut();
        if !http2 {
            headers.insert(HOST, self.uris.host.clone());
        }
        if let Some(authorization) = forward.and_then(|proxy| proxy.authorization.clone()) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        headers.insert(USER_AGENT, AGENT);
        match self.protocol {
            Protocol::Grpc => {
                grpc::dress(headers, encoding, deadline.saturating_duration_since(Instant::now()));
            }
            Protocol::Http => http::dress(headers, encoding),
        }
        self.headers.put(headers);
        request
    }

    /// The proxy that is asked to pass requests on; through any other a tunnel goes.
    fn forward(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.tls.is_none() && self.protocol == Protocol::Http)
    }

    /// Connects anew, with the secrets and the files as they are now.
    async fn connect(&mut self, deadline: Instant) -> Result<Link, ExportError> {
        self.stage = Stage::Connection;
        self.headers.renew();
        if let Some(tls) = &mut self.tls {
            tls.renew();
        }
        let (host, port) = match &self.endpoint {
            Endpoint::Unix(path) => return self.speak(Box::new(connect::unix(path).await?)).await,
            Endpoint::Url { host, port, .. } => (host.clone(), *port),
        };
        let place = Place { host, port };
        let Some(proxy) = &self.proxy else { return self.speak(Box::new(place.reach(deadline).await?)).await };
        let mut stream = proxy.place.reach(deadline).await?;
        if self.forward().is_none() {
            proxy.tunnel(&mut stream, &place.to_string()).await?;
        }
        self.speak(Box::new(stream)).await
    }

    async fn speak(&mut self, stream: Box<dyn Stream>) -> Result<Link, ExportError> {
        let heard = Heard::default();
        let Some(tls) = &self.tls else {
            return self.open(stream, self.protocol == Protocol::Grpc, heard).await;
        };
        self.stage = Stage::Tls(heard.clone());
        match tls.wrap(heard.listen(stream)).await {
            Ok(stream) => {
                let http2 = tls.is_http2(&stream);
                self.open(Box::new(stream), http2, Heard::default()).await
            }
            Err(error) => Err(self.no_tls(&heard, &error)),
        }
    }

    async fn open(&self, stream: Box<dyn Stream>, http2: bool, heard: Heard) -> Result<Link, ExportError> {
        let expected = if http2 { Tongue::Http2 } else { Tongue::Http1 };
        Link::open(stream, http2, heard.clone()).await.map_err(|error| self.broken(&heard, &expected, &error))
    }

    fn teller(&self) -> Teller<'_> {
        let (path, headers) = (self.uris.path.path(), !self.headers.is_empty());
        Teller { endpoint: &self.name, path, headers, proxy: self.proxy.as_ref() }
    }
}
