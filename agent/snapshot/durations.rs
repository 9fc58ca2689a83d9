//! How long something took, again and again: few wide buckets for the page, many narrow ones for the push.

use std::iter::repeat_n;
use std::time::{Duration, SystemTime};

/// The upper bounds of the page's buckets in seconds, each about three times the one before, and as OpenMetrics spells
/// them; above the last is one without a bound.
pub const BOUNDS: [(f64, &str); 10] = [
    (0.001, "0.001"),
    (0.003, "0.003"),
    (0.01, "0.01"),
    (0.03, "0.03"),
    (0.1, "0.1"),
    (0.3, "0.3"),
    (1.0, "1.0"),
    (3.0, "3.0"),
    (10.0, "10.0"),
    (30.0, "30.0"),
];

/// The series that the page has of them: the buckets, the sum and the count.
pub const SERIES: usize = BOUNDS.len() + 3;

/// All that something has taken since it began. A count fits 32 bits: once a second, that is 136 years.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations {
    /// When the counting began, by the wall clock.
    pub since: SystemTime,
    /// The sum of them all, in seconds.
    pub seconds: f64,
    /// The same in narrow buckets.
    pub exponential: Exponential,
    /// Within each bound and above the one before.
    within: [u32; BOUNDS.len() + 1],
}

impl Durations {
    /// None yet, from `since` on.
    pub fn new(since: SystemTime) -> Durations {
        Durations { since, seconds: 0.0, exponential: Exponential::default(), within: Default::default() }
    }

    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let within = BOUNDS.iter().position(|(bound, _)| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.within.get_mut(within) {
            *bucket += 1;
        }
        self.seconds += seconds;
        self.exponential.add(seconds);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.within.iter().copied().map(u64::from).sum()
    }

    /// Each bound as it is spelled, with how many are within it; the last has all.
    pub fn buckets(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let bounds = BOUNDS.iter().map(|(_, spelled)| *spelled).chain(["+Inf"]);
        let mut below = 0;
        bounds.zip(self.within).map(move |(bound, within)| {
            below += u64::from(within);
            (bound, below)
        })
    }
}

/// The most buckets: a factor of ten is told to 2 %, and one of ten thousand, as from a quick answer to a timeout,
/// to 9 %. OpenTelemetry's SDK has twice as many, for half the error and twice the memory of each series.
const BUCKETS: i32 = 80;

/// The finest scale, 256 buckets for each factor of two: Prometheus' native histograms know no finer one.
const FINEST: i32 = 8;

/// Counts in buckets whose bounds are powers of 2^(2^-scale), by OpenTelemetry's data model, "ExponentialHistogram".
/// It is as fine as its range allows: where that grows beyond the buckets, each two of them become one.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponential {
    /// How fine the buckets are.
    pub scale: i32,
    /// How many were zero.
    pub zeros: u32,
    /// The index of the first bucket.
    pub offset: i32,
    /// The buckets; each holds what is above its lower bound and not above its upper one.
    pub counts: Vec<u32>,
}

impl Default for Exponential {
    fn default() -> Exponential {
        Exponential { scale: FINEST, zeros: 0, offset: 0, counts: Vec::new() }
    }
}

impl Exponential {
    /// Counts a value that is not negative.
    pub fn add(&mut self, value: f64) {
        if !value.is_normal() {
            self.zeros += 1;
            return;
        }
        let index = index(value, self.scale);
        if self.counts.is_empty() {
            self.offset = index;
        }
        let (mut low, mut high) = (self.offset.min(index), index.max(self.offset + self.length() - 1));
        let mut coarser = 0;
        while high - low >= BUCKETS {
            (low, high, coarser) = (low >> 1, high >> 1, coarser + 1);
        }
        self.coarsen(coarser);
        let length = usize::try_from(high - low + 1).unwrap_or_default();
        // A thousand probes have these: no room for what may never come.
        self.counts.reserve_exact(length.saturating_sub(self.counts.len()));
        let before = usize::try_from(self.offset - low).unwrap_or_default();
        self.counts.splice(0..0, repeat_n(0, before));
        self.offset = low;
        self.counts.resize(length.max(self.counts.len()), 0);
        let place = usize::try_from((index >> coarser) - low).ok();
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count += 1;
        }
    }

    fn length(&self) -> i32 {
        i32::try_from(self.counts.len()).unwrap_or(BUCKETS)
    }

    /// Makes one bucket of each 2^`by`.
    fn coarsen(&mut self, by: u32) {
        if by == 0 {
            return;
        }
        let offset = self.offset >> by;
        let mut coarse: Vec<u32> = Vec::new();
        for (index, count) in (self.offset..).zip(&self.counts) {
            let place = usize::try_from((index >> by) - offset).unwrap_or_default();
            coarse.resize(coarse.len().max(place + 1), 0);
            if let Some(sum) = coarse.get_mut(place) {
                *sum += count;
            }
        }
        (self.counts, self.offset) = (coarse, offset);
        self.scale -= by.cast_signed();
    }
}

