//! OpenTelemetry's variables.

use super::*;

type Variables<'a> = &'a [(&'a str, &'a str)];

/// Loads with these variables, under a file that only its owner reads.
fn load_in(variables: Variables, text: &str) -> Result<Config, String> {
    let lookup = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
    in_file(text.as_bytes(), 0o600, |path| {
        let loaded = Config::load_in(&lookup, Some(path), &[]);
        loaded.map_err(|errors| errors.to_string().replace(&path.display().to_string(), "vigie.toml"))
    })
}

#[track_caller]
fn loaded_in(variables: Variables, text: &str) -> Config {
    load_in(variables, text).unwrap_or_else(|told| panic!("{told}"))
}

fn header(config: &Config, name: &str) -> Option<String> {
    let secret = config.otlp.headers.get(name)?;
    Some(secret.load().ok()?.expose().to_owned())
}

#[test]
fn they_count_where_the_file_is_silent() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318/otlp"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x==, x-tenant=a"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/cert.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "30000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,cloud.region=eu%2D1"),
        ("OTEL_SERVICE_NAME", "lookout"),
    ];
    let config = loaded_in(&variables, "");
    let otlp = &config.otlp;
    assert_eq!(otlp.collector().unwrap().to_string(), "https://collector.example:4318/otlp");
    assert_eq!((otlp.protocol, otlp.metrics_path().as_str()), (Protocol::Http, "/otlp/v1/metrics"));
    assert_eq!((otlp.timeout, otlp.interval), (Duration::from_millis(2_500), Duration::from_secs(30)));
    assert_eq!(otlp.compression, Compression::None);
    assert_eq!(header(&config, "authorization").unwrap(), "Bearer x==");
    assert_eq!(header(&config, "x-tenant").unwrap(), "a");
    assert_eq!(otlp.tls.ca.as_deref(), Some(Path::new("/ca.pem")));
    assert_eq!(otlp.tls.cert.as_deref(), Some(Path::new("/cert.pem")));
    assert_eq!(otlp.tls.key.as_deref(), Some(Path::new("/key.pem")));
    assert_eq!(config.host.attributes["service.name"], "lookout");
    assert_eq!(config.host.attributes["cloud.region"], "eu-1");
    let mut taken = config.variables.clone();
    let mut set: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
    taken.sort_unstable();
    set.sort_unstable();
    assert_eq!(taken, set);

    let text = "
        [host.attributes]
        'service.name' = 'watch'
        [otlp]
        endpoint = 'https://other.example'
        protocol = 'grpc'
        timeout = '1s'
        interval = '1m'
        compression = 'gzip'
        headers = {}
        tls = { ca = 'a', cert = 'b', key = 'c' }
    ";
    let config = loaded_in(&variables, text);
    assert!(config.otlp == loaded(text).otlp);
    assert_eq!(config.host.attributes["service.name"], "watch");
    assert_eq!(config.variables, ["OTEL_RESOURCE_ATTRIBUTES"]);
}

#[test]
fn a_set_wins_over_them() {
    let lookup = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://a".into());
    let config = Config::load_in(&lookup, None, &["otlp.endpoint=http://b".to_owned()]).ok().unwrap();
    assert_eq!(config.otlp.collector().unwrap().to_string(), "http://b:80");
    assert_eq!(config.variables, [""; 0]);
}

#[test]
fn those_of_the_metrics_win_over_those_of_all_signals() {
    let config = loaded_in(
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://b"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=2,a=3"),
        ],
        "",
    );
    assert_eq!(config.otlp.collector().unwrap().to_string(), "http://b:80");
    assert_eq!(config.otlp.protocol, Protocol::Grpc);
    assert_eq!(config.otlp.timeout, Duration::from_secs(2));
    assert_eq!(header(&config, "a").unwrap(), "3");
    assert_eq!(header(&config, "b"), None);
}

#[test]
fn the_endpoint_of_the_metrics_is_the_whole_url() {
    let exact = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a:1/push/");
    let path = |variables: Variables, text: &str| loaded_in(variables, text).otlp.metrics_path();
    assert_eq!(path(&[exact], ""), "/push/");
    assert_eq!(path(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a:1")], ""), "/");
    assert_eq!(path(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1/push/")], ""), "/push/v1/metrics");
    // It is silent where the file says where to.
    assert_eq!(path(&[exact], "otlp.endpoint = 'http://b'"), "/v1/metrics");
    let grpc = loaded_in(&[exact], "otlp.protocol = 'grpc'").otlp;
    assert!(grpc.metrics_endpoint.is_none() && grpc.endpoint.is_some());
}

#[test]
fn without_an_endpoint_nothing_is_taken_of_the_push() {
    let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_HEADERS", "a")];
    assert!(loaded_in(&variables, "") == Config::default());
}

#[test]
fn an_empty_variable_is_not_set() {
    let config =
        loaded_in(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", " "), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a")], "");
    assert_eq!(config.variables, ["OTEL_EXPORTER_OTLP_ENDPOINT"]);
    assert!(loaded_in(&[("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_SERVICE_NAME", " ")], "") == Config::default());
}

#[test]
fn what_switches_the_sdk_off_switches_their_push_off() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
    for (off, pushed) in [
        (("OTEL_SDK_DISABLED", "True"), false),
        (("OTEL_SDK_DISABLED", "false"), true),
        (("OTEL_METRICS_EXPORTER", "none"), false),
        (("OTEL_METRICS_EXPORTER", "console, otlp"), true),
    ] {
        let config = loaded_in(&[endpoint, off], "");
        assert_eq!(config.otlp.collector().is_some(), pushed, "{off:?}");
        assert_eq!(config.variables.contains(&off.0), !pushed, "{off:?}");
        // What the file says is no concern of theirs.
        assert!(loaded_in(&[endpoint, off], "otlp.endpoint = 'http://b'").otlp.collector().is_some());
    }
}

#[test]
fn a_timeout_of_zero_is_the_longest() {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "0")];
    assert_eq!(loaded_in(&variables, "").otlp.timeout, Duration::from_secs(300));
}

