//! OTLP/gRPC, with tonic's server.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use vigie::push::client::{Accepted, Retry};
use vigie::push::record::Encoding;

use super::collector::{Act, Code, Collector, Site, Status};
use super::http_collector::{HttpCollector, Reply};
use super::{LATER, client, gzip, request, send, why};

#[tokio::test]
async fn a_request_arrives_as_it_was_with_its_headers() {
    let collector = Collector::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "Bearer abc\n").unwrap();
    let header = format!("headers={{Authorization={{file={:?}}}}}", file.path());
    let mut client = client(&collector.url(), &[&header]);
    assert_eq!(client.export(request("plain"), Encoding::Identity).await, Ok(Accepted::default()));
    assert_eq!(client.export(gzip(&request("packed")), Encoding::Gzip).await, Ok(Accepted::default()));
    let calls = collector.calls();
    let names: Vec<_> = calls.iter().flat_map(|call| call.metrics()).map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["plain", "packed"]);
    for call in &calls {
        assert_eq!(call.header("authorization"), "Bearer abc");
        assert_eq!(call.header("user-agent"), concat!("vigie/", env!("CARGO_PKG_VERSION"), " (Rust)"));
        assert_eq!((call.header("te"), call.header("content-type")), ("trailers", "application/grpc"));
        let milliseconds: u64 = call.header("grpc-timeout").trim_end_matches('m').parse().unwrap();
        assert!((1..=10_000).contains(&milliseconds), "{milliseconds}");
    }
    assert_eq!(calls[0].from, calls[1].from, "one connection serves both");
}

#[tokio::test]
async fn a_large_request_arrives_whole() {
    let collector = Collector::start();
    let name = "x".repeat(2_000_000);
    client(&collector.url(), &[]).export(request(&name), Encoding::Identity).await.unwrap();
    assert_eq!(collector.calls()[0].metrics().next().unwrap().name, name);
}

#[tokio::test]
async fn a_partial_success_is_no_failure() {
    let collector = Collector::start();
    collector.then([Act::Partial(7, "too old"), Act::Partial(0, "soon no more")]);
    let mut client = client(&collector.url(), &[]);
    let accepted = |rejected_points, message: &str| Ok(Accepted { rejected_points, message: message.to_owned() });
    assert_eq!(send(&mut client).await, accepted(7, "too old"));
    assert_eq!(send(&mut client).await, accepted(0, "soon no more"));
    assert_eq!(send(&mut client).await, accepted(0, ""));
}

#[tokio::test]
async fn codes_are_retried_as_the_specification_says() {
    let collector = Collector::start();
    let url = collector.url();
    let mut client = client(&url, &[]);
    use Code::*;
    for code in [Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss] {
        collector.then([Act::Refuse(Status::new(code, "not now"))]);
        let (reason, retry, _) = why(send(&mut client).await, &url);
        assert_eq!((reason, retry), ("status", LATER), "{code:?}");
    }
    for code in [
        Unknown,
        InvalidArgument,
        NotFound,
        AlreadyExists,
        ResourceExhausted,
        FailedPrecondition,
        Unimplemented,
        Internal,
    ] {
        collector.then([Act::Refuse(Status::new(code, "not now"))]);
        let (reason, retry, _) = why(send(&mut client).await, &url);
        assert_eq!((reason, retry), ("status", Retry::Never), "{code:?}");
    }
    for code in [PermissionDenied, Unauthenticated] {
        collector.then([Act::Refuse(Status::new(code, "not you"))]);
        let (reason, retry, sentence) = why(send(&mut client).await, &url);
        assert_eq!((reason, retry), ("auth", Retry::Never), "{code:?}");
        assert!(sentence.ends_with("; name the credentials in otlp.headers"), "{sentence}");
    }
    collector.then([Act::Refuse(Status::new(Unavailable, "café is 100% full\nsorry"))]);
    let (_, _, sentence) = why(send(&mut client).await, &url);
    assert_eq!(sentence, "URL cannot take it now, UNAVAILABLE: café is 100% full sorry");
    let ports: std::collections::BTreeSet<_> = collector.calls().iter().map(|call| call.from).collect();
    assert_eq!(ports.len(), 1, "a refusal costs no connection");
}

/// A google.rpc.Status with a google.rpc.RetryInfo of so many seconds.
pub(crate) fn retry_info(seconds: i64) -> Vec<u8> {
    #[derive(Clone, PartialEq, Message)]
    struct Info {
        #[prost(message, optional, tag = "1")]
        delay: Option<Delay>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        url: String,
        #[prost(bytes, tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Details {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    let value = Info { delay: Some(Delay { seconds }) }.encode_to_vec();
    let url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
    Details { code: 8, details: vec![Any { url, value }] }.encode_to_vec()
}

#[tokio::test]
async fn a_collector_says_when_to_come_again() {
    let collector = Collector::start();
    let url = collector.url();
    let mut client = client(&url, &[]);
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        let details = retry_info(30).into();
        collector.then([Act::Refuse(Status::with_details(code, "busy", details))]);
        let (reason, retry, _) = why(send(&mut client).await, &url);
        assert_eq!((reason, retry), ("status", Retry::After(Some(Duration::from_secs(30)))), "{code:?}");
    }
    // As others encode it, and by hand.
    let mut metadata = MetadataMap::new();
    let value = MetadataValue::try_from(STANDARD_NO_PAD.encode(retry_info(5))).unwrap();
    metadata.insert("x-same-server", value);
    collector.then([Act::Refuse(Status::with_metadata(Code::ResourceExhausted, "full", metadata))]);
    assert_eq!(why(send(&mut client).await, &url).1, Retry::Never);
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otel.sock");
    let url = format!("unix:{}", path.display());
    let mut client = client(&url, &[]);
    let (reason, retry, sentence) = why(send(&mut client).await, path.to_str().unwrap());
    assert_eq!((reason, retry), ("connect", LATER));
    assert_eq!(sentence, "there is no socket URL; is the collector running?");
    let collector = Collector::on(Site { socket: Some(path.clone()), ..Site::default() });
    assert_eq!(send(&mut client).await, Ok(Accepted::default()));
    assert_eq!(collector.calls().len(), 1);
    drop(collector);
    let (reason, _, sentence) = why(send(&mut client).await, path.to_str().unwrap());
    assert_eq!((reason, sentence.as_str()), ("connect", "nobody listens on the socket URL; is the collector running?"));
}

