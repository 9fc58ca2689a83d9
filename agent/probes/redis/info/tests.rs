use std::sync::Arc;

use super::*;
use crate::snapshot::Reading;

fn info() -> Info {
    Info::new(&Series::named("cache", "db:6379"))
}

fn report() -> Report {
    Report::new(Arc::new(Reading::default()), &Labels::none())
}

/// What is written of a text, as on the page but for the labels that all series share.
fn written(text: &str) -> Vec<String> {
    let (mut info, mut report) = (info(), report());
    info.commands.start(true);
    info.write(text, &mut report);
    info.commands.write(&mut report);
    let reading = report.into_reading();
    let mut lines = Vec::new();
    for family in reading.families() {
        for point in family.points() {
            let more = point.labels.page().replace(r#"probe="cache",server="db:6379""#, "");
            let value = match point.value {
                Value::Int(whole) => whole.to_string(),
                Value::Float(float) => float.to_string(),
            };
            let (name, suffix) = (&family.metric.name, point.labels.suffix());
            lines.push(format!("{name}{suffix}{{{}}} {value}", more.trim_start_matches(',')));
        }
    }
    lines
}

#[track_caller]
fn holds(written: &[String], lines: &[&str]) {
    for line in lines {
        assert!(written.iter().any(|known| known == line), "no {line} in {written:#?}");
    }
}

#[test]
fn a_line_stands_in_its_section() {
    let mut seen = Vec::new();
    parse(
        "# Server\r\nredis_version:7.0.15\r\nos:Linux 6:x\r\n\r\n# Keyspace\r\ndb0:keys=2,expires=0\r\nodd\r\n",
        |section, key, value| {
            seen.push((section, key, value));
        },
    );
    assert_eq!(
        seen,
        [("Server", "redis_version", "7.0.15"), ("Server", "os", "Linux 6:x"), ("Keyspace", "db0", "keys=2,expires=0")]
    );
}

#[test]
fn a_part_is_found_by_its_whole_name() {
    assert_eq!(part("calls=1,usec=12,usec_per_call=12.00", "usec"), Some("12"));
    assert_eq!(part("calls=1,usec_per_call=12.00", "usec"), None);
}

#[test]
fn a_command_has_its_calls_and_how_long_they_took() {
    let told = written(
        "# Commandstats\r\ncmdstat_get:calls=4,usec=10,usec_per_call=2.50,rejected_calls=1,failed_calls=2\r\n\
         cmdstat_config|get:calls=1,usec=7,usec_per_call=7.00\r\n\
         # Latencystats\r\nlatency_percentiles_usec_get:p50=2.007,p99.9=4.015\r\n",
    );
    holds(
        &told,
        &[
            "redis_commands_total{cmd=\"get\"} 4",
            "redis_commands_duration_seconds_total{cmd=\"get\"} 0.00001",
            "redis_commands_rejected_calls_total{cmd=\"get\"} 1",
            "redis_commands_failed_calls_total{cmd=\"get\"} 2",
            "redis_latency_percentiles_usec{cmd=\"get\",quantile=\"50.0\"} 2.007",
            "redis_latency_percentiles_usec{cmd=\"get\",quantile=\"99.9\"} 4.015",
            "redis_latency_percentiles_usec_sum{cmd=\"get\"} 10",
            "redis_latency_percentiles_usec_count{cmd=\"get\"} 4",
            "redis.cmd.latency{cmd=\"get\",percentile=\"p99.9\"} 0.000004015",
            "redis_commands_total{cmd=\"config|get\"} 1",
        ],
    );
    // Before version 6.2 nobody counted what was refused.
    assert!(!told.iter().any(|line| line.starts_with("redis_commands_failed_calls_total{cmd=\"config|get\"}")));
}

#[test]
fn replicas_primaries_and_databases_have_labels_of_their_own() {
    holds(
        &written(
            "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\
             slave0:ip=::1,port=6380,state=online,offset=42,lag=1\r\nmaster_repl_offset:56\r\n\
             # Keyspace\r\ndb3:keys=2,expires=1,avg_ttl=1500,subexpiry=7\r\n# Errorstats\r\nerrorstat_ERR:count=3\r\n",
        ),
        &[
            "redis_connected_slave_offset_bytes{slave_ip=\"::1\",slave_port=\"6380\",slave_state=\"online\"} 42",
            "redis_connected_slave_lag_seconds{slave_ip=\"::1\",slave_port=\"6380\",slave_state=\"online\"} 1",
            "redis_master_repl_offset{} 56",
            "redis.role{role=\"master\"} 1",
            "redis_db_keys{db=\"db3\"} 2",
            "redis_db_keys_expiring{db=\"db3\"} 1",
            "redis_db_avg_ttl_seconds{db=\"db3\"} 1.5",
            "redis_db_keys_with_expiring_items{db=\"db3\"} 7",
            "redis_errors_total{err=\"ERR\"} 3",
        ],
    );
}

#[test]
fn a_replica_of_keydb_may_have_several_primaries() {
    holds(
        &written(
            "# Replication\r\nrole:slave\r\nmaster_host:a\r\nmaster_port:1\r\nmaster_link_status:up\r\n\
             slave_repl_offset:5\r\nmaster_1_host:b\r\nmaster_1_port:2\r\nmaster_1_link_status:down\r\n\
             slave_read_only:0\r\nmaster_replid:x\r\n",
        ),
        &[
            "redis_master_link_up{master_host=\"a\",master_port=\"1\"} 1",
            "redis_master_link_up{master_host=\"b\",master_port=\"2\"} 0",
            "redis_slave_repl_offset{master_host=\"a\",master_port=\"1\"} 5",
            "redis_slave_info{master_host=\"a\",master_port=\"1\",read_only=\"0\"} 1",
        ],
    );
}

#[test]
fn what_valkey_says_of_itself_is_told_and_left_off_elsewhere() {
    let told = written(
        "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\nserver_mode:standalone\r\n",
    );
    let line = told.iter().find(|line| line.starts_with("redis_instance_info")).unwrap();
    assert!(line.contains("valkey_version=\"8.1.1\"") && line.contains("redis_mode=\"standalone\""), "{line}");
    assert!(!written("# Server\r\nredis_version:7.2.4\r\n").iter().any(|line| line.contains("valkey")));
}

#[test]
fn a_sentinel_is_known_by_either_word() {
    for word in ["redis_mode", "server_mode"] {
        let mut info = info();
        info.write(&format!("# Server\r\n{word}:sentinel\r\n"), &mut report());
        assert_eq!(info.mode, Mode::Sentinel);
    }
}

#[test]
fn what_is_too_much_is_left_out_and_counted() {
    let databases: String = (0..300).map(|index| format!("db{index}:keys=1,expires=0\r\n")).collect();
    let commands: String = (0..700).map(|index| format!("cmdstat_c{index}:calls=1,usec=1\r\n")).collect();
    let told = written(&format!("# Keyspace\r\n{databases}# Commandstats\r\n{commands}"));
    holds(&told, &["vigie_redis_left_out{what=\"databases\"} 44", "vigie_redis_left_out{what=\"commands\"} 60"]);
}

#[test]
fn a_steady_check_allocates_nothing_for_a_series() {
    let many = |text: fn(usize) -> String| (0..200).map(text).collect::<String>();
    let text = format!(
        "# Server\r\nredis_version:7.0.15\r\nos:Linux\r\nused_memory:5\r\n# Errorstats\r\n{}# Commandstats\r\n{}\
         # Latencystats\r\n{}# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n",
        (0..100).map(|index| format!("errorstat_E{index}:count=1\r\n")).collect::<String>(),
        many(|index| format!("cmdstat_c{index}:calls=1,usec=1,rejected_calls=0,failed_calls=0\r\n")),
        many(|index| format!("latency_percentiles_usec_c{index}:p50=1.0,p99=2.0,p99.9=3.0\r\n")),
    );
    let (mut info, mut reading) = (info(), Arc::new(Reading::default()));
    let mut check = || {
        let mut taken = std::mem::take(&mut reading);
        let (at, when) = (std::time::Instant::now(), std::time::SystemTime::now());
        Arc::get_mut(&mut taken).unwrap().start(at, when);
        let mut report = Report::new(taken, &Labels::none());
        info.commands.start(true);
        info.write(&text, &mut report);
        info.commands.write(&mut report);
        info.empty_databases(&mut report);
        reading = report.into_reading();
    };
    check();
    let counted = allocation_counter::measure(check);
    assert!(counted.count_total < 10, "{counted:?}");
}
