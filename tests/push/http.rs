//! OTLP/HTTP.

use std::time::{Duration, SystemTime};

use hyper::Version;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use vigie::push::client::{Accepted, Retry};
use vigie::push::record::Encoding;

use super::http_collector::{HttpCollector, Reply};
use super::{HTTP, LATER, client, gzip, request, send, why};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

#[tokio::test]
async fn a_request_is_posted_as_it_was() {
    let collector = HttpCollector::start();
    let mut client = client(&collector.url(), &[HTTP]);
    client.export(request("plain"), Encoding::Identity).await.unwrap();
    client.export(gzip(&request("packed")), Encoding::Gzip).await.unwrap();
    let posts = collector.posts();
    for post in &posts {
        assert_eq!((post.method.as_str(), post.uri.as_str()), ("POST", "/v1/metrics"));
        assert_eq!(post.version, Version::HTTP_11);
        assert_eq!(post.header("content-type"), "application/x-protobuf");
        assert_eq!(post.header("content-length"), post.body.len().to_string());
        assert_eq!(post.header("host"), collector.url().strip_prefix("http://").unwrap());
    }
    assert_eq!(posts[0].header("content-encoding"), "");
    assert_eq!(posts[1].header("content-encoding"), "gzip");
    ExportMetricsServiceRequest::decode(posts[0].body.clone()).unwrap();
    assert_eq!(posts[0].port, posts[1].port, "one connection serves both");
}

#[tokio::test]
async fn success_is_what_the_status_says() {
    let collector = HttpCollector::start();
    let mut client = client(&collector.url(), &[HTTP]);
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "too\told".to_owned() };
    let partial = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let cases = [
        (Reply::of(200, &[PROTOBUF], partial), 2, "too old"),
        (Reply::of(200, &[PROTOBUF], ""), 0, ""),
        (Reply::of(202, &[("content-type", "application/json")], "{}"), 0, ""),
        (Reply::of(204, &[], ""), 0, ""),
        (Reply::of(200, &[PROTOBUF], [0xff; 9]), 0, "its answer is no ExportMetricsServiceResponse"),
        (
            Reply::of(200, &[("content-type", "text/html; charset=utf-8")], "<html>"),
            0,
            "it answers in \"text/html\", not in protobuf; is it a collector?",
        ),
        (Reply::of(200, &[PROTOBUF], vec![0; 5 << 20]), 0, "its answer is longer than any collector's"),
    ];
    for (reply, rejected_points, message) in cases {
        collector.then([reply]);
        assert_eq!(send(&mut client).await, Ok(Accepted { rejected_points, message: message.to_owned() }));
    }
}

#[tokio::test]
async fn four_statuses_are_worth_another_attempt() {
    let collector = HttpCollector::start();
    let url = collector.url();
    let mut client = client(&url, &[HTTP]);
    for status in [429, 502, 503, 504] {
        collector.then([
            Reply::of(status, &[], ""),
            Reply::of(status, &[("retry-after", "120")], ""),
            Reply::of(status, &[("retry-after", "soon")], ""),
        ]);
        for wish in [None, Some(Duration::from_secs(120)), None] {
            assert_eq!(why(send(&mut client).await, &url).1, Retry::After(wish), "{status}");
        }
    }
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    collector.then([Reply::of(503, &[("retry-after", &date)], "")]);
    let Retry::After(Some(wish)) = why(send(&mut client).await, &url).1 else { panic!("no wish in {date}") };
    assert!(wish <= Duration::from_secs(60) && wish > Duration::from_secs(20), "{wish:?}");
    for status in [300, 400, 402, 404, 405, 408, 409, 413, 415, 418, 422, 431, 500, 501, 505, 599] {
        collector.then([Reply::of(status, &[], "")]);
        let (reason, retry, _) = why(send(&mut client).await, &url);
        assert_eq!((reason, retry), ("status", Retry::Never), "{status}");
    }
}

#[tokio::test]
async fn what_the_collector_says_is_shown() {
    let collector = HttpCollector::start();
    let url = collector.url();
    let mut client = client(&url, &[HTTP]);
    // A google.rpc.Status.
    let status = b"\x08\x03\x12\x09bad point".to_vec();
    let cases = [
        (Reply::of(400, &[PROTOBUF], status), "status", "refuses the request, 400 Bad Request: bad point"),
        (
            Reply::of(400, &[("content-type", "application/json")], r#"{"code":3,"message":"bad json"}"#),
            "status",
            "refuses the request, 400 Bad Request: bad json",
        ),
        (
            Reply::of(404, &[("content-type", "text/plain; charset=utf-8")], "404 page not found\n"),
            "status",
            "takes no metrics at /v1/metrics, 404 Not Found: 404 page not found; is the path of otlp.endpoint right?",
        ),
        (
            Reply::of(401, &[("content-type", "text/plain")], "no\x1b[2J token"),
            "auth",
            "asks who we are, 401 Unauthorized: no [2J token; name the credentials in otlp.headers",
        ),
        (
            Reply::of(413, &[("content-type", "text/html")], "<html><head><title>413 Too Large</title>"),
            "status",
            "refuses the request as too large, 413 Payload Too Large: 413 Too Large; raise max_request_body_size there",
        ),
        (
            Reply::of(308, &[("location", "https://collector.example/v1/metrics")], ""),
            "status",
            "redirects to https://collector.example/v1/metrics, 308 Permanent Redirect, which is not followed; write \
             the right URL in otlp.endpoint",
        ),
        (
            Reply::of(400, &[("content-type", "text/plain")], "Client sent an HTTP request to an HTTPS server.\n"),
            "protocol",
            "speaks TLS, 400 Bad Request: Client sent an HTTP request to an HTTPS server.; write https:// in \
             otlp.endpoint",
        ),
    ];
    for (reply, reason, sentence) in cases {
        collector.then([reply]);
        let (found, _, told) = why(send(&mut client).await, &url);
        assert_eq!((found, told), (reason, format!("URL {sentence}")));
    }
    assert_eq!(collector.posts().len(), 7, "nothing is followed");
}

#[tokio::test]
async fn a_slow_collector_is_waited_for_until_the_timeout() {
    let collector = HttpCollector::start();
    let url = collector.url();
    let mut client = client(&url, &[HTTP, r#"timeout="300ms""#]);
    collector.then([Reply { delay: Duration::from_secs(60), ..Reply::default() }]);
    let sentence = "URL does not answer within 300ms; is it overloaded, or otlp.timeout too short?".to_owned();
    assert_eq!(why(send(&mut client).await, &url), ("timeout", LATER, sentence));
    assert_eq!(send(&mut client).await, Ok(Accepted::default()));
    let posts = collector.posts();
    assert_ne!(posts[0].port, posts[1].port, "a connection that hangs is of no further use");
}
