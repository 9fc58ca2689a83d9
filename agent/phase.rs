//! Each host its own moment: what thousands of hosts do at the same interval must not happen at the same time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long to wait, from `wall` on, for the moment that `host` has within each `period`: the same after a restart.
pub fn wait(host: &str, period: Duration, wall: SystemTime) -> Duration {
    until(of(host, period), period, wall)
}

/// So far apart are the moments of the many things of one host: to wake up for one costs as much as to do a few.
pub const STEP: Duration = Duration::from_millis(40);

/// The same for one of very many things that `host` does: as their moments are steps apart, some share one.
pub fn wait_in_steps(host: &str, thing: &str, period: Duration, wall: SystemTime) -> Duration {
    let phase = of(&format!("{host}/{thing}"), period);
    let step = Duration::from_nanos_u128(phase.as_nanos() / STEP.as_nanos() * STEP.as_nanos());
    // Not at the same moments as the other hosts.
    let moment = step + of(host, STEP);
    until(if moment > period { moment - period } else { moment }, period, wall)
}

/// Where `host` is within each `period`.
fn of(host: &str, period: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (host, period.as_nanos()).hash(&mut hasher);
    period.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}

fn until(phase: Duration, period: Duration, wall: SystemTime) -> Duration {
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
    fn the_many_things_of_one_host_share_moments_and_those_of_another_host_do_not() {
        let moment = |host: &str, thing: u32, wall: Duration| {
            let wait = wait_in_steps(host, &thing.to_string(), PERIOD, UNIX_EPOCH + wall);
            assert!(wait > Duration::ZERO && wait <= PERIOD);
            Duration::from_nanos_u128((wall + wait).as_nanos() % PERIOD.as_nanos())
        };
        let of = |host, wall| (0..1_000).map(|thing| moment(host, thing, wall)).collect::<Vec<_>>();
        let (here, later) = (of("a", Duration::from_nanos(1_003_200_000_001)), of("a", Duration::from_secs(2_007)));
        assert_eq!(here, later);
        let distinct = |moments: &[Duration]| moments.iter().collect::<std::collections::BTreeSet<_>>().len();
        let steps = PERIOD.as_nanos() / STEP.as_nanos();
        assert!((steps * 9 / 10..=steps).contains(&(distinct(&here) as u128)), "{}", distinct(&here));
        let both = [here, of("b", Duration::ZERO)].concat();
        assert!(distinct(&both) as u128 > steps * 18 / 10);
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
