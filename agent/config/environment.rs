//! OpenTelemetry's variables of the environment, laid under what the file and the arguments say: each counts where those
//! are silent.
//!
//! They mean what "OpenTelemetry Protocol Exporter" and "Environment Variable Specification" of the OpenTelemetry
//! specification say, but for one thing: a value that is wrong is told and refused, not passed over.

use std::ffi::OsString;

use hyper::header::HeaderName;

use super::mistake::{Fault, nearest};
use super::otlp::{LONGEST_TIMEOUT, written_endpoint};
use super::source::Place;
use super::tree::{Node, Value};

mod pairs;
mod variable;

use pairs::{Odd, Pair, pairs};
use variable::Variable;

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";

/// Variables that come in two: the one of the metrics wins over the one of all signals.
type Two = [&'static str; 2];

const ENDPOINT: Two = [METRICS_ENDPOINT, "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOL: Two = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUT: Two = ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const COMPRESSION: Two = ["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const HEADERS: Two = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const CA: Two = ["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const CERT: Two = ["OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];
const KEY: Two = ["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];

/// Lays what the variables say under `tree`, and names those that have a part in it. Their faults come after those of source `order`.
pub(super) fn lay(
    tree: &mut Node,
    lookup: &dyn Fn(&str) -> Option<OsString>,
    order: usize,
    faults: &mut Vec<Fault>,
) -> Vec<&'static str> {
    let mut environment = Environment { lookup, order, tree, faults, taken: Vec::new() };
    environment.attributes();
    if environment.endpoint() {
        environment.milliseconds(&TIMEOUT, &["otlp", "timeout"]);
        environment.milliseconds(&[INTERVAL], &["otlp", "interval"]);
        environment.text(&COMPRESSION, &["otlp", "compression"]);
        environment.tls();
        environment.headers();
    }
    environment.taken
}

struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    order: usize,
    tree: &'a mut Node,
    faults: &'a mut Vec<Fault>,
    taken: Vec<&'static str>,
}

impl Environment<'_> {
    /// The first of these that is set; an empty one is not. What is wrong with it is told of `path`.
    fn find(&mut self, names: &[&'static str], path: &[&str]) -> Option<Variable> {
        let said = |value: &OsString| !value.as_encoded_bytes().trim_ascii().is_empty();
        let (name, value) = names.iter().find_map(|name| Some((*name, (self.lookup)(name).filter(said)?)))?;
        self.order += 1;
        match value.into_string() {
            Ok(value) => Some(Variable::new(name, value.trim_ascii(), self.order)),
            Err(_) => {
                self.refuse(&Variable::new(name, "…", self.order).whole(), path, "expected UTF-8", None);
                None
            }
        }
    }

    fn refuse(&mut self, place: &Place, path: &[&str], complaint: &str, remedy: Option<&str>) {
        self.faults.push(Fault::at(place, path, complaint.to_owned(), remedy.map(str::to_owned)));
    }

    fn put(&mut self, variable: &Variable, path: &[&str], node: Node) {
        self.tree.lay(path, node);
        if !self.taken.contains(&variable.name) {
            self.taken.push(variable.name);
        }
    }

    /// Takes a value as it is.
    fn text(&mut self, names: &[&'static str], path: &[&str]) {
        if !self.tree.lacks(path) {
            return;
        }
        if let Some(variable) = self.find(names, path) {
            self.put(&variable, path, Node::new(variable.whole(), Value::Text(variable.value.clone())));
        }
    }

    /// Takes a duration. To a timeout, 0 is without end: the longest there is.
    fn milliseconds(&mut self, names: &[&'static str], path: &[&str]) {
        if !self.tree.lacks(path) {
            return;
        }
        let Some(variable) = self.find(names, path) else { return };
        match variable.value.parse::<u64>() {
            Ok(number) => {
                let endless = number == 0 && names == TIMEOUT;
                let number = if endless { LONGEST_TIMEOUT } else { number };
                self.put(&variable, path, Node::new(variable.whole(), Value::Text(format!("{number}ms"))));
            }
            Err(_) => {
                let remedy = Some("10000 is ten seconds");
                self.refuse(&variable.whole(), path, "expected a number of milliseconds", remedy);
            }
        }
    }

    /// Takes the endpoint and the protocol, and says whether anything is pushed.
    fn endpoint(&mut self) -> bool {
        let (base, exact) = (["otlp", "endpoint"], ["otlp", "metrics_endpoint"]);
        if !(self.tree.lacks(&base) && self.tree.lacks(&exact)) {
            self.protocol(None);
            return true;
        }
        let Some(variable) = self.find(&ENDPOINT, &base) else { return false };
        if self.is_off() {
            return false;
        }
        self.protocol(Some(&variable));
        let grpc = self.tree.at(&["otlp", "protocol"]).is_some_and(|node| node.text() == Some("grpc"));
        // To gRPC, both are but targets.
        let path = if variable.name == METRICS_ENDPOINT && !grpc { exact } else { base };
        self.put(&variable, &path, Node::new(variable.whole(), Value::Text(variable.value.clone())));
        true
    }

    /// Whether the variables want no push of their own.
    fn is_off(&mut self) -> bool {
        let path = ["otlp"];
        if let Some(variable) = self.find(&[DISABLED], &path) {
            match variable.value.to_ascii_lowercase().as_str() {
                "true" => {
                    self.taken.push(DISABLED);
                    return true;
                }
                "false" => {}
                _ => {
                    let remedy = Some("true, and nothing is pushed that the configuration does not ask for");
                    self.refuse(&variable.whole(), &path, "expected true or false", remedy);
                }
            }
        }
        let off = self.find(&[EXPORTER], &path).is_some_and(|variable| {
            let mut exporters = variable.value.split(',');
            exporters.all(|exporter| exporter.trim() != "otlp")
        });
        if off {
            self.taken.push(EXPORTER);
        }
        off
    }

    /// Takes the protocol. An endpoint of the environment has the specification's default, not ours.
    fn protocol(&mut self, endpoint: Option<&Variable>) {
        let path = ["otlp", "protocol"];
        if !self.tree.lacks(&path) {
            return;
        }
        let lay = |environment: &mut Self, variable: &Variable, word: &str| {
            environment.put(variable, &path, Node::new(variable.whole(), Value::Text(word.to_owned())));
        };
        match (self.find(&PROTOCOL, &path), endpoint) {
            (Some(variable), _) => {
                let word = if variable.value == "grpc" { "grpc" } else { "http" };
                let known = ["grpc", "http/protobuf"];
                if !known.contains(&variable.value.as_str()) {
                    let remedy = match variable.value.as_str() {
                        "http/json" => Some("vigie writes no JSON; http/protobuf goes to the same port".to_owned()),
                        other => nearest(other, known).map(|meant| format!("did you mean {meant}?")),
                    };
                    let complaint = format!("expected grpc or http/protobuf, found {:?}", variable.value);
                    self.refuse(&variable.whole(), &path, &complaint, remedy.as_deref());
                }
                lay(self, &variable, word);
            }
            (None, Some(endpoint)) => lay(self, endpoint, "http"),
            (None, None) => {}
        }
    }

    /// Takes what TLS needs, where it is spoken: to other endpoints these variables say nothing.
    fn tls(&mut self) {
        if !written_endpoint(self.tree).is_some_and(|endpoint| endpoint.is_tls()) {
            return;
        }
        let (cert, key) = (["otlp", "tls", "cert"], ["otlp", "tls", "key"]);
        self.text(&CA, &["otlp", "tls", "ca"]);
        // A pair from one hand.
        if self.tree.lacks(&cert) && self.tree.lacks(&key) {
            self.text(&CERT, &cert);
            self.text(&KEY, &key);
        }
    }

    /// Takes the headers where none are written: who writes some means those.
    fn headers(&mut self) {
        let path = ["otlp", "headers"];
        if !self.tree.lacks(&path) {
            return;
        }
        let Some(variable) = self.find(&HEADERS, &path) else { return };
        let secret = |place, text| {
            let node = Node::new(place, Value::Text(text));
            node.secret.set(true);
            node
        };
        let mut odd = false;
        for found in pairs(&variable.value).into_iter().rev() {
            // In place of a name there may stand half a token: one that ends with =.
            let named = |pair: Pair| match HeaderName::from_bytes(pair.key.as_bytes()) {
                Ok(_) => Ok(pair),
                Err(_) => Err(Odd { complaint: "expected the name of a header before the =", at: pair.at }),
            };
            match found.and_then(named) {
                Ok(Pair { key, value, at }) => {
                    let path = ["otlp", "headers", &key.to_ascii_lowercase()];
                    if self.tree.lacks(&path) {
                        self.put(&variable, &path, secret(variable.place(at), value));
                    }
                }
                Err(Odd { complaint, at }) => {
                    odd = true;
                    self.refuse(
                        &variable.place(at),
                        &path,
                        complaint,
                        Some("such as authorization=Bearer%20x,x-tenant=a"),
                    );
                }
            }
        }
        if odd {
            // Who knows which part of it is the secret.
            let whole = secret(variable.whole(), String::new());
            whole.refused.set(true);
            self.put(&variable, &path, whole);
        }
    }

    /// Takes attributes of the resource, each where it is not written.
    fn attributes(&mut self) {
        self.text(&[SERVICE_NAME], &["host", "attributes", "service.name"]);
        let path = ["host", "attributes"];
        let Some(variable) = self.find(&[ATTRIBUTES], &path) else { return };
        for found in pairs(&variable.value).into_iter().rev() {
            match found {
                // The name that is written is this attribute.
                Ok(Pair { key, .. }) if key == "host.name" && !self.tree.lacks(&["host", "name"]) => {}
                Ok(Pair { key, value, at }) => {
                    let path = ["host", "attributes", &key];
                    if self.tree.lacks(&path) {
                        self.put(&variable, &path, Node::new(variable.place(at), Value::Text(value)));
                    }
                }
                Err(Odd { complaint, at }) => {
                    self.refuse(
                        &variable.place(at),
                        &path,
                        complaint,
                        Some("such as deployment.environment.name=staging"),
                    );
                }
            }
        }
    }
}
