//! What a client accepts: the format, gzip, and how long it waits.

use std::time::Duration;

use hyper::header::{ACCEPT, ACCEPT_ENCODING, AsHeaderName, HeaderMap};

use super::prometheus::Format;

/// A content type in which the page can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it is rendered as.
    pub format: Format,
    /// The whole `Content-Type`.
    pub content_type: &'static str,
    kind: (&'static str, &'static str),
    version: &'static str,
}

/// In the order in which we like them best.
static OFFERS: [Offer; 3] = [
    Offer {
        format: Format::Text,
        content_type: "text/plain; version=0.0.4; charset=utf-8",
        kind: ("text", "plain"),
        version: "0.0.4",
    },
    Offer {
        format: Format::OpenMetrics,
        content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
        kind: ("application", "openmetrics-text"),
        version: "1.0.0",
    },
    Offer {
        format: Format::OpenMetrics,
        content_type: "application/openmetrics-text; version=0.0.1; charset=utf-8",
        kind: ("application", "openmetrics-text"),
        version: "0.0.1",
    },
];

/// The offer that the client likes best (RFC 9110, 12.5.1); the text format where it likes none.
pub fn offer(headers: &HeaderMap) -> Offer {
    let [text, ..] = OFFERS;
    let mut best = (text, 0.0, 0);
    for candidate in OFFERS {
        // What the most specific range says of an offer counts, not what the most generous one says.
        let said = elements(headers, ACCEPT).filter_map(|range| Some((candidate.matches(range)?, quality(range))));
        let Some((specificity, quality)) = said.reduce(|best, next| if next.0 > best.0 { next } else { best }) else {
            continue;
        };
        if quality > best.1 || (quality == best.1 && quality > 0.0 && specificity > best.2) {
            best = (candidate, quality, specificity);
        }
    }
    best.0
}

impl Offer {
    /// How specifically a media range names this offer, if it does.
    fn matches(&self, range: &str) -> Option<u8> {
        let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
        let (main, sub) = media.trim().split_once('/')?;
        let is = |name: &str, own: &str| name.eq_ignore_ascii_case(own);
        let specificity = match (main, sub) {
            ("*", "*") => 0,
            (main, "*") if is(main, self.kind.0) => 1,
            (main, sub) if is(main, self.kind.0) && is(sub, self.kind.1) => 2,
            _ => return None,
        };
        match parameter(parameters, "version") {
            Some(version) if version == self.version => Some(specificity + 1),
            Some(_) => None,
            None => Some(specificity),
        }
    }
}

/// Whether the client would rather have the page in gzip (RFC 9110, 12.5.3).
pub fn gzip(headers: &HeaderMap) -> bool {
    let said = |names: &[&str]| {
        let named = |coding: &&str| {
            let name = coding.split(';').next().unwrap_or_default().trim();
            names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))
        };
        elements(headers, ACCEPT_ENCODING).find(named).map(quality)
    };
    let gzip = said(&["gzip", "x-gzip"]).or_else(|| said(&["*"])).unwrap_or(0.0);
    gzip > 0.0 && gzip >= said(&["identity"]).unwrap_or(0.0)
}

/// How long Prometheus waits for the page, less what the way back may take.
pub fn patience(headers: &HeaderMap) -> Option<Duration> {
    scrape_timeout(headers).map(|timeout| timeout.mul_f64(0.75)).filter(|patience| !patience.is_zero())
}

/// How long Prometheus waits for the page.
pub fn scrape_timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get("x-prometheus-scrape-timeout-seconds")?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn elements(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter(|element| !element.trim().is_empty())
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim().trim_matches('"'))
}

/// The `q` of an element; 1 where it has none, or none that is a number.
fn quality(element: &str) -> f32 {
    let parameters = element.split_once(';').map_or("", |(_, parameters)| parameters);
    let quality = parameter(parameters, "q").and_then(|q| q.parse::<f32>().ok()).filter(|q| !q.is_nan());
    quality.unwrap_or(1.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        headers
    }

    fn chosen(accept: &str) -> &'static str {
        let content_type = offer(&headers("accept", &[accept])).content_type;
        content_type.strip_suffix("; charset=utf-8").unwrap()
    }

    const TEXT: &str = "text/plain; version=0.0.4";
    const OPEN_1: &str = "application/openmetrics-text; version=1.0.0";
    const OPEN_0: &str = "application/openmetrics-text; version=0.0.1";

    #[test]
    fn every_prometheus_gets_what_it_likes_best() {
        let old = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let two = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let three = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                     application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                     text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let text_first = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,\
                          application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.1";
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
                        application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2";
        let expected = [OPEN_0, OPEN_1, OPEN_1, TEXT, OPEN_1];
        assert_eq!([old, two, three, text_first, protobuf].map(chosen), expected);
    }

    #[test]
    fn others_get_text_unless_they_refuse_it() {
        for accept in
            ["", "*/*", "text/*", "text/html,application/xml;q=0.9,*/*;q=0.8", "application/json", "x", ";;,=/"]
        {
            assert_eq!(chosen(accept), TEXT, "{accept}");
        }
        assert_eq!(chosen("text/plain;q=0, */*"), OPEN_1);
        assert_eq!(chosen("Application/OpenMetrics-Text"), OPEN_1);
        assert_eq!(chosen("application/openmetrics-text; version=\"0.0.1\""), OPEN_0);
        assert_eq!(chosen("application/openmetrics-text;version=2.0.0"), TEXT);
        assert_eq!(offer(&HeaderMap::new()).format, Format::Text);
    }

    #[test]
    fn gzip_is_sent_to_whom_wants_it() {
        let wanted = |lines: &[&str]| gzip(&headers("accept-encoding", lines));
        for yes in ["gzip", "deflate, gzip;q=0.5", "GZIP", "x-gzip", "*", "identity;q=0.5, gzip", "gzip;q=1.0, *;q=0"] {
            assert!(wanted(&[yes]), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0.000, *", "deflate, br", "*;q=0", "gzip;q=0.1, identity;q=0.9"]
        {
            assert!(!wanted(&[no]), "{no}");
        }
        assert!(wanted(&["br", "gzip"]));
        assert!(!gzip(&HeaderMap::new()));
    }

    #[test]
    fn an_impatient_prometheus_is_believed_only_where_it_makes_sense() {
        let patience = |text: &str| patience(&headers("x-prometheus-scrape-timeout-seconds", &[text]));
        assert_eq!(patience("10"), Some(Duration::from_millis(7500)));
        assert_eq!(patience("0.1"), Some(Duration::from_millis(75)));
        for nonsense in ["", "0", "-1", "NaN", "inf", "1e300", "soon"] {
            assert_eq!(patience(nonsense), None, "{nonsense}");
        }
    }
}
