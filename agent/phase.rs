//! Each host its own moment: what thousands of hosts do at the same interval must not happen at the same time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long to wait, from `wall` on, for the moment that `host` has within each `period`: the same after a restart.
pub fn wait(host: &str, period: Duration, wall: SystemTime) -> Duration {
    let mut hasher = DefaultHasher::new();
    (host, period.as_nanos()).hash(&mut hasher);
    let phase = period.mul_f64(hasher.finish() as f64 / u64::MAX as f64);
    let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let into = Duration::from_nanos_u128(since_epoch.as_nanos() % period.as_nanos().max(1));
    if phase > into { phase - into } else { phase + period - into }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn moment(host: &str, wall: f64) -> f64 {
        (wall + wait(host, PERIOD, UNIX_EPOCH + Duration::from_secs_f64(wall)).as_secs_f64()) % PERIOD.as_secs_f64()
    }

    #[test]
    fn the_moment_belongs_to_the_host_and_survives_a_restart() {
        assert!((moment("a", 1003.2) - moment("a", 2007.9)).abs() < 1e-6);
        assert!((moment("a", 1000.0) - moment("b", 1000.0)).abs() > 1e-3);
    }

    #[test]
    fn the_moments_of_many_hosts_are_spread_over_the_period() {
        let mut tenths = [0; 10];
        for host in 0..10_000 {
            let after = wait(&format!("host-{host}"), PERIOD, UNIX_EPOCH).as_secs_f64();
            assert!(after > 0.0 && after <= 10.0);
            tenths[(after as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|hosts| (800..1_200).contains(hosts)), "{tenths:?}");
    }
}
