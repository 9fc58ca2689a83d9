//! Servers of Redis, Valkey and KeyDB, nodes of a cluster, and Sentinels: they answer, and tell how they are.
//!
//! There is one connection to each, which is kept, and everything is asked at once: a check is one round trip. Nothing
//! that is asked changes anything, waits for anything, or takes longer the more data there is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use self::events::Events;
use self::info::{Info, Mode};
use self::link::{Answers, Failure, Link};
use self::options::Options;
use self::questions::{Questions, What};
use self::refusal::refusal;
use self::resp::{Reply, command};
use self::series::Series;
use super::connect::Connector;
use super::{Ask, Checking, Kind, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::config::Secret;
use crate::metric::{Metric, MetricRef};
use crate::snapshot::{Labels, Reading};
use url::Url;

mod commands;
mod events;
mod fields;
pub mod info;
mod kept;
mod link;
mod metrics;
mod options;
mod questions;
mod refusal;
mod replication;
pub mod resp;
mod sentinel;
mod series;
pub mod url;

/// How long a connection is kept: then the name is looked up anew, and the password read.
const KEPT: Duration = Duration::from_secs(3_600);

/// What it is called in CLIENT LIST.
const NAME: &[u8] = b"vigie";

/// This kind.
pub static KIND: Kind =
    Kind { name: "redis", metrics: &METRICS, plans: |options| Plan::each(KIND.name, &options.redis) };

static METRICS: [&Metric; COUNT] = all();

const COUNT: usize = fields::METRICS.len() + metrics::METRICS.len() + sentinel::METRICS.len();

// Computed by the compiler, which refuses an index that is not there.
#[allow(clippy::indexing_slicing)]
const fn all() -> [&'static Metric; COUNT] {
    let lists: [&[&Metric]; 3] = [metrics::METRICS, &fields::METRICS, sentinel::METRICS];
    let mut all = [metrics::METRICS[0]; COUNT];
    let (mut list, mut at) = (0, 0);
    while list < lists.len() {
        let mut index = 0;
        while index < lists[list].len() {
            all[at] = lists[list][index];
            index += 1;
            at += 1;
        }
        list += 1;
    }
    all
}

/// `[[probe.redis]]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where it listens, and as whom it is asked.
    pub url: Url,
    /// As whom it is asked, where the url has no place for it: over a unix socket.
    pub user: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
}

impl fmt::Debug for Redis {
    /// Where the secret is, not what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Redis { url, user, password } = self;
        let password = password.as_ref().map(Secret::place);
        f.debug_struct("Redis").field("url", url).field("user", user).field("password", &password).finish()
    }
}

impl Ask for Redis {
    fn target(&self) -> String {
        self.url.address.to_string()
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        let series = Series::of(setting);
        Box::new(Asking {
            redis: self.clone(),
            connector: Connector::default(),
            own: setting.labels(&[]),
            link: None,
            greeting: None,
            info: Info::new(&series),
            options: Options::new(&series),
            questions: Questions::new(&series),
            events: Events::new(&series),
            series,
            known: false,
            out: Vec::new(),
        })
    }
}

impl Redis {
    fn user(&self) -> &str {
        self.url.user.as_deref().or(self.user.as_deref()).unwrap_or("default")
    }
}

struct Asking {
    redis: Redis,
    connector: Connector,
    /// The labels that all probes have.
    own: Labels,
    series: Series,
    link: Option<Link>,
    /// What was seen when the connection was made: of the address, and of TLS.
    greeting: Option<Arc<Reading>>,
    info: Info,
    options: Options,
    questions: Questions,
    events: Events,
    /// Whether it is known what kind of server it is.
    known: bool,
    /// The memory that questions are put together in.
    out: Vec<u8>,
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            report.zero_unless_put(&metrics::UP, &self.series.own);
            self.ask(report).await
        })
    }
}

