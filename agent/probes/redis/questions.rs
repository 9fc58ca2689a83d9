//! What is asked of a server beside PING and INFO, who may ask it, and what the server does not give.

use super::info::Mode;
use super::metrics::UNAVAILABLE;
use super::options::NAMES;
use super::resp::command;
use super::series::Series;
use crate::probes::Report;
use crate::snapshot::Labels;

/// After so many checks, what was refused is asked again: each refusal is an entry in the server's own log.
const AGAIN: u32 = 40;

/// Something that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Config,
    SlowlogLength,
    SlowlogLast,
    LatencyLatest,
    LatencyHistogram,
    ClusterInfo,
    SentinelMasters,
    /// Of those that the configuration names: asked beside the rest.
    Keys,
}

/// A question, and what an ACL calls it.
struct Question {
    what: What,
    /// As the label `what` has it.
    name: &'static str,
    grant: &'static str,
    words: &'static [&'static [u8]],
    /// Of whom it is asked.
    of: fn(Mode) -> bool,
    /// The oldest version that knows it.
    since: u32,
}

fn server(mode: Mode) -> bool {
    mode != Mode::Sentinel
}

static QUESTIONS: [Question; 8] = [
    Question { what: What::Config, name: "config", grant: "+config|get", words: &[], of: server, since: 0 },
    Question {
        what: What::SlowlogLength,
        name: "slowlog_length",
        grant: "+slowlog|len",
        words: &[b"SLOWLOG", b"LEN"],
        of: server,
        since: 0,
    },
    Question {
        what: What::SlowlogLast,
        name: "slowlog",
        grant: "+slowlog|get",
        words: &[b"SLOWLOG", b"GET", b"1"],
        of: server,
        since: 0,
    },
    Question {
        what: What::LatencyLatest,
        name: "latency",
        grant: "+latency|latest",
        words: &[b"LATENCY", b"LATEST"],
        of: server,
        since: 0,
    },
    Question {
        what: What::LatencyHistogram,
        name: "latency_histogram",
        grant: "+latency|histogram",
        words: &[b"LATENCY", b"HISTOGRAM"],
        of: server,
        since: 7,
    },
    Question {
        what: What::ClusterInfo,
        name: "cluster",
        grant: "+cluster|info",
        words: &[b"CLUSTER", b"INFO"],
        of: |mode| mode == Mode::Node,
        since: 0,
    },
    Question {
        what: What::SentinelMasters,
        name: "sentinel",
        grant: "+sentinel",
        words: &[b"SENTINEL", b"MASTERS"],
        of: |mode| mode == Mode::Sentinel,
        since: 0,
    },
    Question {
        what: What::Keys,
        name: "keys",
        grant: "~* +select +exists +type +strlen +getrange +llen +scard +zcard +hlen +xlen +xinfo +scan +memory|usage",
        words: &[],
        of: |_| false,
        since: 0,
    },
];

/// What an ACL must give whoever asks.
pub(super) const GRANTS: &str = "+ping +info +client|setname +config|get +slowlog|len +slowlog|get +latency|latest \
                                 +latency|histogram +cluster|info";

/// Why something is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Who asks may not.
    Permission,
    /// The server does not know the question.
    Version,
}

/// How it stands with one question.
#[derive(Default)]
struct Standing {
    refused: Option<(Why, Labels)>,
    /// After how many more checks it is asked again.
    rest: u32,
    /// Whether it is among those that are under way.
    asked: bool,
}

/// Every question.
pub(super) struct Questions {
    series: Series,
    standings: [Standing; QUESTIONS.len()],
    changed: bool,
}

impl Questions {
    pub(super) fn new(series: &Series) -> Questions {
        Questions { series: series.clone(), standings: Default::default(), changed: false }
    }

    /// Asks everything again: there may be another user now, or another server.
    pub(super) fn forget(&mut self) {
        self.standings.iter_mut().for_each(|standing| standing.rest = 0);
    }

