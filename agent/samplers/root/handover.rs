//! What one sampler read for another of the same pass.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The lines of `/proc/stat` that are about the whole system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ticks that all CPUs spent in programs and in the kernel for them: user, nice and system.
    pub busy_ticks: Option<u64>,
    /// Interrupts of all kinds.
    pub interrupts: Option<u64>,
    /// Context switches of all CPUs.
    pub context_switches: Option<u64>,
    /// When the kernel started, since 1970.
    pub boot_time_seconds: Option<u64>,
    /// Processes and threads that were started.
    pub forks: Option<u64>,
    /// Threads that run or are ready to.
    pub running: Option<u64>,
    /// Threads that wait for I/O.
    pub blocked: Option<u64>,
}

/// What `cpu` found in `/proc/stat` for `stat`: the kernel sums every interrupt of every CPU to write that file, so
/// that one reading serves both.
#[derive(Debug, Default)]
pub struct Handover(Mutex<Option<(Instant, Totals)>>);

/// The oldest that a handover may be: both samplers run in one pass or read for themselves.
const HANDOVER_AGE: Duration = Duration::from_millis(100);

impl Handover {
    /// Leaves what was read at that moment.
    pub fn leave(&self, at: Instant, totals: Option<Totals>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = totals.map(|totals| (at, totals));
    }

    /// Takes what was left, once, if it is of this pass.
    pub fn take(&self, now: Instant) -> Option<Totals> {
        let totals = self.look(now);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        totals
    }

    /// What was left, if it is of this pass; it stays for others.
    pub fn look(&self, now: Instant) -> Option<Totals> {
        let (at, totals) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        (now.saturating_duration_since(at) <= HANDOVER_AGE).then_some(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handover_is_taken_once_and_only_in_its_own_pass() {
        let (handover, now) = (Handover::default(), Instant::now());
        let totals = Totals { forks: Some(1), ..Totals::default() };
        handover.leave(now, Some(totals));
        assert_eq!((handover.look(now), handover.look(now)), (Some(totals), Some(totals)));
        assert_eq!((handover.take(now + HANDOVER_AGE), handover.take(now)), (Some(totals), None));
        handover.leave(now, Some(totals));
        assert_eq!(handover.take(now + Duration::from_secs(1)), None);
    }
}
