//! OTLP/gRPC: one call over HTTP/2, as "gRPC over HTTP2" (`PROTOCOL-HTTP2.md` of grpc/grpc) has it.

use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, TE};
use hyper::{Response, StatusCode};

use super::answer::{self, Status};
use super::content::{Answer, End};
use super::failure::{ExportError, Reason, Retry};
use super::{Accepted, Teller};
use crate::link::shown;
use crate::push::record::Encoding;

/// The method, below the endpoint's path.
pub(super) const METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// The codes by their numbers (grpc's `statuscodes.md`).
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const OK: usize = 0;
const UNKNOWN: usize = 2;
const PERMISSION_DENIED: usize = 7;
const RESOURCE_EXHAUSTED: usize = 8;
const UNIMPLEMENTED: usize = 12;
const INTERNAL: usize = 13;
const UNAVAILABLE: usize = 14;
const UNAUTHENTICATED: usize = 16;

/// CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE and DATA_LOSS (OTLP's specification, "Failures").
const RETRYABLE: [usize; 6] = [1, 4, 10, 11, UNAVAILABLE, 15];

/// Puts what every call has.
pub(super) fn dress(headers: &mut HeaderMap, encoding: Encoding, remaining: Duration) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    if encoding == Encoding::Gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    // At most eight digits.
    let milliseconds = remaining.as_millis().clamp(1, 99_999_999);
    if let Ok(value) = HeaderValue::try_from(format!("{milliseconds}m")) {
        headers.insert("grpc-timeout", value);
    }
}

/// What the collector answers, and whether the connection is of further use.
pub(super) async fn hear(teller: &Teller<'_>, response: Response<Incoming>) -> (Result<Accepted, ExportError>, bool) {
    let (head, body) = response.into_parts();
    // An answer that is over with its head.
    if let Some(code) = code(&head.headers) {
        return (settle(teller, code, &head.headers, &[]), true);
    }
    if head.status != StatusCode::OK {
        return (Err(of_http(teller, head.status, &head.headers)), false);
    }
    let kind = head.headers.get(CONTENT_TYPE).map(|kind| shown(kind.as_bytes())).unwrap_or_default();
    if !kind.strip_prefix("application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';'])) {
        let what = format!("answers in {kind:?}, not in gRPC; is the port of otlp.endpoint right?");
        return (Err(teller.passing(Reason::Protocol, &what)), false);
    }
    let answer = Answer::read(body).await;
    match (answer.trailers, answer.end) {
        (Some(trailers), _) => {
            let code = code(&trailers).unwrap_or(UNKNOWN);
            (settle(teller, code, &trailers, &answer.bytes), true)
        }
        (None, End::TooLong) => {
            let what = "answers with more than any collector says; is the port of otlp.endpoint right?";
            (Err(teller.passing(Reason::Protocol, what)), false)
        }
        (None, _) => {
            (Err(teller.passing(Reason::Disconnect, "broke its answer off before it said how the call went")), false)
        }
    }
}

/// What `grpc-status` says; what is no number of a code is UNKNOWN.
fn code(headers: &HeaderMap) -> Option<usize> {
    let text = headers.get("grpc-status")?.to_str().ok();
    let code = text.and_then(|text| text.parse().ok()).filter(|code| *code < CODES.len());
    Some(code.unwrap_or(UNKNOWN))
}

fn settle(teller: &Teller<'_>, code: usize, trailers: &HeaderMap, body: &[u8]) -> Result<Accepted, ExportError> {
    if code == OK {
        // The call went well, and must not be made again, whatever is said besides.
        let parsed = answer::parse_frame(body).and_then(|message| answer::parse_response(message.unwrap_or_default()));
        return Ok(parsed.unwrap_or_else(|_| Accepted::with_a_warning("its answer is no ExportMetricsServiceResponse")));
    }
    let details =
        trailers.get("grpc-status-details-bin").and_then(|value| answer::parse_details(value.as_bytes()).ok());
    let Status { message, retry } = details.unwrap_or_default();
    let said = trailers.get("grpc-message").map(|value| answer::parse_message(value.as_bytes()));
    let said = said.filter(|said| !said.is_empty()).unwrap_or(message);
    Err(refused(teller, code, &said, retry))
}

fn refused(teller: &Teller<'_>, code: usize, said: &str, retry: Option<Duration>) -> ExportError {
    let name = CODES.get(code).copied().unwrap_or_default();
    let said = if said.is_empty() { name.to_owned() } else { format!("{name}: {said}") };
    if RETRYABLE.contains(&code) || (code == RESOURCE_EXHAUSTED && retry.is_some()) {
        return teller.told(Reason::Status, Retry::After(retry), &format!("cannot take it now, {said}"));
    }
    match code {
        UNAUTHENTICATED | PERMISSION_DENIED => teller.unknown(&said),
        _ if said.contains("gzip") => teller.told(
            Reason::Status,
            Retry::Never,
            &format!("refuses the request, {said}; if it does not take gzip, set otlp.compression to \"none\""),
        ),
        UNIMPLEMENTED => teller.told(
            Reason::Status,
            Retry::Never,
            &format!("takes no metrics, {said}; has it a receiver of OTLP with a pipeline of metrics?"),
        ),
        RESOURCE_EXHAUSTED => teller.told(
            Reason::Status,
            Retry::Never,
            &format!("refuses the request, {said}; if it is too large, raise max_recv_msg_size_mib there"),
        ),
        _ => teller.told(Reason::Status, Retry::Never, &format!("refuses the request, {said}")),
    }
}

/// An answer of HTTP's instead of gRPC's: of something in between (grpc's `http-grpc-status-mapping.md`).
fn of_http(teller: &Teller<'_>, status: StatusCode, headers: &HeaderMap) -> ExportError {
    let code = match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    };
    let wish = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wish = wish.and_then(|value| answer::parse_retry_after(value, SystemTime::now()));
    if status.is_redirection() {
        return teller.redirected(status, headers);
    }
    refused(teller, code, &format!("HTTP {status}"), wish)
}
