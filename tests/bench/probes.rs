//! What a thousand targets cost the real binary: CPU, memory, and how late they are asked.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use tempfile::TempDir;

use crate::report::{Report, median};
use crate::support::{Agent, Connection, Launch, Page, find, parse, spare_port, until};

const TARGETS: usize = 1_000;
/// Every target has been asked twice by then.
const WARMUP: Duration = Duration::from_secs(32);
/// Four scrapes, and four checks of each target.
const MEASURED: Duration = Duration::from_secs(60);
const SCRAPE: Duration = Duration::from_secs(15);

/// One kind of probe, and the option that says where.
struct Sort {
    kind: &'static str,
    option: fn(SocketAddr) -> String,
}

const SORTS: &[Sort] = &[Sort { kind: "tcp", option: |address| format!("address = '{address}'") }];

/// nginx, on every address of the loopback; where there is none, something that accepts and closes.
struct Server {
    nginx: Option<Child>,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.nginx {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn serve() -> (Server, u16) {
    let (port, folder) = (spare_port(), tempfile::tempdir().expect("a temporary directory"));
    let nginx = match nginx() {
        Some(program) => {
            let path = folder.path().display();
            let config = format!(
                "daemon off; master_process off; pid {path}/pid; error_log {path}/log;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; client_body_temp_path {path}/a; proxy_temp_path {path}/b;\n\
                 fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;\n\
                 server {{ listen 0.0.0.0:{port}; return 200 good; }} }}\n"
            );
            let file = folder.path().join("nginx.conf");
            std::fs::write(&file, config).expect("a configuration");
            let mut command = Command::new(program);
            command.arg("-c").arg(&file).arg("-e").arg(folder.path().join("log"));
            Some(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("nginx starts"))
        }
        None => {
            let listener = TcpListener::bind(("0.0.0.0", port)).expect("the port is free");
            std::thread::spawn(move || listener.incoming().for_each(drop));
            None
        }
    };
    until("the server listens", Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).ok());
    (Server { nginx, _folder: folder }, port)
}

fn nginx() -> Option<PathBuf> {
    find("nginx").or_else(|| Some(PathBuf::from("/usr/sbin/nginx")).filter(|path| path.exists()))
}

/// A target of its own for each probe: the whole of 127.0.0.0/8 is this host.
fn target(index: usize, port: u16) -> SocketAddr {
    let [high, low] = u16::try_from(index + 1).expect("few targets").to_be_bytes();
    ([127, 1, high, low], port).into()
}

fn agent(sort: &Sort, targets: usize, port: u16) -> Agent {
    let table = |index| {
        let option = (sort.option)(target(index, port));
        format!("[[probe.{}]]\nname = 'target-{index}'\n{option}\ninterval = '15s'\n", sort.kind)
    };
    let config: String = (0..targets).map(table).collect();
    Agent::launch(&Launch { config: Some(&config), ..Launch::new() })
}

/// What one agent costs over a minute in which it is scraped as Prometheus does.
struct Cost {
    cpu: f64,
    kibibytes: u64,
    page: Page,
}

fn cost(agent: &Agent) -> Cost {
    let scrape = |encoding: &str| {
        let mut connection = Connection::tcp(agent.port).expect("it listens");
        connection.get("/metrics", &[("Accept-Encoding", encoding)]).expect("a page")
    };
    let clock = clock_getcpuclockid(agent.pid()).expect("the process has a clock");
    let now = || -> Duration { clock_gettime(clock).expect("its clock can be read").into() };
    std::thread::sleep(WARMUP);
    scrape("gzip");
    let (begun, before) = (Instant::now(), now());
    while begun.elapsed() < MEASURED {
        std::thread::sleep(SCRAPE);
        scrape("gzip");
    }
    let cpu = (now() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let kibibytes = agent.status("VmRSS");
    Cost { cpu: cpu * 100.0, kibibytes, page: parse(&scrape("identity").text()) }
}

pub(crate) fn probes(report: &mut Report) {
    report.title("A thousand targets, each asked every 15 s");
    let (server, port) = serve();
    report.fact("the targets", if server.nginx.is_some() { "nginx" } else { "of the bench" });
    let mut connects: Vec<f64> = (0..TARGETS)
        .map(|index| {
            let begun = Instant::now();
            TcpStream::connect(target(index, port)).expect("the server accepts");
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.fact("connecting to one of them, bare", &format!("{:.3} ms", median(&mut connects)));
    for sort in SORTS {
        let none = cost(&agent(sort, 0, port));
        let Cost { cpu, kibibytes, page } = cost(&agent(sort, TARGETS, port));
        let what = |what: &str| format!("{}: {what}", sort.kind);
        let sum = |name| page.of(name).map(|(_, value)| value).sum::<f64>();
        assert_eq!(sum("probe_success"), TARGETS as f64, "every target answers");
        report.fact(&what("without any, of a core"), &format!("{:.2} %", none.cpu));
        report.at_most(&what("of a core"), cpu, 2.0, "%");
        report.at_most(&what("resident"), kibibytes as f64 / 1024.0, 16.0, "MiB");
        let each = (kibibytes - none.kibibytes) as f64 / TARGETS as f64;
        report.at_most(&what("resident, for each"), each, 8.0, "KiB");
        let late = |bound| page.value("vigie_probe_lateness_seconds_bucket", &[("le", bound)]);
        report.fact(&what("checks"), &late("+Inf").to_string());
        for bound in ["0.001", "0.003", "0.01", "0.03"] {
            report.fact(&what(&format!("of them more than {bound} s late")), &(late("+Inf") - late(bound)).to_string());
        }
        report.at_most(&what("of them more than 0.1 s late"), late("+Inf") - late("0.1"), 0.0, "");
        let mut took: Vec<f64> = page.of("probe_duration_seconds").map(|(_, seconds)| seconds * 1e3).collect();
        report.fact(&what("a check takes, in the median"), &format!("{:.3} ms", median(&mut took)));
    }
}
