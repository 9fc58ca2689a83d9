//! What an agent with database targets keeps in memory.

use std::time::Duration;

use crate::postgres_server::Postgres;
use crate::report::Report;
use crate::support::{Agent, Launch, Redis, redis};

/// Of each kind, in one agent.
const TARGETS: usize = 10;

/// Databases of the PostgreSQL server, beside `postgres`.
const DATABASES: usize = 9;

pub(crate) fn targets(report: &mut Report) {
    report.title("Memory for ten targets of Redis and ten of PostgreSQL with 10 databases");
    let servers = (redis(&[]), Postgres::start(&[]).map(Postgres::with_user));
    let (Some(cache), Some(database)) = servers else {
        return report.skipped("targets", "redis-server, PostgreSQL's server or psql is not installed");
    };
    for index in 0..DATABASES {
        database.sql(&format!("CREATE DATABASE d{index}"));
    }
    let tables = |of: &dyn Fn(usize) -> String| (0..TARGETS).map(of).collect::<String>();
    let (caches, databases) = (tables(&|index| redis_table(&cache, index)), tables(&|index| table(&database, index)));
    let none = resident("");
    let more = |config: &str| {
        let [own, all] = resident(config);
        [own - none[0], all - none[1]].map(|kibibytes| kibibytes / 1024.0)
    };
    let fact = |report: &mut Report, what, own| report.fact(what, &format!("{own:.3} MiB"));
    fact(report, "Redis alone, without the program's pages", more(&caches)[0]);
    fact(report, "PostgreSQL alone, without the program's pages", more(&databases)[0]);
    let [own, all] = more(&(caches + &databases));
    fact(report, "both, without the program's pages", own);
    report.at_most("both, resident", all, 3.0, "MiB");
}

fn redis_table(server: &Redis, index: usize) -> String {
    format!("[[probe.redis]]\nname = 'r{index}'\nurl = 'redis://{}'\ninterval = '1s'\n", server.address())
}

fn table(server: &Postgres, index: usize) -> String {
    server.probe("slow_interval = '1s'").replace("'main'", &format!("'p{index}'"))
}

/// What of an agent is its own, and what of it is resident, in KiB, once it has seen all that its targets say.
fn resident(config: &str) -> [f64; 2] {
    let agent = Agent::launch(&Launch { config: Some(config), ..Launch::new() });
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(800));
        let _ = agent.get("/metrics", &[]);
    }
    ["RssAnon", "VmRSS"].map(|key| agent.status(key) as f64)
}
