//! redis: real servers of every kind, as they are and as they should not be.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::papers::Papers;
use super::servers::{nobody, saying, serve};
use super::support::{PATIENCE, Page, Redis, find, redis, redis_unready, sentinel, skipped, until};
use super::{Said, agent, check, health, one, until_probe};

/// What a password is called here; nobody may ever show it.
const SECRET: &str = "hunter2-of-the-tests";

fn table(name: &str, url: &str, more: &str) -> String {
    format!("[[probe.redis]]\nname = '{name}'\nurl = '{url}'\ninterval = '1s'\ntimeout = '800ms'\n{more}\n")
}

fn probe(url: &str, more: &str) -> Said {
    one(&table("x", url, more))
}

/// For a server that fills itself.
const DEBUG: &[&str] = &["--enable-debug-command", "local"];

/// A server, or the test says that it tests nothing.
fn server(args: &[&str]) -> Option<Redis> {
    let server = redis(args);
    if server.is_none() {
        skipped("redis-server and redis-cli are not installed");
    }
    server
}

fn password(folder: &std::path::Path, text: &str) -> String {
    let file = folder.join("password");
    std::fs::write(&file, text).unwrap();
    format!("password = {{ file = '{}' }}", file.display())
}

/// The value of a series of the probe `x`.
#[track_caller]
fn value(page: &Page, name: &str, more: &[(&str, &str)]) -> f64 {
    let (series, value) = page
        .of(name)
        .find(|(series, _)| more.iter().all(|(label, wanted)| series.label(label) == *wanted))
        .unwrap_or_else(|| panic!("no {name} {more:?}"));
    assert!(!series.label("server").is_empty(), "{series}");
    value
}

/// The page of an agent once its probe `x` was asked twice: by then the connection is kept.
#[track_caller]
fn page(url: &str, more: &str) -> Page {
    let agent = agent(&table("x", url, more));
    until_probe(&agent, "x", "up", |probe| probe["up"] == true);
    std::thread::sleep(std::time::Duration::from_millis(2300));
    agent.page()
}

#[test]
fn a_server_is_asked_over_one_connection_by_a_user_who_may_ask() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let Some(server) = server(&["--unixsocket", socket.to_str().unwrap()]) else { return };
    let acl = format!(">{SECRET}");
    let grants = "+ping +info +client|setname +config|get +slowlog|len +slowlog|get +latency|latest +latency|histogram";
    let words: Vec<&str> = ["acl", "setuser", "vigie", "on", &acl].into_iter().chain(grants.split(' ')).collect();
    assert_eq!(server.cli(&words), "OK");
    let secret = password(folder.path(), SECRET);
    let url = format!("redis://vigie@{}", server.address());
    let tables = table("x", &url, &secret)
        + &table("socket", &format!("unix:{}", socket.display()), &format!("user = 'vigie'\n{secret}"));
    let agent = agent(&format!("log.level = 'trace'\n{tables}"));
    until_probe(&agent, "x", "up", |probe| probe["up"] == true);
    until_probe(&agent, "socket", "up", |probe| probe["up"] == true);
    std::thread::sleep(std::time::Duration::from_millis(3200));
    assert_eq!(server.clients("vigie"), 2, "{}", server.cli(&["client", "list"]));
    assert_eq!(server.info("total_error_replies"), "0");
    let page = agent.page();
    assert_eq!(value(&page, "redis_up", &[("probe", "x")]), 1.0);
    assert_eq!(value(&page, "redis_up", &[("probe", "socket")]), 1.0);
    assert!(value(&page, "redis_commands_total", &[("cmd", "info"), ("probe", "x")]) >= 2.0);
    assert_eq!(page.of("vigie_redis_unavailable").count(), 0);
    assert_eq!(value(&page, "redis_config_key_value", &[("key", "appendonly"), ("probe", "x")]), 1.0);
    let everything = format!("{}{}{}", agent.log(), agent.get("/metrics", &[]).text(), agent.health());
    assert!(!everything.contains(SECRET), "a password is told");
    let open = agent.get("/metrics", &[("Accept", "application/openmetrics-text;version=1.0.0")]);
    super::support::parse_open_metrics(&open.text());
}

