//! The request of a check, as HTTP/1.1 or HTTP/2 writes it.

use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Request, Uri};

use super::super::traceparent::Trace;
use super::super::url::Url;
use super::super::written::Compression;
use super::{Check, Question};
use crate::link::Message;
use crate::probes::failure::{ProbeError, Reason};

/// How a program of ours calls itself.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("vigie/", env!("CARGO_PKG_VERSION")));

/// How the trace is called (W3C Trace Context, section 3.2).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Check<'_> {
    pub(super) fn request(&self, question: &Question, http2: bool) -> Result<Request<Message>, ProbeError> {
        let Question { url, method, body, first } = question;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, AGENT);
        if self.http.compression == Some(Compression::Gzip) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self.sent.put(&mut headers);
        if self.http.url.trusts(url) {
            self.secrets.put(&mut headers);
        }
        self.cookies.put(url, &mut headers);
        if let Some(trace) = self.trace.and_then(Trace::header) {
            headers.insert(TRACEPARENT, trace);
        }
        if !first && body.is_empty() {
            headers.remove(CONTENT_TYPE);
        }
        let authority = self.named(url).unwrap_or_else(|| url.authority.clone());
        let uri = if http2 {
            headers.remove(HOST);
            absolute(url.secure, authority, url.path.clone())
        } else {
            let host = HeaderValue::from_str(authority.as_str());
            host.map(|host| headers.insert(HOST, host)).map_err(|error| internal(&error))?;
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            Ok(Uri::from(url.path.clone()))
        };
        let mut request = Request::new(Message::bare(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.map_err(|error| internal(&error))?;
        *request.headers_mut() = headers;
        if http2 {
            *request.version_mut() = hyper::Version::HTTP_2;
        }
        Ok(request)
    }

    /// The host that the configuration wants to be asked for by a header of its own, as long as it is the same server.
    pub(super) fn named(&self, url: &Url) -> Option<Authority> {
        let host = self.sent.plain(&HOST).filter(|_| self.http.url.same_origin(url))?;
        host.to_str().ok()?.parse().ok()
    }
}

fn absolute(secure: bool, authority: Authority, path: PathAndQuery) -> Result<Uri, hyper::http::Error> {
    let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build()
}

fn internal(error: &dyn std::error::Error) -> ProbeError {
    ProbeError::new(Reason::Internal, format!("the request cannot be made: {error}"))
}
