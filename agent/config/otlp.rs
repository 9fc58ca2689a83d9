//! Where the push goes, `[otlp]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::naming::Naming;
use super::{Secret, quantity, secret};

mod check;
mod endpoint;

pub(super) use check::{check, written_endpoint};
use endpoint::METRICS_PATH;
pub(super) use endpoint::remedy;
pub use endpoint::{Endpoint, MetricsEndpoint, NoEndpoint};

/// The longest that a request may be given, in milliseconds.
pub(super) const LONGEST_TIMEOUT: u64 = 300_000;

/// The push, `[otlp]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// The collector; none: nothing is pushed.
    pub endpoint: Option<Endpoint>,
    /// In place of it, with OTLP/HTTP: what is posted to, as it stands.
    pub metrics_endpoint: Option<MetricsEndpoint>,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// How often.
    #[serde(deserialize_with = "quantity::duration::<_, 1_000, 3_600_000>")]
    pub interval: Duration,
    /// The longest that a request may take.
    #[serde(deserialize_with = "quantity::duration::<_, 100, LONGEST_TIMEOUT>")]
    pub timeout: Duration,
    /// How requests are made smaller.
    pub compression: Compression,
    /// Whose names are spoken.
    pub naming: Naming,
    /// What goes with each request.
    #[serde(deserialize_with = "secret::by_name")]
    pub headers: BTreeMap<String, Secret>,
    /// Files of TLS.
    pub tls: ClientTls,
    /// What waits while the collector is away.
    pub spool: Spool,
}

impl Default for Otlp {
    fn default() -> Otlp {
        Otlp {
            endpoint: None,
            metrics_endpoint: None,
            protocol: Protocol::default(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            compression: Compression::default(),
            naming: Naming::default(),
            headers: BTreeMap::new(),
            tls: ClientTls::default(),
            spool: Spool::default(),
        }
    }
}

impl Otlp {
    /// The collector, whichever way it is named; none: nothing is pushed.
    pub fn collector(&self) -> Option<&Endpoint> {
        self.metrics_endpoint.as_ref().map(|exact| &exact.endpoint).or(self.endpoint.as_ref())
    }

    /// The path that OTLP/HTTP posts to: the one that was written, or `/v1/metrics` below the endpoint's own.
    pub fn metrics_path(&self) -> String {
        match (&self.metrics_endpoint, &self.endpoint) {
            (Some(exact), _) => exact.path.clone(),
            (None, Some(endpoint)) => endpoint.metrics_path(),
            (None, None) => METRICS_PATH.to_owned(),
        }
    }
}

/// How the collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// How requests are made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which every collector takes.
    #[default]
    Gzip,
}

/// Files of TLS, PEM, `otlp.tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// Whose certificates the collector may show; none: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to the collector.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// What waits on disk while the collector is away, `otlp.spool`. The oldest goes first where it is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// The most, in bytes.
    #[serde(deserialize_with = "quantity::size::<_, 1_048_576, 1_099_511_627_776>")]
    pub max_bytes: u64,
    /// The longest.
    #[serde(deserialize_with = "quantity::duration::<_, 60_000, 31_536_000_000>")]
    pub max_age: Duration,
}

impl Default for Spool {
    fn default() -> Spool {
        Spool { max_bytes: 256 << 20, max_age: Duration::from_secs(7 * 86_400) }
    }
}
