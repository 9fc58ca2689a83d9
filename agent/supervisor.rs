//! The supervisor: samples every source and asks every target in time, publishes what they say, and knows how they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::config;
use crate::instruments::Instruments;
use crate::samplers::root::{Buffer, Root};
use crate::samplers::{self, Declaration, SampleError};
use crate::snapshot::{Reading, Snapshot};
use crate::systemd::Watchdog;

mod account;
mod probing;
mod sampling;
mod schedule;
mod source;

use account::Account;
pub use account::{Health, METRICS, SourceHealth};
use probing::Probing;
pub use probing::{Asked, METRICS as PROBE_METRICS, ProbeHealth, ask_once, probe_once};
use sampling::Orders;
use schedule::Schedule;
use source::{Renewed, Source, lock};

/// The running supervisor, shared by everybody who reads what it publishes.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    root: Arc<Root>,
    probing: Probing,
    declarations: &'static [&'static Declaration],
    host: String,
    started: Instant,
    sources: Mutex<Arc<Vec<Arc<Source>>>>,
    /// Sources that a reload took away while they were sampled: the loop may hang in one of them.
    left: Mutex<Vec<Arc<Source>>>,
    interval: Mutex<Duration>,
    orders: Mutex<Orders>,
    wake: Condvar,
    /// When the last full pass started: everything but the slow tier is no older.
    full_pass: watch::Sender<Option<Instant>>,
    /// When the sources last changed: what a pass before that said is not what they say.
    changed: Mutex<Instant>,
    /// Full passes so far.
    passes: AtomicU64,
    /// When the loop last ended a round.
    round: Mutex<Instant>,
    /// When the network thread last showed that it lives.
    heart: Mutex<Instant>,
    watchdog: Mutex<Watchdog>,
    /// Counts what was published: a snapshot of an older number is out of date.
    generation: AtomicU64,
    newest: Mutex<Option<(u64, Arc<Snapshot>)>>,
    account: Mutex<Account>,
    instruments: Instruments,
    /// What the account wrote last, and what each of the others who tell of themselves did.
    own: Mutex<Renewed>,
    tellers: Mutex<Vec<(Arc<dyn Tell>, Renewed)>>,
}

/// Who knows something of himself that belongs on the page, beside the sources.
pub trait Tell: Send + Sync {
    /// Writes what is so now, whenever a snapshot is put together.
    fn tell(&self, reading: &mut Reading);
}

/// A loop that ended no round for this long is not alive. A minute of a machine under heavy swapping is not that.
const LOOP_LOST: Duration = Duration::from_secs(60);

/// A snapshot put together longer ago than this is put together again, so that ages on a page are true.
const SNAPSHOT_KEPT: Duration = Duration::from_secs(1);

impl Handle {
    /// Opens the host. Nothing is sampled yet.
    ///
    /// # Errors
    /// When `/proc`, `/sys` or `/` cannot be opened.
    pub fn open(config: &config::Config) -> Result<Handle, SampleError> {
        let paths = &config.paths;
        Ok(Handle::of(Root::open(&paths.proc, &paths.sys, &paths.root)?, config, samplers::ALL))
    }

