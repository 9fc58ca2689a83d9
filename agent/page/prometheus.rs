//! A snapshot as text: Prometheus' text format 0.0.4, and OpenMetrics 1.0.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use crate::metric::{Kind, Metric, MetricRef};
use crate::snapshot::{Distribution, Family, Joined, Labels, Point, Snapshot, Value};

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
    /// How many families `order` was made for, and a hash of which, in the snapshot's order. With thousands of targets
    /// they are tens of thousands, of which only the order is kept.
    families: (usize, u64),
    hasher: RandomState,
    /// Those of them that were born while running: what is kept is not born again at the same place.
    born: Vec<Arc<Metric>>,
    order: Arc<Vec<Place>>,
    /// Names that `order` leaves out, wholly or in part.
    refused: BTreeSet<String>,
}

/// Where one family stands on the page.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Its index among the families of the page.
    family: u32,
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
        self.render_through(snapshot, format, out, &mut |_| {});
    }

    /// The same; after each sample `take` may take what there is out of `out`, so that it need not hold the whole page.
    pub fn render_through(
        &mut self,
        snapshot: &Snapshot,
        format: Format,
        out: &mut Vec<u8>,
        take: &mut dyn FnMut(&mut Vec<u8>),
    ) {
        let families = families(snapshot, self.families.0);
        self.meet(&families);
        part(&families, &self.order, format, (0, usize::MAX), out, take);
        if format == Format::OpenMetrics {
            out.extend_from_slice(END);
        }
    }

    /// The same, rendered bit by bit.
    pub fn rendering(&mut self, snapshot: &Arc<Snapshot>, format: Format) -> Rendering {
        self.meet(&families(snapshot, self.families.0));
        Rendering { snapshot: Arc::clone(snapshot), order: Arc::clone(&self.order), format, next: Some(0) }
    }

    fn meet(&mut self, families: &[&Family]) {
        let mut hasher = self.hasher.build_hasher();
        families.iter().for_each(|family| hasher.write_usize(family.metric.identity()));
        let these = (families.len(), hasher.finish());
        if self.families != these {
            self.arrange(families);
            self.families = these;
        }
    }

    /// Sorts the families by name, and leaves out what would make a scraper refuse the page: names that are none, and
    /// families whose type is not that of the first of their name.
    fn arrange(&mut self, families: &[&Family]) {
        let mut refused = BTreeSet::new();
        let mut sorted: Vec<(u32, &Metric)> = Vec::with_capacity(families.len());
        for (index, family) in (0..).zip(families) {
            if is_name(&family.metric.name) {
                sorted.push((index, &family.metric));
            } else {
                refused.insert(family.metric.name.to_string());
            }
        }
        sorted.sort_unstable_by(|(left, one), (right, other)| (&one.name, left).cmp(&(&other.name, right)));
        let mut order = Vec::with_capacity(sorted.len());
        for group in sorted.chunk_by(|(_, left), (_, right)| left.name == right.name) {
            let Some((_, first)) = group.first() else { continue };
            let taken = first
                .name
                .strip_suffix("_total")
                .is_some_and(|base| sorted.binary_search_by(|(_, metric)| (*metric.name).cmp(base)).is_ok());
            for (position, (index, metric)) in group.iter().enumerate() {
                if metric.type_on_page() == first.type_on_page() {
                    let born =
                        families.get(*index as usize).is_some_and(|family| matches!(family.metric, MetricRef::Born(_)));
                    let shared = born || group.len() > 1;
                    let place = Place { family: *index, first: position == 0, shared, taken };
                    order.push(place);
                } else {
                    refused.insert(metric.name.to_string());
                }
            }
        }
        for name in refused.difference(&self.refused) {
            tracing::warn!(name, "a metric is left off the page: its name is invalid, or has another type already");
        }
        self.refused = refused;
        self.order = Arc::new(order);
        let born = families.iter().filter_map(|family| match &family.metric {
            MetricRef::Born(metric) => Some((family.metric.identity(), metric)),
            MetricRef::Static(_) => None,
        });
        self.born = born.collect::<BTreeMap<_, _>>().into_values().map(Arc::clone).collect();
    }
}

/// What OpenMetrics has at the end.
const END: &[u8] = b"# EOF\n";

/// A page that is rendered bit by bit, as somebody reads it: it is never there as a whole.
#[derive(Debug)]
pub struct Rendering {
    snapshot: Arc<Snapshot>,
    order: Arc<Vec<Place>>,
    format: Format,
    /// The place that comes next; nothing after the end.
    next: Option<usize>,
}

impl Rendering {
    /// Appends at least `length` bytes to `out`, up to the end of a family; nothing where all has been rendered.
    pub fn more(&mut self, length: usize, out: &mut Vec<u8>) {
        let Some(from) = self.next else { return };
        let families = families(&self.snapshot, 0);
        let next = part(&families, &self.order, self.format, (from, length), out, &mut |_| {});
        self.next = Some(next).filter(|next| *next < self.order.len());
        if self.next.is_none() && self.format == Format::OpenMetrics {
            out.extend_from_slice(END);
        }
    }
}

