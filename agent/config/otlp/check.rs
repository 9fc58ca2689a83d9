//! What no single value of `[otlp]` shows.

use std::collections::HashSet;

use hyper::header::{HeaderName, HeaderValue};

use super::{Endpoint, MetricsEndpoint};
use crate::config::mistake::{Fault, Kind};
use crate::config::tree::{Node, Value};

/// Headers that say how a request is carried (RFC 9110, 7.6.1), which is the client's to know.
const CARRIAGE: [&str; 13] = [
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// Those that begin so: the body's, and gRPC's own.
const RESERVED: [&str; 2] = ["content-", "grpc-"];

const ENDPOINT: [&str; 2] = ["otlp", "endpoint"];
const METRICS_ENDPOINT: [&str; 2] = ["otlp", "metrics_endpoint"];
const PROTOCOL: [&str; 2] = ["otlp", "protocol"];
const HEADERS: [&str; 2] = ["otlp", "headers"];
const TLS: [&str; 2] = ["otlp", "tls"];

/// Notes what contradicts itself.
pub(in crate::config) fn check(tree: &Node, faults: &mut Vec<Fault>) {
    check_endpoint(tree, faults);
    check_tls(tree, faults);
    check_headers(tree, faults);
}

/// The collector that a tree names, whichever way, if it is one.
pub(in crate::config) fn written_endpoint(tree: &Node) -> Option<Endpoint> {
    let text = |path| tree.at(path).and_then(Node::text);
    let exact = text(&METRICS_ENDPOINT).and_then(|text| text.parse::<MetricsEndpoint>().ok());
    exact.map(|exact| exact.endpoint).or_else(|| text(&ENDPOINT)?.parse().ok())
}

fn check_endpoint(tree: &Node, faults: &mut Vec<Fault>) {
    let Some(exact) = tree.at(&METRICS_ENDPOINT) else { return };
    let mut refuse = |complaint: &str, remedy: &str| {
        faults.push(Fault::at(&exact.place, &METRICS_ENDPOINT, complaint.to_owned(), Some(remedy.to_owned())));
    };
    if tree.at(&ENDPOINT).is_some() {
        refuse("a second endpoint beside `otlp.endpoint`", "keep one of them");
    }
    let grpc = tree.lacks(&PROTOCOL) || tree.at(&PROTOCOL).is_some_and(|node| node.text() == Some("grpc"));
    if grpc {
        refuse("gRPC posts to no URL", r#"add protocol = "http", or call it `endpoint`"#);
    }
}

fn check_tls(tree: &Node, faults: &mut Vec<Fault>) {
    let part = |key| tree.at(&["otlp", "tls", key]);
    let mut lacks = |node: &Node, key| {
        let path = TLS.map(str::to_owned).into();
        let remedy = Some("a certificate is shown with its private key".to_owned());
        faults.push(Fault { place: Some(node.place.clone()), path, remedy, ..Fault::new(Kind::Missing(key)) });
    };
    match (part("cert"), part("key")) {
        (Some(cert), None) if tree.lacks(&["otlp", "tls", "key"]) => lacks(cert, "key"),
        (None, Some(key)) if tree.lacks(&["otlp", "tls", "cert"]) => lacks(key, "cert"),
        _ => {}
    }
    let given = ["ca", "cert", "key"].into_iter().find_map(part);
    if let Some((node, endpoint)) = given.zip(written_endpoint(tree)).filter(|(_, endpoint)| !endpoint.is_tls()) {
        let remedy = Some("begin the endpoint with https://, or leave tls out".to_owned());
        faults.push(Fault::at(&node.place, &TLS, format!("no TLS is spoken to {endpoint}"), remedy));
    }
}

fn is_ours(header: &str) -> bool {
    CARRIAGE.contains(&header) || RESERVED.iter().any(|begin| header.starts_with(begin))
}

fn check_headers(tree: &Node, faults: &mut Vec<Fault>) {
    let Some(Value::Table(headers)) = tree.at(&HEADERS).map(|node| &node.value) else { return };
    let mut before = HashSet::new();
    for (written, (place, node)) in headers {
        let mut refuse = |place, complaint: &str, remedy: &str| {
            faults.push(Fault::at(place, &HEADERS, complaint.to_owned(), Some(remedy.to_owned())));
        };
        match HeaderName::from_bytes(written.as_bytes()) {
            Err(_) => refuse(place, "expected the name of an HTTP header", "such as authorization or x-tenant"),
            Ok(name) if is_ours(name.as_str()) => {
                refuse(place, "vigie itself says how a request is carried", "leave this header out");
            }
            Ok(name) if !before.insert(name.clone()) => {
                refuse(place, "the same header stands here twice", "upper and lower case are alike in its name");
            }
            Ok(_) => {}
        }
        let odd = |text| HeaderValue::from_str(text).is_err();
        if !node.refused.get() && node.text().is_some_and(odd) {
            refuse(&node.place, "expected a value in one line of ASCII", "write other characters in base64");
        }
    }
}
