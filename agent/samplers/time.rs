//! The clock, its zone and what it counts by, from the kernel, `/etc/localtime` and `/sys/devices/system/clocksource`.

use std::time::UNIX_EPOCH;

use tz::TimeZone;

use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

static TIME: Metric =
    Metric::gauge("node_time_seconds", Unit::Seconds, "What the host's clock shows, in seconds since 1970.");
static ZONE_OFFSET: Metric = Metric::gauge(
    "node_time_zone_offset_seconds",
    Unit::Seconds,
    "How far local time is ahead of UTC, with the zone's abbreviation.",
)
.labels(&[Label::new("time_zone")]);
static AVAILABLE: Metric = Metric::gauge(
    "node_time_clocksource_available_info",
    Unit::One,
    "1 for each counter that the kernel could keep time by.",
)
.labels(CLOCKSOURCE);
static CURRENT: Metric = Metric::gauge(
    "node_time_clocksource_current_info",
    Unit::One,
    "1 for the counter that the kernel keeps time by; no longer tsc means slow system calls.",
)
.labels(CLOCKSOURCE);

const CLOCKSOURCE: &[Label] = &[Label::new("clocksource"), Label::new("device")];

/// The declaration of `time`.
pub static SAMPLER: Declaration = Declaration {
    name: "time",
    tier: Tier::Standard,
    metrics: &[&TIME, &ZONE_OFFSET, &AVAILABLE, &CURRENT],
    build: |_| Box::new(Time { age: SETTINGS_PASSES, ..Time::default() }),
};

/// After how many passes the zone and the list of clock sources are read again: a person changes them.
const SETTINGS_PASSES: usize = 60;

/// Where each clock source has a directory, `clocksource0` nearly always alone.
const CLOCKSOURCES: &str = "devices/system/clocksource";

#[derive(Default)]
struct Time {
    /// Passes since the settings were read.
    age: usize,
    /// Nothing is UTC.
    zone: Option<TimeZone>,
    zone_file: Vec<u8>,
    abbreviation: Option<(String, Labels)>,
    sources: Vec<Clocksource>,
}

/// One directory of clock sources.
struct Clocksource {
    device: String,
    available: Vec<Labels>,
    /// The file that names the one in use: read each pass, for the kernel itself leaves a tsc that runs badly.
    file: String,
    current: Option<(String, Labels)>,
}

impl Sampler for Time {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        if self.age == SETTINGS_PASSES {
            self.age = 0;
            self.read_zone(root, buffer);
            self.read_clocksources(root, buffer);
        }
        self.age += 1;
        let now = root.calls.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        reading.put(&TIME, now.as_secs_f64());
        self.put_zone(i64::try_from(now.as_secs()).unwrap_or(i64::MAX), reading);
        for labels in self.sources.iter().flat_map(|source| &source.available) {
            reading.put_with(&AVAILABLE, labels, true);
        }
        for source in &mut self.sources {
            if let Some(labels) = source.current(root, buffer) {
                reading.put_with(&CURRENT, labels, true);
            }
        }
        Ok(())
    }
}

impl Time {
    /// No file is UTC (localtime(5)), and a file that is no zone as well.
    fn read_zone(&mut self, root: &Root, buffer: &mut Buffer) {
        let file = root.host.read_bytes("etc/localtime", buffer).unwrap_or_default();
        if file != self.zone_file {
            self.zone = TimeZone::from_tz_data(file).ok();
            self.zone_file = file.to_owned();
        }
    }

    fn read_clocksources(&mut self, root: &Root, buffer: &mut Buffer) {
        self.sources.clear();
        let mut names = Vec::new();
        // Containers often hide the whole directory.
        let _ = root.sys.list(CLOCKSOURCES, &mut names);
        for name in names {
            let Some(device) = name.strip_prefix("clocksource") else { continue };
            let words = root.sys.attribute(&format!("{CLOCKSOURCES}/{name}/available_clocksource"), buffer);
            let available =
                words.unwrap_or_default().split_ascii_whitespace().map(|word| labels(word, device)).collect();
            let file = format!("{CLOCKSOURCES}/{name}/current_clocksource");
            self.sources.push(Clocksource { device: device.to_owned(), available, file, current: None });
        }
    }

