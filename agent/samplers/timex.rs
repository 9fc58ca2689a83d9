//! The kernel's clock discipline, which NTP steers, from adjtimex(2).

use super::root::calls::Timex;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

static SYNC_STATUS: Metric =
    Metric::gauge("node_timex_sync_status", Unit::One, "1 while an NTP daemon keeps the clock right, else 0.");
static OFFSET: Metric =
    Metric::gauge("node_timex_offset_seconds", Unit::Seconds, "How far the clock is off, as the NTP daemon last said.");
static FREQUENCY: Metric = Metric::gauge(
    "node_timex_frequency_adjustment_ratio",
    Unit::One,
    "How fast the clock is made to run; 1.00001 is 10 parts per million faster.",
);
static MAXERROR: Metric = Metric::gauge(
    "node_timex_maxerror_seconds",
    Unit::Seconds,
    "The most that the clock may be off; grows to 16 while nobody steers it.",
);
static ESTERROR: Metric = Metric::gauge(
    "node_timex_estimated_error_seconds",
    Unit::Seconds,
    "How far the clock is probably off, as the NTP daemon estimates.",
);
static STATUS: Metric = Metric::gauge(
    "node_timex_status",
    Unit::One,
    "Bits of adjtimex(2); 64 is set while the clock is not synchronized.",
);
static CONSTANT: Metric = Metric::gauge(
    "node_timex_loop_time_constant",
    Unit::One,
    "How slowly the clock follows corrections, as a power of two.",
);
static TICK: Metric = Metric::gauge("node_timex_tick_seconds", Unit::Seconds, "Time that one tick of the clock adds.");
static PPS_FREQUENCY: Metric = Metric::gauge(
    "node_timex_pps_frequency_hertz",
    Unit::Hertz,
    "Frequency offset of the pulse-per-second signal, as a ratio; 0 without one.",
);
static PPS_JITTER: Metric = Metric::gauge(
    "node_timex_pps_jitter_seconds",
    Unit::Seconds,
    "How unsteady the pulse-per-second signal is; 0 without one.",
);
static PPS_SHIFT: Metric = Metric::gauge(
    "node_timex_pps_shift_seconds",
    Unit::Seconds,
    "Interval over which the pulse-per-second signal is measured, as a power of two.",
);
static PPS_STABILITY: Metric = Metric::gauge(
    "node_timex_pps_stability_hertz",
    Unit::Hertz,
    "Recent changes of the pulse-per-second frequency, as a ratio; 0 without one.",
);
static PPS_JITTERS: Metric = Metric::counter(
    "node_timex_pps_jitter_total",
    Unit::Of("{event}"),
    "Pulses that came too far from where they were expected.",
);
static PPS_CALIBRATIONS: Metric = Metric::counter(
    "node_timex_pps_calibration_total",
    Unit::Of("{interval}"),
    "Intervals over which the pulse-per-second signal was measured.",
);
static PPS_ERRORS: Metric = Metric::counter(
    "node_timex_pps_error_total",
    Unit::Of("{error}"),
    "Intervals that were thrown away because the pulse-per-second signal was bad.",
);
static PPS_UNSTABLE: Metric = Metric::counter(
    "node_timex_pps_stability_exceeded_total",
    Unit::Of("{event}"),
    "Times that the pulse-per-second frequency changed more than allowed.",
);
static TAI_OFFSET: Metric = Metric::gauge(
    "node_timex_tai_offset_seconds",
    Unit::Seconds,
    "Leap seconds and 10 between atomic time and UTC; 0 where the NTP daemon does not say.",
);

/// The declaration of `timex`.
pub static SAMPLER: Declaration = Declaration {
    name: "timex",
    tier: Tier::Standard,
    metrics: &[
        &SYNC_STATUS,
        &OFFSET,
        &FREQUENCY,
        &MAXERROR,
        &ESTERROR,
        &STATUS,
        &CONSTANT,
        &TICK,
        &PPS_FREQUENCY,
        &PPS_JITTER,
        &PPS_SHIFT,
        &PPS_STABILITY,
        &PPS_JITTERS,
        &PPS_CALIBRATIONS,
        &PPS_ERRORS,
        &PPS_UNSTABLE,
        &TAI_OFFSET,
    ],
    build: |_| Box::new(Discipline),
};

