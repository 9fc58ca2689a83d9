//! One server: what it is asked in each check, and what comes of it.

use std::time::Duration;

use tokio::time::Instant;

use super::door::{Door, closed};
use super::events::Events;
use super::info::{Info, Mode};
use super::keys::{Keys, Trouble};
use super::link::{Answers, Failure, Link};
use super::options::Options;
use super::questions::{Questions, What};
use super::refusal::refusal;
use super::resp::{Reply, command};
use super::series::Series;
use super::{Redis, metrics, sentinel};
use crate::probes::{Checking, Probe, ProbeError, Report, Setting};

/// How long a connection is kept: then the name is looked up anew, the password read, and a new certificate seen.
const KEPT: Duration = Duration::from_secs(3_600);

/// What a moment may come too early to be one.
const SLACK: Duration = Duration::from_millis(500);

/// Who asks one server.
pub(super) struct Asking {
    door: Door,
    series: Series,
    link: Option<Link>,
    info: Info,
    options: Options,
    questions: Questions,
    events: Events,
    keys: Keys,
    latency_interval: Duration,
    /// When it was last told how durations are spread.
    spread: Option<Instant>,
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
    pub(super) fn new(redis: &Redis, setting: &Setting) -> Asking {
        let series = Series::of(setting);
        Asking {
            door: Door::new(redis, setting),
            link: None,
            info: Info::new(&series),
            options: Options::new(&series),
            questions: Questions::new(&series),
            events: Events::new(&series),
            keys: Keys::new(&series, &redis.keys, &redis.streams, &redis.key_groups),
            series,
            latency_interval: redis.latency_interval,
            spread: None,
            known: false,
            out: Vec::new(),
        }
    }

    /// Connects anew: who asks may be somebody else now, and the server another.
    async fn connect(&mut self, report: &mut Report) -> Result<Link, ProbeError> {
        self.questions.forget();
        self.info.commands.forget();
        self.spread = None;
        self.door.open(report).await
    }

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
        self.door.tell(report);
        let judged = self.take(&answers.0, answers.1, report);
        let mut kept = true;
        if judged.is_ok() {
            self.follow(&mut link, report).await?;
            kept = self.ask_keys(&mut link, report).await;
        }
        self.questions.write(self.door.user(), report);
        self.link = Some(link).filter(|_| kept);
        judged
    }

    /// Puts together what is asked, and says how many answers there will be.
    fn compose(&mut self) -> usize {
        self.out.clear();
        command(&[b"PING"], &mut self.out);
        let spread = self.spread.is_none_or(|last| last.elapsed() + SLACK >= self.latency_interval);
        // Several sections at a time are known since version 7. Of whom nothing is known yet, only that is asked.
        let sections: &[&[u8]] = match (spread, self.info.version) {
            (false, 7..) if self.info.mode != Mode::Sentinel => &[b"INFO", b"default", b"commandstats"],
            _ => &[b"INFO", b"all"],
        };
        command(sections, &mut self.out);
        self.info.commands.start(spread);
        let Info { mode, version, .. } = self.info;
        let more = if self.known { self.questions.ask(mode, version, spread, &mut self.out) } else { 0 };
        2 + more
    }

    /// Takes the answers to PING, INFO and whatever was asked with them. What they say is written also where the server
    /// is not well.
    fn take(&mut self, answers: &Answers, version: u32, report: &mut Report) -> Result<(), ProbeError> {
        let failed = |door: &Door, error, question| Err(refusal(error, question, door.user()));
        let mut replies = answers.iter();
        let ping = replies.next().unwrap_or(Reply::Null);
        let text = match replies.next() {
            Some(Reply::Error(error)) => return failed(&self.door, error, "INFO"),
            Some(reply) => reply.text().unwrap_or_default(),
            None => match ping {
                Reply::Error(error) => return failed(&self.door, error, "PING"),
                _ => return Err(closed(None)),
            },
        };
        report.put_with(&metrics::UP, &self.series.own, 1_i64);
        self.info.write(text, report);
        if self.info.commands.is_spread() {
            self.spread = Some(Instant::now());
        }
        let said = replies.collect::<Vec<_>>();
        if self.known {
            self.told(&said, version, report);
        }
        match ping {
            // A user may have INFO and not PING.
            Reply::Error(error) if !error.starts_with("NOPERM") => failed(&self.door, error, "PING"),
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
                What::Keys => {}
                What::SentinelMasters => self.info.primaries.settings(*reply, report),
            }
        }
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
            let count = self.questions.ask(self.info.mode, version, true, &mut self.out);
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

    /// Asks of keys, which is beside the check; says whether the connection is still of use.
    async fn ask_keys(&mut self, link: &mut Link, report: &mut Report) -> bool {
        if self.info.mode == Mode::Sentinel {
            return true;
        }
        let mut kept = true;
        if self.keys.any() && self.questions.may(What::Keys) {
            report.doing("asking of keys");
            match self.keys.ask(link, report).await {
                Ok(()) => self.questions.note(What::Keys, None),
                Err(Trouble::Refused(error)) => self.questions.note(What::Keys, Some(&error)),
                Err(Trouble::Broken) => kept = false,
            }
        }
        self.keys.write(report);
        kept
    }
}
