//! A storm of forks: five thousand processes a second and more for ten seconds, as fast as the machine can make them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::programs::{Programs, Running};
use crate::support::{Agent, PATIENCE, find, skipped, until};
use crate::{BY_NAME, cpu, pages};

/// How many processes come and go, and how many others make them.
const STORM: usize = 150_000;
const MAKERS: usize = 2;

/// What makes them at that rate: neither a shell nor the standard library can, and a system call of our own would be
/// unsafe. Compiled here, for whoever links a test has a `cc`.
fn maker(programs: &Programs) -> Option<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/storm.c");
    let mut command = Command::new(find("cc")?);
    command.arg("-O2").arg("-o").arg(programs.0.path().join("vg-storm")).arg(source);
    command.status().ok()?.success().then_some(())
}

#[test]
fn a_storm_of_forks_neither_stalls_the_page_nor_grows_memory_and_is_counted_to_the_tick() {
    let (programs, agent) = (Programs::new(), Agent::start(BY_NAME));
    if maker(&programs).is_none() {
        return skipped("cc is not installed or compiles nothing");
    }
    pages(&agent, 5);
    let before = agent.status("RssAnon");
    let begun = Instant::now();
    let (ended, used) = mpsc::channel();
    let mut makers: Vec<Running> = (0..MAKERS)
        .map(|_| {
            let mut command = Command::new(programs.0.path().join("vg-storm"));
            command.arg((STORM / MAKERS).to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
            Running(command.spawn().unwrap())
        })
        .collect();
    for maker in &mut makers {
        let (out, ended) = (maker.0.stdout.take().unwrap(), ended.clone());
        std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).unwrap();
            ended.send(line.trim().parse::<f64>().unwrap() / 1e6)
        });
    }
    drop(ended);
    let (mut kernel, mut longest, mut count) = (0.0, Duration::ZERO, 0_u32);
    loop {
        let asked = Instant::now();
        agent.page();
        (longest, count) = (longest.max(asked.elapsed()), count + 1);
        match used.recv_timeout(Duration::from_millis(100)) {
            Ok(seconds) => kernel += seconds,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
    let passed = begun.elapsed().as_secs_f64();
    let after = agent.status("RssAnon");
    until("the makers wait", PATIENCE, || makers.iter().all(|maker| maker.state() == 'S').then_some(()));
    let told = cpu(&pages(&agent, 8), "vg-storm");
    let rate = STORM as f64 / passed;
    eprintln!(
        "{rate:.0} processes a second for {passed:.1} s, {kernel:.2} s of CPU; the slowest of {count} pages took {longest:?}, memory went from {before} to {after} KiB"
    );
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert!(after < before + 2048, "grew from {before} KiB to {after} KiB");
    assert!((told - kernel).abs() < 0.05 + 0.01 * kernel, "{told} s are not {kernel} s");
}
