//! What a collector says in its answers: protobuf's messages, `Retry-After`, and text that is fit to be shown.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::wire::{Fields, Raw};
use super::Accepted;
use crate::link::shown;

/// It is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// What a google.rpc.Status tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// For people.
    pub message: String,
    /// When to come again, of its google.rpc.RetryInfo.
    pub retry: Option<Duration>,
}

/// An ExportMetricsServiceResponse (`opentelemetry/proto/collector/metrics/v1/metrics_service.proto`).
///
/// # Errors
/// When it is none.
pub fn parse_response(bytes: &[u8]) -> Result<Accepted, Garbage> {
    let mut accepted = Accepted::default();
    for field in Fields(bytes) {
        if let (1, Raw::Bytes(partial)) = field.map_err(|()| Garbage)? {
            for field in Fields(partial) {
                match field.map_err(|()| Garbage)? {
                    // Below zero it is nonsense, and nothing.
                    (1, Raw::Varint(count)) => accepted.rejected_points = u64::try_from(count as i64).unwrap_or(0),
                    (2, Raw::Bytes(text)) => accepted.message = shown(text),
                    _ => {}
                }
            }
        }
    }
    Ok(accepted)
}

/// A google.rpc.Status (`google/rpc/status.proto`).
///
/// # Errors
/// When it is none.
pub fn parse_status(bytes: &[u8]) -> Result<Status, Garbage> {
    let mut status = Status::default();
    for field in Fields(bytes) {
        match field.map_err(|()| Garbage)? {
            (2, Raw::Bytes(text)) => status.message = shown(text),
            (3, Raw::Bytes(any)) => status.retry = retry_info(any).or(status.retry),
            _ => {}
        }
    }
    Ok(status)
}

/// The delay of a google.protobuf.Any that holds a google.rpc.RetryInfo.
fn retry_info(any: &[u8]) -> Option<Duration> {
    let bytes = |message, number| {
        Fields(message).flatten().find_map(|(found, raw)| match raw {
            Raw::Bytes(bytes) if found == number => Some(bytes),
            _ => None,
        })
    };
    if !bytes(any, 1)?.ends_with(b"/google.rpc.RetryInfo") {
        return None;
    }
    // Fields that are zero are left out: a RetryInfo without a value is one without a delay.
    let delay = bytes(any, 2).and_then(|info| bytes(info, 1)).unwrap_or_default();
    let number = |number| {
        Fields(delay).flatten().find_map(|(found, raw)| match raw {
            Raw::Varint(value) if found == number => Some(value as i64),
            _ => None,
        })
    };
    let (seconds, nanoseconds) = (number(1).unwrap_or(0), number(2).unwrap_or(0));
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000);
    Some(Duration::new(seconds, nanoseconds.unwrap_or(0)))
}

/// The header `grpc-status-details-bin`: a google.rpc.Status in base64, padded or not.
///
/// # Errors
/// When it is none.
pub fn parse_details(value: &[u8]) -> Result<Status, Garbage> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(value).map_err(|_| Garbage)?;
    parse_status(&bytes)
}

