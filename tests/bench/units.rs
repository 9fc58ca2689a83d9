//! Cost of systemd units, in control groups of this machine's kernel.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use vigie::samplers::root::{Buffer, Record, Root};
use vigie::samplers::{Options, Sampler, services};
use vigie::snapshot::Reading;

use crate::inside::{Floor, cpu, open};
use crate::report::{Report, milliseconds, quartile};
use crate::support::Cgroups;

const UNITS: usize = 100;
const ROUNDS: usize = 100;

struct Services {
    root: Root,
    sampler: Box<dyn Sampler>,
    buffer: Buffer,
    reading: Reading,
}

impl Services {
    fn of(root: Root, slice: &str) -> Services {
        let mut options = Options::default();
        options.services.include = format!(r"^({slice}|unit\d+\.service)$").parse().ok();
        let sampler = (services::SAMPLER.build)(&options);
        Services { root, sampler, buffer: Buffer::default(), reading: Reading::default() }
    }

    fn pass(&mut self) {
        self.reading.start(Instant::now(), SystemTime::now());
        self.sampler.sample(&self.root, &mut self.buffer, &mut self.reading).expect("a pass");
    }
}

pub(crate) fn units(report: &mut Report) {
    report.title("CPU of a pass over a hundred units, beside opening, reading and closing the same files");
    let slice = format!("vigiebench{}.slice", std::process::id());
    let names: Vec<String> = (0..UNITS).map(|index| format!("unit{index:03}.service")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _cgroups = match Cgroups::new(&slice, &names) {
        Ok(cgroups) => cgroups,
        Err(why) => return report.skipped("units", &why),
    };
    let record: Record = Arc::new(Mutex::new(Default::default()));
    let mut recorded = Services::of(open(Path::new("/")).recording(&record), &slice);
    recorded.pass();
    // What is read of each in its turn only is no part of every pass.
    record.lock().expect("the record").clear();
    recorded.pass();
    let mut floor = Floor::of(&record.lock().expect("the record"));
    let mut services = Services::of(open(Path::new("/")), &slice);
    for _ in 0..35 {
        services.pass();
        floor.pass();
    }
    let (mut ours, mut bare, mut most) = (Vec::<Duration>::new(), Vec::<Duration>::new(), 0);
    for _ in 0..ROUNDS {
        ours.push(cpu(|| services.pass()));
        bare.push(cpu(|| floor.pass()));
        most = most.max(allocation_counter::measure(|| services.pass()).count_total);
    }
    let (ours, bare) = (quartile(&mut ours), quartile(&mut bare));
    report.fact("series", &services.reading.series().to_string());
    report.fact("files", &floor.count().to_string());
    report.fact("pass", &milliseconds(ours));
    report.fact("floor", &milliseconds(bare));
    report.at_most("a unit and pass", ours.as_secs_f64() * 1e6 / UNITS as f64, 100.0, "µs");
    report.at_most("pass / floor", ours.as_secs_f64() / bare.as_secs_f64(), 1.5, "");
    report.at_most("the most allocations of a pass", most as f64, 8.0, "");
}