    /// The same with a [`Root`] that is open already, and other samplers than [`samplers::ALL`].
    pub fn of(root: Root, config: &config::Config, declarations: &'static [&'static Declaration]) -> Handle {
        let now = Instant::now();
        let host = identity(&root);
        let root = Arc::new(root);
        let interval = config.sampling.interval;
        let orders = Orders {
            schedule: Schedule::new(&host, interval, now, SystemTime::now()),
            wanted: None,
            epoch: 0,
            stopping: false,
        };
        let sources = sources_of(declarations, &config.samplers, &[]);
        Handle(Arc::new(Shared {
            probing: Probing::new(&root, &host),
            root,
            declarations,
            host,
            started: now,
            sources: Mutex::new(Arc::new(sources)),
            left: Mutex::default(),
            interval: Mutex::new(interval),
            orders: Mutex::new(orders),
            wake: Condvar::new(),
            full_pass: watch::Sender::new(None),
            changed: Mutex::new(now),
            passes: AtomicU64::new(0),
            round: Mutex::new(now),
            heart: Mutex::new(now),
            watchdog: Mutex::new(Watchdog::of_unit()),
            generation: AtomicU64::new(0),
            newest: Mutex::new(None),
            account: Mutex::new(Account::new(config)),
            instruments: Instruments::default(),
            own: Mutex::default(),
            tellers: Mutex::default(),
        }))
    }

    /// Samples everything once, on this thread.
    pub fn sample(&self) {
        let start = Instant::now();
        let mut buffer = Buffer::default();
        for source in self.0.sources().iter() {
            source.sample(&self.0.root, &mut buffer);
        }
        self.0.round_done(start, true);
    }

    /// Starts the sampling loop, whose first pass samples everything.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(&self) -> std::io::Result<()> {
        sampling::start(&self.0)
    }

    /// Begins to ask what the configuration's probes ask, on the runtime of whoever calls.
    pub fn probe(&self, config: &config::Config) {
        self.0.probing.watch(&config.probe, config.otlp.naming);
    }

    /// Waits until the first pass is over.
    pub async fn first_pass(&self) {
        // It fails when the supervisor is gone, and this is a part of it.
        let _ = self.0.full_pass.subscribe().wait_for(Option::is_some).await;
    }

    /// Watches the sampling loop for ever; runs on the network's thread.
    pub async fn monitor(self) {
        sampling::monitor(self).await;
    }

    /// A snapshot no older than `max_age`, waited for at most `deadline`; then the newest there is.
    ///
    /// Callers that come together share one sampling pass, and the same `Arc` while nothing newer exists.
    pub async fn snapshot(&self, max_age: Duration, deadline: Duration) -> Arc<Snapshot> {
        let now = Instant::now();
        let wanted = now.checked_sub(max_age).unwrap_or(now).max(*lock(&self.0.changed));
        let mut passes = self.0.full_pass.subscribe();
        let fresh = |last: &Option<Instant>| last.is_some_and(|last| last >= wanted);
        if !fresh(&passes.borrow_and_update()) {
            self.0.want(wanted);
            // Whether in time or not: the newest is served.
            let _ = tokio::time::timeout(deadline, passes.wait_for(fresh)).await;
        }
        self.newest()
    }

    /// The newest snapshot there is.
    pub fn newest(&self) -> Arc<Snapshot> {
        let shared = &self.0;
        let generation = shared.generation.load(Ordering::Acquire);
        let mut newest = lock(&shared.newest);
        if let Some((of, snapshot)) = &*newest
            && *of == generation
            && snapshot.at.elapsed() < SNAPSHOT_KEPT
        {
            return Arc::clone(snapshot);
        }
        // What is in it can be written anew, unless somebody still reads it.
        *newest = None;
        let now = Instant::now();
        let sources = shared.sources();
        let mut readings: Vec<_> = sources.iter().map(|source| shared.current(source, now)).collect();
        let taken = shared.root.calls.now();
        let account = lock(&shared.account);
        let own = lock(&shared.own).write(|own| account.write(own, shared, &sources, &readings, (now, taken)));
        drop(account);
        readings.push(own);
        readings.extend(lock(&shared.tellers).iter_mut().map(|(teller, told)| {
            told.write(|reading| {
                reading.start(now, taken);
                teller.tell(reading);
            })
        }));
        shared.probing.tell(now, taken, &mut readings);
        let snapshot = Arc::new(Snapshot { readings, at: now, taken });
        *newest = Some((generation, Arc::clone(&snapshot)));
        snapshot
    }

    /// Lets go of a snapshot that would not be served again: what is in it can be written anew.
    fn forget(&self) {
        let old = lock(&self.0.newest).take_if(|(_, snapshot)| snapshot.at.elapsed() >= SNAPSHOT_KEPT);
        if old.is_some() {
            self.0.probing.forget();
        }
    }

    /// Asks `teller` too, from the next snapshot on.
    pub fn ask(&self, teller: Arc<dyn Tell>) {
        lock(&self.0.tellers).push((teller, Renewed::default()));
        self.0.published();
    }

    /// How the agent and each of its sources are.
    pub fn health(&self) -> Health {
        account::health(&self.0)
    }

    /// Takes a new configuration over. Sources whose options stay as they are keep all they know.
    pub fn reload(&self, config: &config::Config) {
        let shared = &self.0;
        {
            let mut sources = lock(&shared.sources);
            let new = sources_of(shared.declarations, &config.samplers, &sources);
            let left = |source: &&Arc<Source>| !new.iter().any(|new| Arc::ptr_eq(new, source));
            lock(&shared.left).extend(sources.iter().filter(left).map(Arc::clone));
            *sources = Arc::new(new);
        }
        *lock(&shared.interval) = config.sampling.interval;
        lock(&shared.orders).schedule =
            Schedule::new(&shared.host, config.sampling.interval, Instant::now(), SystemTime::now());
        lock(&shared.account).loaded(config);
        shared.probing.watch(&config.probe, config.otlp.naming);
        let now = Instant::now();
        *lock(&shared.changed) = now;
        shared.published();
        shared.want(now);
    }

    /// Notes that a new configuration was refused.
    pub fn reload_refused(&self) {
        lock(&self.0.account).refused();
        self.0.published();
    }

    /// Ends the probes, and the sampling loop after the source that it is at.
    pub fn stop(&self) {
        self.0.probing.stop();
        lock(&self.0.orders).stopping = true;
        self.0.wake.notify_all();
    }

    /// What measures the agent's own work. Measures nothing until it is started.
    pub fn instruments(&self) -> &Instruments {
        &self.0.instruments
    }

    /// What tells this host from all others: its machine-id, else its hostname.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The door to the kernel.
    pub fn root(&self) -> &Arc<Root> {
        &self.0.root
    }
}