/// The bucket of a normal value. An upper bound belongs to its bucket: a power of two is in the one below it, which the
/// logarithm of a double would not always find.
fn index(value: f64, scale: i32) -> i32 {
    const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = value.to_bits();
    let exponent = ((bits >> MANTISSA) & 0x7ff) as i32 - (f64::MAX_EXP - 1);
    if bits.trailing_zeros() >= MANTISSA {
        return if scale > 0 { (exponent << scale) - 1 } else { (exponent - 1) >> -scale };
    }
    if scale <= 0 {
        return exponent >> -scale;
    }
    let within = value.log2() * f64::from(1 << scale);
    (within.ceil() as i32 - 1).clamp(exponent << scale, ((exponent + 1) << scale) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Exponential {
        let mut exponential = Exponential::default();
        values.into_iter().for_each(|value| exponential.add(value));
        exponential
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        for exponent in -30..30 {
            let power = f64::powi(2.0, exponent);
            assert_eq!((index(power, 0), index(power.next_up(), 0), index(power.next_down(), 0)), {
                (exponent - 1, exponent, exponent - 1)
            });
            for scale in 1..=FINEST {
                assert_eq!(index(power, scale), (exponent << scale) - 1);
                assert_eq!(index(power.next_up(), scale), exponent << scale);
            }
        }
        // Of scale -1, bounds are powers of four.
        assert_eq!([0.25, 0.26, 1.0, 4.0, 5.0, 16.0].map(|value| index(value, -1)), [-2, -1, -1, 0, 1, 1]);
    }

    #[test]
    fn every_value_is_between_the_bounds_of_its_bucket() {
        for step in 1..3_000 {
            let value = f64::from(step) * f64::from(step) * 1.7e-6;
            for scale in -2..=FINEST {
                let base = f64::powf(2.0, f64::powi(2.0, -scale));
                let index = index(value, scale);
                let (low, high) = (base.powi(index), base.powi(index + 1));
                assert!(low * (1.0 - 1e-12) <= value && value <= high * (1.0 + 1e-12), "{value} {scale} {index}");
            }
        }
    }

    #[test]
    fn a_wider_range_makes_coarser_buckets_and_loses_none() {
        let values = || (0..2_000).map(|step| 0.000_3 * f64::powf(1.005, f64::from(step)));
        let (mut forth, mut back) = (Exponential::default(), Exponential::default());
        for (count, value) in (1..).zip(values()) {
            forth.add(value);
            assert_eq!((forth.counts.iter().sum::<u32>(), forth.counts.len() <= 80), (count, true));
        }
        values().collect::<Vec<_>>().into_iter().rev().for_each(|value| back.add(value));
        assert_eq!(forth, back, "in whatever order they come");
        // 14.4 factors of two: five buckets for each would be 72, but there are powers of two only.
        assert_eq!((forth.scale, forth.zeros), (2, 0));
        let coarse = of(values());
        let first = (0.000_3_f64.log2() * 4.0).ceil() as i32 - 1;
        assert_eq!((coarse.offset, coarse.counts.len()), (first, 58));
    }

    #[test]
    fn what_is_steady_is_told_finely_and_takes_little() {
        let steady = of((0..1_000).map(|step| 0.010 + f64::from(step) * 1e-6));
        assert_eq!((steady.scale, steady.counts.len()), (8, 36));
        assert_eq!(of([0.0, 0.0]), Exponential { zeros: 2, ..Exponential::default() });
        let furthest = of([Duration::from_nanos(1).as_secs_f64(), Duration::MAX.as_secs_f64()]);
        assert_eq!((furthest.counts.len(), furthest.counts.iter().sum::<u32>()), (47, 2));
    }

    #[test]
    fn the_page_has_the_same_in_wide_buckets() {
        let mut durations = Durations::new(SystemTime::UNIX_EPOCH);
        for milliseconds in [0, 1, 2, 250, 60_000] {
            durations.add(Duration::from_millis(milliseconds));
        }
        let buckets: Vec<(&str, u64)> = durations.buckets().collect();
        let expected = [("0.001", 2), ("0.003", 3), ("0.1", 3), ("0.3", 4), ("30.0", 4), ("+Inf", 5)];
        assert!(expected.iter().all(|bucket| buckets.contains(bucket)), "{buckets:?}");
        assert_eq!((buckets.len() + 2, durations.count(), durations.seconds), (SERIES, 5, 60.253));
    }
}