#[tokio::test]
async fn an_endpoint_may_have_a_path() {
    let collector = HttpCollector::start();
    collector.then([Reply::call([0; 5], &[("grpc-status", "0")])]);
    let url = format!("{}/tenant", collector.url());
    assert_eq!(send(&mut client(&url, &[])).await, Ok(Accepted::default()));
    let uri = &collector.posts()[0].uri;
    assert!(uri.ends_with("/tenant/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"), "{uri}");
}

#[tokio::test]
async fn odd_answers_are_taken_for_what_they_say() {
    let collector = HttpCollector::start();
    let url = collector.url();
    let mut client = client(&url, &[]);
    let warning = "its answer is no ExportMetricsServiceResponse";
    let warned = |message: &str| Ok(Accepted { rejected_points: 0, message: message.to_owned() });
    let good = [("grpc-status", "0")];
    for (body, message) in [
        (b"\0\0\0\0\x04\xff\xff\xff\xff".to_vec(), warning),
        (b"\x01\0\0\0\x02\x08\x01".to_vec(), warning),
        (b"\0\0\0\0\xff\x01".to_vec(), warning),
        (Vec::new(), ""),
        ([&[0, 0, 0, 0, 2][..], &[0x12, 0]].concat(), ""),
    ] {
        collector.then([Reply::call(body.clone(), &good)]);
        assert_eq!(send(&mut client).await, warned(message), "{body:?}");
    }
    // Far more than any answer, and yet one that ends.
    collector.then([Reply::call(vec![0; 3 << 20], &good)]);
    assert_eq!(send(&mut client).await, warned(""));
    let response = ExportMetricsServiceResponse::default().encode_to_vec();
    collector.then([Reply::call(response, &[("grpc-status", "nonsense")])]);
    let (reason, retry, sentence) = why(send(&mut client).await, &url);
    assert_eq!((reason, retry, sentence.as_str()), ("status", Retry::Never, "URL refuses the request, UNKNOWN"));
}

#[tokio::test]
async fn what_is_no_grpc_is_told_and_tried_again() {
    let collector = HttpCollector::start();
    let url = collector.url();
    let mut client = client(&url, &[]);
    let cases = [
        (
            Reply::of(200, &[("content-type", "application/grpc")], [0; 5]),
            "disconnect",
            "broke its answer off before it said how the call went",
        ),
        (
            Reply::of(200, &[("content-type", "text/html")], "<html>"),
            "protocol",
            "answers in \"text/html\", not in gRPC; is the port of otlp.endpoint right?",
        ),
        (
            Reply::of(200, &[("content-type", "application/grpcx")], ""),
            "protocol",
            "answers in \"application/grpcx\", not in gRPC; is the port of otlp.endpoint right?",
        ),
        (
            Reply::call(vec![0; 5 << 20], &[("grpc-status", "0")]),
            "protocol",
            "answers with more than any collector says; is the port of otlp.endpoint right?",
        ),
    ];
    for (reply, reason, sentence) in cases {
        collector.then([reply]);
        assert_eq!(why(send(&mut client).await, &url), (reason, LATER, format!("URL {sentence}")));
    }
}

#[tokio::test]
async fn what_stands_in_between_answers_in_http() {
    let collector = HttpCollector::start();
    let url = collector.url();
    let mut client = client(&url, &[]);
    for status in [429, 502, 503, 504] {
        collector.then([Reply::of(status, &[("retry-after", "9")], "")]);
        let (reason, retry, _) = why(send(&mut client).await, &url);
        assert_eq!((reason, retry), ("status", Retry::After(Some(Duration::from_secs(9)))), "{status}");
    }
    for (status, reason) in [(400, "status"), (401, "auth"), (403, "auth"), (404, "status"), (418, "status")] {
        collector.then([Reply::of(status, &[], "")]);
        let (found, retry, _) = why(send(&mut client).await, &url);
        assert_eq!((found, retry), (reason, Retry::Never), "{status}");
    }
    // An answer that is over with its head.
    collector.then([Reply::of(200, &[("grpc-status", "14"), ("grpc-message", "a%20b")], "")]);
    assert_eq!(why(send(&mut client).await, &url).2, "URL cannot take it now, UNAVAILABLE: a b");
}
