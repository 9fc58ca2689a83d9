//! `[otlp]`: what its values say to each other.

use super::*;

#[test]
fn what_is_no_endpoint_is_told_with_what_was_meant() {
    assert_told(
        &refused("[otlp]\nendpoint = 'localhost:4317'\n"),
        r#"
vigie.toml:2:12: `otlp.endpoint`: expected an endpoint such as "http://127.0.0.1:4317", "https://collector.example" or "unix:/run/otel.sock", found "localhost:4317"
  |
2 | endpoint = 'localhost:4317'
  |            ^^^^^^^^^^^^^^^^ "http://localhost:4317", or https:// to speak TLS
"#,
    );
}

#[test]
fn a_password_in_an_endpoint_is_sent_to_the_headers_and_not_shown() {
    assert_told(
        &refused("[otlp]\nendpoint = 'https://me:hunter2@collector.example'\n"),
        r#"
vigie.toml:2:12: `otlp.endpoint`: expected an endpoint such as "http://127.0.0.1:4317", "https://collector.example" or "unix:/run/otel.sock", found something else
  |
2 | endpoint = …
  |            ^ a user and password go into otlp.headers: headers = { authorization = { file = "…" } }
"#,
    );
    let told = set(&["otlp.endpoint=https://me:hunter2@collector.example"]).err().unwrap();
    assert!(!told.contains("hunter2"), "{told}");
    for text in ["endpoint = https://me:hunter2@a", "endpoint = 'https://me:hunter2@a", "endpoint = 'me:hunter2@a:1'"] {
        let told = refused(&format!("[otlp]\n{text}\n"));
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_metrics_endpoint_is_posted_to_as_it_stands() {
    let otlp = loaded("[otlp]\nprotocol = 'http'\nmetrics_endpoint = 'https://a.example/otlp/push/'\n").otlp;
    assert_eq!(otlp.collector().unwrap().to_string(), "https://a.example:443/otlp/push");
    assert_eq!(otlp.metrics_path(), "/otlp/push/");
    let otlp = loaded("[otlp]\nendpoint = 'https://a.example/otlp'\n").otlp;
    assert_eq!(otlp.metrics_path(), "/otlp/v1/metrics");
}

#[test]
fn a_metrics_endpoint_stands_alone_and_not_with_grpc() {
    assert_told(
        &refused("[otlp]\nendpoint = 'http://a'\nmetrics_endpoint = 'http://a/b'\n"),
        r#"
vigie.toml:3:20: `otlp.metrics_endpoint`: a second endpoint beside `otlp.endpoint`
  |
3 | metrics_endpoint = 'http://a/b'
  |                    ^^^^^^^^^^^^ keep one of them

vigie.toml:3:20: `otlp.metrics_endpoint`: gRPC posts to no URL
  |
3 | metrics_endpoint = 'http://a/b'
  |                    ^^^^^^^^^^^^ add protocol = "http", or call it `endpoint`
"#,
    );
}

#[test]
fn a_certificate_wants_its_key_and_an_endpoint_with_tls() {
    assert_told(
        &refused("[otlp]\nendpoint = 'unix:/run/otel.sock'\ntls = { cert = 'a.pem' }\n"),
        r"
vigie.toml:3:16: `otlp.tls` lacks `key`
  |
3 | tls = { cert = 'a.pem' }
  |                ^^^^^^^ a certificate is shown with its private key

vigie.toml:3:16: `otlp.tls`: no TLS is spoken to unix:/run/otel.sock
  |
3 | tls = { cert = 'a.pem' }
  |                ^^^^^^^ begin the endpoint with https://, or leave tls out
",
    );
    assert!(refused("[otlp]\nendpoint = 'https://a'\ntls = { key = 'a.pem' }\n").contains("`otlp.tls` lacks `cert`"));
    // Nothing is pushed, so nothing contradicts it.
    assert!(loaded("otlp.tls = { ca = 'a.pem' }").otlp.tls.ca.is_some());
}

#[test]
fn a_header_that_no_request_can_carry_is_told() {
    let file = b"[otlp.headers]\n'a b' = { env = 'X' }\nContent-Type = { env = 'X' }\ngrpc-timeout = { env = 'X' }\n\
                 x-a = { env = 'X' }\nX-A = { env = 'X' }\nx-b = \"a\\nb\"\n";
    assert_told(
        &refused_bytes(file, 0o600, &[]),
        r#"
vigie.toml:2:1: `otlp.headers`: expected the name of an HTTP header
  |
2 | 'a b' = { env = 'X' }
  | ^^^^^ such as authorization or x-tenant

vigie.toml:3:1: `otlp.headers`: vigie itself says how a request is carried
  |
3 | Content-Type = { env = 'X' }
  | ^^^^^^^^^^^^ leave this header out

vigie.toml:4:1: `otlp.headers`: vigie itself says how a request is carried
  |
4 | grpc-timeout = { env = 'X' }
  | ^^^^^^^^^^^^ leave this header out

vigie.toml:5:1: `otlp.headers`: the same header stands here twice
  |
5 | x-a = { env = 'X' }
  | ^^^ upper and lower case are alike in its name

vigie.toml:7:7: `otlp.headers`: expected a value in one line of ASCII
  |
7 | x-b = …
  |       ^ write other characters in base64
"#,
    );
}

#[test]
fn the_name_is_a_label_too() {
    let told = refused("[host]\nname = 'a'\nattributes = { host = 'b' }\n");
    assert!(told.contains(r#"`host.attributes`: "name" and "host" are the same label on the page"#), "{told}");
}
