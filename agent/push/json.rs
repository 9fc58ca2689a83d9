//! The bytes of an OTLP request as OTLP/JSON.
//!
//! It is read back from the bytes, by the tables below, so that it shows what is sent and nothing else.

use super::wire::{Fields, Raw};

/// The bytes are no OTLP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an ExportMetricsServiceRequest of OTLP")]
pub struct Malformed;

/// A message: its fields, in the order in which they are shown.
type Message = &'static [Field];

struct Field {
    number: u64,
    name: &'static str,
    repeated: bool,
    content: Content,
}

/// What a field holds; JSON has numbers of 64 bits as strings.
enum Content {
    Text,
    Bool,
    /// An enumeration, shown as its number.
    Enum,
    Int64,
    /// A number of the type `sint32`.
    SInt32,
    Fixed64,
    SFixed64,
    Double,
    Message(Message),
    /// Numbers of eight bytes each, one after the other.
    Packed(fn(u64, &mut Vec<u8>)),
    /// Numbers of variable length, one after the other.
    PackedVarint,
}

const fn one(number: u64, name: &'static str, content: Content) -> Field {
    Field { number, name, repeated: false, content }
}

const fn many(number: u64, name: &'static str, message: Message) -> Field {
    Field { number, name, repeated: true, content: Content::Message(message) }
}

/// `ExportMetricsServiceRequest` of `opentelemetry/proto/collector/metrics/v1/metrics_service.proto`.
static REQUEST: Message = &[many(1, "resourceMetrics", RESOURCE_METRICS)];
static RESOURCE_METRICS: Message = &[
    one(1, "resource", Content::Message(RESOURCE)),
    many(2, "scopeMetrics", SCOPE_METRICS),
    one(3, "schemaUrl", Content::Text),
];
static RESOURCE: Message = &[many(1, "attributes", KEY_VALUE)];
static SCOPE_METRICS: Message =
    &[one(1, "scope", Content::Message(SCOPE)), many(2, "metrics", METRIC), one(3, "schemaUrl", Content::Text)];
static SCOPE: Message = &[one(1, "name", Content::Text), one(2, "version", Content::Text)];
static METRIC: Message = &[
    one(1, "name", Content::Text),
    one(2, "description", Content::Text),
    one(3, "unit", Content::Text),
    one(5, "gauge", Content::Message(GAUGE)),
    one(7, "sum", Content::Message(SUM)),
    one(9, "histogram", Content::Message(HISTOGRAM)),
    one(10, "exponentialHistogram", Content::Message(EXPONENTIAL)),
    one(11, "summary", Content::Message(SUMMARY)),
];
static GAUGE: Message = &[many(1, "dataPoints", POINT)];
static SUM: Message = &[
    one(2, "aggregationTemporality", Content::Enum),
    one(3, "isMonotonic", Content::Bool),
    many(1, "dataPoints", POINT),
];
static POINT: Message = &[
    many(7, "attributes", KEY_VALUE),
    one(2, "startTimeUnixNano", Content::Fixed64),
    one(3, "timeUnixNano", Content::Fixed64),
    one(4, "asDouble", Content::Double),
    one(6, "asInt", Content::SFixed64),
];
static HISTOGRAM: Message = &[one(2, "aggregationTemporality", Content::Enum), many(1, "dataPoints", HISTOGRAM_POINT)];
static HISTOGRAM_POINT: Message = &[
    many(9, "attributes", KEY_VALUE),
    one(2, "startTimeUnixNano", Content::Fixed64),
    one(3, "timeUnixNano", Content::Fixed64),
    one(4, "count", Content::Fixed64),
    one(5, "sum", Content::Double),
    one(6, "bucketCounts", Content::Packed(fixed64)),
    one(7, "explicitBounds", Content::Packed(double)),
];
static EXPONENTIAL: Message =
    &[one(2, "aggregationTemporality", Content::Enum), many(1, "dataPoints", EXPONENTIAL_POINT)];
