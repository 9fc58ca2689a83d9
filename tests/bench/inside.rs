//! Costs inside one process: a pass beside the bare reads of the same files, allocations, rendering.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use vigie::page::cache::Cache;
use vigie::page::prometheus::Format;
use vigie::samplers;
use vigie::samplers::root::{Buffer, Passed, Record, Root};
use vigie::samplers::{ALL, Declaration, Sampler, Tier};
use vigie::snapshot::{Reading, Snapshot};

use crate::report::{Report, milliseconds, quartile};

const ROUNDS: usize = 200;

/// A host and the sources that a scrape samples: all but the slow tier.
pub(crate) struct Host {
    pub(crate) root: Root,
    buffer: Buffer,
    sources: Vec<(&'static Declaration, Box<dyn Sampler>, Reading)>,
}

impl Host {
    pub(crate) fn of(root: Root) -> Host {
        let options = samplers::Options::default();
        let wanted = ALL.iter().filter(|declaration| declaration.tier != Tier::Slow);
        let sources = wanted.map(|declaration| (*declaration, (declaration.build)(&options), Reading::default()));
        Host { sources: sources.collect(), root, buffer: Buffer::default() }
    }

    pub(crate) fn this() -> Host {
        Host::of(open(Path::new("/")))
    }

    pub(crate) fn pass(&mut self) {
        for index in 0..self.sources.len() {
            self.sample(index);
        }
    }

    fn sample(&mut self, index: usize) {
        let (_, sampler, reading) = &mut self.sources[index];
        reading.start(Instant::now(), SystemTime::now());
        // What this host lacks is a state, not a failure of the bench.
        let _ = sampler.sample(&self.root, &mut self.buffer, reading);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let readings = self.sources.iter().map(|(_, _, reading)| Arc::new(reading.clone())).collect();
        Snapshot { readings, at: Instant::now(), taken: SystemTime::now() }
    }
}

pub(crate) fn open(root: &Path) -> Root {
    Root::open(&root.join("proc"), &root.join("sys"), root).expect("the host opens")
}

/// CPU of all threads of this process: filesystems are measured on threads of their own.
pub(crate) fn cpu(work: impl FnOnce()) -> Duration {
    let now = || -> Duration { clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a clock").into() };
    let before = now();
    work();
    now() - before
}

/// The floor: opens, reads and closes what a pass reads, with one buffer, and looks at nothing.
pub(crate) struct Floor {
    trees: [std::os::fd::OwnedFd; 3],
    files: Vec<(usize, PathBuf, bool)>,
    buffer: Vec<u8>,
}

impl Floor {
    pub(crate) fn of(record: &BTreeMap<PathBuf, Passed>) -> Floor {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let tree = |path| openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty()).expect("the tree opens");
        // What was only counted has no content, and was not opened.
        let read = record.iter().filter(|(_, passed)| matches!(passed, Passed::File(content) if !content.is_empty()));
        let place = |path: &PathBuf| match (path.strip_prefix("proc"), path.strip_prefix("sys")) {
            (Ok(below), _) => (0, below.to_owned(), false),
            // An attribute of sysfs comes whole with the first read.
            (_, Ok(below)) => (1, below.to_owned(), true),
            _ => (2, path.clone(), false),
        };
        let files = read.map(|(path, _)| place(path)).collect();
        Floor { trees: ["/proc", "/sys", "/"].map(tree), files, buffer: vec![0; 256 << 10] }
    }

    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn pass(&mut self) {
        for index in 0..self.files.len() {
            self.read(index);
        }
    }

    fn read(&mut self, index: usize) {
        let (tree, path, once) = &self.files[index];
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let Ok(file) = openat(&self.trees[*tree], path, flags, Mode::empty()) else { return };
        while nix::unistd::read(&file, &mut self.buffer).is_ok_and(|count| count > 0 && !once) {}
        black_box(&mut self.buffer);
    }
}

pub(crate) fn pass(report: &mut Report) {
    report.title("CPU of a full pass, beside opening, reading and closing the same files");
    let record: Record = Arc::new(Mutex::new(BTreeMap::new()));
    let mut recorded = Host::of(open(Path::new("/")).recording(&record));
    // Which processes a pass reads is another matter, and another section.
    let without_processes = |host: &mut Host| host.sources.retain(|(declaration, ..)| declaration.name != "processes");
    without_processes(&mut recorded);
    recorded.pass();
    // What is read once, when a device is born, is no part of a steady pass.
    record.lock().unwrap().clear();
    recorded.pass();
    let mut floor = Floor::of(&record.lock().unwrap());
    drop(recorded);

    let mut host = Host::this();
    without_processes(&mut host);
    for _ in 0..10 {
        host.pass();
        floor.pass();
    }
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(cpu(|| host.pass()));
        bare.push(cpu(|| floor.pass()));
    }
    let (ours, bare) = (quartile(&mut ours), quartile(&mut bare));
    report.fact("series", &host.sources.iter().map(|(_, _, reading)| reading.series()).sum::<usize>().to_string());
    report.fact("files", &floor.count().to_string());
    report.fact("pass", &milliseconds(ours));
    report.fact("floor", &milliseconds(bare));
    report.at_most("pass / floor", ours.as_secs_f64() / bare.as_secs_f64(), 1.5, "");