    fn put_zone(&mut self, now_seconds: i64, reading: &mut Reading) {
        let local = self.zone.as_ref().and_then(|zone| zone.find_local_time_type(now_seconds).ok());
        let (name, offset_seconds) =
            local.map_or(("UTC", 0), |local| (local.time_zone_designation(), local.ut_offset()));
        if self.abbreviation.as_ref().is_none_or(|(known, _)| known != name) {
            self.abbreviation = Some((name.to_owned(), Labels::new(&[("time_zone", name)])));
        }
        if let Some((_, labels)) = &self.abbreviation {
            reading.put_with(&ZONE_OFFSET, labels, i64::from(offset_seconds));
        }
    }
}

impl Clocksource {
    /// The one in use now.
    fn current(&mut self, root: &Root, buffer: &mut Buffer) -> Option<&Labels> {
        let word = root.sys.attribute(&self.file, buffer).filter(|word| !word.is_empty())?;
        if self.current.as_ref().is_none_or(|(known, _)| known != word) {
            self.current = Some((word.to_owned(), labels(word, &self.device)));
        }
        self.current.as_ref().map(|(_, labels)| labels)
    }
}

fn labels(clocksource: &str, device: &str) -> Labels {
    Labels::new(&[("clocksource", clocksource), ("device", device)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers;
    use crate::samplers::trial::{CAPTURE, Trial, only, sampled};

    /// A zone file without transitions (RFC 8536) whose rule is POSIX' `TZ`.
    fn zone(rule: &str) -> Vec<u8> {
        let counts = [0, 0, 0, 0, 1, 4_u32].map(u32::to_be_bytes).concat();
        let header = [b"TZif2".as_slice(), &[0; 15], &counts].concat();
        let body = [[0; 6].as_slice(), b"UTC\0"].concat();
        [&header, &body, &header, &body, format!("\n{rule}\n").as_bytes()].concat()
    }

    #[test]
    fn the_clock_of_the_captured_host_is_shown() {
        let page = sampled(&SAMPLER, &[CAPTURE]).unwrap();
        assert_eq!(page, ["node_time_seconds 1750000000.5", r#"node_time_zone_offset_seconds{time_zone="UTC"} 0"#]);
    }

    #[test]
    fn summer_time_is_known() {
        let trial = |path| {
            let mut trial = Trial::of(&SAMPLER, &samplers::Options::default(), &[CAPTURE]);
            trial.write(path, zone("CET-1CEST,M3.5.0,M10.5.0/3"));
            trial.pass().unwrap()
        };
        let summer = r#"node_time_zone_offset_seconds{time_zone="CEST"} 7200"#;
        assert_eq!(only(&trial("etc/localtime"), "node_time_zone_offset_seconds"), [summer]);
    }

    #[test]
    fn a_file_that_is_no_zone_counts_as_utc() {
        let page = sampled(&SAMPLER, &[CAPTURE, ("etc/localtime", "TZif2 rubbish")]).unwrap();
        assert!(page.concat().contains(r#"time_zone="UTC""#));
    }

    #[test]
    fn the_clock_sources_are_listed() {
        let at = |name| format!("sys/devices/system/clocksource/clocksource0/{name}");
        let (available, current) = (at("available_clocksource"), at("current_clocksource"));
        let page = sampled(&SAMPLER, &[(&available, "kvm-clock tsc \n"), (&current, "tsc\n")]).unwrap();
        assert_eq!(only(&page, "node_time_clocksource_available_info").len(), 2);
        let expected = r#"node_time_clocksource_current_info{clocksource="tsc",device="0"} 1"#;
        assert_eq!(only(&page, "node_time_clocksource_current_info"), [expected]);
    }

    #[test]
    fn a_clock_source_that_the_kernel_left_is_told_in_the_next_pass() {
        let file = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        let mut trial = Trial::of(&SAMPLER, &samplers::Options::default(), &[(file, "tsc\n")]);
        trial.pass().unwrap();
        trial.write(file, "hpet\n");
        let expected = r#"node_time_clocksource_current_info{clocksource="hpet",device="0"} 1"#;
        assert_eq!(only(&trial.pass().unwrap(), "node_time_clocksource_current_info"), [expected]);
        trial.write(file, "");
        assert_eq!(only(&trial.pass().unwrap(), "node_time_clocksource_current_info"), [""; 0]);
    }
}
