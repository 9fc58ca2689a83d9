//! Probes: each asks one target one question, and answers or fails with a reason.
//!
//! A probe never times or judges itself: the supervisor does, for all of them alike.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Deserialize;
use tokio::time::Instant;

use crate::config::naming::Naming;
use crate::metric::{Label, Metric};
use crate::samplers::root::Root;
use crate::snapshot::{Labels, Reading, Value};

pub mod address;
pub mod admission;
pub mod aside;
pub mod connect;
pub mod dns;
pub mod failure;
pub mod file;
pub mod glob;
pub mod http;
pub mod icmp;
pub mod ip;
pub mod module;
pub mod mount;
pub mod port;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod secure;
pub mod target;
pub mod tcp;
pub mod tls;
pub mod unit;

pub use failure::{ProbeError, Reason};
pub use target::{Common, Target};

/// One check under way.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Result<(), ProbeError>> + Send + 'a>>;

/// Who asks one target. It lives on the network's thread: what may block goes aside.
pub trait Probe: Send {
    /// Asks once, and writes what was seen, also on the way to a failure. It is dropped where it takes too long.
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a>;
}

/// What one check has seen.
pub struct Report {
    reading: Arc<Reading>,
    labels: Labels,
    doing: &'static str,
    /// What was said to come next so far, where somebody wants to know.
    log: Option<Vec<(Instant, &'static str)>>,
    advice: Vec<String>,
    up: Option<(&'static Metric, Labels)>,
}

/// The most lines of the log of one check.
const LOG_LIMIT: usize = 256;

impl Report {
    /// An empty one, for series of these labels.
    pub fn new(reading: Arc<Reading>, labels: &Labels) -> Report {
        Report { reading, labels: labels.clone(), doing: "", log: None, advice: Vec::new(), up: None }
    }

    /// Says that this series is 0 unless it is put, also where the check takes too long.
    pub fn zero_unless_put(&mut self, metric: &'static Metric, labels: &Labels) {
        self.up = Some((metric, labels.clone()));
    }

    /// Writes what was not put.
    pub fn settle(&mut self) {
        if let Some((metric, labels)) = self.up.take() {
            self.put_with(metric, &labels, false);
        }
    }

    /// Says what comes next, such as `connecting`: if nothing comes after it, this is what took too long.
    pub fn doing(&mut self, what: &'static str) {
        self.doing = what;
        if let Some(log) = self.log.as_mut().filter(|log| log.len() < LOG_LIMIT) {
            log.push((Instant::now(), what));
        }
    }

    /// Remembers everything that is said to come next.
    pub fn remember(&mut self) {
        self.log.get_or_insert_default();
    }

    /// What was remembered, each with its moment.
    pub fn log(&self) -> &[(Instant, &'static str)] {
        self.log.as_deref().unwrap_or_default()
    }

    /// What was said to come next.
    pub fn was_doing(&self) -> &'static str {
        self.doing
    }

    /// Says what the target withholds, and what mends it: no failure, and to be told once rather than with each check.
    pub fn advise(&mut self, sentence: String) {
        self.advice.push(sentence);
    }

    /// What was advised.
    pub fn advice(&self) -> &[String] {
        &self.advice
    }

    /// Writes the one point of a metric whose labels are the probe's.
    pub fn put(&mut self, metric: &'static Metric, value: impl Into<Value>) {
        let labels = self.labels.clone();
        self.put_with(metric, &labels, value);
    }

    /// Writes a point of a metric that has more labels, made by [`Setting::labels`].
    pub fn put_with(&mut self, metric: &'static Metric, labels: &Labels, value: impl Into<Value>) {
        if self.up.as_ref().is_some_and(|(up, _)| std::ptr::eq(*up, metric)) {
            self.up = None;
        }
        // Nobody else holds it while it is written.
        if let Some(reading) = Arc::get_mut(&mut self.reading) {
            reading.put_with(metric, labels, value);
        }
    }

    /// Takes the points of these metrics out again: something else is asked now.
    pub fn forget(&mut self, metrics: &[&'static Metric]) {
        if let Some(reading) = Arc::get_mut(&mut self.reading) {
            metrics.iter().for_each(|metric| reading.forget(metric));
        }
    }

    /// Interns the probe's labels, and `more` after them: once for each that was not seen before.
    pub fn labels(&self, more: &[(&str, &str)]) -> Labels {
        self.labels.with(more)
    }

    /// The reading, to be begun or ended.
    pub fn reading(&mut self) -> Option<&mut Reading> {
        Arc::get_mut(&mut self.reading)
    }

    /// The reading, to be published.
    pub fn into_reading(self) -> Arc<Reading> {
        self.reading
    }
}

/// The labels that every series of a probe has.
pub const LABELS: &[Label] = &[PROBE, KIND, TARGET];
/// Its name.
pub const PROBE: Label = Label::new("probe").otel("vigie.probe.name");
/// Its kind.
pub const KIND: Label = Label::new("kind").otel("vigie.probe.kind");
/// What it asks.
pub const TARGET: Label = Label::new("target").otel("vigie.probe.target");

/// The server that tells of itself, as the databases' exporters have it: `host:port`. Its series have this label and
/// `probe`, which alone tells two targets apart, and then those of their exporter.
pub const SERVER: Label = Label::new("server").otel_server();

/// What a probe is born into: the host, and what its series are called.
#[derive(Clone)]
pub struct Setting {
    /// The door to the kernel.
    pub root: Arc<Root>,
    /// Its name. Without one it is asked once, for somebody, and its series are not told apart.
    pub probe: String,
    /// Its kind.
    pub kind: &'static str,
    /// What it asks.
    pub target: String,
    /// Whose names are pushed: what only the others have names for need not be told.
    pub naming: Naming,
    /// The labels of its series.
    pub labels: Labels,
}

impl Setting {
    /// Interns the labels of its series, and `more` after them: once, when it is born.
    pub fn labels(&self, more: &[(&str, &str)]) -> Labels {
        self.labels.with(more)
    }
}

/// The options of one kind of probe: a table of `[[probe.KIND]]` without what all kinds have.
pub trait Ask: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// What is asked, as the label `target` has it; nothing secret.
    fn target(&self) -> String;

    /// Makes the probe.
    fn probe(&self, setting: &Setting) -> Box<dyn Probe>;

    /// What a person must know of these options when the probe starts, such as that they are not safe.
    fn warning(&self) -> Option<&'static str> {
        None
    }
}

/// A kind of probe as the catalog and the supervisor know it. One `static` beside each implementation.
pub struct Kind {
    /// Its name, and the key under `[[probe.…]]`.
    pub name: &'static str,
    /// Every metric that it may write, beside those that all probes have.
    pub metrics: &'static [&'static Metric],
    /// Its probes, from the whole configuration.
    pub plans: fn(&Options) -> Vec<Plan>,
}

