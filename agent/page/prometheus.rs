//! A snapshot as text: Prometheus' text format 0.0.4, and OpenMetrics 1.0.

use std::collections::{BTreeSet, HashSet};

use crate::catalog::{Kind, Metric, MetricRef, PageType};
use crate::snapshot::{Family, Labels, Point, Snapshot, Value};

/// The two formats of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Appends the page of `snapshot` to `out`. Who renders often keeps a [`Renderer`].
pub fn render(snapshot: &Snapshot, format: Format, out: &mut Vec<u8>) {
    Renderer::default().render(snapshot, format, out);
}

/// Renders snapshots, and remembers in which order their families stand on the page.
#[derive(Debug, Default)]
pub struct Renderer {
    /// The families that `order` was made for, in the snapshot's order.
    families: Vec<MetricRef>,
    order: Vec<Place>,
    /// Names that `order` leaves out, wholly or in part.
    refused: BTreeSet<String>,
}

/// Where one family stands on the page.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Its index among the families of the page.
    family: usize,
    /// Whether it is the first of its name, and brings HELP and TYPE.
    first: bool,
    /// Whether it could hold a series twice: its name has several families, or it came from a file.
    shared: bool,
    /// A counter whose name without `_total` is another family's: OpenMetrics cannot call both by it.
    taken: bool,
}

impl Renderer {
    /// Appends the page of `snapshot` to `out`.
    pub fn render(&mut self, snapshot: &Snapshot, format: Format, out: &mut Vec<u8>) {
        let families: Vec<&Family> = snapshot.families().filter(|family| family.metric.on_page).collect();
        let same = |(known, family): (&MetricRef, &&Family)| known.same(&family.metric);
        if families.len() != self.families.len() || !self.families.iter().zip(&families).all(same) {
            self.arrange(&families);
        }
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        for place in &self.order {
            let Some(family) = families.get(place.family) else { continue };
            if place.first {
                seen.clear();
                match format {
                    Format::Text => head(&family.metric, out),
                    Format::OpenMetrics => open_head(&family.metric, place.taken, out),
                }
            }
            let rewrite =
                format == Format::OpenMetrics && matches!(family.metric.kind, Kind::Histogram | Kind::Summary);
            for point in family.points() {
                if place.shared && !seen.insert((point.labels.suffix(), point.labels.page())) {
                    continue;
                }
                if rewrite {
                    sample(&family.metric.name, &canonical(point), out);
                } else {
                    sample(&family.metric.name, point, out);
                }
            }
        }
        if format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }

    /// Sorts the families by name, and leaves out what would make a scraper refuse the page: names that are none, and
    /// families whose type is not that of the first of their name.
    fn arrange(&mut self, families: &[&Family]) {
        let mut refused = BTreeSet::new();
        let mut sorted: Vec<(usize, &Metric)> = Vec::with_capacity(families.len());
        for (index, family) in families.iter().enumerate() {
            if is_name(&family.metric.name) {
                sorted.push((index, &family.metric));
            } else {
                refused.insert(family.metric.name.to_string());
            }
        }
        sorted.sort_by(|(_, left), (_, right)| left.name.cmp(&right.name));
        self.order.clear();
        for group in sorted.chunk_by(|(_, left), (_, right)| left.name == right.name) {
            let Some((_, first)) = group.first() else { continue };
            let taken = first
                .name
                .strip_suffix("_total")
                .is_some_and(|base| sorted.binary_search_by(|(_, metric)| (*metric.name).cmp(base)).is_ok());
            for (position, (index, metric)) in group.iter().enumerate() {
                if page_type(metric) == page_type(first) {
                    let born = families.get(*index).is_some_and(|family| matches!(family.metric, MetricRef::Born(_)));
                    let shared = born || group.len() > 1;
                    let place = Place { family: *index, first: position == 0, shared, taken };
                    self.order.push(place);
                } else {
                    refused.insert(metric.name.to_string());
                }
            }
        }
        for name in refused.difference(&self.refused) {
            tracing::warn!(name, "a metric is left off the page: its name is invalid, or has another type already");
        }
        self.refused = refused;
        self.families = families.iter().map(|family| family.metric.clone()).collect();
    }
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

fn page_type(metric: &Metric) -> &'static str {
    match (metric.page_type, metric.kind) {
        (PageType::Untyped, _) => "untyped",
        (PageType::Gauge, _) | (PageType::OfKind, Kind::Gauge) => "gauge",
        (PageType::OfKind, Kind::Counter) => "counter",
        (PageType::OfKind, Kind::Histogram) => "histogram",
        (PageType::OfKind, Kind::Summary) => "summary",
    }
}

fn head(metric: &Metric, out: &mut Vec<u8>) {
    if !metric.help.is_empty() {
        line(out, &["# HELP ", &metric.name, " "]);
        escape(&metric.help, false, out);
        out.push(b'\n');
    }
    line(out, &["# TYPE ", &metric.name, " ", page_type(metric), "\n"]);
}

