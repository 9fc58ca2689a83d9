//! The host lane: once per interval the newest snapshot becomes requests, and they go to the spool.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::compress::Compressor;
use super::encode::{Encoder, REQUEST_LIMIT};
use super::record::Record;
use super::spool::keeper::Keeper;
use super::status::Status;
use super::until;
use crate::phase;
use crate::supervisor::Handle;

/// The oldest numbers that are pushed as the newest.
const FRESH: Duration = Duration::from_secs(1);

/// The longest that fresher ones, or the disk, are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests of the instruments that are on their way to the spool.
pub(super) type Events = Arc<Mutex<Vec<Record>>>;

/// Turns snapshots, and what the instruments measured, into requests.
pub(super) struct Lane {
    pub(super) handle: Handle,
    pub(super) keeper: Keeper,
    pub(super) status: Arc<Status>,
    pub(super) events: Events,
    pub(super) encoder: Encoder,
    pub(super) compressor: Compressor,
    pub(super) interval: Duration,
}

impl Lane {
    /// Pushes at this host's moment of each interval, until `stop` says so.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Lane {
        let first = Instant::now() + phase::wait(self.handle.host(), self.interval, SystemTime::now());
        let mut ticks = interval_at(first, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while until(&mut stop, ticks.tick()).await.is_some() {
            self.push().await;
        }
        self
    }

    /// Pushes what is so now.
    pub(super) async fn push(&mut self) {
        let snapshot = self.handle.snapshot(FRESH, PATIENCE).await;
        let mut records = Vec::new();
        let Lane { encoder, compressor, .. } = self;
        encoder.encode(&snapshot, REQUEST_LIMIT, |request, points| {
            records.push(compressor.record(request, points, snapshot.taken));
        });
        records.extend(self.measured());
        // What a slow disk has not kept by then, it keeps later.
        let _ = timeout(PATIENCE, self.keeper.append(records)).await;
        self.status.made();
    }

    /// What the instruments have measured since they were started.
    fn measured(&mut self) -> Vec<Record> {
        if let Err(error) = self.handle.instruments().flush() {
            tracing::debug!(%error, "the agent's own measurements are not pushed");
        }
        let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        events.iter().map(|event| self.compressor.record(&event.body, event.points, event.taken)).collect()
    }
}
