//! CPU that the host spent and no group has: what processes used of which no pass saw the end.

use super::process::IDLE_PASSES;

/// How many passes it takes until every process was read once more.
const WINDOW: usize = IDLE_PASSES as usize + 1;

/// The remainder, in ticks. Never falls.
#[derive(Debug, Default)]
pub(super) struct Remainder {
    /// What the host had spent when the counting began.
    begin: Option<u64>,
    counted: u64,
    /// What was missing in the last passes: idle processes pay what they owe within so many.
    missing: [u64; WINDOW],
    passes: usize,
    held: u64,
}

impl Remainder {
    /// Takes what the host has spent so far and what groups grew by; gives what nobody has, which is nothing as long as
    /// an idle process may still show up with it.
    pub(super) fn take(&mut self, host: u64, grown: u64) -> u64 {
        let begin = *self.begin.get_or_insert(host);
        self.counted = self.counted.saturating_add(grown);
        let missing = host.saturating_sub(begin).saturating_sub(self.counted);
        if let Some(slot) = self.missing.get_mut(self.passes % WINDOW) {
            *slot = missing;
        }
        self.passes += 1;
        if self.passes >= WINDOW {
            let least = self.missing.iter().min().copied().unwrap_or_default();
            self.held = self.held.max(least);
        }
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_for_long_is_nobodys() {
        let mut remainder = Remainder::default();
        assert_eq!((0..20).map(|_| remainder.take(1000, 0)).max(), Some(0));
        let told: Vec<u64> = (0..WINDOW).map(|_| remainder.take(1050, 0)).collect();
        assert_eq!(told, [0, 0, 0, 0, 0, 0, 50]);
    }

    #[test]
    fn what_idle_processes_owe_is_not_nobodys() {
        let mut remainder = Remainder::default();
        for pass in 0..40 {
            // A burst that the groups show five passes later.
            let (host, grown) = match pass {
                0..20 => (0, 0),
                20..25 => (300, 0),
                25 => (300, 300),
                _ => (300, 0),
            };
            assert_eq!(remainder.take(host, grown), 0, "{pass}");
        }
    }

    #[test]
    fn it_never_falls() {
        let mut remainder = Remainder::default();
        let mut pass = |host, count| (0..count).fold(0, |_, _| remainder.take(host, 0));
        assert_eq!((pass(0, 10), pass(100, 10)), (0, 100));
        assert_eq!(remainder.take(100, 70), 100);
        assert_eq!((0..10).fold(0, |_, _| remainder.take(200, 0)), 130);
        assert_eq!(remainder.take(200, 0), 130);
    }
}
