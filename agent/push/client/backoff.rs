//! How long to wait before the next attempt.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// The first wait, at most.
const FIRST: Duration = Duration::from_secs(1);
/// The longest of our own accord.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest that a collector's wish is followed: it may be a date of next year, by a clock that is wrong.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// The waits between attempts, each up to twice as long as the one before. Chance makes them shorter by up to a half,
/// so that a fleet whose collector was away does not come back all at once.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure; a collector that `wishes` a longer wait gets it, and chance adds up to
    /// a tenth.
    pub fn wait(&mut self, wishes: Option<Duration>) -> Duration {
        let chance = chance();
        let most = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let own = most.mul_f64(0.5 + chance / 2.0);
        let wish = wishes.unwrap_or_default().min(LONGEST_WISH).mul_f64(1.0 + chance / 10.0);
        own.max(wish)
    }

    /// An attempt succeeded: the next failure is a first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // A kernel without randomness gives no jitter.
    let _ = SystemRandom::new().fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_start_anew() {
        let mut backoff = Backoff::default();
        for most in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (wait, most) = (backoff.wait(None), Duration::from_secs(most));
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        }
        (0..100).for_each(|_| assert!(backoff.wait(None) <= LONGEST));
        backoff.reset();
        assert!(backoff.wait(None) <= FIRST);
    }

    #[test]
    fn a_wish_is_granted_within_reason() {
        let (mut backoff, half) = (Backoff::default(), Duration::from_secs(30));
        let wait = backoff.wait(Some(half));
        assert!(wait >= half && wait <= half.mul_f64(1.1), "{wait:?}");
        assert!(backoff.wait(Some(Duration::MAX)) <= LONGEST_WISH.mul_f64(1.1));
        assert!(backoff.wait(Some(Duration::ZERO)) >= Duration::from_secs(2));
    }

    #[test]
    fn chance_tells_two_hosts_apart() {
        let waits: Vec<Duration> = (0..20).map(|_| Backoff::default().wait(None)).collect();
        assert!(waits.iter().any(|wait| Some(wait) != waits.first()));
    }
}
