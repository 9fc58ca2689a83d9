//! `/probe?target=…&module=…`: one check, answered as blackbox_exporter answers it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use tokio::sync::Semaphore;

use super::prometheus::{Format, render};
use super::{Answer, accept, body, text};
use crate::config::Config;
use crate::probes::module::{Admitted, Options, Wanted};
use crate::samplers::root::Root;
use crate::snapshot::Snapshot;
use crate::supervisor::{Asked, ask_once};

/// The module of a request that names none, as blackbox_exporter has it.
const USUAL: &str = "http_2xx";

/// What the way back may take: blackbox_exporter's offset.
const OFFSET: Duration = Duration::from_millis(500);

/// The longest check where neither the module nor who asks says how long he waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest check of all.
const LONGEST: Duration = Duration::from_secs(60);

/// So many connections for each check at a time: the others are for who asks for something else.
const CONNECTIONS: usize = 4;

/// Who asks targets for others.
pub struct Prober {
    root: Arc<Root>,
    modules: Options,
    targets: Admitted,
    turns: Semaphore,
}

/// What a request wants.
#[derive(Debug, Default, PartialEq)]
struct Query {
    target: String,
    module: String,
    debug: bool,
}

impl Prober {
    /// As configured, on the host of `root`.
    pub fn new(root: &Arc<Root>, config: &Config) -> Prober {
        Prober {
            root: Arc::clone(root),
            modules: config.module.clone(),
            targets: config.http.probe_targets.clone().into(),
            turns: Semaphore::new((config.http.max_connections / CONNECTIONS).max(1)),
        }
    }

    /// Asks what a request wants, and answers with what was seen.
    pub(super) async fn answer(&self, request: &Parts) -> Answer {
        let (query, wanted) = match self.wanted(request.uri.query().unwrap_or_default()) {
            Ok(wanted) => wanted,
            Err((status, line)) => return text(status, line + "\n"),
        };
        let Ok(_turn) = self.turns.try_acquire() else {
            let line = "too many targets are asked at a time: http.max_connections bounds them, four for each\n";
            let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, line.to_owned());
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return answer;
        };
        let asked = ask_once(&self.root, &wanted.plan, patience(&request.headers, wanted.timeout)).await;
        if query.debug {
            return text(StatusCode::OK, told(&wanted, &asked));
        }
        let offer = accept::offer(&request.headers);
        body(StatusCode::OK, offer.content_type, page(&asked, offer.format))
    }

    /// What is wanted, where it may be had.
    fn wanted(&self, query: &str) -> Result<(Query, Wanted), (StatusCode, String)> {
        if self.targets.is_empty() {
            let line = "no target may be asked through this page: name those that may in http.probe_targets";
            return Err((StatusCode::FORBIDDEN, line.to_owned()));
        }
        let bad = |line: String| (StatusCode::BAD_REQUEST, line);
        let query = parse_query(query).map_err(bad)?;
        let module = if query.module.is_empty() { USUAL } else { &query.module };
        let names = || match self.modules.names().join(", ") {
            none if none.is_empty() => "the configuration has none: [module.KIND.NAME]".to_owned(),
            names => format!("those of the configuration are {names}"),
        };
        let wanted = self.modules.find(module, &query.target, &self.targets);
        if query.target.is_empty() && (wanted.is_some() || query.module.is_empty()) {
            return Err(bad("the target is missing: /probe?target=…&module=…".to_owned()));
        }
        let wanted = wanted.ok_or_else(|| bad(format!("no module is called {module:?}; {}", names())))?.map_err(bad)?;
        if !self.targets.iter().any(|admission| admission.admits(&wanted.destination)) {
            let line = format!("http.probe_targets does not admit {}", wanted.destination);
            return Err((StatusCode::FORBIDDEN, line));
        }
        Ok((query, wanted))
    }
}

