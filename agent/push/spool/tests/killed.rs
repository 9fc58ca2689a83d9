//! A process that is killed while it appends and acknowledges.

// It is killed: that takes a process.
#![allow(clippy::disallowed_types)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

const STATE: &str = "VIGIE_TEST_SPOOL";
const FIRST: &str = "VIGIE_TEST_SPOOL_FIRST";

/// The child: appends records and tells each that is kept, sends some and tells each before it acknowledges.
#[test]
fn child() {
    let Some(state) = std::env::var_os(STATE) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut spool = Spool::open(Path::new(&state), LIMITS).unwrap();
    let mut out = std::io::stderr();
    for number in first.. {
        spool.append(vec![record(number, 3000)]);
        writeln!(out, "kept {number}").unwrap();
        // As fast as it comes in, so that nothing is dropped.
        if let Some(record) = spool.front() {
            writeln!(out, "sent {}", self::number(&record)).unwrap();
            spool.done();
        }
    }
}

#[test]
fn a_kill_loses_nothing_and_repeats_one_at_most() {
    let state = tempfile::tempdir().unwrap();
    let (mut first, mut kept, mut sent) = (0, Vec::new(), Vec::new());
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["push::spool::tests::killed::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(STATE, state.path())
            .env(FIRST, first.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Not at the end of a round: it is killed in the middle of something.
        let mut next = || lines.next().and_then(Result::ok);
        let mut read = |line: String| {
            // The last line may be cut off.
            let Some((verb, Ok(number))) = line.split_once(' ').map(|(verb, rest)| (verb, rest.parse::<u64>())) else {
                return;
            };
            match verb {
                "kept" => kept.push(number),
                _ => sent.push(number),
            }
        };
        for _ in 0..5 + round * 3 {
            read(next().unwrap());
        }
        child.kill().unwrap();
        while let Some(line) = next() {
            read(line);
        }
        child.wait().unwrap();
        // One may be kept that was not told any more: the next goes behind it.
        first = kept.last().map_or(0, |last| last + 2);
    }
    let mut spool = open(&state);
    let rest = drain(&mut spool);
    let status = spool.status();
    assert_eq!((status.dropped, status.bad_segments), (Dropped::default(), 0));
    sent.extend(rest);
    assert!(sent.is_sorted(), "{sent:?}");
    let repeated = sent.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(repeated <= 20, "{repeated} repeated in 20 kills");
    sent.dedup();
    assert!(kept.len() > 100 && kept.iter().all(|number| sent.contains(number)), "kept {kept:?}, sent {sent:?}");
}