    /// Appends what is asked of such a server in this check, how durations are `spread` too or not, and says how many
    /// answers there will be.
    pub(super) fn ask(&mut self, mode: Mode, version: u32, spread: bool, out: &mut Vec<u8>) -> usize {
        let mut count = 0;
        for (question, standing) in QUESTIONS.iter().zip(&mut self.standings) {
            standing.rest = standing.rest.saturating_sub(1);
            let now = spread || question.what != What::LatencyHistogram;
            standing.asked = (question.of)(mode) && standing.rest == 0 && now;
            if version > 0 && version < question.since && (question.of)(mode) {
                standing.asked = false;
                refuse(standing, question, Why::Version, &self.series, &mut self.changed);
            }
            if !standing.asked {
                continue;
            }
            match question.what {
                // Several at a time are known since version 7.
                What::Config if version >= 7 => {
                    let mut words: [&[u8]; NAMES.len() + 2] = [b"GET"; NAMES.len() + 2];
                    words[0] = b"CONFIG";
                    for (word, name) in words.iter_mut().skip(2).zip(NAMES) {
                        *word = name;
                    }
                    command(&words, out);
                    count += 1;
                }
                What::Config => {
                    NAMES.iter().for_each(|name| command(&[b"CONFIG", b"GET", name], out));
                    count += NAMES.len();
                }
                _ => {
                    command(question.words, out);
                    count += 1;
                }
            }
        }
        count
    }

    /// Whether it may be asked now what is asked beside the rest.
    pub(super) fn may(&self, what: What) -> bool {
        QUESTIONS.iter().zip(&self.standings).any(|(question, standing)| question.what == what && standing.rest == 0)
    }

    /// What was asked, once for each answer that comes.
    pub(super) fn asked(&self, version: u32) -> impl Iterator<Item = What> {
        let asked = QUESTIONS.iter().zip(&self.standings).filter(|(_, standing)| standing.asked);
        asked.flat_map(move |(question, _)| {
            let count = if question.what == What::Config && version < 7 { NAMES.len() } else { 1 };
            std::iter::repeat_n(question.what, count)
        })
    }

    /// Notes that something was given, or an error in its place.
    pub(super) fn note(&mut self, what: What, error: Option<&str>) {
        for (question, standing) in QUESTIONS.iter().zip(&mut self.standings).filter(|(known, _)| known.what == what) {
            match error {
                None => self.changed |= standing.refused.take().is_some(),
                Some(error) if error.starts_with("NOPERM") => {
                    refuse(standing, question, Why::Permission, &self.series, &mut self.changed);
                }
                Some(error) if error.starts_with("ERR ") => {
                    refuse(standing, question, Why::Version, &self.series, &mut self.changed);
                }
                // The server is not well; that is told otherwise, and is over when it is over.
                Some(_) => {}
            }
        }
    }

    /// Writes what is not given, and says what mends it where that changed.
    pub(super) fn write(&mut self, user: &str, report: &mut Report) {
        for (_, labels) in self.standings.iter().filter_map(|standing| standing.refused.as_ref()) {
            report.put_with(&UNAVAILABLE, labels, 1_i64);
        }
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let refused = |why: Why| {
            let each = QUESTIONS.iter().zip(&self.standings);
            let of =
                each.filter(move |(_, standing)| standing.refused.as_ref().is_some_and(|(known, _)| *known == why));
            of.map(|(question, _)| question).collect::<Vec<_>>()
        };
        let list = |questions: &[&Question], word: fn(&Question) -> &'static str| {
            questions.iter().map(|question| word(question)).collect::<Vec<_>>().join(" ")
        };
        let permission = refused(Why::Permission);
        if !permission.is_empty() {
            let (names, grants) = (list(&permission, |known| known.name), list(&permission, |known| known.grant));
            report.advise(format!("{user} may not see {names}: ACL SETUSER {user} {grants}"));
        }
        let version = refused(Why::Version);
        if !version.is_empty() {
            let names = list(&version, |known| known.name);
            report.advise(format!("the server does not know {names}: it is too old for it, or calls it otherwise"));
        }
    }
}

fn refuse(standing: &mut Standing, question: &Question, why: Why, series: &Series, changed: &mut bool) {
    standing.rest = AGAIN;
    if standing.refused.as_ref().is_some_and(|(known, _)| *known == why) {
        return;
    }
    *changed = true;
    let reason = match why {
        Why::Permission => "permission",
        Why::Version => "version",
    };
    standing.refused = Some((why, series.labels(&[("what", question.name), ("reason", reason)])));
}
