//! The page where the process has run out of files. Alone in its process: the limit is everybody's.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use vigie::config::Listen;
use vigie::page::Lookout;
use vigie::page::listener::Listener;
use vigie::page::server::{Options, Server};
use vigie::snapshot::Snapshot;
use vigie::supervisor::Health;

struct Nothing;

impl Lookout for Nothing {
    async fn snapshot(&self, _: Duration, _: Duration) -> Arc<Snapshot> {
        Arc::new(Snapshot { readings: Vec::new(), at: Instant::now(), taken: SystemTime::now() })
    }

    fn health(&self) -> Health {
        Health::default()
    }
}

#[test]
fn running_out_of_files_neither_ends_nor_spins_the_server() {
    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let Some(Listen::Tcp(address)) = listener.address() else { panic!("no address") };
    let options = Options {
        max_age: Duration::from_secs(1),
        deadline: Duration::from_secs(1),
        max_connections: 8,
        tls: None,
        users: BTreeMap::new(),
    };
    let server = Server::over(vec![listener], options);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server.serve(Nothing, std::future::pending()))
    });
    // The runtime opens files of its own: once it answers it has them.
    assert!(get(&mut TcpStream::connect(address).unwrap()).starts_with("HTTP/1.1 200 OK"));

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64.min(soft), hard).unwrap();
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.pop();
    let mut client = TcpStream::connect(address).unwrap();
    let before = cpu_milliseconds();
    std::thread::sleep(Duration::from_millis(500));
    let spent = cpu_milliseconds() - before;
    drop(files);
    assert!(get(&mut client).starts_with("HTTP/1.1 200 OK"));
    assert!(spent < 100, "{spent} ms of CPU in half a second of waiting");
}

fn get(client: &mut TcpStream) -> String {
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

fn cpu_milliseconds() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let (user, system) = (usage.user_time(), usage.system_time());
    (user.tv_sec() + system.tv_sec()) * 1000 + (user.tv_usec() + system.tv_usec()) / 1000
}
