//! When checks begin: each at its moment, and those of one moment in turn.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::phase;
use crate::snapshot::Durations;
use crate::supervisor::source::lock;

/// What all probes share.
pub(super) struct Order {
    start: Instant,
    /// What time it was then by the wall: two probes must mean the same by a moment.
    wall: SystemTime,
    /// Who begins.
    turn: Semaphore,
    /// How late checks began.
    lateness: Mutex<Arc<Durations>>,
}

impl Order {
    /// Of probes that are asked from now on.
    pub(super) fn new(wall: SystemTime) -> Order {
        let lateness = Mutex::new(Arc::new(Durations::new(wall)));
        Order { start: Instant::now(), wall, turn: Semaphore::new(1), lateness }
    }

    /// The next moment that `probe` has within each `period`, on a host that is `host`.
    pub(super) fn next(&self, host: &str, probe: &str, period: Duration) -> Instant {
        let now = Instant::now();
        let wall = self.wall + now.saturating_duration_since(self.start);
        now + phase::wait_in_steps(host, probe, period, wall)
    }

    /// Waits for the turn of a check that was due at `due`.
    pub(super) async fn turn(&self, due: Instant) -> Turn<'_> {
        // Nobody closes it.
        let turn = Turn(self.turn.acquire().await.ok());
        Arc::make_mut(&mut *lock(&self.lateness)).add(due.elapsed());
        turn
    }

    /// How late checks began so far.
    pub(super) fn lateness(&self) -> Arc<Durations> {
        Arc::clone(&lock(&self.lateness))
    }
}

/// The turn of one check.
pub(super) struct Turn<'a>(Option<SemaphorePermit<'a>>);

impl Turn<'_> {
    /// Lets the next one begin, when the answers that have come meanwhile are read: they would wait for all of them,
    /// and what is measured is the target and not the others.
    pub(super) async fn pass(self) {
        tokio::task::yield_now().await;
        drop(self.0);
    }
}
