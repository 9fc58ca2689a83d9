//! One check: a request, a connection for it, and the same again wherever it is sent on to.

use std::pin::pin;
use std::sync::Arc;

use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_ENCODING;
use hyper::http::uri::Authority;
use hyper::{Method, Response};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::Asked;
use super::content::{self, Bounds};
use super::cookies::Cookies;
use super::expect::{Head, judge_content};
use super::headers::{Secrets, Sent};
use super::redirect;
use super::telling::{Series, Telling};
use super::traceparent::Trace;
use super::url::Url;
use super::verdict::{Unanswered, of_content};
use super::written::{Compression, Version};
use crate::link::Heard;
use crate::probes::aside::Aside;
use crate::probes::connect::{Connector, Stream as Socket, reach};
use crate::probes::failure::{ProbeError, Reason};
use crate::probes::secure::{METRICS, Secure};
use crate::probes::{Checking, Probe, Report};
use crate::stream::Stream;
use way::Way;

mod request;
mod way;

/// How much of a content is kept where nothing is expected of it, in bytes: for what a server says of an error.
const BEGINNING: usize = 1 << 10;

/// A longer content is looked through aside, in bytes: it would keep all others waiting.
const LONG: usize = 64 << 10;

/// One probe.
pub(super) struct Asking {
    pub(super) http: Arc<Asked>,
    pub(super) sent: Sent,
    pub(super) connector: Connector,
    pub(super) secure: Secure,
    pub(super) series: Series,
    pub(super) aside: Aside,
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            let Asking { http, sent, connector, secure, series, aside } = self;
            let mut telling = Telling::new(report, series, http.method.0.as_str());
            let secrets = sent.reveal().map_err(|error| telling.fail(error))?;
            let trace =
                if http.traceparent { Some(Trace::begin().map_err(|error| telling.fail(error))?) } else { None };
            let mut check = Check {
                http,
                sent,
                connector,
                secure,
                aside,
                secrets: &secrets,
                trace: trace.as_ref(),
                cookies: Cookies::default(),
                telling,
            };
            let answer = check.run().await.map_err(|error| secrets.hide(check.telling.fail(error)));
            match &trace {
                Some(trace) => answer.map_err(|error| trace.mark(error)),
                None => answer,
            }
        })
    }
}

/// One check under way.
struct Check<'a> {
    http: &'a Arc<Asked>,
    sent: &'a Sent,
    connector: &'a Connector,
    secure: &'a mut Secure,
    aside: &'a Aside,
    secrets: &'a Secrets,
    trace: Option<&'a Trace>,
    cookies: Cookies,
    telling: Telling<'a>,
}

/// What is asked now.
struct Question {
    url: Url,
    method: Method,
    body: Bytes,
    /// Whether nobody has sent us on yet.
    first: bool,
}

