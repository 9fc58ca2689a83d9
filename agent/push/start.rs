//! From when on things have counted: the start times of sums.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::metric::Since;
use crate::samplers::agent;
use crate::samplers::root::{Buffer, Root};

mod boot;

/// The moments from which on counters count, in nanoseconds since 1970.
///
/// Taken once and kept: boot is the wall clock minus the time since boot, which moves whenever the clock is set, and a
/// start that moves looks like a reset of every counter. Where the clock was wrong at boot and is set while the agent
/// runs, points jump with it and starts stay: a start long before its point is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starts {
    /// The host's boot, where that is known.
    pub boot: Option<u64>,
    /// The start of this process, where that is known.
    pub process: Option<u64>,
    /// When the agent began to count.
    pub agent: u64,
}

impl Starts {
    /// Of the host behind `root` and an agent that has counted since `agent`.
    pub fn of(root: &Root, agent: SystemTime) -> Starts {
        let mut buffer = Buffer::default();
        let told = |buffer: &mut Buffer| {
            let seconds = root.proc.parse("stat", buffer, agent::parse_boot_time).ok()?;
            UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        };
        let boot = root.calls.booted().or_else(|| told(&mut buffer));
        let ticks = root.calls.clock_ticks().max(1) as f64;
        let since_boot = root.proc.parse("self/stat", &mut buffer, agent::parse_stat).ok();
        let since_boot = since_boot.map(|stat| Duration::try_from_secs_f64(stat.start_ticks as f64 / ticks));
        let process = boot.zip(since_boot.and_then(Result::ok)).and_then(|(boot, after)| boot.checked_add(after));
        Starts { boot: boot.map(nanoseconds), process: process.map(nanoseconds), agent: nanoseconds(agent) }
    }

    /// The same, with the boot that an agent before this one found, which is kept in the folder `state`: another
    /// would look like a reset of every counter of the host.
    pub fn kept(root: &Root, agent: SystemTime, state: &Path) -> Starts {
        let mut starts = Starts::of(root, agent);
        starts.boot = starts.boot.map(|boot| boot::kept(root, boot, state));
        starts
    }

    /// The start of what counts since then, where it is known.
    pub fn since(&self, since: Since) -> Option<u64> {
        match since {
            Since::Boot => self.boot,
            Since::Process => self.process,
            Since::Agent => Some(self.agent),
            Since::Unknown => None,
        }
    }
}

/// A moment as OTLP has it: nanoseconds since 1970, 0 before.
pub(super) fn nanoseconds(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;
    use crate::samplers::trial::CAPTURE;

    #[test]
    fn a_capture_starts_where_its_kernel_says() {
        let stat = "7 (a) S 1 7 7 0 -1 4 900 0 2 0 150 50 0 0 20 0 3 0 1234 8192000 500 1844 1 1 0";
        let host = Host::new(&[CAPTURE, ("proc/stat", "btime 1000\n"), ("proc/self/stat", stat)]);
        let starts = Starts::of(&host.root, UNIX_EPOCH + Duration::from_millis(1_500_500));
        let expected =
            Starts { boot: Some(1000 * 1_000_000_000), process: Some(1_012_340_000_000), agent: 1_500_500_000_000 };
        assert_eq!(starts, expected);
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        let starts = Starts::of(&Host::new(&[CAPTURE]).root, UNIX_EPOCH);
        assert_eq!(starts, Starts { boot: None, process: None, agent: 0 });
    }

    #[test]
    fn this_host_started_before_this_process_and_both_before_now() {
        let paths = ["/proc", "/sys", "/"].map(Path::new);
        let now = SystemTime::now();
        let starts = Starts::of(&Root::open(paths[0], paths[1], paths[2]).unwrap(), now);
        assert!(starts.boot < starts.process && starts.process < Some(nanoseconds(now)));
    }
}