impl Asking {
    async fn ask(&mut self, report: &mut Report) -> Result<(), ProbeError> {
        // Taken out: whoever drops this check in the middle of an answer drops the connection too.
        let kept = self.link.take().filter(|link| link.since.elapsed() < KEPT);
        let mut fresh = kept.is_none();
        let mut link = match kept {
            Some(link) => link,
            None => self.connect(report).await?,
        };
        let answers = loop {
            let (count, version) = (self.compose(), self.info.version);
            report.doing("waiting for the answers");
            match link.ask(&self.out, count).await {
                Ok(answers) => break (answers, version),
                Err(Failure::Failed(error)) => return Err(error),
                // The server was started anew, or closes what is idle: that is no failure of it now.
                Err(Failure::Closed(_)) if !fresh => {
                    link = self.connect(report).await?;
                    fresh = true;
                }
                Err(Failure::Closed(why)) => return Err(closed(why.as_ref())),
            }
        };
        self.tell_greeting(report);
        let judged = self.take(&answers.0, answers.1, report);
        if judged.is_ok() {
            self.follow(&mut link, report).await?;
        }
        self.questions.write(self.redis.user(), report);
        self.link = Some(link);
        judged
    }

    /// Puts together what is asked, and says how many answers there will be.
    fn compose(&mut self) -> usize {
        self.out.clear();
        command(&[b"PING"], &mut self.out);
        command(&[b"INFO", b"all"], &mut self.out);
        // Of whom nothing is known yet, only that is asked.
        let more = if self.known { self.questions.ask(self.info.mode, self.info.version, &mut self.out) } else { 0 };
        2 + more
    }

    /// Takes the answers to PING, INFO and whatever was asked with them. What they say is written also where the server
    /// is not well.
    fn take(&mut self, answers: &Answers, version: u32, report: &mut Report) -> Result<(), ProbeError> {
        let failed = |redis: &Redis, error, question| Err(refusal(error, question, redis.user()));
        let mut replies = answers.iter();
        let ping = replies.next().unwrap_or(Reply::Null);
        let text = match replies.next() {
            Some(Reply::Error(error)) => return failed(&self.redis, error, "INFO"),
            Some(reply) => reply.text().unwrap_or_default(),
            None => match ping {
                Reply::Error(error) => return failed(&self.redis, error, "PING"),
                _ => return Err(closed(None)),
            },
        };
        report.put_with(&metrics::UP, &self.series.own, 1_i64);
        self.info.write(text, report);
        let said = replies.collect::<Vec<_>>();
        if self.known {
            self.told(&said, version, report);
        }
        match ping {
            // A user may have INFO and not PING.
            Reply::Error(error) if !error.starts_with("NOPERM") => failed(&self.redis, error, "PING"),
            _ => Ok(()),
        }
    }

    /// Takes the answers to the questions beside PING and INFO.
    fn told(&mut self, replies: &[Reply], version: u32, report: &mut Report) {
        self.options.start();
        self.events.start();
        let asked: Vec<What> = self.questions.asked(version).collect();
        for (what, reply) in asked.into_iter().zip(replies) {
            let error = if let Reply::Error(error) = reply { Some(*error) } else { None };
            self.questions.note(what, error);
            if error.is_some() {
                continue;
            }
            match what {
                What::Config => {
                    if let Some(count) = self.options.write(*reply, report) {
                        self.info.database_count = count;
                    }
                }
                What::SlowlogLength => self.events.slowlog_length(*reply, report),
                What::SlowlogLast => self.events.slowlog_last(*reply, report),
                What::LatencyLatest => self.events.spikes(*reply, report),
                What::LatencyHistogram => self.info.commands.histograms(*reply),
                What::ClusterInfo => self.info.cluster(reply.text().unwrap_or_default(), report),
                What::SentinelMasters => self.info.primaries.settings(*reply, report),
            }
        }
        report.put_with(&metrics::KEY_GROUPS_DURATION, &self.series.own, 0_i64);
        self.info.commands.write(report);
        self.info.empty_databases(report);
    }

