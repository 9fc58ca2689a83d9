//! The page: what vigie answers over HTTP, route by route.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

pub mod accept;
pub mod body;
pub mod cache;
pub mod health;
pub mod listener;
pub mod patience;
pub mod probe;
pub mod prometheus;
pub mod server;
pub mod tls;
pub mod users;

use body::Body;
use cache::Cache;
use health::Question;
use probe::Prober;
use users::{Users, Verdict};

use crate::push;
use crate::snapshot::Snapshot;
use crate::supervisor::Health;

/// Whom the page asks: the supervisor, or a test in its place.
pub trait Lookout: Send + Sync + 'static {
    /// A snapshot no older than `max_age`, waited for at most `deadline`; then the newest there is.
    fn snapshot(&self, max_age: Duration, deadline: Duration) -> impl Future<Output = Arc<Snapshot>> + Send;

    /// How the agent is.
    fn health(&self) -> Health;

    /// How its push is, where there is one.
    fn push(&self) -> Option<push::status::Health> {
        None
    }
}

/// The routes and what they say, in the order in which people read them.
pub static ROUTES: &[(&str, &str)] = &[
    ("/metrics", "the metrics, for Prometheus"),
    ("/probe", "a check of ?target=…&module=…, as blackbox_exporter has it"),
    ("/health", "every source and how it is, as JSON"),
    ("/health/startup", "whether the first pass is over"),
    ("/health/live", "whether the sampling loop turns"),
    ("/health/ready", "whether the metrics are worth scraping"),
    ("/-/healthy", "the same as /health/live"),
    ("/-/ready", "the same as /health/ready"),
    ("/", "this list"),
];

/// The route that serves `path`, if there is one.
pub fn route(path: &str) -> Option<&'static str> {
    ROUTES.iter().find(|(route, _)| *route == path).map(|(route, _)| *route)
}

type Answer = Response<Body>;

/// What answers requests.
pub struct Page<L> {
    lookout: L,
    max_age: Duration,
    deadline: Duration,
    users: Option<Users>,
    prober: Option<Prober>,
    cache: Mutex<Cache>,
}

impl<L: Lookout> Page<L> {
    /// A page of what `lookout` sees, at most `max_age` old, which takes at most `deadline` to see it anew;
    /// for `users` only, if there are any.
    pub fn new(lookout: L, max_age: Duration, deadline: Duration, users: Option<Users>) -> Page<L> {
        Page { lookout, max_age, deadline, users, prober: None, cache: Mutex::default() }
    }

    /// The same, with `prober` to ask targets for others.
    pub fn asking(self, prober: Option<Prober>) -> Page<L> {
        Page { prober, ..self }
    }

    /// Answers one request. No route reads a request's body.
    pub async fn answer(&self, request: &Parts) -> Answer {
        let path = request.uri.path();
        if route(path).is_none() {
            return text(StatusCode::NOT_FOUND, not_found());
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n".to_owned());
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        if let Some(refusal) = self.refusal(path, request).await {
            return refusal;
        }
        match path {
            "/metrics" => self.metrics(request).await,
            "/probe" => match &self.prober {
                Some(prober) => prober.answer(request).await,
                None => text(StatusCode::FORBIDDEN, "nobody is asked through this page\n".to_owned()),
            },
            "/health" => {
                body(StatusCode::OK, "application/json", health::json(&self.lookout.health(), self.lookout.push()))
            }
            "/health/startup" => self.question(Question::Startup),
            "/health/live" | "/-/healthy" => self.question(Question::Live),
            "/health/ready" | "/-/ready" => self.question(Question::Ready),
            _ => welcome(self.lookout.health().version),
        }
    }

    /// Orchestrators ask their questions without a password, and are told no more than yes or no.
    async fn refusal(&self, path: &str, request: &Parts) -> Option<Answer> {
        let users = self.users.as_ref().filter(|_| !path.starts_with("/health/") && !path.starts_with("/-/"))?;
        match users.verify(request.headers.get(AUTHORIZATION)).await {
            Verdict::Known => None,
            Verdict::Unknown => {
                let mut answer =
                    text(StatusCode::UNAUTHORIZED, "this page asks for a name and a password\n".to_owned());
                let challenge = HeaderValue::from_static("Basic realm=\"vigie\", charset=\"UTF-8\"");
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                Some(answer)
            }
            Verdict::Busy => {
                let mut answer = text(StatusCode::TOO_MANY_REQUESTS, "too many wait to be let in\n".to_owned());
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                Some(answer)
            }
        }
    }

    async fn metrics(&self, request: &Parts) -> Answer {
        let deadline = accept::patience(&request.headers).map_or(self.deadline, |patience| patience.min(self.deadline));
        let snapshot = self.lookout.snapshot(self.max_age, deadline).await;
        let offer = accept::offer(&request.headers);
        let (page, gzip) = self.cache().page(&snapshot, offer.format, accept::gzip(&request.headers));
        let mut answer = body(StatusCode::OK, offer.content_type, page);
        answer.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if gzip {
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }

    /// A page half rendered when something panicked is nobody's page.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(|poisoned| {
            self.cache.clear_poison();
            let mut cache = poisoned.into_inner();
            *cache = Cache::default();
            cache
        })
    }

    fn question(&self, question: Question) -> Answer {
        let (status, line) = health::answer(question, &self.lookout.health(), self.users.is_some());
        text(status, line)
    }
}

fn body(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn text(status: StatusCode, line: String) -> Answer {
    body(status, "text/plain; charset=utf-8", line)
}

fn welcome(version: &str) -> Answer {
    let mut answer = body(StatusCode::OK, "text/html; charset=utf-8", health::welcome(version, ROUTES));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

fn not_found() -> String {
    let mut list = "there is nothing here; what there is:\n".to_owned();
    for (path, says) in ROUTES {
        list.push_str(&format!("{path:<17}{says}\n"));
    }
    list
}
