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
    /// When the snapshot was taken that was pushed last.
    pub(super) pushed: Option<SystemTime>,
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
        // Where nothing was sampled since, there is nothing to push of the host.
        if self.pushed.replace(snapshot.taken) != Some(snapshot.taken) {
            self.status.made();
            let Lane { encoder, compressor, .. } = self;
            encoder.encode(&snapshot, REQUEST_LIMIT, |request, points| {
                records.push(compressor.record(request, points, snapshot.taken));
            });
        }
        records.extend(self.measured());
        // What a slow disk has not kept by then, it keeps later.
        let _ = timeout(PATIENCE, self.keeper.append(records)).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Naming;
    use crate::config::{Compression, Config};
    use crate::push::resource::Resource;
    use crate::push::spool::Spool;
    use crate::push::start::Starts;
    use crate::snapshot::Value;

    #[tokio::test]
    async fn a_snapshot_is_pushed_and_counted_once() {
        let (config, state) = (Config::default(), tempfile::tempdir().unwrap());
        let handle = Handle::open(&config).unwrap();
        let resource = Resource::of(handle.root(), &config.host);
        let starts = Starts::of(handle.root(), SystemTime::now());
        let mut lane = Lane {
            keeper: Keeper::start(Spool::open(state.path(), config.otlp.spool).unwrap()).unwrap(),
            status: Arc::default(),
            events: Events::default(),
            encoder: Encoder::new(&resource, Naming::default(), starts),
            compressor: Compressor::new(Compression::None),
            interval: config.otlp.interval,
            pushed: None,
            handle,
        };
        lane.status.aim(Some((lane.keeper.clone(), String::new())));
        lane.handle.ask(Arc::clone(&lane.status) as _);
        lane.handle.sample();
        lane.push().await;
        let records = lane.keeper.status().records;
        assert!(records > 0);
        lane.push().await;
        assert_eq!(lane.keeper.status().records, records, "nothing was sampled since");
        lane.handle.sample();
        lane.push().await;
        assert!(lane.keeper.status().records > records);
        lane.handle.sample();
        let snapshot = lane.handle.newest();
        let count = snapshot.families().find(|family| family.metric.name == "vigie_push_snapshots_total").unwrap();
        assert_eq!(count.points().first().unwrap().value, Value::Int(2));
    }
}