/// In OpenMetrics a counter's family is called without `_total`; a counter without `_total` is none, and is `unknown`.
fn open_head(metric: &Metric, taken: bool, out: &mut Vec<u8>) {
    let (name, kind) = match (page_type(metric), metric.name.strip_suffix("_total")) {
        ("counter", Some(base)) if !taken && !base.is_empty() => (base, "counter"),
        ("counter" | "untyped", _) => (&*metric.name, "unknown"),
        (kind, _) => (&*metric.name, kind),
    };
    line(out, &["# TYPE ", name, " ", kind, "\n"]);
    if let Some(unit) = metric.unit.suffix().filter(|suffix| name.len() > suffix.len() && name.ends_with(suffix)) {
        line(out, &["# UNIT ", name, " ", unit.trim_start_matches('_'), "\n"]);
    }
    if !metric.help.is_empty() {
        line(out, &["# HELP ", name, " "]);
        escape(&metric.help, true, out);
        out.push(b'\n');
    }
}

fn line(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// HELP, escaped: OpenMetrics also wants double quotes escaped, the text format does not know that.
fn escape(help: &str, quotes: bool, out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (quotes && *byte == b'"');
    if !help.as_bytes().iter().any(special) {
        return out.extend_from_slice(help.as_bytes());
    }
    for byte in help.bytes() {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            byte if special(&byte) => out.extend_from_slice(&[b'\\', byte]),
            byte => out.push(byte),
        }
    }
}

fn sample(name: &str, point: &Point, out: &mut Vec<u8>) {
    let (suffix, labels) = (point.labels.suffix(), point.labels.page());
    // At most one growth a line: the longest number has 24 bytes, braces and blanks need 4.
    out.reserve(name.len() + suffix.len() + labels.len() + 32);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() {
        out.push(b'{');
        out.extend_from_slice(labels.as_bytes());
        out.push(b'}');
    }
    out.push(b' ');
    number(point.value, out);
    out.push(b'\n');
}

fn number(value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(int) => out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes()),
        Value::Float(float) if float.is_finite() => {
            let mut buffer = ryu::Buffer::new();
            let text = buffer.format_finite(float);
            out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        }
        Value::Float(float) if float.is_nan() => out.extend_from_slice(b"NaN"),
        Value::Float(float) => out.extend_from_slice(if float > 0.0 { b"+Inf" } else { b"-Inf" }),
    }
}

/// The point with `le` or `quantile` spelled as OpenMetrics wants it: a float, always.
fn canonical(point: &Point) -> Point {
    let pairs = point.labels.pairs();
    let spelled: Vec<(&str, String)> = pairs
        .iter()
        .map(|(name, value)| match (name.as_str(), value.parse::<f64>()) {
            ("le" | "quantile", Ok(bound)) => (name.as_str(), canonical_float(bound)),
            _ => (name.as_str(), value.clone()),
        })
        .collect();
    let spelled: Vec<(&str, &str)> = spelled.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Point { labels: Labels::part(point.labels.suffix(), &spelled), value: point.value }
}

/// OpenMetrics, "Canonical Numbers": as Go's `%g` has it, and with `.0` where that has neither a dot nor an exponent.
fn canonical_float(float: f64) -> String {
    if !float.is_finite() {
        return if float.is_nan() {
            "NaN"
        } else if float > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .to_owned();
    }
    let scientific = format!("{float:e}");
    match scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
        }
        _ => format!("{float:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::catalog::Unit;
    use crate::snapshot::Reading;

    static READ: Metric = Metric::counter("disk_read_bytes_total", Unit::Bytes, "What \"vda\" read\\wrote\nin bytes.");
    static LOAD: Metric = Metric::gauge("load1", Unit::One, "Load.");
    static FAULTS: Metric = Metric::counter("vmstat_faults", Unit::Of("{fault}"), "Faults.").untyped();
    static ODD: Metric = Metric::counter("odd_counter", Unit::One, "Counts, and says so nowhere.");
    static UP: Metric = Metric::gauge("probe_success", Unit::One, "Up.");
    static HIDDEN: Metric = Metric::otel_only(Kind::Gauge, "system.memory.limit", Unit::Bytes, "Hidden.");
    static LATENCY: Metric = Metric::new(Kind::Histogram, "latency_seconds", Unit::Seconds, "Latency.");
    static TIMES: Metric = Metric::new(Kind::Summary, "times", Unit::One, "Times.");

    fn snapshot(readings: Vec<Reading>) -> Snapshot {
        Snapshot {
            readings: readings.into_iter().map(Arc::new).collect(),
            at: Instant::now(),
            taken: SystemTime::now(),
        }
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
        let page =
            page(&snapshot(vec![reading(|reading| reading.put_born(&bad, &Labels::none(), 1_i64))]), Format::Text);
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
    fn bounds_are_canonical_in_openmetrics_and_as_they_came_in_text() {
        let histogram = reading(|reading| {
            for (le, count) in [("1", 1_i64), ("2.50", 2), ("1000000", 3), ("0.00001", 4), ("+Inf", 5)] {
                let labels = Labels::part("_bucket", &[("path", "/,le=\"1\""), ("le", le)]);
                reading.put_with(&LATENCY, &labels, count);
            }
            reading.put_with(&LATENCY, &Labels::part("_count", &[("path", "/")]), 5_i64);
            reading.put_with(&TIMES, &Labels::new(&[("quantile", "1")]), 0.5);
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
    fn canonical_floats_follow_the_specification() {
        let floats = [0.0, 0.001, 0.0001, 1e-5, 1e-10, 0.95, 10.0, 100_000.0, 1e6, 1e10, 1.5e7, 1e-100];
        let expected = [
            "0.0", "0.001", "0.0001", "1e-05", "1e-10", "0.95", "10.0", "100000.0", "1e+06", "1e+10", "1.5e+07",
            "1e-100",
        ];
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
}