/// How long a check may take: as long as its module says, and as the scraper waits, less what the way back may take.
fn patience(headers: &HeaderMap, module: Option<Duration>) -> Duration {
    let scraper = accept::scrape_timeout(headers).and_then(|timeout| timeout.checked_sub(OFFSET));
    let scraper = scraper.filter(|timeout| !timeout.is_zero());
    let least = [module, scraper].into_iter().flatten().min();
    least.unwrap_or(PATIENCE).min(LONGEST)
}

fn page(asked: &Asked, format: Format) -> Vec<u8> {
    let readings = vec![Arc::clone(&asked.reading)];
    let mut page = Vec::new();
    render(&Snapshot { readings, at: Instant::now(), taken: asked.reading.taken }, format, &mut page);
    page
}

/// What came to pass, for a person.
fn told(Wanted { plan, destination, .. }: &Wanted, asked: &Asked) -> String {
    let mut told = format!("Logs for the probe:\n{} of {destination}\n", plan.kind);
    let mut line = |at: Duration, what: &str| {
        // A String takes every write.
        let _ = writeln!(told, "{:>9.3} ms  {what}", at.as_secs_f64() * 1e3);
    };
    for (at, what) in &asked.log {
        line(*at, what);
    }
    match &asked.answer {
        Ok(()) => line(asked.took, "succeeded"),
        Err(error) => {
            line(asked.took, &format!("failed ({}): {error}", error.reason.word()));
            line(asked.took, &format!("→ {}", error.remedy()));
        }
    }
    told.push_str("\n\n\nMetrics that would have been returned:\n");
    told.push_str(&String::from_utf8_lossy(&page(asked, Format::Text)));
    told
}

/// Reads the query of a request, `application/x-www-form-urlencoded`. Further keys are not ours.
///
/// # Errors
/// A sentence, where one is there twice or is no text.
fn parse_query(query: &str) -> Result<Query, String> {
    let mut read = Query::default();
    let mut seen = BTreeSet::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let target = match key {
            "target" => &mut read.target,
            "module" => &mut read.module,
            "debug" => {
                read.debug = value == "true";
                continue;
            }
            _ => continue,
        };
        *target = decoded(value).ok_or_else(|| format!("the {key} is no text: write % and its hexadecimal number"))?;
        if !seen.insert(key) {
            return Err(format!("the {key} is there twice"));
        }
    }
    Ok(read)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_foreign_keys_are_passed_over() {
        let query = |text: &str| parse_query(text).unwrap();
        let read = query("target=https%3A%2f%2fa.example%2F%C3%BC+x&module=http_2xx&hostname=%zz&debug=true");
        assert_eq!((&*read.target, &*read.module, read.debug), ("https://a.example/ü x", "http_2xx", true));
        assert_eq!((query(""), query("&&=&target&x")), (Query::default(), Query::default()));
        assert!(!query("debug=1").debug);
    }

    #[test]
    fn what_is_no_text_or_there_twice_is_refused() {
        for bad in ["target=%", "target=%4", "target=%zz", "target=%ff", "module=%+1", "target=a&target=a"] {
            assert!(parse_query(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_check_is_over_before_the_scraper_is_tired() {
        let patience = |header: &str, module: Option<u64>| {
            let headers = [("x-prometheus-scrape-timeout-seconds", header)];
            let headers = headers.iter().filter(|(_, value)| !value.is_empty());
            let headers = headers.map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect();
            super::patience(&headers, module.map(Duration::from_secs)).as_secs_f64()
        };
        assert_eq!((patience("10", None), patience("10", Some(5)), patience("3", Some(5))), (9.5, 5.0, 2.5));
        assert_eq!((patience("", None), patience("", Some(7)), patience("500", None)), (5.0, 7.0, 60.0));
        assert_eq!((patience("0.5", Some(2)), patience("0.2", None), patience("soon", Some(2))), (2.0, 5.0, 2.0));
    }
}
