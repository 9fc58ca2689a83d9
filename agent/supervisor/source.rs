//! One source: its sampler, its latest reading, and what is known of its health.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use crate::samplers::root::{Buffer, Root};
use crate::samplers::{self, Declaration, Sampler};
use crate::snapshot::{Failure, Labels, Reading};

/// A sampler at work.
pub(super) struct Source {
    pub(super) declaration: &'static Declaration,
    pub(super) labels: SourceLabels,
    /// Held while sampling. A sampler that hangs keeps it, and everybody else goes past.
    worker: Mutex<Worker>,
    options: samplers::Options,
    latest: Mutex<Arc<Reading>>,
    state: Mutex<State>,
    failures: AtomicU64,
    /// The sampling that is under way.
    busy: Mutex<Option<Instant>>,
}

/// The labels of the families that tell of sources.
pub(super) struct SourceLabels {
    pub(super) collector: Labels,
    pub(super) source: Labels,
}

struct Worker {
    sampler: Box<dyn Sampler>,
    spare: Spare,
}

/// Whether a source gives points, as the log last said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Up,
    Absent,
    Down,
}

/// Readings of before, to be written again. Three are in turn: one is written, one is the latest, and one may be held
/// by whoever reads a snapshot.
#[derive(Default)]
struct Spare(Vec<Arc<Reading>>);

impl Spare {
    /// A reading that nobody else holds, with the families of before where there is one.
    fn take(&mut self) -> Arc<Reading> {
        let free = self.0.iter_mut().position(|spare| Arc::get_mut(spare).is_some());
        free.map_or_else(Arc::default, |free| self.0.swap_remove(free))
    }

    /// Keeps a reading that was published before.
    fn keep(&mut self, reading: Arc<Reading>) {
        if self.0.len() == 2 {
            self.0.remove(0);
        }
        self.0.push(reading);
    }
}

/// A reading that is written anew for each snapshot: over the one of before, unless somebody still reads that.
#[derive(Default)]
pub(super) struct Renewed(Arc<Reading>);

impl Renewed {
    /// The reading of this moment.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Reading)) -> Arc<Reading> {
        write(Arc::make_mut(&mut self.0));
        Arc::clone(&self.0)
    }
}

impl Source {
    /// Builds the sampler. `failures` is what a predecessor counted.
    pub(super) fn new(declaration: &'static Declaration, options: &samplers::Options, failures: u64) -> Source {
        let worker = Worker { sampler: (declaration.build)(options), spare: Spare::default() };
        let unread = Reading::failed("not sampled yet".to_owned());
        Source {
            declaration,
            labels: SourceLabels {
                collector: Labels::new(&[("collector", declaration.name)]),
                source: Labels::new(&[("source", declaration.name)]),
            },
            worker: Mutex::new(worker),
            options: options.clone(),
            latest: Mutex::new(Arc::new(unread)),
            state: Mutex::new(State::Unknown),
            failures: AtomicU64::new(failures),
            busy: Mutex::new(None),
        }
    }

    /// What it said last.
    pub(super) fn latest(&self) -> Arc<Reading> {
        Arc::clone(&lock(&self.latest))
    }

    /// How often it has failed; a host that lacks the thing does not count.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether it was built from these options.
    pub(super) fn has_options(&self, options: &samplers::Options) -> bool {
        self.options.same_for(self.declaration.name, options)
    }

    /// Whether it has said nothing yet.
    pub(super) fn is_new(&self) -> bool {
        *lock(&self.state) == State::Unknown
    }

    /// Since when the sampling that is under way lasts.
    pub(super) fn busy_since(&self) -> Option<Instant> {
        *lock(&self.busy)
    }

    /// Samples once and publishes. Does nothing where another thread is at it.
    pub(super) fn sample(&self, root: &Root, buffer: &mut Buffer) {
        let mut worker = match self.worker.try_lock() {
            Ok(worker) => worker,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let mut reading = worker.spare.take();
        let start = Instant::now();
        *lock(&self.busy) = Some(start);
        if let Some(reading) = Arc::get_mut(&mut reading) {
            reading.start(start, root.calls.now());
            let sampled = catch_unwind(AssertUnwindSafe(|| worker.sampler.sample(root, buffer, reading)));
            reading.duration = start.elapsed();
            match sampled {
                Ok(Ok(())) => {}
                Ok(Err(error)) => reading.fail(error.into()),
                Err(panic) => {
                    reading.fail(Failure {
                        absent: false,
                        message: format!("the sampler panicked: {}", text_of(&*panic)),
                    });
                    worker.sampler = (self.declaration.build)(&self.options);
                }
            }
        }
        buffer.shrink();
        *lock(&self.busy) = None;
        let before = self.publish(reading);
        worker.spare.keep(before);
    }

    /// Says for a sampler that hangs since that moment what it can't say itself, unless it has come back meanwhile.
    pub(super) fn mark_hung(&self, since: Instant) {
        let busy = lock(&self.busy);
        if *busy == Some(since) {
            let message = format!("the sampler hangs, so far for {} s", since.elapsed().as_secs());
            self.publish(Arc::new(Reading::failed(message)));
        }
    }

    /// Makes `reading` the latest, logs a change of state, and gives back the one before.
    fn publish(&self, reading: Arc<Reading>) -> Arc<Reading> {
        let name = self.declaration.name;
        let mut state = lock(&self.state);
        let before = *state;
        match &reading.failure {
            None => *state = State::Up,
            Some(failure) if failure.absent => *state = State::Absent,
            Some(failure) => {
                *state = State::Down;
                self.failures.fetch_add(1, Ordering::Relaxed);
                if before != State::Down {
                    tracing::warn!(source = name, reason = %failure.message, "source is down");
                }
            }
        }
        if before == State::Down && *state != State::Down {
            tracing::info!(source = name, "source is back");
        }
        std::mem::replace(&mut *lock(&self.latest), reading)
    }
}

/// A panic's message, where it is text.
pub(super) fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

/// Locks, also after a panic of somebody who held it: what is behind these locks is whole at every moment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
