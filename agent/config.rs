//! The configuration: what was written, checked as a whole, with everything that is wrong told at once.

use serde::Deserialize;

use crate::probes::admission::Admission;
use crate::{probes, samplers};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod deserializer;
mod environment;
mod listen;
mod load;
mod mistake;
mod module;
pub mod naming;
mod otlp;
mod probe;
pub mod quantity;
pub mod secret;
mod source;
mod tree;

pub use listen::{Listen, NoAddress};
pub(crate) use load::parse_file;
pub use mistake::ConfigErrors;
pub use naming::Naming;
pub use otlp::{ClientTls, Compression, Endpoint, MetricsEndpoint, NoEndpoint, Otlp, Protocol, Spool};
pub use secret::{Revealed, Secret, SecretError};

/// The whole configuration. Sections compare, so that a reload can tell what changed.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this host is.
    pub host: Host,
    /// Where the kernel's trees are.
    pub paths: Paths,
    /// How often sources are read.
    pub sampling: Sampling,
    /// Which sources are read, and how.
    pub samplers: samplers::Options,
    /// Which targets are asked, and what.
    pub probe: probes::Options,
    /// What others may have asked through the page.
    pub module: probes::module::Options,
    /// The page.
    pub http: Http,
    /// The push.
    pub otlp: Otlp,
    /// The log.
    pub log: Log,
    /// Which variables of the environment have a part in it.
    #[serde(skip)]
    pub variables: Vec<&'static str>,
}

/// Who this host is, `[host]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Its name; none: the hostname.
    pub name: Option<String>,
    /// What else tells it from others.
    pub attributes: BTreeMap<String, String>,
}

/// Attributes that tell whose word it is rather than which host it is about: on the page, that is `job` and `instance`
/// ("Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification).
const SERVICE: [&str; 3] = ["service.instance.id", "service.name", "service.namespace"];

impl Host {
    /// Its attributes as labels of the page, without those of the service.
    pub fn labels(&self) -> impl Iterator<Item = (String, &str)> {
        let of_the_host = self.attributes.iter().filter(|(key, _)| !SERVICE.contains(&key.as_str()));
        of_the_host.map(|(key, value)| (Host::label(key), value.as_str()))
    }

    /// The label of an attribute on the page: Prometheus knows no dots.
    pub fn label(attribute: &str) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let label: String = attribute.chars().map(letter).collect();
        if label.starts_with(|c: char| c.is_ascii_digit()) { format!("_{label}") } else { label }
    }
}

/// Where the kernel's trees are, `[paths]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "WrittenPaths")]
pub struct Paths {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/`.
    pub root: PathBuf,
    /// What the agent keeps across a restart.
    pub state: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenPaths {
    proc: Option<PathBuf>,
    sys: Option<PathBuf>,
    root: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl From<WrittenPaths> for Paths {
    fn from(written: WrittenPaths) -> Paths {
        let root = written.root.unwrap_or_else(|| "/".into());
        Paths {
            proc: written.proc.unwrap_or_else(|| root.join("proc")),
            sys: written.sys.unwrap_or_else(|| root.join("sys")),
            state: written.state.unwrap_or_else(|| "/var/lib/vigie".into()),
            root,
        }
    }
}

impl Default for Paths {
    fn default() -> Paths {
        WrittenPaths::default().into()
    }
}

/// How often sources are read, `[sampling]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Of the standard tier.
    #[serde(deserialize_with = "quantity::duration::<_, 1_000, 3_600_000>")]
    pub interval: Duration,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { interval: Duration::from_secs(10) }
    }
}

/// The page, `[http]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where it listens; at least one address.
    #[serde(deserialize_with = "listen::one_or_many")]
    pub listen: Vec<Listen>,
    /// The oldest numbers that a scrape is content with.
    #[serde(deserialize_with = "quantity::duration::<_, 0, 3_600_000>")]
    pub max_age: Duration,
    /// The longest that a scrape waits for fresher ones.
    #[serde(deserialize_with = "quantity::duration::<_, 10, 60_000>")]
    pub deadline: Duration,
    /// The most connections at a time.
    #[serde(deserialize_with = "quantity::count::<_, 1, 10_000>")]
    pub max_connections: usize,
    /// The certificate; none: no TLS.
    pub tls: Option<Tls>,
    /// Who may read it, with bcrypt's hashes; nobody: everybody.
    #[serde(deserialize_with = "secret::by_name")]
    pub users: BTreeMap<String, Secret>,
    /// Whom others may have asked through it; nobody: it asks for no one.
    pub probe_targets: Vec<Admission>,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            listen: vec![Listen::Tcp(([127, 0, 0, 1], 9844).into())],
            max_age: Duration::from_secs(1),
            deadline: Duration::from_millis(250),
            max_connections: 64,
            tls: None,
            users: BTreeMap::new(),
            probe_targets: Vec::new(),
        }
    }
}

/// Files of TLS, PEM, `http.tls`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, then its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Whose certificates a client must show; none: it shows none.
    pub client_ca: Option<PathBuf>,
}

/// The log, `[log]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least that is worth a line.
    pub level: Level,
    /// How a line looks.
    pub format: Format,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The agent cannot do its work.
    Error,
    /// A part of its work fails.
    Warn,
    /// What changed.
    #[default]
    Info,
    /// Why.
    Debug,
    /// Every step.
    Trace,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people, and for the journal.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

impl Config {
    /// Loads `file`, none: the built-in defaults, lays the `sets` (`key=value`) over it, and OpenTelemetry's variables
    /// of the process' environment under it.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once; a file that is no TOML gives its first error only.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Config, ConfigErrors> {
        Config::load_in(&|name| std::env::var_os(name), file, sets)
    }

    /// The same, where `variable` finds the value of a variable.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn load_in(
        variable: &dyn Fn(&str) -> Option<OsString>,
        file: Option<&Path>,
        sets: &[String],
    ) -> Result<Config, ConfigErrors> {
        load::load(variable, file, sets)
    }

    /// A number of 48 bits, which a float holds exactly: the same for every agent with the same effective
    /// configuration, however it was written. It knows where secrets are, and not what they are.
    pub fn hash(&self) -> u64 {
        let Config { host, paths, sampling, samplers, probe, module, http, otlp, log, variables: _ } = self;
        let Http { listen, max_age, deadline, max_connections, tls, users, probe_targets } = http;
        let mut text = format!("{host:?}{paths:?}{sampling:?}{samplers:?}{probe:?}{module:?}{log:?}");
        let _ = write!(text, "{listen:?}{max_age:?}{deadline:?}{max_connections:?}{tls:?}{probe_targets:?}");
        let Otlp { endpoint, metrics_endpoint, protocol, interval, timeout, compression, .. } = otlp;
        let Otlp { naming, headers, tls, spool, .. } = otlp;
        let _ = write!(text, "{endpoint:?}{metrics_endpoint:?}{protocol:?}{interval:?}{timeout:?}");
        let _ = write!(text, "{compression:?}{naming:?}{tls:?}{spool:?}");
        for (name, secret) in users.iter().chain(headers) {
            let _ = write!(text, "{name:?}={:?}", secret.place());
        }
        // FNV-1a: std's hasher promises no stable result.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        hash >> 16
    }
}

#[cfg(test)]
mod tests;
