//! What databases tell of themselves, as it comes to a collector: the names of its own receivers, and where the server is.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use crate::collector::{Call, Collector};
use crate::postgres::Postgres;
use crate::support::{Agent, Launch, PATIENCE, redis, skipped, until};

/// The attributes of a point as text.
fn attributes(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(whole)) => whole.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

/// The whole numbers of a metric that arrived, by one of its attributes; each is of the server at this port.
fn told(calls: &[Call], name: &str, key: &str, port: u16) -> BTreeMap<String, i64> {
    let metrics = calls.iter().flat_map(Call::metrics).filter(|metric| metric.name == name);
    let points = metrics.flat_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => &*sum.data_points,
        Some(Data::Gauge(gauge)) => &*gauge.data_points,
        other => panic!("{other:?}"),
    });
    let one = |attributes: BTreeMap<&str, String>, value: &Option<Number>| {
        assert_eq!(attributes["server.address"], "127.0.0.1");
        assert_eq!(attributes["server.port"], port.to_string());
        let Some(Number::AsInt(value)) = value else { panic!("{name}: {value:?}") };
        (attributes.get(key).cloned().unwrap_or_default(), *value)
    };
    points.map(|point| one(attributes(&point.attributes), &point.value)).collect()
}

fn agent(collector: &Collector, probe: &str) -> Agent {
    let push = format!("[otlp]\nendpoint = \"{}\"\ninterval = \"1s\"\n", collector.url());
    Agent::launch(&Launch { config: Some(&format!("{push}{probe}")), ..Launch::new() })
}

#[test]
fn postgres_is_told_in_the_words_of_the_receiver() {
    let Some(server) = Postgres::start(&[]).map(Postgres::with_user) else {
        return skipped("PostgreSQL's server or psql is not installed");
    };
    let collector = Collector::start();
    let _agent = agent(&collector, &server.probe(""));
    let size = |database| server.sql(&format!("SELECT pg_database_size('{database}')")).trim().parse::<i64>();
    let expected = until("the database does not grow", PATIENCE, || {
        let (template, again) = (size("template1"), size("template1"));
        (template == again).then(|| template.ok()).flatten()
    });
    let told = |name, key| told(&collector.calls(), name, key, server.port);
    until("the size arrives", PATIENCE, || {
        (told("postgresql.db_size", "db.namespace").get("template1") == Some(&expected)).then_some(())
    });
    assert!(told("postgresql.backends", "db.namespace")["postgres"] >= 1);
    assert!(told("postgresql.commits", "db.namespace")["postgres"] >= 1);
    let limit = server.sql("SHOW max_connections").trim().parse().ok();
    assert_eq!(told("postgresql.connection.max", "").get("").copied(), limit);
}

#[test]
fn redis_is_told_in_the_words_of_the_receiver() {
    let Some(server) = redis(&[]) else { return skipped("redis-server and redis-cli are not installed") };
    let collector = Collector::start();
    let probe = format!("[[probe.redis]]\nname = 'x'\nurl = 'redis://127.0.0.1:{}'\ninterval = '1s'\n", server.port);
    let _agent = agent(&collector, &probe);
    let told = |name, key| told(&collector.calls(), name, key, server.port);
    until("our connection arrives", PATIENCE, || {
        (told("redis.clients.connected", "").get("") == Some(&1)).then_some(())
    });
    assert!(told("redis.commands.processed", "")[""] >= 1);
    assert!(told("redis.memory.used", "")[""] > 0);
}