    let sources = (0..host.sources.len()).map(|index| {
        let cost = quartile(&mut (0..50).map(|_| cpu(|| host.sample(index))).collect::<Vec<_>>());
        (cost, host.sources[index].0.name.to_owned())
    });
    dearest(report, "pass", sources.collect());
    let files = (0..floor.files.len()).map(|index| {
        let cost = quartile(&mut (0..50).map(|_| cpu(|| floor.read(index))).collect::<Vec<_>>());
        (cost, floor.files[index].1.display().to_string())
    });
    dearest(report, "floor", files.collect());
}

fn dearest(report: &mut Report, whole: &str, mut costs: Vec<(Duration, String)>) {
    costs.sort();
    for (cost, name) in costs.iter().rev().take(6) {
        report.fact(&format!("of the {whole}: {name}"), &milliseconds(*cost));
    }
}

/// A handful.
const ALLOCATIONS: u64 = 8;

pub(crate) fn allocations(report: &mut Report) {
    report.title("Heap allocations of a steady pass, by source");
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut trees: Vec<PathBuf> = std::fs::read_dir(hosts).into_iter().flatten().flatten().map(|e| e.path()).collect();
    trees.retain(|tree| tree.join("proc").is_dir() && tree.join("sys").is_dir());
    trees.sort();
    trees.insert(0, PathBuf::from("/"));
    for tree in trees {
        let mut host = Host::of(open(&tree));
        for _ in 0..5 {
            host.pass();
        }
        let mut worst = (0, "none");
        let mut total = 0;
        for index in 0..host.sources.len() {
            let count = allocation_counter::measure(|| host.sample(index)).count_total;
            worst = worst.max((count, host.sources[index].0.name));
            total += count;
        }
        let series: usize = host.sources.iter().map(|(_, _, reading)| reading.series()).sum();
        let name = tree.file_name().map_or("this host".into(), |name| name.to_string_lossy().into_owned());
        report.fact(&format!("{name}: {} sources, {series} series", host.sources.len()), &format!("{total}"));
        report.at_most(
            &format!("{name}: the most of one source ({})", worst.1),
            worst.0 as f64,
            ALLOCATIONS as f64,
            "",
        );
    }
}

pub(crate) fn rendering(report: &mut Report) {
    report.title("CPU of a page of a fresh snapshot, for each 600 series");
    let mut host = Host::this();
    host.pass();
    let snapshot = host.snapshot();
    let series = snapshot.families().filter(|family| family.metric.on_page).map(|family| family.points().len());
    let series: usize = series.sum();
    for (what, format, gzip, limit) in [
        ("text", Format::Text, false, 0.15),
        ("text in gzip", Format::Text, true, 0.4),
        ("OpenMetrics", Format::OpenMetrics, false, 0.15),
        ("OpenMetrics in gzip", Format::OpenMetrics, true, 0.4),
    ] {
        let mut cache = Cache::default();
        let mut bytes = 0;
        let mut rounds: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let fresh = Arc::new(snapshot.clone());
                cpu(|| {
                    let (page, packed) = cache.page(&fresh, format, gzip);
                    assert_eq!(packed, gzip);
                    bytes = page.map(|piece| piece.len()).sum::<usize>();
                })
            })
            .collect();
        let cost = quartile(&mut rounds).as_secs_f64() * 1e3 * 600.0 / series as f64;
        report.fact(&format!("{what}: {series} series"), &format!("{bytes} bytes"));
        report.at_most(what, cost, limit, "ms");
    }
}
