//! What it weighs at work, with the push and a probe of each kind on.

use crate::collector::{Collector, Site};
use crate::machine::Machine;
use crate::support::{PATIENCE, until};
use crate::{MANY_CONNECTIONS, main_pid, page, restart, write_config};

/// The limit for what is shipped, in MiB.
const LIMIT: f64 = 8.0;
/// Often enough that whatever it keeps for the next time is there.
const PUSHES: usize = 12;

const AT_WORK: &str = r#"
[otlp]
endpoint = "http://127.0.0.1:4317"
interval = "1s"
[[probe.tcp]]
name = "page"
address = "127.0.0.1:9844"
[[probe.dns]]
name = "resolver"
query = "vigie.test"
[[probe.file]]
name = "file"
path = "/etc/host*"
[[probe.icmp]]
name = "self"
host = "127.0.0.1"
[[probe.mount]]
name = "proc"
path = "/proc"
[[probe.port]]
name = "port"
port = 9844
[[probe.process]]
name = "systemd"
comm = "^systemd"
"#;

pub(crate) fn is_light(machine: &Machine) {
    let collector = machine.inside(|| Collector::on(Site { port: 4317, ..Site::default() })).join().unwrap();
    write_config(machine, AT_WORK);
    restart(machine);
    until("it has pushed often enough", PATIENCE, || {
        page(machine);
        (collector.calls().len() >= PUSHES).then_some(())
    });
    let status = machine.shell(&format!("cat /proc/{}/status", main_pid(machine)));
    let mebibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    };
    let [all, own] = ["VmRSS", "RssAnon"].map(mebibytes);
    eprintln!("    {all:.2} MiB are resident, of which {own:.2} are not the program");
    if std::env::var_os("VIGIE_BINARY").is_some() {
        assert!(all <= LIMIT, "{status}");
    }
    write_config(machine, MANY_CONNECTIONS);
    restart(machine);
}
