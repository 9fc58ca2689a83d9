//! The sampling loop, and the monitor that replaces it when a sampler hangs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::schedule::Schedule;
use super::source::{Source, lock};
use super::{Handle, Shared};
use crate::samplers::Tier;
use crate::samplers::root::Buffer;

/// What the loop is asked to do.
pub(super) struct Orders {
    pub(super) schedule: Schedule,
    /// A scrape waits for a full pass that starts no earlier than this.
    pub(super) wanted: Option<Instant>,
    /// Which loop is at work; one that finds another number here ends.
    pub(super) epoch: u64,
    pub(super) stopping: bool,
}

/// One round of the loop.
struct Round {
    tiers: Vec<Tier>,
    /// Whether everything but the slow tier is sampled.
    full: bool,
}

/// Starts a sampling thread that takes over from any before it.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    let mut orders = lock(&shared.orders);
    let (epoch, shared) = (orders.epoch + 1, Arc::clone(shared));
    let thread = std::thread::Builder::new().name("sampler".to_owned());
    thread.spawn(move || run(&shared, epoch))?;
    orders.epoch = epoch;
    Ok(())
}

fn run(shared: &Shared, epoch: u64) {
    let mut buffer = Buffer::default();
    while let Some(round) = next_round(shared, epoch) {
        let start = Instant::now();
        let sources = shared.sources();
        let due = |source: &&Arc<Source>| round.tiers.contains(&source.declaration.tier) || source.is_new();
        for source in sources.iter().filter(due) {
            source.sample(&shared.root, &mut buffer);
            if lock(&shared.orders).epoch != epoch {
                return;
            }
        }
        shared.round_done(start, round.full);
    }
}

/// Waits for something to do. `None` when this loop is not wanted any more.
fn next_round(shared: &Shared, epoch: u64) -> Option<Round> {
    let mut orders = lock(&shared.orders);
    loop {
        if orders.stopping || orders.epoch != epoch {
            return None;
        }
        let now = Instant::now();
        let last_full = *shared.full_pass.borrow();
        if last_full.is_none() {
            return Some(Round { tiers: vec![Tier::Fast, Tier::Standard, Tier::Slow], full: true });
        }
        match orders.wanted {
            // It stays until a pass has begun after it and ended: this loop may be the one that hangs.
            Some(wanted) if last_full.is_none_or(|last| last < wanted) => {
                return Some(Round { tiers: vec![Tier::Fast, Tier::Standard], full: true });
            }
            _ => orders.wanted = None,
        }
        let mut tiers = orders.schedule.due(now);
        let full = tiers.contains(&Tier::Standard);
        let scraped = last_full.is_some_and(|last| now.duration_since(last) < shared.interval() / 2);
        if full && scraped {
            tiers.retain(|tier| *tier != Tier::Standard);
        } else if full && !tiers.contains(&Tier::Fast) {
            tiers.push(Tier::Fast);
        }
        if !tiers.is_empty() {
            return Some(Round { full: full && !scraped, tiers });
        }
        let wait = orders.schedule.next().saturating_duration_since(now);
        orders = shared.wake.wait_timeout(orders, wait).unwrap_or_else(std::sync::PoisonError::into_inner).0;
    }
}

/// How often the monitor looks. A sampling that it meets twice holds the others up.
const LOOK: Duration = Duration::from_secs(1);

/// How many looks meet a sampling that hangs. What is slow may take its time: `cpufreq` sleeps in the kernel for some
/// milliseconds a CPU.
const fn hangs_after(tier: Tier) -> u32 {
    match tier {
        Tier::Fast | Tier::Standard => 2,
        Tier::Slow => 30,
    }
}

/// Watches the loop: where a sampler holds it up, the thread is left to it, and another loop goes on with the other
/// sources; where it hangs, its source is marked. There are never more threads than sources and one.
pub(super) async fn monitor(handle: Handle) {
    let shared = &handle.0;
    let mut met: Vec<(Arc<Source>, Instant, u32)> = Vec::new();
    let mut takeover = false;
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.beat();
        handle.forget();
        let sources = shared.sources();
        let mut left = lock(&shared.left);
        left.retain(|source| source.busy_since().is_some());
        let looks = |source: &Arc<Source>, since| {
            let before = met.iter().find(|(before, then, _)| Arc::ptr_eq(before, source) && *then == since);
            before.map_or(1, |(_, _, looks)| looks.saturating_add(1))
        };
        let busy = sources.iter().chain(&*left).filter_map(|source| Some((source, source.busy_since()?)));
        let busy: Vec<_> = busy.map(|(source, since)| (Arc::clone(source), since, looks(source, since))).collect();
        drop(left);
        for (source, since, looks) in &busy {
            takeover |= *looks == 2;
            if *looks == hangs_after(source.declaration.tier) {
                source.mark_hung(*since);
                shared.published();
            }
        }
        met = busy;
        if takeover {
            match start(shared) {
                Ok(()) => takeover = false,
                Err(error) => tracing::error!(%error, "no thread to take over from a sampler that holds the others up"),
            }
        }
    }
}