impl Shared {
    fn sources(&self) -> Arc<Vec<Arc<Source>>> {
        Arc::clone(&lock(&self.sources))
    }

    fn interval(&self) -> Duration {
        *lock(&self.interval)
    }

    fn want(&self, since: Instant) {
        let mut orders = lock(&self.orders);
        orders.wanted = Some(orders.wanted.map_or(since, |wanted| wanted.max(since)));
        self.wake.notify_all();
    }

    fn published(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn round_done(&self, start: Instant, full: bool) {
        *lock(&self.round) = Instant::now();
        self.published();
        if full {
            self.passes.fetch_add(1, Ordering::Relaxed);
            self.full_pass.send_replace(Some(start));
            self.instruments.pass(start.elapsed());
        }
        if lock(&self.heart).elapsed() < LOOP_LOST {
            lock(&self.watchdog).turned();
        }
    }

    fn beat(&self) {
        *lock(&self.heart) = Instant::now();
    }

    /// What a source says now: its latest reading, or nothing where that is too old to be true.
    fn current(&self, source: &Source, now: Instant) -> Arc<Reading> {
        let latest = source.latest();
        let age = now.saturating_duration_since(latest.at);
        if latest.failure.is_some() || age <= self.too_old(source) {
            return latest;
        }
        let mut stale = Reading::failed(format!("not sampled for {} s", age.as_secs()));
        (stale.at, stale.taken, stale.duration) = (latest.at, latest.taken, latest.duration);
        Arc::new(stale)
    }

    /// The age at which a reading is dropped: three times what its source takes between two of them.
    fn too_old(&self, source: &Source) -> Duration {
        let period = match source.declaration.tier {
            samplers::Tier::Slow => schedule::SLOW,
            samplers::Tier::Fast | samplers::Tier::Standard => self.interval(),
        };
        period * 3
    }
}

/// The enabled sources; those of `before` whose options have not changed are taken over.
fn sources_of(
    declarations: &[&'static Declaration],
    options: &samplers::Options,
    before: &[Arc<Source>],
) -> Vec<Arc<Source>> {
    let enabled = |declaration: &&&Declaration| !options.disabled.iter().any(|name| name == declaration.name);
    let source = |declaration: &&'static Declaration| {
        let known = before.iter().find(|source| std::ptr::eq(source.declaration, *declaration));
        match known {
            Some(known) if known.has_options(options) => Arc::clone(known),
            known => Arc::new(Source::new(declaration, options, known.map_or(0, |known| known.failures()))),
        }
    };
    declarations.iter().filter(enabled).map(source).collect()
}

/// What tells this host from all others: its machine-id (machine-id(5)), else its hostname.
fn identity(root: &Root) -> String {
    let machine_id = root.host.read("etc/machine-id", &mut Buffer::default()).map(|text| text.trim().to_owned());
    machine_id.or_else(|_| root.calls.uname().map(|uname| uname.nodename)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