/// The header `grpc-message`: percent-encoded UTF-8. What is encoded wrongly stays as it is (gRPC over HTTP2, "Responses").
pub fn parse_message(value: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| (*byte as char).to_digit(16));
        match (first, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => {
                decoded.push((high << 4 | low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    shown(&decoded)
}

/// The header `Retry-After`: seconds, or a date (RFC 9110, 10.2.3), which is past where it says nothing of the future.
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The head of a proxy's answer to CONNECT: its status and what it calls it.
pub fn parse_connect(head: &[u8]) -> Option<(u16, String)> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?.get(1..)?.strip_prefix(b" ")?;
    let (status, reason) = rest.split_at_checked(3)?;
    let status = str::from_utf8(status).ok()?.parse().ok()?;
    Some((status, shown(reason)))
}

/// The messages of a gRPC answer (gRPC over HTTP2, "Length-Prefixed-Message"), of which a call has one: its bytes.
///
/// # Errors
/// When it is compressed, which we asked not to do, or torn.
pub fn parse_frame(bytes: &[u8]) -> Result<Option<&[u8]>, Garbage> {
    match bytes {
        [] => Ok(None),
        [0, a, b, c, d, message @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            message.get(..usize::try_from(length).map_err(|_| Garbage)?).map(Some).ok_or(Garbage)
        }
        _ => Err(Garbage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::wire::{bytes, number};

    fn message(field: u32, inner: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let (mut content, mut out) = (Vec::new(), Vec::new());
        inner(&mut content);
        bytes(field, &content, &mut out);
        out
    }

    #[test]
    fn a_partial_success_is_counted_and_shown() {
        let partial = message(1, |out| {
            number(1, 3, out);
            bytes(2, b"too\nold", out);
        });
        let expected = Accepted { rejected_points: 3, message: "too old".to_owned() };
        assert_eq!(parse_response(&partial), Ok(expected));
        assert_eq!(parse_response(&[]), Ok(Accepted::default()));
        assert_eq!(parse_response(&message(1, |out| number(1, u64::MAX, out))), Ok(Accepted::default()));
        // A field of a protocol to come.
        assert_eq!(parse_response(&[0x3d, 1, 2, 3, 4]), Ok(Accepted::default()));
        assert_eq!(parse_response(b"<html>"), Err(Garbage));
    }

    fn status(delay: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        number(1, 14, &mut out);
        bytes(2, b"busy", &mut out);
        bytes(3, &message(1, |out| out.extend_from_slice(b"type.googleapis.com/google.rpc.Help")), &mut out);
        let any = [message(1, |out| out.extend_from_slice(b"x")), Vec::new()].concat();
        bytes(3, &any, &mut out);
        let mut info = Vec::new();
        bytes(1, b"type.googleapis.com/google.rpc.RetryInfo", &mut info);
        bytes(2, &message(1, |out| out.extend_from_slice(delay)), &mut info);
        bytes(3, &info, &mut out);
        out
    }

    #[test]
    fn a_status_says_when_to_come_again() {
        let mut delay = Vec::new();
        number(1, 30, &mut delay);
        number(2, 500_000_000, &mut delay);
        let expected = Status { message: "busy".to_owned(), retry: Some(Duration::from_millis(30_500)) };
        assert_eq!(parse_status(&status(&delay)), Ok(expected.clone()));
        let padded = base64::engine::general_purpose::STANDARD.encode(status(&delay));
        for text in [&padded, padded.trim_end_matches('=')] {
            assert_eq!(parse_details(text.as_bytes()), Ok(expected.clone()));
        }
        assert_eq!(parse_status(&status(&[])).map(|status| status.retry), Ok(Some(Duration::ZERO)));
        assert_eq!(parse_details(b"!"), Err(Garbage));
    }

    #[test]
    fn a_message_is_decoded_as_far_as_it_is_encoded() {
        assert_eq!(parse_message(b"caf%C3%A9 is 100% closed%2"), "café is 100% closed%2");
        assert_eq!(parse_message(b"a%0a%1b[31mb"), "a [31mb");
    }

    #[test]
    fn retry_after_is_seconds_or_any_of_three_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        let minute = Some(Duration::from_secs(60));
        for text in [
            "60",
            " 60 ",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_retry_after(text, now), minute, "{text}");
        }
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("99999999999999999999", now), Some(Duration::from_secs(u64::MAX)));
        for text in ["", "-1", "1.5", "soon"] {
            assert_eq!(parse_retry_after(text, now), None, "{text}");
        }
    }

    #[test]
    fn a_proxy_answers_with_a_status() {
        let read = |text: &str| parse_connect(text.as_bytes());
        assert_eq!(read("HTTP/1.1 200 Connection established\r\n\r\n"), Some((200, "Connection established".into())));
        assert_eq!(read("HTTP/1.0 407\r\n\r\n"), Some((407, String::new())));
        for text in ["", "HTTP/1.", "HTTP/1.1 20", "HTTP/2 200 OK\r\n", "SSH-2.0"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_frame_holds_one_message() {
        assert_eq!(parse_frame(&[]), Ok(None));
        assert_eq!(parse_frame(&[0, 0, 0, 0, 2, 8, 1]), Ok(Some(&[8, 1][..])));
        for torn in [&[0][..], &[0, 0, 0, 0, 2, 8], &[1, 0, 0, 0, 0], &[0, 0xff, 0xff, 0xff, 0xff, 1]] {
            assert_eq!(parse_frame(torn), Err(Garbage), "{torn:?}");
        }
    }
}