static EXPONENTIAL_POINT: Message = &[
    many(1, "attributes", KEY_VALUE),
    one(2, "startTimeUnixNano", Content::Fixed64),
    one(3, "timeUnixNano", Content::Fixed64),
    one(4, "count", Content::Fixed64),
    one(5, "sum", Content::Double),
    one(6, "scale", Content::SInt32),
    one(7, "zeroCount", Content::Fixed64),
    one(8, "positive", Content::Message(BUCKETS)),
];
static BUCKETS: Message = &[one(1, "offset", Content::SInt32), one(2, "bucketCounts", Content::PackedVarint)];
static SUMMARY: Message = &[many(1, "dataPoints", SUMMARY_POINT)];
static SUMMARY_POINT: Message = &[
    many(7, "attributes", KEY_VALUE),
    one(2, "startTimeUnixNano", Content::Fixed64),
    one(3, "timeUnixNano", Content::Fixed64),
    one(4, "count", Content::Fixed64),
    one(5, "sum", Content::Double),
    many(6, "quantileValues", QUANTILE),
];
static QUANTILE: Message = &[one(1, "quantile", Content::Double), one(2, "value", Content::Double)];
static KEY_VALUE: Message = &[one(1, "key", Content::Text), one(2, "value", Content::Message(ANY_VALUE))];
static ANY_VALUE: Message = &[one(1, "stringValue", Content::Text), one(3, "intValue", Content::Int64)];

/// Appends a request, as the encoder writes it, as one line of JSON.
///
/// # Errors
/// When it is none, or has fields that the encoder does not write.
pub fn render(request: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    message(REQUEST, request, out)?;
    out.push(b'\n');
    Ok(())
}

fn message(schema: Message, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if Fields(bytes).any(|field| !field.is_ok_and(|(number, _)| schema.iter().any(|known| known.number == number))) {
        return Err(Malformed);
    }
    out.push(b'{');
    let mut first = true;
    for field in schema {
        let found = Fields(bytes).flatten().filter(|(number, _)| *number == field.number);
        let mut count = 0;
        for (_, raw) in found {
            match (count, field.repeated) {
                (0, _) => {
                    separate(&mut first, out);
                    string(field.name, out);
                    out.extend_from_slice(if field.repeated { b":[" } else { b":" });
                }
                (_, true) => out.push(b','),
                (_, false) => return Err(Malformed),
            }
            content(&field.content, raw, out)?;
            count += 1;
        }
        if field.repeated && count > 0 {
            out.push(b']');
        }
    }
    out.push(b'}');
    Ok(())
}

