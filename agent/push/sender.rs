//! What carries requests from the spool to the collector: one at a time, in order, until each is taken.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::client::{Backoff, Client, ExportError, Retry};
use super::record::Record;
use super::spool::keeper::Keeper;
use super::status::Status;
use super::until;
use crate::config::{self, Protocol};
use crate::instruments::Instruments;

/// How much faster than it was measured a backlog is sent: after an outage of an hour it takes three minutes.
const REPLAY: u32 = 20;

/// What is older than so many intervals is a backlog.
const BEHIND: u32 = 2;

/// Carries requests.
pub(super) struct Sender {
    keeper: Keeper,
    client: Client,
    status: Arc<Status>,
    instruments: Instruments,
    protocol: Protocol,
    /// How often the host is told of.
    interval: Duration,
    /// When the request before was measured.
    before: Option<SystemTime>,
}

impl Sender {
    /// Carries from `keeper` by `client`.
    pub(super) fn new(
        keeper: &Keeper,
        client: Client,
        status: &Arc<Status>,
        instruments: &Instruments,
        otlp: &config::Otlp,
    ) -> Sender {
        let (keeper, status, instruments) = (keeper.clone(), Arc::clone(status), instruments.clone());
        let (protocol, interval) = (otlp.protocol, otlp.interval);
        Sender { keeper, client, status, instruments, protocol, interval, before: None }
    }

    /// Carries what comes until `stop` says so; a request that is under way is carried to its end.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Sender {
        while let Some(record) = until(&mut stop, self.keeper.next()).await {
            let pause = self.pause(record.taken);
            let mut wait = until(&mut stop, sleep(pause)).await;
            let mut backoff = Backoff::default();
            while wait.is_some()
                && let Err(wish) = self.attempt(&record).await
            {
                wait = until(&mut stop, sleep(backoff.wait(wish))).await;
            }
        }
        self
    }

    /// Carries what there is, without any pause, until nothing waits, the collector does not answer or it is `deadline`.
    pub(super) async fn flush(&mut self, deadline: Instant) {
        while self.keeper.status().records > 0 {
            let next = async {
                let record = self.keeper.next().await;
                self.attempt(&record).await.is_ok()
            };
            if timeout_at(deadline, next).await != Ok(true) {
                return;
            }
        }
    }

    /// Sends a request once. It is over where the collector took it, or refused it for good; else, what the collector
    /// wishes to be left alone for.
    async fn attempt(&mut self, record: &Record) -> Result<(), Option<Duration>> {
        let start = Instant::now();
        let answer = self.client.export(record.body.clone(), record.encoding).await;
        self.instruments.push(self.protocol, start.elapsed(), answer.as_ref().err().map(ExportError::reason));
        match answer {
            Ok(accepted) => self.status.sent(record, &accepted),
            Err(error) => match error.retry() {
                Retry::After(wish) => {
                    self.status.failed(&error);
                    return Err(wish);
                }
                Retry::Never => self.status.refused(record, &error),
            },
        }
        self.keeper.done().await;
        Ok(())
    }

    /// How long to wait before a request of a backlog, so that neither the collector nor the line is flooded.
    fn pause(&mut self, taken: SystemTime) -> Duration {
        let before = self.before.replace(taken).unwrap_or(taken);
        let behind = taken.elapsed().is_ok_and(|age| age > self.interval * BEHIND);
        let between = taken.duration_since(before).unwrap_or_default().min(self.interval);
        if behind { between / REPLAY } else { Duration::ZERO }
    }
}