/// The state `TIME_ERROR`: nobody keeps the clock right.
const TIME_ERROR: i32 = 5;

/// The bit `STA_NANO` of the status: offset and jitter are in nanoseconds, else in microseconds.
const STA_NANO: i32 = 0x2000;

/// The fraction of a part per million in which the kernel counts frequencies (adjtimex(2), NOTES).
const FREQUENCY_UNIT: f64 = 1_000_000.0 * 65_536.0;

struct Discipline;

impl Sampler for Discipline {
    fn sample(&mut self, root: &Root, _: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        put(&root.calls.adjtimex()?, reading);
        Ok(())
    }
}

fn put(timex: &Timex, reading: &mut Reading) {
    let microseconds = |value: i64| value as f64 / 1e6;
    let fine = |value: i64| value as f64 / if timex.status & STA_NANO == 0 { 1e6 } else { 1e9 };
    let ratio = |value: i64| value as f64 / FREQUENCY_UNIT;
    reading.put(&SYNC_STATUS, timex.state != TIME_ERROR);
    reading.put(&OFFSET, fine(timex.offset));
    reading.put(&FREQUENCY, 1.0 + ratio(timex.freq));
    reading.put(&MAXERROR, microseconds(timex.maxerror));
    reading.put(&ESTERROR, microseconds(timex.esterror));
    reading.put(&STATUS, i64::from(timex.status));
    reading.put(&CONSTANT, timex.constant);
    reading.put(&TICK, microseconds(timex.tick));
    reading.put(&PPS_FREQUENCY, ratio(timex.ppsfreq));
    reading.put(&PPS_JITTER, fine(timex.jitter));
    reading.put(&PPS_SHIFT, i64::from(timex.shift));
    reading.put(&PPS_STABILITY, ratio(timex.stabil));
    reading.put(&PPS_JITTERS, timex.jitcnt);
    reading.put(&PPS_CALIBRATIONS, timex.calcnt);
    reading.put(&PPS_ERRORS, timex.errcnt);
    reading.put(&PPS_UNSTABLE, timex.stbcnt);
    reading.put(&TAI_OFFSET, i64::from(timex.tai));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::lines;
    use crate::samplers::trial::{CAPTURE, sampled};

    fn page(timex: &Timex) -> Vec<String> {
        let mut reading = Reading::default();
        put(timex, &mut reading);
        lines(&reading)
    }

    #[test]
    fn offset_and_jitter_are_nano_or_microseconds() {
        let timex = Timex { offset: -2_000_000, jitter: 1000, ..Timex::default() };
        assert!(page(&timex).contains(&"node_timex_offset_seconds -2".to_owned()));
        let timex = Timex { status: STA_NANO | 1, ..timex };
        assert!(page(&timex).contains(&"node_timex_offset_seconds -0.002".to_owned()));
        assert!(page(&timex).contains(&"node_timex_pps_jitter_seconds 0.000001".to_owned()));
    }

    #[test]
    fn frequencies_are_ratios() {
        let timex = Timex { freq: 10 << 16, maxerror: 16_000_000, tick: 10_000, ..Timex::default() };
        assert!(page(&timex).contains(&"node_timex_frequency_adjustment_ratio 1.00001".to_owned()));
        assert!(page(&timex).contains(&"node_timex_maxerror_seconds 16".to_owned()));
        assert!(page(&timex).contains(&"node_timex_tick_seconds 0.01".to_owned()));
    }

    #[test]
    fn a_clock_that_nobody_steers_is_not_synchronized() {
        assert_eq!(page(&Timex { state: TIME_ERROR, ..Timex::default() })[0], "node_timex_sync_status 0");
        assert_eq!(page(&Timex::default())[0], "node_timex_sync_status 1");
    }

    #[test]
    fn a_host_that_forbids_the_call_gives_nothing() {
        let error = sampled(&SAMPLER, &[CAPTURE]).unwrap_err();
        assert_eq!(error.to_string(), "adjtimex: permission denied");
    }
}
