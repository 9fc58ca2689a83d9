//! When to sample: three tiers, each with a phase of this host, and the wishes of scrapes.

use std::time::{Duration, Instant, SystemTime};

use crate::phase;
use crate::samplers::Tier;

/// How often the fast tier is sampled.
pub(super) const FAST: Duration = Duration::from_secs(1);
/// How often the slow tier is sampled.
pub(super) const SLOW: Duration = Duration::from_secs(60);

/// The next moment of each tier.
#[derive(Debug)]
pub(super) struct Schedule {
    tiers: [(Tier, Duration, Instant); 3],
}

impl Schedule {
    /// A schedule whose phases follow from `host`, so that neither the hosts of a fleet nor the tiers of one host
    /// wake up together, nor on whole seconds, when the kernel computes its load averages.
    pub(super) fn new(host: &str, interval: Duration, now: Instant, wall: SystemTime) -> Schedule {
        let tier = |tier, period| (tier, period, now + phase::wait(host, period, wall));
        Schedule { tiers: [tier(Tier::Fast, FAST), tier(Tier::Standard, interval), tier(Tier::Slow, SLOW)] }
    }

    /// The next moment at which something is due.
    pub(super) fn next(&self) -> Instant {
        let [fast, standard, slow] = &self.tiers;
        fast.2.min(standard.2).min(slow.2)
    }

    /// The tiers that are due, each moved to its next moment after `now`: what was missed is not made up for.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Tier> {
        let mut due = Vec::new();
        for (tier, period, at) in &mut self.tiers {
            if *at <= now {
                let missed = now.duration_since(*at).as_nanos() / period.as_nanos().max(1);
                *at += period.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1));
                due.push(*tier);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn schedule(host: &str, wall_seconds: f64) -> (Schedule, Instant) {
        let now = Instant::now();
        (Schedule::new(host, INTERVAL, now, UNIX_EPOCH + Duration::from_secs_f64(wall_seconds)), now)
    }

    #[test]
    fn every_tier_comes_within_its_period_and_then_again() {
        let (mut schedule, now) = schedule("a", 1000.0);
        assert!(schedule.next() <= now + FAST);
        assert_eq!(schedule.due(now + SLOW), [Tier::Fast, Tier::Standard, Tier::Slow]);
        assert!(schedule.next() > now + SLOW && schedule.next() <= now + SLOW + FAST);
        assert_eq!(schedule.due(schedule.next()), [Tier::Fast]);
    }

    #[test]
    fn a_process_that_was_stopped_does_not_make_up_for_what_it_missed() {
        let (mut schedule, now) = schedule("a", 1000.0);
        let later = now + Duration::from_secs(86_400);
        schedule.due(later);
        assert!(schedule.due(later).is_empty());
    }
}
