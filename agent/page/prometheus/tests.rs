//! Pages byte by byte.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::*;
use crate::metric::Unit;
use crate::snapshot::{Durations, Reading};

static READ: Metric = Metric::counter("disk_read_bytes_total", Unit::Bytes, "What \"vda\" read\\wrote\nin bytes.");
static LOAD: Metric = Metric::gauge("load1", Unit::One, "Load.");
static FAULTS: Metric = Metric::counter("vmstat_faults", Unit::Of("{fault}"), "Faults.").untyped();
static ODD: Metric = Metric::counter("odd_counter", Unit::One, "Counts, and says so nowhere.");
static UP: Metric = Metric::gauge("probe_success", Unit::One, "Up.");
static HIDDEN: Metric = Metric::otel_only(Kind::Gauge, "system.memory.limit", Unit::Bytes, "Hidden.");
static LATENCY: Metric = Metric::new(Kind::Histogram, "latency_seconds", Unit::Seconds, "Latency.");
static WAITS: Metric = Metric::new(Kind::Exponential, "waits_seconds", Unit::Seconds, "Waits.");
static TIMES: Metric = Metric::new(Kind::Summary, "times", Unit::One, "Times.");

fn snapshot(readings: Vec<Reading>) -> Snapshot {
    Snapshot { readings: readings.into_iter().map(Arc::new).collect(), at: Instant::now(), taken: SystemTime::now() }
}

fn reading(fill: impl FnOnce(&mut Reading)) -> Reading {
    let mut reading = Reading::default();
    reading.start(Instant::now(), SystemTime::now());
    fill(&mut reading);
    reading
}

fn page(snapshot: &Snapshot, format: Format) -> String {
    let mut out = Vec::new();
    render(snapshot, format, &mut out);
    String::from_utf8(out).unwrap()
}

fn host() -> Snapshot {
    snapshot(vec![reading(|reading| {
        reading.put(&LOAD, 0.25);
        reading.put(&HIDDEN, 1_i64);
        reading.put_with(&READ, &Labels::new(&[("device", "vda")]), 9_007_199_254_740_993_i64);
        reading.put(&FAULTS, 7_i64);
        reading.put(&ODD, 1_i64);
    })])
}

#[test]
fn the_text_format_is_sorted_typed_and_escaped() {
    let expected = r#"# HELP disk_read_bytes_total What "vda" read\\wrote\nin bytes.
# TYPE disk_read_bytes_total counter
disk_read_bytes_total{device="vda"} 9007199254740993
# HELP load1 Load.
# TYPE load1 gauge
load1 0.25
# HELP odd_counter Counts, and says so nowhere.
# TYPE odd_counter counter
odd_counter 1
# HELP vmstat_faults Faults.
# TYPE vmstat_faults untyped
vmstat_faults 7
"#;
    assert_eq!(page(&host(), Format::Text), expected);
}

#[test]
fn openmetrics_names_counters_without_total_and_ends() {
    let expected = r#"# TYPE disk_read_bytes counter
# UNIT disk_read_bytes bytes
# HELP disk_read_bytes What \"vda\" read\\wrote\nin bytes.
disk_read_bytes_total{device="vda"} 9007199254740993
# TYPE load1 gauge
# HELP load1 Load.
load1 0.25
# TYPE odd_counter unknown
# HELP odd_counter Counts, and says so nowhere.
odd_counter 1
# TYPE vmstat_faults unknown
# HELP vmstat_faults Faults.
vmstat_faults 7
# EOF
"#;
    assert_eq!(page(&host(), Format::OpenMetrics), expected);
    assert_eq!(page(&snapshot(vec![]), Format::OpenMetrics), "# EOF\n");
}

fn probe(target: &str, up: bool) -> Reading {
    reading(|reading| reading.put_with(&UP, &Labels::new(&[("target", target)]), up))
}

#[test]
fn sources_of_one_metric_share_its_head() {
    let page = page(&snapshot(vec![probe("a", true), host_reading(), probe("b", false)]), Format::Text);
    let expected = "# HELP probe_success Up.\n# TYPE probe_success gauge\nprobe_success{target=\"a\"} 1\nprobe_success{target=\"b\"} 0\n";
    assert!(page.ends_with(expected), "{page}");
}

fn host_reading() -> Reading {
    reading(|reading| reading.put(&LOAD, 1_i64))
}

#[test]
fn the_first_of_two_equal_series_stays() {
    let page = page(&snapshot(vec![probe("a", true), probe("a", false)]), Format::Text);
    assert!(page.ends_with("probe_success{target=\"a\"} 1\n"), "{page}");
}

#[test]
fn a_file_that_repeats_a_series_is_heard_once() {
    let jobs = Arc::new(Metric::gauge("jobs", Unit::One, ""));
    let twice = reading(|reading| (1..3_i64).for_each(|n| reading.put_born(&jobs, &Labels::none(), n)));
    assert_eq!(page(&snapshot(vec![twice]), Format::Text), "# TYPE jobs gauge\njobs 1\n");
}

#[test]
fn another_type_for_a_known_name_is_left_out() {
    let other = Arc::new(Metric::counter("load1", Unit::One, "Not the load."));
    let other = reading(|reading| reading.put_born(&other, &Labels::new(&[("from", "textfile")]), 5_i64));
    let page = page(&snapshot(vec![host_reading(), other]), Format::Text);
    assert_eq!(page, "# HELP load1 Load.\n# TYPE load1 gauge\nload1 1\n");
}