fn families(snapshot: &Snapshot, expected: usize) -> Vec<&Family> {
    let mut families = Vec::with_capacity(expected);
    families.extend(snapshot.families().filter(|family| family.metric.on_page));
    families
}

/// What is not shown a second time: no more than two words, as a name may have thousands of series.
struct Seen<'a> {
    labels: &'a Labels,
    /// Whether it is a distribution, which is known by its count.
    distribution: bool,
}

impl Seen<'_> {
    fn of(point: &Point) -> Seen<'_> {
        Seen { labels: &point.labels, distribution: false }
    }

    fn of_distribution(distribution: &Distribution) -> Seen<'_> {
        Seen { labels: &distribution.labels, distribution: true }
    }

    fn suffix(&self) -> &'static str {
        if self.distribution { "_count" } else { self.labels.suffix() }
    }
}

impl PartialEq for Seen<'_> {
    fn eq(&self, other: &Seen<'_>) -> bool {
        self.suffix() == other.suffix() && self.labels.joined() == other.labels.joined()
    }
}

impl Eq for Seen<'_> {}

impl Hash for Seen<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.suffix(), self.labels.joined()).hash(state);
    }
}

/// Appends the families from the place `from` on, until there are `length` bytes, and says which place comes next.
fn part(
    families: &[&Family],
    order: &[Place],
    format: Format,
    (from, length): (usize, usize),
    out: &mut Vec<u8>,
    take: &mut dyn FnMut(&mut Vec<u8>),
) -> usize {
    let places = || order.iter().filter_map(|place| Some((place, *families.get(place.family as usize)?)));
    // What was rendered before of the name in whose midst it begins.
    let before = order.iter().take(from).rposition(|place| place.first).unwrap_or(from);
    let mut seen: HashSet<Seen> = HashSet::new();
    for (_, family) in places().take(from).skip(before) {
        seen.extend(family.points().iter().map(Seen::of));
        seen.extend(family.distributions().iter().map(Seen::of_distribution));
    }
    for (index, (place, family)) in places().enumerate().skip(from) {
        if place.first {
            seen.clear();
            match format {
                Format::Text => head(&family.metric, out),
                Format::OpenMetrics => open_head(&family.metric, place.taken, out),
            }
        }
        // Ours are spelled so when they are born.
        let rewrite = format == Format::OpenMetrics
            && matches!(family.metric, MetricRef::Born(_))
            && matches!(family.metric.kind, Kind::Histogram | Kind::Summary);
        for point in family.points() {
            if place.shared && !seen.insert(Seen::of(point)) {
                continue;
            }
            if rewrite {
                sample(&family.metric.name, &canonical(point), out);
            } else {
                sample(&family.metric.name, point, out);
            }
            take(out);
        }
        for distribution in family.distributions() {
            if !place.shared || seen.insert(Seen::of_distribution(distribution)) {
                durations(&family.metric.name, distribution, out);
                take(out);
            }
        }
        if out.len() >= length {
            return index + 1;
        }
    }
    order.len()
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

fn head(metric: &Metric, out: &mut Vec<u8>) {
    if !metric.help.is_empty() {
        line(out, &["# HELP ", &metric.name, " "]);
        escape(&metric.help, false, out);
        out.push(b'\n');
    }
    line(out, &["# TYPE ", &metric.name, " ", metric.type_on_page(), "\n"]);
}

/// In OpenMetrics a counter's family is called without `_total`; a counter without `_total` is none, and is `unknown`.
fn open_head(metric: &Metric, taken: bool, out: &mut Vec<u8>) {
    let (name, kind) = match (metric.type_on_page(), metric.name.strip_suffix("_total")) {
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
    write_sample([name, point.labels.suffix(), ""], point.labels.joined(), point.value, out);
}

/// The samples of a histogram; only what `le` is differs in their labels.
fn durations(name: &str, Distribution { labels, durations }: &Distribution, out: &mut Vec<u8>) {
    for (bound, count) in durations.buckets() {
        write_sample([name, "_bucket", bound], labels.joined(), count.into(), out);
    }
    write_sample([name, "_sum", ""], labels.joined(), durations.seconds.into(), out);
    write_sample([name, "_count", ""], labels.joined(), durations.count().into(), out);
}

fn write_sample([name, suffix, le]: [&str; 3], Joined(labels): Joined, value: Value, out: &mut Vec<u8>) {
    let length = labels.iter().map(|part| part.len()).sum::<usize>();
    // At most one growth a line: the longest number has 24 bytes; braces, blanks and `le` need 11.
    out.reserve(name.len() + suffix.len() + length + le.len() + 40);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    if length > 0 || !le.is_empty() {
        out.push(b'{');
        line(out, &labels);
        if !le.is_empty() {
            out.extend_from_slice(if length == 0 { b"le=\"" } else { b",le=\"" });
            out.extend_from_slice(le.as_bytes());
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.push(b' ');
    number(value, out);
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
mod tests;
