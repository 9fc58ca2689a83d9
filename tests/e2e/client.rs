//! A client that connects every 10 ms, and remembers what it met.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::machine::Machine;

const EVERY: Duration = Duration::from_millis(10);

pub(crate) struct Client {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Met>,
}

#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) answers: usize,
    /// Whatever was no answer.
    pub(crate) failures: Vec<String>,
    /// The longest time from connecting to the end of an answer.
    pub(crate) longest: Duration,
}

impl Client {
    pub(crate) fn start(machine: &Machine) -> Client {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = machine.inside(move || {
            let mut connections = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                // One that waits must not keep the next from trying.
                connections.push(std::thread::spawn(|| {
                    let begun = Instant::now();
                    (ask(), begun.elapsed())
                }));
                std::thread::sleep(EVERY);
            }
            let mut met = Met::default();
            for connection in connections {
                let (answer, took) = connection.join().unwrap();
                met.longest = met.longest.max(took);
                match answer {
                    Ok(()) => met.answers += 1,
                    Err(error) => met.failures.push(error.to_string()),
                }
            }
            met
        });
        Client { stop, thread }
    }

    pub(crate) fn stop(self) -> Met {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn ask() -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", 9844))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: vigie.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(std::io::Error::other(format!("an answer of {} bytes: {:?}", answer.len(), answer.lines().next())))
}
