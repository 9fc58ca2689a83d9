//! What the server is set to (CONFIG GET).

use super::kept::{Kept, List};
use super::metrics::{
    CONFIG_BACKLOG, CONFIG_BUFFER, CONFIG_IO_THREADS, CONFIG_MAXCLIENTS, CONFIG_MAXMEMORY, CONFIG_OVERCOME, CONFIG_TEXT,
};
use super::resp::Reply;
use super::series::Series;
use crate::probes::Report;

/// What is asked for: each by its name, so that no secret is ever told, as `CONFIG GET *` tells `requirepass`.
pub(super) const NAMES: [&[u8]; 8] = [
    b"maxmemory",
    b"maxmemory-policy",
    b"maxclients",
    b"io-threads",
    b"databases",
    b"repl-backlog-size",
    b"client-output-buffer-limit",
    b"appendonly",
];

/// The most classes of clients; Redis has three.
const CLASSES: usize = 8;

/// What is kept of it from check to check.
pub(super) struct Options {
    series: Series,
    policy: Kept,
    appendonly: Kept,
    limits: List,
}

impl Options {
    pub(super) fn new(series: &Series) -> Options {
        Options {
            series: series.clone(),
            policy: Kept::default(),
            appendonly: Kept::default(),
            limits: List::of(2 * CLASSES),
        }
    }

    pub(super) fn start(&mut self) {
        self.limits.start();
    }

    /// Takes an answer: names and values. Gives back how many databases there are, where that is among them.
    pub(super) fn write(&mut self, reply: Reply, report: &mut Report) -> Option<usize> {
        let mut databases = None;
        let mut pairs = reply.items();
        while let (Some(name), Some(value)) = (pairs.next().and_then(Reply::text), pairs.next().and_then(Reply::text)) {
            let number = value.parse::<i64>().ok();
            let metric = match name {
                "maxmemory" => &CONFIG_MAXMEMORY,
                "maxclients" => &CONFIG_MAXCLIENTS,
                "io-threads" => &CONFIG_IO_THREADS,
                "repl-backlog-size" => &CONFIG_BACKLOG,
                "databases" => {
                    databases = value.parse().ok();
                    continue;
                }
                "maxmemory-policy" | "appendonly" => {
                    let kept = if name == "appendonly" { &mut self.appendonly } else { &mut self.policy };
                    report.put_with(&CONFIG_TEXT, kept.of(&self.series, &["key", "value"], &[name, value]), 1_i64);
                    continue;
                }
                "client-output-buffer-limit" => {
                    self.buffers(value, report);
                    continue;
                }
                _ => continue,
            };
            if let Some(number) = number {
                report.put_with(metric, &self.series.own, number);
            }
        }
        databases
    }

    /// `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`: of each class the hard limit, the soft one,
    /// and how long more than that may wait.
    fn buffers(&mut self, value: &str, report: &mut Report) {
        let mut words = value.split_ascii_whitespace();
        let number =
            |words: &mut std::str::SplitAsciiWhitespace| words.next().and_then(|word| word.parse::<i64>().ok());
        while let (Some(class), Some(hard), Some(soft), Some(seconds)) =
            (words.next(), number(&mut words), number(&mut words), number(&mut words))
        {
            let names = ["class", "limit"];
            if let Some(kept) = self.limits.next() {
                report.put_with(&CONFIG_BUFFER, kept.of(&self.series, &names, &[class, "hard"]), hard);
            }
            if let Some(kept) = self.limits.next() {
                let labels = kept.of(&self.series, &names, &[class, "soft"]);
                report.put_with(&CONFIG_BUFFER, labels, soft);
                report.put_with(&CONFIG_OVERCOME, labels, seconds);
            }
        }
    }
}
