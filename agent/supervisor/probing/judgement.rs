//! Judgement: when failures make a target down, when successes make it up, and how often one long dead is asked.

use std::time::Duration;

use tokio::time::Instant;

use crate::probes::Common;

/// A target that failed for so long is asked less often.
const LONG: Duration = Duration::from_secs(5 * 60);

/// Within this time after a target has come back, it is known to be up: so much and no more is it left alone.
const RECOVERY: Duration = Duration::from_secs(60);

/// What is known of one target.
#[derive(Clone, Debug, Default)]
pub(super) struct Judgement {
    /// Whether it is up; nothing before that is sure.
    pub(super) up: Option<bool>,
    /// Failures in a row.
    pub(super) failures: u32,
    successes: u32,
    /// Since when it has failed without a success between.
    failing_since: Option<Instant>,
    /// Every how manieth of its moments it is asked at.
    stride: u32,
}

impl Judgement {
    /// Takes one answer into account, and says whether that changed the judgement.
    pub(super) fn note(&mut self, success: bool, common: &Common, now: Instant) -> bool {
        let before = self.up;
        if success {
            self.successes = self.successes.saturating_add(1);
            (self.failures, self.failing_since, self.stride) = (0, None, 1);
            // The first answer of all is believed.
            if self.up.is_none() || self.successes >= common.successes_before_up {
                self.up = Some(true);
            }
        } else {
            self.failures = self.failures.saturating_add(1);
            self.successes = 0;
            let since = *self.failing_since.get_or_insert(now);
            if self.failures >= common.failures_before_down {
                self.up = Some(false);
            }
            let long_dead = self.up == Some(false) && now.saturating_duration_since(since) >= LONG;
            self.stride = if long_dead { self.stride().saturating_mul(2).min(most(common)) } else { 1 };
        }
        self.up != before
    }

    /// Every how manieth of its moments the target is asked at now.
    pub(super) fn stride(&self) -> u32 {
        self.stride.max(1)
    }
}

/// The longest stride with which a target is known to be up in time: after it came back it waits for one stride, then
/// for the further successes that are needed, and the last check may take an interval.
fn most(common: &Common) -> u32 {
    let intervals = RECOVERY.as_nanos() / common.interval.as_nanos().max(1);
    u32::try_from(intervals).unwrap_or(u32::MAX).saturating_sub(common.successes_before_up).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(interval: u64) -> Common {
        Common { interval: Duration::from_secs(interval), ..Common::named("x") }
    }

    /// Notes answers an interval apart, `+` and `-`, and tells the judgement after each: `u`, `d` or `?`.
    fn judged(answers: &str) -> String {
        let (mut judgement, common, mut now) = (Judgement::default(), common(15), Instant::now());
        let mut judge = |answer| {
            judgement.note(answer == '+', &common, now);
            now += common.interval;
            judgement.up.map_or('?', |up| if up { 'u' } else { 'd' })
        };
        answers.chars().map(&mut judge).collect()
    }

    #[test]
    fn one_lost_packet_is_no_outage_and_one_answer_no_recovery() {
        assert_eq!(judged("+-+--+---+-+-++-+"), "uuuuuuuudddddduuu");
    }

    #[test]
    fn the_first_success_is_believed_and_the_first_failure_is_not() {
        assert_eq!(judged("+"), "u");
        assert_eq!(judged("---"), "??d");
        assert_eq!(judged("--+"), "??u");
    }

    #[test]
    fn a_target_long_dead_is_asked_less_often_and_its_return_is_seen_within_a_minute() {
        for (interval, needed) in [(1, 1), (1, 2), (5, 2), (10, 3), (15, 1), (15, 2), (30, 2), (60, 1), (600, 5)] {
            let common = Common { successes_before_up: needed, ..common(interval) };
            let (mut judgement, start) = (Judgement::default(), Instant::now());
            let mut now = start;
            while now < start + Duration::from_secs(7_200) {
                judgement.note(false, &common, now);
                assert!(judgement.stride() == 1 || now >= start + LONG);
                now += common.interval * judgement.stride();
            }
            let seen = common.interval * (judgement.stride() + needed);
            assert!(judgement.stride() == 1 || seen <= RECOVERY, "{interval} s: {seen:?}");
            if interval == 1 {
                assert!(judgement.stride() > 50);
            }
            judgement.note(true, &common, now);
            assert_eq!(judgement.stride(), 1);
        }
    }
}