#[test]
fn who_may_not_ask_is_told_what_mends_it() {
    let Some(server) = server(&["--requirepass", SECRET]) else { return };
    let auth = |args: &[&str]| server.cli(&[&["-a", SECRET, "--no-auth-warning"], args].concat());
    let acl = format!(">{SECRET}");
    auth(&["acl", "setuser", "blind", "on", &acl, "+ping"]);
    auth(&["acl", "setuser", "poor", "on", &acl, "+ping", "+info", "+slowlog|len"]);
    let folder = tempfile::tempdir().unwrap();
    let (right, place) = (password(folder.path(), SECRET), server.address());
    let wrong_folder = tempfile::tempdir().unwrap();
    let wrong = password(wrong_folder.path(), "hunter3-of-the-tests");
    let tables = [
        ("redis://", "", "auth", "the server wants a password", "write password = "),
        ("redis://", wrong.as_str(), "auth", "refuses the password of default", "check the password"),
        ("redis://nobody@", right.as_str(), "auth", "refuses the password of nobody", "ACL GETUSER nobody"),
        ("redis://blind@", right.as_str(), "auth", "blind may not INFO", "ACL SETUSER blind +ping +info"),
        ("redis://", right.as_str(), "good", "", ""),
        (
            "redis://poor@",
            right.as_str(),
            "good",
            "poor may not see config slowlog latency latency_histogram",
            "ACL SETUSER poor +config|get +slowlog|get +latency|latest +latency|histogram",
        ),
        ("redis://", "password = { file = '/nowhere/secret' }", "auth", "cannot read the secret in /nowhere", "put it"),
    ];
    let config = tables.iter().enumerate().fold(String::new(), |config, (index, (user, more, ..))| {
        config + &table(&format!("p{index}"), &format!("{user}{place}"), more)
    });
    let (run, said) = check(&config);
    for ((_, _, reason, words, remedy), said) in tables.iter().zip(&said) {
        assert_eq!(said.result, *reason, "{run:?}");
        assert!(said.why.contains(words) && said.why.contains(remedy), "{said:?}");
    }
    assert_eq!(said.len(), tables.len());
    for told in [&run.out, &run.err] {
        assert!(!told.contains("hunter"), "{told}");
    }
    // What is refused is not asked again and again: each refusal is an entry of the server's own log.
    let page = page(&format!("redis://poor@{place}"), &right);
    let reasons = page.of("vigie_redis_unavailable").map(|(series, _)| series.label("reason").to_owned());
    assert_eq!(reasons.collect::<Vec<_>>(), ["permission"; 4]);
    let denied = auth(&["info", "errorstats"]);
    let denied =
        denied.lines().find_map(|line| line.strip_prefix("errorstat_NOPERM:count=")).unwrap().trim().to_owned();
    assert!(denied.parse::<u32>().unwrap() < 16, "{denied}");
    assert_eq!(value(&page, "redis_slowlog_length", &[]), 0.0);
}