impl Check<'_> {
    async fn run(&mut self) -> Result<(), ProbeError> {
        let http = self.http;
        let mut question = Question {
            url: http.url.clone(),
            method: http.method.0.clone(),
            body: Bytes::copy_from_slice(http.body.as_bytes()),
            first: true,
        };
        let mut passed = Vec::new();
        loop {
            let mut way = self.open(&question).await?;
            let (response, begun) = self.ask(&mut way, &question).await?;
            let Question { url, method, .. } = &question;
            self.telling.heard(&response, url.secure, method);
            let next = redirect::next(url, method, response.status(), response.headers());
            if !matches!(next, Ok(None)) {
                self.telling.redirects += 1;
            }
            let next = match next {
                _ if !http.follow_redirects => None,
                next => next?,
            };
            let Some(next) = next else { return way.during(pin!(self.end(response, begun, &question))).await };
            self.may_follow(&question, &next.url, &mut passed)?;
            self.cookies.take(url, response.headers());
            question.url = next.url;
            question.first = false;
            if next.get {
                (question.method, question.body) = (Method::GET, Bytes::new());
            }
            self.telling.next();
            self.telling.report.forget(METRICS);
        }
    }

    /// Whether it goes on to `next`.
    fn may_follow(&self, question: &Question, next: &Url, passed: &mut Vec<String>) -> Result<(), ProbeError> {
        let url = &question.url;
        passed.push(url.to_string());
        let most = self.http.max_redirects;
        if self.telling.redirects > most as u64 {
            let circle = if passed.contains(&next.to_string()) { ", where it has been before" } else { "" };
            let message =
                format!("{} redirects more than {most} times, the last time to {next}{circle}", self.http.url);
            return Err(ProbeError::new(Reason::Redirect, message));
        }
        let destination = next.destination();
        if let Some(admitted) = &self.http.admitted
            && !admitted.iter().any(|admission| admission.admits(&destination))
        {
            let message = format!("{url} redirects to {next}, which http.probe_targets does not admit");
            let remedy = "name it there, or write `follow_redirects = false` in the module";
            return Err(ProbeError::new(Reason::Redirect, message).mend(remedy));
        }
        match &self.http.socket {
            Some(socket) if !url.same_origin(next) => {
                let message = format!("{url} redirects to {next}, which is not behind {}", socket.display());
                Err(ProbeError::new(Reason::Redirect, message).mend("write where it leads to in `url`"))
            }
            _ => Ok(()),
        }
    }

    /// Connects, and shakes hands where TLS is spoken.
    async fn open(&mut self, question: &Question) -> Result<Way, ProbeError> {
        let Question { url, first, .. } = question;
        let socket = self.connect(url, *first).await?;
        let begun = Instant::now();
        let (stream, http2): (Box<dyn Stream>, bool) = if url.secure {
            let alpn: &[&[u8]] = match self.http.version {
                Version::Http1 => &[b"http/1.1"],
                // Who speaks HTTP/2 only offers the other too: a server that lacks the one says so instead of nothing.
                Version::Auto | Version::Http2 => &[b"h2", b"http/1.1"],
            };
            let named = self.named(url);
            let host = named.as_ref().map_or(url.host.as_str(), Authority::host);
            // It is large, and most checks are without it.
            let stream = Box::pin(self.secure.handshake(socket, host, alpn, self.telling.report)).await?;
            self.telling.phases.tls += begun.elapsed();
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            (Box::new(stream), http2)
        } else {
            (Box::new(socket), self.http.version == Version::Http2)
        };
        if url.secure && !http2 && self.http.version == Version::Http2 {
            let message = format!("{} does not speak HTTP/2 over TLS", url.authority);
            return Err(
                ProbeError::new(Reason::Protocol, message).mend("turn it on there, or let `version` be \"auto\"")
            );
        }
        Way::open(stream, http2).await.map_err(|(error, heard)| self.unanswered(url, http2, &heard, &error))
    }

    async fn connect(&mut self, url: &Url, first: bool) -> Result<Socket, ProbeError> {
        let Telling { report, phases, .. } = &mut self.telling;
        let begun = Instant::now();
        if let Some(path) = &self.http.socket {
            report.doing("connecting");
            let stream = UnixStream::connect(path).await;
            phases.connect += begun.elapsed();
            let whom = || format!("unix:{}", path.display());
            return stream.map(Socket::Unix).map_err(|error| ProbeError::connect(&whom(), &error));
        }
        let addresses = match first {
            true => self.connector.resolve(&url.host, url.port, report).await?,
            false => {
                report.doing("looking the name up");
                self.connector.look_up(&url.host, url.port).await?
            }
        };
        let resolved = Instant::now();
        phases.resolve += resolved - begun;
        report.doing("connecting");
        let stream = reach(&url.authority, addresses, first.then_some(&mut **report)).await?;
        phases.connect += resolved.elapsed();
        // A request without more is one write; and without it the socket works too.
        if url.secure || self.http.version == Version::Http2 || !self.http.body.is_empty() {
            let _ = stream.set_nodelay(true);
        }
        Ok(Socket::Tcp(stream))
    }

    /// Asks, and waits for the head of the answer; tells also when it began.
    async fn ask(&mut self, way: &mut Way, question: &Question) -> Result<(Response<Incoming>, Instant), ProbeError> {
        let request = self.request(question, way.is_http2())?;
        self.telling.report.doing("waiting for the answer");
        let begun = Instant::now();
        let response = match way.send(request).await {
            Ok(response) => response,
            Err(error) => return Err(self.unanswered(&question.url, way.is_http2(), &way.heard, &error)),
        };
        // The settings of HTTP/2 come before any answer.
        let first = way.heard.first_at().filter(|_| !way.is_http2()).map(Instant::from_std);
        let answered = first.unwrap_or_else(Instant::now);
        self.telling.phases.processing += answered.saturating_duration_since(begun);
        Ok((response, answered))
    }

    fn unanswered(&mut self, url: &Url, http2: bool, heard: &Heard, error: &hyper::Error) -> ProbeError {
        Unanswered { url, http2, heard }.explain(error, self.secure, &mut self.telling)
    }

    /// Reads the last answer's content, and judges all of it.
    async fn end(
        &mut self,
        response: Response<Incoming>,
        begun: Instant,
        question: &Question,
    ) -> Result<(), ProbeError> {
        let (http, url) = (self.http, &question.url);
        let (head, body) = response.into_parts();
        let encoded = head.headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
        let gzip =
            head.headers.get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
        let unpack = gzip && http.compression == Some(Compression::Gzip) && question.method != Method::HEAD;
        let expects = !http.expect.0.is_empty() || !http.expect_not.0.is_empty();
        let keep = if expects { usize::try_from(http.max_body).unwrap_or(usize::MAX) } else { BEGINNING };
        let bounds = Bounds { read: http.max_body, keep };
        self.telling.report.doing("reading the content");
        let read = content::read(body, unpack, bounds, &mut self.telling.content).await;
        self.telling.phases.transfer += begun.elapsed();
        let telling = &mut self.telling;
        let begins = telling.content.kept.as_slice();
        let asked_by_name = self.sent.has_secrets();
        let head = Head { url, status: head.status, headers: &head.headers, begins, asked_by_name };
        head.judge_status(&http.status.0)?;
        let judged = head.judge_headers(&http.expect_headers);
        let judged = judged.and_then(|()| head.judge_headers_not(&http.expect_headers_not));
        telling.unlike = judged.is_err();
        judged?;
        read.map_err(|flaw| of_content(url, &flaw, &telling.content, telling.content_length(), bounds))?;
        if !expects {
            return Ok(());
        }
        let content = std::mem::take(&mut telling.content.kept);
        let packed = encoded && !unpack;
        let judged = if content.len() > LONG {
            let (http, url) = (Arc::clone(http), url.clone());
            self.aside.run(move || judge_content(&http, &url, &content, packed)).await?
        } else {
            judge_content(http, url, &content, packed)
        };
        telling.unlike = judged.is_err();
        judged
    }
}
