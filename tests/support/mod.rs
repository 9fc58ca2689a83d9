//! What the tests of the real binary share: the agent, the programs it is compared with, HTTP, and a strict reader of pages.

// Each test binary uses a part of it.
#![allow(dead_code, unused_imports)]

mod agent;
mod cgroups;
mod clock;
mod environment;
mod exposition;
mod fuse;
mod http;
mod nginx;
mod peer;
mod redis;
pub(crate) mod vm;

pub(crate) use agent::{Agent, Launch, Run, vigie};
pub(crate) use cgroups::Cgroups;
pub(crate) use clock::{FastClock, WallClock, now_seconds};
pub(crate) use environment::forget_environment;
pub(crate) use exposition::{Page, Series, parse, parse_open_metrics};
pub(crate) use fuse::{Hanging, with_own_mounts};
pub(crate) use http::{Answer, Connection, Method};
pub(crate) use nginx::Nginx;
pub(crate) use peer::{
    COLLECTORS, Peer, blackbox_exporter, find, node_exporter, process_exporter, prometheus, redis_exporter, rotel,
    tinyproxy, victoria_metrics,
};
pub(crate) use redis::{Redis, UNPACKED, redis, redis_of, redis_servers, redis_unready, sentinel};

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Says on the terminal that a test did not test, and why; libtest hides only what `print!` writes.
///
/// `VIGIE_NO_SKIPS=1` makes it a failure: for machines that have everything.
pub(crate) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    if std::env::var_os("VIGIE_NO_SKIPS").is_some() {
        panic!("{name} would be skipped: {why}");
    }
    let line = format!("skipped: {name}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("VIGIE_SKIPPED") {
        let file = std::fs::File::options().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests takes a line");
    }
}

/// A loopback port that nobody listens on now.
pub(crate) fn spare_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has a spare port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Waits until `answer` gives something; the test fails with `what` when that takes longer than `patience`.
#[track_caller]
pub(crate) fn until<T>(what: &str, patience: Duration, mut answer: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = answer() {
            return found;
        }
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How long anything may take that takes no time on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this is root with every capability that the fault tests need.
pub(crate) fn privileged() -> bool {
    nix::unistd::geteuid().is_root()
}