fn separate(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn content(content: &Content, raw: Raw, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match (content, raw) {
        (Content::Text, Raw::Bytes(bytes)) => string(str::from_utf8(bytes).map_err(|_| Malformed)?, out),
        (Content::Message(schema), Raw::Bytes(bytes)) => message(schema, bytes, out)?,
        (Content::Bool, Raw::Varint(value)) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        (Content::Enum, Raw::Varint(value)) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        (Content::Int64, Raw::Varint(value)) | (Content::SFixed64, Raw::Fixed64(value)) => {
            string(itoa::Buffer::new().format(value.cast_signed()), out);
        }
        (Content::SInt32, Raw::Varint(value)) => {
            let value = (value >> 1).cast_signed() ^ -((value & 1).cast_signed());
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
        (Content::Fixed64, Raw::Fixed64(value)) => fixed64(value, out),
        (Content::Double, Raw::Fixed64(value)) => double(value, out),
        (Content::Packed(write), Raw::Bytes(bytes)) => {
            let (values, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return Err(Malformed);
            }
            out.push(b'[');
            let mut first = true;
            for value in values {
                separate(&mut first, out);
                write(u64::from_le_bytes(*value), out);
            }
            out.push(b']');
        }
        (Content::PackedVarint, Raw::Bytes(bytes)) => {
            out.push(b'[');
            let (mut fields, mut first) = (Fields(bytes), true);
            while !fields.0.is_empty() {
                separate(&mut first, out);
                fixed64(fields.varint().ok_or(Malformed)?, out);
            }
            out.push(b']');
        }
        _ => return Err(Malformed),
    }
    Ok(())
}

fn fixed64(value: u64, out: &mut Vec<u8>) {
    string(itoa::Buffer::new().format(value), out);
}

/// JSON knows no numbers that are not finite: protobuf's mapping has words for them.
fn double(bits: u64, out: &mut Vec<u8>) {
    let value = f64::from_bits(bits);
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing text into memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::wire::{begin, bytes, end, fixed64, number, packed};

    fn json(request: &[u8]) -> Result<String, Malformed> {
        let mut out = Vec::new();
        render(request, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    /// A request with one point, of these fields.
    fn point(fields: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let open: Vec<_> = [1, 2, 2, 5, 1].map(|field| begin(field, &mut out)).into();
        out.extend_from_slice(fields);
        for open in open.into_iter().rev() {
            end(open, &mut out);
        }
        out
    }

    fn told(fields: &[u8]) -> String {
        let json = json(&point(fields)).unwrap();
        let shell = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":["#;
        json.strip_prefix(shell).unwrap().strip_suffix("]}}]}]}]}\n").unwrap().to_owned()
    }

    #[test]
    fn numbers_of_64_bits_are_strings() {
        let mut fields = Vec::new();
        fixed64(6, (-5_i64).cast_unsigned(), &mut fields);
        fixed64(3, u64::MAX, &mut fields);
        assert_eq!(told(&fields), r#"{"timeUnixNano":"18446744073709551615","asInt":"-5"}"#);
    }

    #[test]
    fn what_is_not_finite_has_a_word() {
        for (value, expected) in
            [(0.5, "0.5"), (1e300, "1e300"), (f64::NAN, "\"NaN\""), (f64::NEG_INFINITY, "\"-Infinity\"")]
        {
            let mut fields = Vec::new();
            fixed64(4, value.to_bits(), &mut fields);
            assert_eq!(told(&fields), format!(r#"{{"asDouble":{expected}}}"#));
        }
    }

    #[test]
    fn packed_numbers_are_a_list() {
        let (mut fields, mut out) = (Vec::new(), Vec::new());
        packed(6, 2, [1, 2].into_iter(), &mut fields);
        packed(7, 1, [0.5_f64.to_bits()].into_iter(), &mut fields);
        message(HISTOGRAM_POINT, &fields, &mut out).unwrap();
        assert_eq!(out, br#"{"bucketCounts":["1","2"],"explicitBounds":[0.5]}"#);
        assert_eq!(message(HISTOGRAM_POINT, &[0x32, 1, 0], &mut out), Err(Malformed));
    }

    #[test]
    fn text_is_escaped() {
        let (mut any, mut pair, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        bytes(1, "a\"\\\n\u{1}ü".as_bytes(), &mut any);
        bytes(1, b"k", &mut pair);
        bytes(2, &any, &mut pair);
        bytes(7, &pair, &mut fields);
        let expected = r#"{"attributes":[{"key":"k","value":{"stringValue":"a\"\\\n\u0001ü"}}]}"#;
        assert_eq!(told(&fields), expected);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let (mut unknown, mut twice) = (Vec::new(), Vec::new());
        number(99, 1, &mut unknown);
        (0..2).for_each(|value| fixed64(3, value, &mut twice));
        for bad in [b"\x80".to_vec(), unknown.clone(), point(&unknown), point(&twice), point(&[0x18, 1]), vec![8, 1]] {
            assert_eq!(json(&bad), Err(Malformed), "{bad:?}");
        }
        assert_eq!(json(b""), Ok("{}\n".to_owned()));
    }
}
