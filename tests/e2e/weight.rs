//! What it weighs at work, with the push and a probe of each kind on.

use crate::collector::{Collector, Site};
use crate::machine::Machine;
use crate::support::{PATIENCE, Page, until};
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
[[probe.http]]
name = "answer"
url = "http://127.0.0.1:9844/metrics"
expect = 'HELP'
[[probe.icmp]]
name = "self"
host = "127.0.0.1"
[[probe.mount]]
name = "proc"
path = "/proc"
[[probe.port]]
name = "port"
port = 9844
[[probe.postgres]]
name = "database"
url = "postgresql:///postgres?host=/run/e2e-postgres"
[[probe.process]]
name = "systemd"
comm = "^systemd"
[[probe.redis]]
name = "cache"
url = "redis://127.0.0.1:6379"
[[probe.tls]]
name = "authorities"
address = "127.0.0.1:9844"
[[probe.unit]]
name = "itself"
unit = "vigie"
"#;

/// Those of its targets that this machine has. PostgreSQL knows whom it lets in by the user that the package made.
const SERVERS: &str = "
if server=$(command -v redis-server); then
    systemd-run --quiet --unit e2e-redis $server --save ''
fi
if server=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1) && [ -n \"$server\" ]; then
    install -d -o nobody /run/e2e-postgres
    runuser -u nobody -- $server/initdb --pgdata=/run/e2e-postgres/data --auth=peer --username=vigie --no-sync >/dev/null
    systemd-run --quiet --unit e2e-postgres --uid nobody $server/postgres -D /run/e2e-postgres/data -k /run/e2e-postgres
fi
";

pub(crate) fn is_light(machine: &Machine) {
    let collector = machine.inside(|| Collector::on(Site { port: 4317, ..Site::default() })).join().unwrap();
    machine.shell(SERVERS);
    write_config(machine, AT_WORK);
    restart(machine);
    // A page has no TLS: the system's authorities are read to find that out, and that is what weighs.
    let fail = |page: &Page| {
        let failing = page.of("probe_success").filter(|(_, success)| *success == 0.0);
        failing.map(|(series, _)| series.label("kind").to_owned()).collect::<Vec<_>>()
    };
    let failing = until("it has pushed often enough, and asked each target", PATIENCE, || {
        let page = page(machine);
        let asked = page.of("probe_success").count() == AT_WORK.matches("[[probe.").count();
        (collector.calls().len() >= PUSHES && asked).then(|| fail(&page))
    });
    eprintln!("    these fail: {failing:?}");
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
    machine.shell("systemctl stop 'e2e-*'; rm -rf /run/e2e-postgres");
    write_config(machine, MANY_CONNECTIONS);
    restart(machine);
}
