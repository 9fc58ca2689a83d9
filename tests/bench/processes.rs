//! What idle processes cost: a pass over them, beside reading the `stat` of each, and beside the peers.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::time::{clock_getcpuclockid, clock_gettime};
use vigie::samplers::processes::SAMPLER;
use vigie::samplers::root::{Buffer, Root};
use vigie::samplers::{Options, Sampler};
use vigie::snapshot::Reading;

use crate::inside::{cpu, open};
use crate::report::{Report, quartile};
use crate::support::{Peer, find, node_exporter, process_exporter};

/// Passes in which each idle process has its turn, several times over.
const PASSES: u32 = 60;
const ROUNDS: usize = 5;

/// Processes that sleep until this goes.
struct Idle(Vec<Child>);

impl Idle {
    fn add(&mut self, count: usize) {
        while self.0.len() < count {
            let mut command = Command::new(find("sleep").expect("every system can sleep"));
            command.arg("infinity").process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
            self.0.push(command.spawn().expect("another process"));
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// The sampler alone, on this host.
struct Alone {
    root: Root,
    sampler: Box<dyn Sampler>,
    buffer: Buffer,
    reading: Reading,
}

impl Alone {
    fn new() -> Alone {
        let sampler = (SAMPLER.build)(&Options::default());
        let root = open(std::path::Path::new("/"));
        Alone { root, sampler, buffer: Buffer::default(), reading: Reading::default() }
    }

    fn pass(&mut self) {
        self.reading.start(Instant::now(), SystemTime::now());
        self.sampler.sample(&self.root, &mut self.buffer, &mut self.reading).expect("a pass");
    }
}

/// Opens, reads and closes the `stat` of each process.
fn floor(pids: &[u32], buffer: &mut [u8]) {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let proc = openat(AT_FDCWD, "/proc", flags, Mode::empty()).expect("/proc opens");
    for pid in pids {
        let path = format!("{pid}/stat");
        let Ok(file) = openat(&proc, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) else {
            continue;
        };
        let _ = nix::unistd::read(&file, buffer);
    }
}

fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is listed").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What one scrape of a peer costs it.
fn scrape(peer: &Peer) -> Duration {
    let clock = clock_getcpuclockid(peer.pid()).expect("the peer has a clock");
    let now = || -> Duration { clock_gettime(clock).expect("its clock").into() };
    peer.get("/metrics");
    let mut costs: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let before = now();
            peer.get("/metrics");
            now() - before
        })
        .collect();
    quartile(&mut costs)
}

pub(crate) fn processes(report: &mut Report) {
    report.title("CPU of a pass over idle processes, for each process");
    let mut idle = Idle(Vec::new());
    for count in [100, 2_000, 5_000] {
        idle.add(count);
        // What was started a moment ago is still busy with that.
        std::thread::sleep(Duration::from_secs(2));
        let pids = pids();
        let each = |cost: Duration| cost.as_secs_f64() * 1e6 / pids.len() as f64;
        report.fact("processes", &pids.len().to_string());

        let mut buffer = vec![0; 8 << 10];
        let bare = quartile(&mut (0..ROUNDS).map(|_| cpu(|| floor(&pids, &mut buffer))).collect::<Vec<_>>());
        report.fact("  opening, reading and closing each stat", &format!("{:.2} µs", each(bare)));

        let mut alone = Alone::new();
        let first = cpu(|| alone.pass());
        report.fact("  the first pass, with all there is of each", &format!("{:.2} µs", each(first)));
        let second = cpu(|| alone.pass());
        report.fact("  the second, of processes that were just met", &format!("{:.2} µs", each(second)));
        (0..12).for_each(|_| alone.pass());
        let steady: Vec<Duration> =
            (0..ROUNDS).map(|_| cpu(|| (0..PASSES).for_each(|_| alone.pass())) / PASSES).collect();
        let steady = quartile(&mut steady.clone());
        report.fact("  a steady pass", &format!("{:.2} µs", each(steady)));
        // Of what reading every stat costs, which is 6.4 µs where the goals were set: 3 µs for idle ones.
        report.at_most("  a steady pass / reading each stat", steady.as_secs_f64() / bare.as_secs_f64(), 0.47, "");
        for (name, peer) in [
            (
                "node_exporter --collector.processes",
                node_exporter(&["--collector.disable-defaults", "--collector.processes"]),
            ),
            ("process-exporter", process_exporter("process_names:\n  - name: '{{.Comm}}'\n    cmdline: ['.+']\n")),
        ] {
            match peer {
                Some(peer) => report.fact(&format!("  {name}, a scrape"), &format!("{:.2} µs", each(scrape(&peer)))),
                None => report.skipped(&format!("  {name}"), "it is not installed"),
            }
        }
    }
}

/// What each process takes of memory: the sampler with and without them.
pub(crate) fn room(report: &mut Report) {
    report.title("Memory of a process that is known");
    let mut idle = Idle(Vec::new());
    let live = |idle: &Idle| {
        let mut alone = None;
        let info = allocation_counter::measure(|| {
            let mut sampler = Alone::new();
            (0..3).for_each(|_| sampler.pass());
            alone = Some(sampler);
        });
        (info.bytes_current, idle.0.len())
    };
    idle.add(100);
    let (few, count) = live(&idle);
    idle.add(2_100);
    let (many, more) = live(&idle);
    report.at_most("of each process", (many - few) as f64 / (more - count) as f64 / 1024.0, 0.3, "KiB");
}