    /// Asks what only the answers so far tell how to ask: nothing, nearly always.
    async fn follow(&mut self, link: &mut Link, report: &mut Report) -> Result<(), ProbeError> {
        let failed = |failure| match failure {
            Failure::Failed(error) => error,
            Failure::Closed(why) => closed(why.as_ref()),
        };
        if !self.known {
            self.known = true;
            self.out.clear();
            let version = self.info.version;
            let count = self.questions.ask(self.info.mode, version, &mut self.out);
            let answers = link.ask(&self.out, count).await.map_err(failed)?;
            let replies: Vec<Reply> = answers.iter().collect();
            self.told(&replies, version, report);
        }
        if self.info.mode == Mode::Sentinel {
            self.out.clear();
            let primaries = self.info.primaries.ask(&mut self.out);
            if primaries > 0 {
                report.doing("waiting for what the Sentinel knows");
                let answers = link.ask(&self.out, primaries * sentinel::ASKED).await.map_err(failed)?;
                self.info.primaries.told(&answers.iter().collect::<Vec<_>>(), report);
            }
        }
        Ok(())
    }

    /// Connects, says who asks, and what the connection is called.
    async fn connect(&mut self, report: &mut Report) -> Result<Link, ProbeError> {
        self.questions.forget();
        self.info.commands.forget();
        let url = &self.redis.url;
        // What is seen on the way is told with every check on this connection.
        let mut greeting = Report::new(Arc::default(), &self.own);
        report.doing("connecting");
        let connected = self.connector.connect(&url.address, &mut greeting).await;
        self.greeting = Some(greeting.into_reading());
        let stream = match connected {
            Ok(stream) => stream,
            Err(error) => {
                self.tell_greeting(report);
                return Err(error);
            }
        };
        let mut link = Link::new(stream);
        self.out.clear();
        let mut count = 1;
        if let Some(secret) = &self.redis.password {
            let password = secret.load().map_err(|error| {
                ProbeError::new(Reason::Auth, error.to_string()).mend("put it there, where this user can read it")
            })?;
            let (user, password) = (self.redis.user(), password.expose().as_bytes());
            // Before version 6 there are no users.
            match user {
                "default" => command(&[b"AUTH", password], &mut self.out),
                user => command(&[b"AUTH", user.as_bytes(), password], &mut self.out),
            }
            count += 1;
        }
        command(&[b"CLIENT", b"SETNAME", NAME], &mut self.out);
        report.doing("waiting to be let in");
        let answered = link.ask(&self.out, count).await;
        // It held the password.
        self.out.fill(0);
        self.out = Vec::new();
        let answers = match answered {
            Ok(answers) => answers,
            Err(Failure::Failed(error)) => return Err(error),
            Err(Failure::Closed(why)) => return Err(closed(why.as_ref())),
        };
        // Without the right to name itself a connection goes by no name, as without the command.
        let harmless = |error: &str| error.starts_with("NOPERM") || error.starts_with("ERR unknown");
        let ended = answers.iter().count() < count;
        for (index, reply) in answers.iter().enumerate() {
            match reply {
                Reply::Error(error) if ended || index + 1 < count || !harmless(error) => {
                    return Err(refusal(error, "AUTH", self.redis.user()));
                }
                _ => {}
            }
        }
        Ok(link)
    }

    /// Writes what was seen when the connection was made.
    fn tell_greeting(&self, report: &mut Report) {
        for family in self.greeting.iter().flat_map(|greeting| greeting.families()) {
            if let MetricRef::Static(metric) = family.metric {
                family.points().iter().for_each(|point| report.put_with(metric, &point.labels, point.value));
            }
        }
    }
}

fn closed(why: Option<&std::io::Error>) -> ProbeError {
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    ProbeError::new(Reason::Protocol, format!("the server closed the connection without an answer{why}"))
        .mend("check that Redis listens there, and whether it wants TLS: rediss://")
}