/// Every kind, in the order of their names.
pub static ALL: &[&Kind] = &[
    &dns::KIND,
    &file::KIND,
    &http::KIND,
    &icmp::KIND,
    &mount::KIND,
    &port::KIND,
    &postgres::KIND,
    &process::KIND,
    &redis::KIND,
    &tcp::KIND,
    &tls::KIND,
    &unit::KIND,
];

/// The probes, `[[probe.KIND]]`: each kind's table is a type beside the probe.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Servers that must answer questions of DNS.
    pub dns: Vec<Target<dns::Dns>>,
    /// Files that must be there, and be new or large enough.
    pub file: Vec<Target<file::File>>,
    /// Servers that must answer requests of HTTP.
    pub http: Vec<Target<http::Http>>,
    /// Hosts that must answer a ping.
    pub icmp: Vec<Target<icmp::Icmp>>,
    /// Mounts that must be there.
    pub mount: Vec<Target<mount::Mount>>,
    /// Ports of this host on which something must listen.
    pub port: Vec<Target<port::Port>>,
    /// PostgreSQL servers, and what they tell of themselves.
    pub postgres: Vec<Target<postgres::Postgres>>,
    /// Processes that must run.
    pub process: Vec<Target<process::Process>>,
    /// Servers of Redis, Valkey or KeyDB, and Sentinels: they must answer, and are asked how they are.
    pub redis: Vec<Target<redis::Redis>>,
    /// Ports that are connected to, and talked to.
    pub tcp: Vec<Target<tcp::Tcp>>,
    /// Certificates that must not expire soon.
    pub tls: Vec<Target<tls::Certificates>>,
    /// Units of systemd that must run.
    pub unit: Vec<Target<unit::Unit>>,
}

/// Options of some kind.
trait Asks: Any + Send + Sync {
    fn probe(&self, setting: &Setting) -> Box<dyn Probe>;

    fn same(&self, other: &dyn Any) -> bool;
}

impl<A: Ask> Asks for A {
    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Ask::probe(self, setting)
    }

    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<A>() == Some(self)
    }
}

/// One probe, before it is made.
#[derive(Clone)]
pub struct Plan {
    /// Its kind.
    pub kind: &'static str,
    /// What all probes have.
    pub common: Common,
    /// What it asks.
    pub target: String,
    /// What a person must know of it when it starts.
    pub warning: Option<&'static str>,
    /// Whose names are pushed.
    pub naming: Naming,
    own: Arc<dyn Asks>,
}

impl Plan {
    /// A plan for each of `targets`.
    pub fn each<A: Ask>(kind: &'static str, targets: &[Target<A>]) -> Vec<Plan> {
        targets.iter().map(|target| Plan::of(kind, target.common.clone(), target.own.clone())).collect()
    }

    /// The plan of one probe.
    pub fn of<A: Ask>(kind: &'static str, common: Common, own: A) -> Plan {
        let (target, warning) = (own.target(), own.warning());
        Plan { kind, common, target, warning, naming: Naming::default(), own: Arc::new(own) }
    }

    /// Whether it is this very probe: a secret in the configuration itself counts.
    pub fn same(&self, other: &Plan) -> bool {
        let own: &dyn Any = &*other.own;
        (self.kind, &self.common, self.naming) == (other.kind, &other.common, other.naming) && self.own.same(own)
    }

    /// The labels of its series.
    pub fn labels(&self) -> Labels {
        let (probe, kind, target) = (&*self.common.name, self.kind, &*self.target);
        if probe.is_empty() {
            return Labels::none();
        }
        Labels::new(&[("probe", probe), ("kind", kind), ("target", target)])
    }

    /// What its probe is born into, if its series have these labels.
    pub fn setting(&self, root: &Arc<Root>, labels: &Labels) -> Setting {
        let (probe, target) = (self.common.name.clone(), self.target.clone());
        let (root, labels) = (Arc::clone(root), labels.clone());
        Setting { root, probe, kind: self.kind, target, naming: self.naming, labels }
    }

    /// Makes the probe.
    pub fn make(&self, setting: &Setting) -> Box<dyn Probe> {
        self.own.probe(setting)
    }
}

impl Options {
    /// Every probe that they name.
    pub fn plans(&self) -> Vec<Plan> {
        ALL.iter().flat_map(|kind| (kind.plans)(self)).collect()
    }
}
