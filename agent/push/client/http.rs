//! OTLP/HTTP: one POST of protobuf, over HTTP/1 or HTTP/2.

use std::time::SystemTime;

use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};

use super::answer;
use super::content::{Answer, End};
use super::failure::{ExportError, Reason, Retry};
use super::{Accepted, Teller};
use crate::link::shown;
use crate::push::record::Encoding;

const PROTOBUF: &str = "application/x-protobuf";

/// Puts what every request has.
pub(super) fn dress(headers: &mut HeaderMap, encoding: Encoding) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    if encoding == Encoding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// What the collector answers, and whether the connection is of further use.
pub(super) async fn hear(teller: &Teller<'_>, response: Response<Incoming>) -> (Result<Accepted, ExportError>, bool) {
    let (head, body) = response.into_parts();
    let answer = Answer::read(body).await;
    let whole = answer.end == End::Whole;
    let result = if head.status.is_success() {
        Ok(accepted(&head, &answer))
    } else {
        Err(refused(teller, &head, &answer.bytes))
    };
    (result, whole)
}

/// The status says that it was taken, so that it must not be sent again, whatever is said besides.
fn accepted(head: &Parts, answer: &Answer) -> Accepted {
    let warning = match (kind(&head.headers).as_str(), answer.end) {
        (_, End::TooLong) => "its answer is longer than any collector's",
        (_, End::Cut) => "it broke its answer off",
        (PROTOBUF | "application/protobuf", End::Whole) => match answer::parse_response(&answer.bytes) {
            Ok(accepted) => return accepted,
            Err(answer::Garbage) => "its answer is no ExportMetricsServiceResponse",
        },
        _ if answer.bytes.is_empty() => return Accepted::default(),
        ("application/json", _) => return Accepted::default(),
        (kind, _) => {
            let warning = format!("it answers in {kind:?}, not in protobuf; is it a collector?");
            return Accepted::with_a_warning(&warning);
        }
    };
    Accepted::with_a_warning(warning)
}

fn refused(teller: &Teller<'_>, head: &Parts, body: &[u8]) -> ExportError {
    let (status, headers) = (head.status, &head.headers);
    let said = said(&kind(headers), body);
    let said = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
    let never = |what: &str| teller.told(Reason::Status, Retry::Never, what);
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let wish = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let wish = wish.and_then(|value| answer::parse_retry_after(value, SystemTime::now()));
            teller.told(Reason::Status, Retry::After(wish), &format!("cannot take it now, {said}"))
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => teller.unknown_to_the_proxy(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => teller.unknown(&said),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            never(&format!("takes no metrics at {}, {said}; is the path of otlp.endpoint right?", teller.path))
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            never(&format!("refuses the request as too large, {said}; raise max_request_body_size there"))
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => never(&format!(
            "refuses the request's form, {said}; if it does not take gzip, set otlp.compression to \"none\""
        )),
        // nginx and Go answer so.
        _ if said.contains("HTTPS server") || said.contains("HTTPS port") => {
            teller.passing(Reason::Protocol, &format!("speaks TLS, {said}; write https:// in otlp.endpoint"))
        }
        _ if status.is_redirection() => teller.redirected(status, headers),
        _ => never(&format!("refuses the request, {said}")),
    }
}

/// The content type, without parameters.
fn kind(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).map(|kind| shown(kind.as_bytes())).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What the body says to people: of a google.rpc.Status, or of plain text.
fn said(kind: &str, body: &[u8]) -> String {
    match kind {
        PROTOBUF | "application/protobuf" => {
            answer::parse_status(body).map(|status| status.message).unwrap_or_default()
        }
        "application/json" => {
            let status = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
            shown(status.get("message").and_then(|message| message.as_str()).unwrap_or_default().as_bytes())
        }
        "text/plain" | "" => shown(body),
        // nginx says it in the title.
        "text/html" => {
            let page = String::from_utf8_lossy(body);
            let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
            shown(title.map(|(title, _)| title).unwrap_or_default().as_bytes())
        }
        _ => String::new(),
    }
}