#[test]
fn a_place_where_something_else_listens_is_told_for_what_it_is() {
    let huge = serve(|mut stream| {
        let _ = stream.write_all(b"$100000000\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    });
    let many = serve(|mut stream| {
        let _ = stream.write_all(b"*1000000\r\n");
        while stream.write_all(&b":1\r\n".repeat(1000)).is_ok() {}
    });
    let mute = serve(|mut stream| while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {});
    let cases = [
        (nobody(), "connect", "refused"),
        (mute, "timeout", "waiting to be let in"),
        (saying(""), "protocol", "closed the connection without an answer"),
        (saying("HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol", "no answer of Redis, but \"HTTP/1.1 400 Bad"),
        (saying("\x15\x03\x01"), "protocol", "write rediss:// in place of redis://"),
        (saying("+OK"), "protocol", "in the middle of an answer"),
        (saying("-ERR max number of clients reached\r\n"), "state", "takes no more clients"),
        (saying("-DENIED Redis is running in protected mode\r\n"), "auth", "in protected mode"),
        (huge, "size", "an answer of 100000000 bytes"),
        (many, "size", "an answer of 1000000 bytes or elements"),
    ];
    let config = cases.iter().enumerate().fold(String::new(), |mut config, (index, (address, ..))| {
        write!(config, "{}", table(&format!("p{index}"), &format!("redis://{address}"), "")).unwrap();
        config
    });
    let (run, said) = check(&config);
    for ((address, reason, words), said) in cases.iter().zip(&said) {
        assert_eq!(said.result, *reason, "{address} {words}: {run:?}");
        assert!(said.why.contains(words), "{said:?}");
    }
}

#[test]
fn an_answer_without_an_end_costs_no_memory() {
    let huge = serve(|mut stream| {
        let _ = stream.write_all(b"*900000\r\n");
        while stream.write_all(&[b"$60000\r\n".as_slice(), &[b'x'; 60_000], b"\r\n"].concat()).is_ok() {}
    });
    let tables: String = (0..8).map(|index| table(&format!("p{index}"), &format!("redis://{huge}"), "")).collect();
    let agent = agent(&tables);
    for index in 0..8 {
        until_probe(&agent, &format!("p{index}"), "down", |probe| probe["up"] == false);
    }
    assert_eq!(health(&agent, "p0")["reason"], "size");
    // Eight of them at a time at most, of 4 MiB each, and what the agent has otherwise.
    let peak = agent.status("VmHWM");
    assert!(peak < 100 << 10, "{peak} KiB");
}

#[test]
fn a_server_that_is_not_well_says_so_and_is_told_of() {
    let Some(busy) = server(&["--busy-reply-threshold", "50"]) else { return };
    let mut script = Command::new(find("redis-cli").unwrap());
    let script = script.args(["-p", &busy.port.to_string(), "eval", "while true do end", "0"]);
    let mut script = script.stdout(Stdio::null()).spawn().unwrap();
    until("the script runs", PATIENCE, || busy.cli(&["ping"]).starts_with("BUSY").then_some(()));
    let said = probe(&format!("redis://{}", busy.address()), "");
    assert_eq!(said.result, "state", "{said:?}");
    assert!(said.why.contains("busy with a script") && said.why.contains("SCRIPT KILL"), "{said:?}");
    busy.cli(&["script", "kill"]);
    script.wait().unwrap();
    assert_eq!(probe(&format!("redis://{}", busy.address()), "").result, "good");

    // Its directory goes, and with it the place to save to.
    let full = redis(&["--save", "3600 1", "--enable-protected-configs", "local"]).unwrap();
    let directory = full.directory().join("data");
    std::fs::create_dir(&directory).unwrap();
    full.cli(&["config", "set", "dir", directory.to_str().unwrap()]);
    std::fs::remove_dir(&directory).unwrap();
    full.cli(&["bgsave"]);
    until("the save fails", PATIENCE, || (full.info("rdb_last_bgsave_status") == "err").then_some(()));
    let said = probe(&format!("redis://{}", full.address()), "");
    assert_eq!(said.result, "state", "{said:?}");
    assert!(said.why.contains("cannot save its data"), "{said:?}");

    let orphan = redis(&["--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no"]).unwrap();
    let url = format!("redis://{}", orphan.address());
    let said = probe(&url, "");
    assert_eq!(said.result, "state", "{said:?}");
    assert!(said.why.contains("lost its primary"), "{said:?}");
    // It says how it is all the same.
    let agent = agent(&table("x", &url, ""));
    until_probe(&agent, "x", "down", |probe| probe["up"] == false);
    let page = agent.page();
    let (host, port) = (("master_host", "127.0.0.1"), ("master_port", "1"));
    assert_eq!((value(&page, "redis_up", &[]), value(&page, "redis_master_link_up", &[host, port])), (1.0, 0.0));
    assert_eq!(value(&page, "redis_slave_info", &[host, port, ("read_only", "1")]), 1.0);

    let renamed = redis(&["--rename-command", "INFO", ""]).unwrap();
    let said = probe(&format!("redis://{}", renamed.address()), "");
    assert_eq!(said.result, "protocol", "{said:?}");
    assert!(said.why.contains("knows no INFO") && said.why.contains("rename-command"), "{said:?}");
}

#[test]
fn a_server_that_loads_its_data_is_not_up_yet_and_tells_how_far_it_is() {
    let Some(first) = server(DEBUG) else { return };
    first.cli(&["debug", "populate", "30000", "key", "1000"]);
    first.cli(&["save"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(first.directory().join("dump.rdb"), folder.path().join("dump.rdb")).unwrap();
    // So that it takes long, and that it answers meanwhile.
    let slow = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
    let loading = redis_unready(&slow, folder).unwrap();
    until("it loads", PATIENCE, || loading.cli(&["ping"]).starts_with("LOADING").then_some(()));
    let agent = agent(&table("x", &format!("redis://{}", loading.address()), ""));
    until_probe(&agent, "x", "down", |probe| probe["up"] == false);
    assert_eq!(health(&agent, "x")["reason"], "state");
    assert!(health(&agent, "x")["message"].as_str().unwrap().contains("loading its data"));
    let page = agent.page();
    assert_eq!((value(&page, "redis_up", &[]), value(&page, "redis_loading_dump_file", &[])), (1.0, 1.0));
}

#[test]
fn one_that_stops_and_one_that_starts_anew_leave_one_connection_and_the_others_alone() {
    let (Some(stopped), Some(mut restarted)) = (server(&[]), redis(&[])) else { return };
    let good = redis(&[]).unwrap();
    let urls = [("stopped", &stopped), ("restarted", &restarted), ("good", &good)];
    let config: String =
        urls.iter().map(|(name, server)| table(name, &format!("redis://{}", server.address()), "")).collect();
    let agent = agent(&config);
    for name in ["stopped", "restarted", "good"] {
        until_probe(&agent, name, "up", |probe| probe["up"] == true);
    }
    stopped.signal(Signal::SIGSTOP);
    until_probe(&agent, "stopped", "down", |probe| probe["up"] == false);
    assert_eq!(health(&agent, "stopped")["reason"], "timeout");
    assert_eq!(value(&agent.page(), "redis_up", &[("probe", "stopped")]), 0.0);
    restarted.restart();
    stopped.signal(Signal::SIGCONT);
    until_probe(&agent, "stopped", "up", |probe| probe["up"] == true);
    until_probe(&agent, "restarted", "up", |probe| probe["success"] == true);
    std::thread::sleep(std::time::Duration::from_millis(2200));
    assert_eq!(health(&agent, "good")["failures"], 0);
    for server in [&stopped, &restarted, &good] {
        assert_eq!(server.clients("vigie"), 1, "{}", server.cli(&["client", "list"]));
    }
}

#[test]
fn a_primary_tells_of_its_replica_and_a_sentinel_of_both() {
    let Some(primary) = server(&[]) else { return };
    let port = primary.port.to_string();
    let replica = redis(&["--replicaof", &format!("127.0.0.1 {port}")]).unwrap();
    until("it is a replica", PATIENCE, || (replica.info("master_link_status") == "up").then_some(()));
    let told = page(&format!("redis://{}", primary.address()), "");
    let own_port = replica.port.to_string();
    let of = [("slave_ip", "127.0.0.1"), ("slave_port", &*own_port), ("slave_state", "online")];
    assert!(value(&told, "redis_connected_slave_lag_seconds", &of) <= 2.0);
    assert!(value(&told, "redis_connected_slave_offset_bytes", &of) >= 0.0);
    assert_eq!(value(&told, "redis_connected_slaves", &[]), 1.0);
    let told = page(&format!("redis://{}", replica.address()), "");
    let of = [("master_host", "127.0.0.1"), ("master_port", &*port)];
    assert_eq!(value(&told, "redis_master_link_up", &of), 1.0);
    assert!(value(&told, "redis_slave_repl_offset", &of) >= 0.0);

    let config = format!("sentinel monitor shop 127.0.0.1 {port} 1\nsentinel down-after-milliseconds shop 5000\n");
    let sentinel = sentinel(&config).unwrap();
    until("the Sentinel knows the replica", PATIENCE, || sentinel.cli(&["info"]).contains("slaves=1").then_some(()));
    let told = page(&format!("redis://{}", sentinel.address()), "");
    let address = primary.address();
    let of = [("master_name", "shop"), ("master_address", &*address)];
    assert_eq!(value(&told, "redis_sentinel_master_status", &[of[0], of[1], ("master_status", "ok")]), 1.0);
    assert_eq!(value(&told, "redis_sentinel_master_slaves", &of), 1.0);
    assert_eq!(value(&told, "redis_sentinel_master_ok_slaves", &of), 1.0);
    assert_eq!(value(&told, "redis_sentinel_master_ok_sentinels", &of), 1.0);
    assert_eq!(value(&told, "redis_sentinel_master_setting_ckquorum", &of), 1.0);
    assert_eq!(value(&told, "redis_sentinel_master_setting_down_after_milliseconds", &of), 5000.0);
    assert_eq!(value(&told, "redis_sentinel_master_ckquorum_status", &[("master_name", "shop")]), 1.0);
    assert_eq!(value(&told, "redis_sentinel_masters", &[]), 1.0);
    assert_eq!(told.of("vigie_redis_unavailable").count(), 0);
}

#[test]
fn a_node_of_a_cluster_tells_of_the_cluster() {
    let Some(node) = server(&["--cluster-enabled", "yes"]) else { return };
    let url = format!("redis://{}", node.address());
    assert_eq!(value(&page(&url, ""), "redis_cluster_state", &[]), 0.0);
    node.cli(&["cluster", "addslotsrange", "0", "16383"]);
    until("the cluster is well", PATIENCE, || {
        node.cli(&["cluster", "info"]).contains("cluster_state:ok").then_some(())
    });
    let told = page(&url, "");
    assert_eq!((value(&told, "redis_cluster_state", &[]), value(&told, "redis_cluster_enabled", &[])), (1.0, 1.0));
    assert_eq!(value(&told, "redis_cluster_slots_assigned", &[]), 16384.0);
    assert_eq!(value(&told, "redis_cluster_known_nodes", &[]), 1.0);
    assert_eq!(told.of("redis_db_keys").count(), 1);
}

#[test]
fn keys_that_are_named_are_told_of_and_patterns_are_counted_piece_by_piece() {
    let Some(server) = server(DEBUG) else { return };
    server.cli(&["debug", "populate", "3000", "session"]);
    server.cli(&["rpush", "queue", "a", "b", "c"]);
    server.cli(&["-n", "2", "set", "visitors", "17.5"]);
    server.cli(&["xadd", "orders", "5-1", "a", "b"]);
    server.cli(&["xgroup", "create", "orders", "billing", "0"]);
    let more = "keys = ['queue', { db = 2, key = 'visitors' }, 'nothing']\nstreams = ['orders', 'none']\n\
                key_groups = ['session:*', 'queue']";
    let url = format!("redis://{}", server.address());
    let agent = agent(&table("x", &url, more));
    until("all is counted", PATIENCE, || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        agent.page().of("redis_key_group_count").nth(1).map(|_| ())
    });
    let page = agent.page();
    let (db0, db2) = (("db", "db0"), ("db", "db2"));
    assert_eq!(value(&page, "redis_key_size", &[db0, ("key", "queue")]), 3.0);
    assert_eq!(value(&page, "redis_key_size", &[db0, ("key", "nothing")]), 0.0);
    assert_eq!(value(&page, "redis_key_value", &[db2, ("key", "visitors")]), 17.5);
    assert_eq!(value(&page, "redis_key_group_count", &[db0, ("key_group", "session:*")]), 3_000.0);
    assert!(value(&page, "redis_key_group_memory_usage_bytes", &[db0, ("key_group", "session:*")]) > 1e5);
    assert_eq!(value(&page, "redis_key_group_count", &[db0, ("key_group", "queue")]), 1.0);
    assert_eq!(value(&page, "redis_stream_length", &[db0, ("stream", "orders")]), 1.0);
    assert_eq!(value(&page, "redis_stream_last_generated_id", &[db0, ("stream", "orders")]), 5.0);
    assert_eq!(value(&page, "redis_stream_group_lag", &[("stream", "orders"), ("group", "billing")]), 1.0);
    assert_eq!(server.info("total_error_replies"), "0");
    server.cli(&["acl", "setuser", "vigie", "on", "nopass", "+@all", "-scan", "-@keyspace"]);
    let said = probe(&format!("redis://vigie@{}", server.address()), &format!("{more}\npassword = {{ env = 'PATH' }}"));
    assert_eq!(said.result, "good", "{said:?}");
    assert!(said.why.contains("vigie may not see keys") && said.why.contains("~* +select"), "{said:?}");
}

#[test]
fn a_server_of_tls_is_asked_over_it() {
    let papers = Papers::new();
    let port = super::support::spare_port().to_string();
    let path = |name: &str| papers.path(name).display().to_string();
    let (ca, cert, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
    let tls = ["--tls-port", &port, "--tls-ca-cert-file", &ca, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let Some(server) = server(&[&tls[..], &["--tls-auth-clients", "optional"]].concat()) else { return };
    let url = format!("rediss://localhost:{port}");
    let told = page(&url, &format!("tls = {{ ca = '{ca}' }}"));
    assert_eq!(value(&told, "redis_up", &[]), 1.0);
    // Of the certificate too, with each check, though there was one handshake.
    assert!(told.of("probe_ssl_earliest_cert_expiry").count() == 1 && told.of("probe_tls_version_info").count() == 1);
    let (run, said) = check(&format!(
        "{}{}{}",
        table("unknown", &url, ""),
        table("plain", &format!("redis://localhost:{port}"), ""),
        table("other", &format!("rediss://127.0.0.1:{port}"), &format!("tls = {{ ca = '{ca}' }}"))
    ));
    assert_eq!(said.iter().map(|said| &*said.result).collect::<Vec<_>>(), ["tls", "protocol", "tls"], "{run:?}");
    assert!(said[1].why.contains("rediss://"), "{said:?}");
    server.cli(&["config", "set", "tls-auth-clients", "yes"]);
    let said = probe(&url, &format!("tls = {{ ca = '{ca}' }}"));
    assert_eq!(said.result, "tls", "{said:?}");
    let own = format!("tls = {{ ca = '{ca}', cert = '{}', key = '{}' }}", path("client.pem"), path("client.key"));
    assert_eq!(probe(&url, &own).result, "good");
}