#[test]
fn an_invalid_name_is_left_out() {
    let bad = Arc::new(Metric::gauge("node_\u{e9}t\u{e9}{x}", Unit::One, "Bad."));
    let page = page(&snapshot(vec![reading(|reading| reading.put_born(&bad, &Labels::none(), 1_i64))]), Format::Text);
    assert_eq!(page, "");
}

#[test]
fn a_counter_and_a_gauge_of_its_short_name_stay_apart_in_openmetrics() {
    let (gauge, counter) = (Metric::gauge("jobs", Unit::One, ""), Metric::counter("jobs_total", Unit::One, ""));
    let (gauge, counter) = (Arc::new(gauge), Arc::new(counter));
    let both = reading(|reading| {
        reading.put_born(&gauge, &Labels::none(), 1_i64);
        reading.put_born(&counter, &Labels::none(), 2_i64);
    });
    let expected = "# TYPE jobs gauge\njobs 1\n# TYPE jobs_total unknown\njobs_total 2\n# EOF\n";
    assert_eq!(page(&snapshot(vec![both]), Format::OpenMetrics), expected);
}

#[test]
fn numbers_are_spelled_as_both_formats_want_them() {
    let spelled = |value: Value| {
        let mut out = Vec::new();
        number(value, &mut out);
        String::from_utf8(out).unwrap()
    };
    let floats = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1, 12.0, -0.0, 1e21, 5e-324, 0.1 + 0.2];
    let expected = ["+Inf", "-Inf", "NaN", "0.1", "12", "-0", "1e21", "5e-324", "0.30000000000000004"];
    assert_eq!(floats.map(|float| spelled(Value::Float(float))), expected);
    assert_eq!(spelled(Value::Int(i64::MIN)), "-9223372036854775808");
}

#[test]
fn bounds_of_others_are_canonical_in_openmetrics_and_as_they_came_in_text() {
    let (latency, times) = (Arc::new(LATENCY.clone()), Arc::new(TIMES.clone()));
    let histogram = reading(|reading| {
        for (le, count) in [("1", 1_i64), ("2.50", 2), ("1000000", 3), ("0.00001", 4), ("+Inf", 5)] {
            let labels = Labels::part("_bucket", &[("path", "/,le=\"1\""), ("le", le)]);
            reading.put_born(&latency, &labels, count);
        }
        reading.put_born(&latency, &Labels::part("_count", &[("path", "/")]), 5_i64);
        reading.put_born(&times, &Labels::new(&[("quantile", "1")]), 0.5);
    });
    let snapshot = snapshot(vec![histogram]);
    let open = page(&snapshot, Format::OpenMetrics);
    let bounds: Vec<&str> =
        open.lines().filter_map(|line| line.rsplit_once("\"1\\\"\",le=")).map(|(_, le)| le).collect();
    assert_eq!(bounds, [r#""1.0"} 1"#, r#""2.5"} 2"#, r#""1e+06"} 3"#, r#""1e-05"} 4"#, r#""+Inf"} 5"#], "{open}");
    assert!(open.contains("latency_seconds_count{path=\"/\"} 5\n"), "{open}");
    assert!(open.contains("times{quantile=\"1.0\"} 0.5\n"), "{open}");
    assert!(page(&snapshot, Format::Text).contains("le=\"2.50\""));
}

#[test]
fn durations_are_a_histogram_that_both_formats_spell_alike() {
    let mut durations = Durations::new(SystemTime::UNIX_EPOCH);
    for milliseconds in [1, 2, 60_000] {
        durations.add(std::time::Duration::from_millis(milliseconds));
    }
    let durations = Arc::new(durations);
    let snapshot = snapshot(vec![reading(|reading| {
        reading.put_durations(&WAITS, &Labels::none(), &durations);
        reading.put_durations(&WAITS, &Labels::new(&[("target", "a\"b")]), &durations);
        assert_eq!(reading.series(), 26);
    })]);
    for format in [Format::Text, Format::OpenMetrics] {
        let page = page(&snapshot, format);
        assert!(page.contains("# TYPE waits_seconds histogram\n"), "{page}");
        let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples[..2], ["waits_seconds_bucket{le=\"0.001\"} 1", "waits_seconds_bucket{le=\"0.003\"} 2"]);
        assert_eq!(
            samples[23..],
            [
                r#"waits_seconds_bucket{target="a\"b",le="+Inf"} 3"#,
                r#"waits_seconds_sum{target="a\"b"} 60.003"#,
                r#"waits_seconds_count{target="a\"b"} 3"#,
            ]
        );
    }
}

#[test]
fn canonical_floats_follow_the_specification() {
    let floats = [0.0, 0.001, 0.0001, 1e-5, 1e-10, 0.95, 10.0, 100_000.0, 1e6, 1e10, 1.5e7, 1e-100];
    let expected =
        ["0.0", "0.001", "0.0001", "1e-05", "1e-10", "0.95", "10.0", "100000.0", "1e+06", "1e+10", "1.5e+07", "1e-100"];
    assert_eq!(floats.map(canonical_float), expected);
}

#[test]
fn a_renderer_follows_families_that_come_and_go() {
    let mut renderer = Renderer::default();
    for readings in [vec![host_reading()], vec![probe("a", true), host_reading()], vec![], vec![probe("b", true)]] {
        let snapshot = snapshot(readings);
        let mut out = Vec::new();
        renderer.render(&snapshot, Format::Text, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), page(&snapshot, Format::Text));
    }
}
