//! How the agent is: for people, for orchestrators, and for whoever opens the page in a browser.

use hyper::StatusCode;
use serde::Serialize;

use crate::push;
use crate::supervisor::Health;

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    agent: &'a Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    push: Option<push::status::Health>,
}

/// Every source and what it said last, and the push where there is one, as JSON.
pub fn json(health: &Health, push: Option<push::status::Health>) -> String {
    let whole = Whole { agent: health, push };
    let mut text = serde_json::to_string(&whole).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    text.push('\n');
    text
}

/// One question that an orchestrator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is the first pass over?
    Startup,
    /// Does the sampling loop turn?
    Live,
    /// Is the page worth scraping?
    Ready,
}

/// The answer: 200, or 503 and the reason in one line. A stranger is not told the reason.
pub fn answer(question: Question, health: &Health, stranger: bool) -> (StatusCode, String) {
    let (good, word) = match question {
        Question::Startup => (health.started, "started"),
        Question::Live => (health.live, "live"),
        Question::Ready => (health.ready, "ready"),
    };
    if good {
        return (StatusCode::OK, format!("{word}\n"));
    }
    let reason = health.reason.as_deref().filter(|_| !stranger).unwrap_or_default();
    let mut line = format!("not {word}");
    for (index, part) in reason.lines().map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        line.push_str(if index == 0 { ": " } else { "; " });
        line.push_str(part);
    }
    line.push('\n');
    (StatusCode::SERVICE_UNAVAILABLE, line)
}

/// The page for a browser: what this is, and where the rest is.
pub fn welcome(version: &str, routes: &[(&str, &str)]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>vigie</title>\n\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}\
         td{{padding:.15rem 1.5rem .15rem 0}}:root{{color-scheme:light dark}}</style>\n\
         <h1>vigie</h1>\n<p>Version {version} watches this host, and tells Prometheus and OpenTelemetry what it sees.</p>\n<table>\n"
    );
    for (path, says) in routes {
        page.push_str(&format!("<tr><td><a href=\"{path}\"><code>{path}</code></a><td>{says}\n"));
    }
    page.push_str("</table>\n</html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::SourceHealth;

    #[test]
    fn health_is_json_with_every_source() {
        let source = SourceHealth { name: "disk", message: Some("cannot \"read\"".into()), ..SourceHealth::default() };
        let text = json(&Health { version: "1.2.3", sources: vec![source], ..Health::default() }, None);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["version"], "1.2.3");
        assert_eq!(value["sources"][0]["message"], "cannot \"read\"");
        assert_eq!(value.get("push"), None);
    }

    #[test]
    fn the_push_is_in_it_where_there_is_one() {
        let push = push::status::Health { spool_requests: 3, up: Some(false), ..Default::default() };
        let value: serde_json::Value = serde_json::from_str(&json(&Health::default(), Some(push))).unwrap();
        assert_eq!((&value["push"]["spool_requests"], &value["push"]["up"]), (&3.into(), &false.into()));
    }

    #[test]
    fn a_reason_stays_on_one_line_and_in_the_house() {
        let health = Health { started: true, reason: Some("disk failed\nload failed\n".into()), ..Health::default() };
        assert_eq!(answer(Question::Startup, &health, false), (StatusCode::OK, "started\n".into()));
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(
            answer(Question::Ready, &health, false),
            (unavailable, "not ready: disk failed; load failed\n".into())
        );
        assert_eq!(answer(Question::Live, &health, true), (unavailable, "not live\n".into()));
    }

    #[test]
    fn the_welcome_links_every_route_and_runs_nothing() {
        let page = welcome("1.2.3", &[("/metrics", "the metrics")]);
        assert!(page.contains("href=\"/metrics\""));
        assert!(!page.contains("script"));
    }
}