#[test]
fn certificates_are_for_tls_and_a_pair_is_from_one_hand() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key"),
    ];
    assert_eq!(loaded_in(&variables, "").otlp.tls, ClientTls::default());
    let told = load_in(&variables, "[otlp]\nendpoint = 'https://a'\ntls = { cert = 'cert' }\n").err().unwrap();
    assert!(told.starts_with("vigie.toml:3:16: `otlp.tls` lacks `key`"), "{told}");
}

#[test]
fn a_name_that_is_written_wins_over_the_attribute() {
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", "host.name=a,b=c")];
    assert_eq!(loaded_in(&variables, "").host.attributes["host.name"], "a");
    let host = loaded_in(&variables, "host.name = 'd'").host;
    assert_eq!(host.attributes.into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn the_service_is_no_attribute_of_the_host() {
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.namespace=b,team=c")];
    let host = loaded_in(&variables, "").host;
    assert_eq!(host.labels().collect::<Vec<_>>(), [("team".to_owned(), "c")]);
}

#[test]
fn what_is_wrong_with_them_is_told_at_once_after_the_file() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"),
        ("OTEL_SDK_DISABLED", "1"),
    ];
    assert_told(
        &load_in(&variables, "[htpp]\n").err().unwrap(),
        r#"
vigie.toml:1:2: unknown key `htpp`
  |
1 | [htpp]
  |  ^^^^ did you mean `http`?

environment variable OTEL_RESOURCE_ATTRIBUTES: `host.attributes`: expected key=value
 |
 | OTEL_RESOURCE_ATTRIBUTES=a=1,b
 |                              ^ such as deployment.environment.name=staging

environment variable OTEL_EXPORTER_OTLP_ENDPOINT: `otlp.endpoint`: expected an endpoint such as "http://127.0.0.1:4317", "https://collector.example" or "unix:/run/otel.sock", found "localhost:4317"
 |
 | OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317
 |                             ^^^^^^^^^^^^^^ "http://localhost:4317", or https:// to speak TLS

environment variable OTEL_SDK_DISABLED: `otlp`: expected true or false
 |
 | OTEL_SDK_DISABLED=1
 |                   ^ true, and nothing is pushed that the configuration does not ask for

environment variable OTEL_EXPORTER_OTLP_PROTOCOL: `otlp.protocol`: expected grpc or http/protobuf, found "http/json"
 |
 | OTEL_EXPORTER_OTLP_PROTOCOL=http/json
 |                             ^^^^^^^^^ vigie writes no JSON; http/protobuf goes to the same port

environment variable OTEL_EXPORTER_OTLP_TIMEOUT: `otlp.timeout`: expected a duration from 100ms to 5m with its unit, such as "250ms", found "50ms"
 |
 | OTEL_EXPORTER_OTLP_TIMEOUT=50
 |                            ^^ the variable counts milliseconds

environment variable OTEL_METRIC_EXPORT_INTERVAL: `otlp.interval`: expected a number of milliseconds
 |
 | OTEL_METRIC_EXPORT_INTERVAL=10s
 |                             ^^^ 10000 is ten seconds

environment variable OTEL_EXPORTER_OTLP_COMPRESSION: `otlp.compression`: expected one of "none", "gzip", found "zip"
 |
 | OTEL_EXPORTER_OTLP_COMPRESSION=zip
 |                                ^^^ did you mean "gzip"?
"#,
    );
}

#[test]
fn a_protocol_that_is_nearly_one_is_told_so() {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/proto")];
    assert!(load_in(&variables, "").err().unwrap().ends_with("did you mean http/protobuf?"));
}

#[test]
fn no_mistake_shows_a_header() {
    for (endpoint, headers) in [
        ("https://a", "authorization=hunter2,b"),
        ("https://a", "hunter2"),
        ("https://a", "authorization: Bearer hunter2=="),
        ("https://a", "a=%zzhunter2"),
        ("https://a", "content-type=hunter2"),
        ("https://a", "a=hunter2%0A"),
        ("https://me:hunter2@a", "a=b"),
        ("a", "a=hunter2,b="),
    ] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_HEADERS", headers)];
        let told = load_in(&variables, "").err().unwrap();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_is_no_text_is_told() {
    use std::os::unix::ffi::OsStringExt;
    let lookup =
        |name: &str| (name == "OTEL_EXPORTER_OTLP_HEADERS").then(|| OsString::from_vec(b"a=hunter2\xff".to_vec()));
    let told = Config::load_in(&lookup, None, &["otlp.endpoint=http://a".to_owned()]).err().unwrap().to_string();
    assert_told(
        &told,
        "
environment variable OTEL_EXPORTER_OTLP_HEADERS: `otlp.headers`: expected UTF-8
 |
 | OTEL_EXPORTER_OTLP_HEADERS=…
 |                            ^
",
    );
}
