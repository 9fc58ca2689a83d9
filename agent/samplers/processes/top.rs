//! Which groups are shown by name: those that take most of the CPU, the memory or the I/O.

use std::time::Duration;

use super::usage::Usage;

/// Over how long CPU and I/O are averaged, in seconds.
const AVERAGED_SECONDS: f64 = 60.0;

/// How much more a group must weigh than one that is shown, to take its place: this many times as much, and this part
/// of the host's more. What weighs nearly the same does not flap.
const TIMES: f64 = 2.0;
const MORE: f64 = 0.01;

/// The most places that change hands in a pass.
const CHANGES: usize = 4;

/// What a group weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weight {
    /// Ticks a second.
    cpu: f64,
    /// Bytes a second.
    io: f64,
    resident_pages: f64,
}

impl Weight {
    /// Takes in a pass, so long after the one before.
    pub(super) fn take(&mut self, grown: &Usage, resident_pages: u64, passed: Option<Duration>) {
        self.resident_pages = resident_pages as f64;
        let Some(seconds) = passed.map(|passed| passed.as_secs_f64().max(0.001)) else { return };
        let part = 1.0 - (-seconds / AVERAGED_SECONDS).exp();
        let average = |before: &mut f64, grown: u64| *before += (grown as f64 / seconds - *before) * part;
        average(&mut self.cpu, grown.cpu());
        average(&mut self.io, grown.io());
    }

    /// Adds what another group weighs.
    pub(super) fn add(&mut self, more: &Weight) {
        self.cpu += more.cpu;
        self.io += more.io;
        self.resident_pages += more.resident_pages;
    }

    /// Which part it is of `sum`, in what it is the largest part of. Of a host that does nothing, nothing is much.
    pub(super) fn share(&self, sum: &Weight) -> f64 {
        let shares = [
            self.cpu / sum.cpu.max(1.0),
            self.io / sum.io.max(65_536.0),
            self.resident_pages / sum.resident_pages.max(1.0),
        ];
        shares.into_iter().fold(0.0, f64::max)
    }
}

/// Which of the `candidates` (share and number) lose their place, and which get one. Candidates with a negative share
/// get none. The order of the candidates changes.
pub(super) fn changes(
    candidates: &mut Vec<(f64, usize)>,
    top: usize,
    shown: impl Fn(usize) -> bool,
) -> (Vec<usize>, &[(f64, usize)]) {
    let count = candidates.iter().filter(|(_, number)| shown(*number)).count();
    if count == candidates.len() {
        return (Vec::new(), &[]);
    }
    let mut weakest: Vec<(f64, usize)> = candidates.iter().filter(|(_, number)| shown(*number)).copied().collect();
    weakest.sort_by(|one, two| one.0.total_cmp(&two.0).then(two.1.cmp(&one.1)));
    candidates.retain(|(share, number)| *share >= 0.0 && !shown(*number));
    candidates.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(&two.1)));
    let free = top.saturating_sub(count);
    let rivals = candidates.iter().skip(free);
    let outweighs = |(weak, rival): &(&(f64, usize), &(f64, usize))| rival.0 > weak.0 * TIMES + MORE;
    let fold: Vec<usize> =
        weakest.iter().zip(rivals).take(CHANGES).take_while(outweighs).map(|((_, number), _)| *number).collect();
    candidates.truncate(free + fold.len());
    (fold, candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(shares: &[f64], top: usize, shown: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let mut candidates: Vec<_> = shares.iter().copied().zip(1..).collect();
        let (fold, show) = changes(&mut candidates, top, |number| shown.contains(&number));
        (fold, show.iter().map(|(_, number)| *number).collect())
    }

    #[test]
    fn all_are_shown_while_there_is_room() {
        assert_eq!(change(&[0.0, 0.5, 0.1], 3, &[]), (vec![], vec![2, 3, 1]));
        assert_eq!(change(&[0.0, 0.5, 0.1], 3, &[1, 2, 3]), (vec![], vec![]));
        assert_eq!(change(&[-1.0, 0.5], 3, &[]), (vec![], vec![2]));
        assert_eq!(change(&[0.2, 0.5], 0, &[]), (vec![], vec![]));
    }

    #[test]
    fn a_place_goes_only_to_one_that_weighs_much_more() {
        assert_eq!(change(&[0.2, 0.3], 1, &[1]), (vec![], vec![]));
        assert_eq!(change(&[0.2, 0.5], 1, &[1]), (vec![1], vec![2]));
        assert_eq!(change(&[0.0, 0.005], 1, &[1]), (vec![], vec![]));
        assert_eq!(change(&[0.1, 0.2, 0.3, 0.4], 2, &[1, 2]), (vec![1], vec![4]));
    }

    #[test]
    fn a_group_counts_by_what_it_takes_most_of() {
        let sum = Weight { cpu: 100.0, io: 1e6, resident_pages: 1000.0 };
        let group = Weight { cpu: 5.0, io: 5e5, resident_pages: 20.0 };
        assert_eq!(group.share(&sum), 0.5);
        assert_eq!(Weight::default().share(&Weight::default()), 0.0);
    }

    #[test]
    fn a_burst_fades() {
        let (mut weight, pass) = (Weight::default(), Some(Duration::from_secs(10)));
        weight.take(&Usage { user: 1000, ..Usage::default() }, 0, pass);
        let after = weight.cpu;
        assert!((10.0..20.0).contains(&after), "{after}");
        (0..30).for_each(|_| weight.take(&Usage::default(), 0, pass));
        assert!(weight.cpu < 0.2, "{}", weight.cpu);
    }
}
