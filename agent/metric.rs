//! One metric: its declaration, in both dialects.

use std::borrow::Cow;
use std::sync::Arc;

/// Whether a number only grows, or moves both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows from a start, and starts again at zero.
    Counter,
    /// Is what it is now.
    Gauge,
    /// A distribution: `_bucket`, `_sum` and `_count` samples.
    Histogram,
    /// Durations: a histogram of few buckets on the page, an exponential one over OTLP.
    Exponential,
    /// Quantiles computed by somebody else: quantile, `_sum` and `_count` samples.
    Summary,
}

/// The TYPE that the page shows, where history gave a metric another one than its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageType {
    /// The type that follows from the kind.
    OfKind,
    /// `untyped`, as node_exporter has the fields of netstat and vmstat.
    Untyped,
    /// `gauge` for what is truly a counter, as node_exporter has the conntrack statistics.
    Gauge,
}

/// A unit of measure. On the page it is the name's suffix; over OTLP it is a UCUM code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number, a ratio, a state or a flag.
    One,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Hertz.
    Hertz,
    /// Degrees Celsius.
    Celsius,
    /// Things counted; the word is UCUM's annotation, such as `{packet}`.
    Of(&'static str),
}

impl Unit {
    /// The UCUM code of this unit, as OTLP carries it.
    pub const fn ucum(self) -> &'static str {
        match self {
            Unit::One => "1",
            Unit::Seconds => "s",
            Unit::Bytes => "By",
            Unit::Hertz => "Hz",
            Unit::Celsius => "Cel",
            Unit::Of(annotation) => annotation,
        }
    }

    /// The suffix that a Prometheus name of this unit carries, before `_total`.
    pub const fn suffix(self) -> Option<&'static str> {
        match self {
            Unit::Seconds => Some("_seconds"),
            Unit::Bytes => Some("_bytes"),
            Unit::Hertz => Some("_hertz"),
            Unit::Celsius => Some("_celsius"),
            Unit::One | Unit::Of(_) => None,
        }
    }
}

/// A label: its name on the page, its attribute over OTLP, and the values that are called otherwise there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name on the page.
    pub name: &'static str,
    /// The attribute key over OTLP; empty where it is not carried.
    pub otel: &'static str,
    /// Page value → OTLP value, where the two differ (`irq` → `interrupt`).
    pub otel_values: &'static [(&'static str, &'static str)],
    /// Whether the attribute is an integer over OTLP.
    pub otel_int: bool,
    /// Whether it is where a server listens: over OTLP, a `host:port` is `server.address` and `server.port`.
    pub otel_server: bool,
}

impl Label {
    /// A label that both dialects call the same.
    pub const fn new(name: &'static str) -> Label {
        Label { name, otel: name, otel_values: &[], otel_int: false, otel_server: false }
    }

    /// The attribute key that OpenTelemetry has for it.
    pub const fn otel(mut self, key: &'static str) -> Label {
        self.otel = key;
        self
    }

    /// The attribute key that OpenTelemetry has for it, with a whole number as its value.
    pub const fn otel_int(mut self, key: &'static str) -> Label {
        self.otel_int = true;
        self.otel(key)
    }

    /// Where a server listens, which the conventions tell in two attributes, `server.address` and `server.port`.
    pub const fn otel_server(mut self) -> Label {
        self.otel_server = true;
        self.otel("server.address")
    }

    /// OpenTelemetry has no such attribute: it is not carried.
    pub const fn page_only(self) -> Label {
        self.otel("")
    }

    /// The values that OpenTelemetry calls otherwise.
    pub const fn otel_values(mut self, values: &'static [(&'static str, &'static str)]) -> Label {
        self.otel_values = values;
        self
    }
}

/// From when on a counter has counted: the start time that OTLP wants with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The host's boot: what the kernel counts of the host.
    Boot,
    /// The start of this process: what the kernel counts of it.
    Process,
    /// The start of the agent's own counting.
    Agent,
    /// Nobody tells: from when it was first seen.
    Unknown,
}

/// The OpenTelemetry side of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Otel {
    /// The name, such as `system.disk.io`; several Prometheus metrics may share it.
    pub name: &'static str,
    /// Whether a gauge of the page is a non-monotonic sum here (an UpDownCounter).
    pub up_down: bool,
    /// The unit here, where it is another word than the page's.
    pub unit: Option<Unit>,
    /// The attributes that tell this metric from those that share its name.
    pub fixed: &'static [(&'static str, &'static str)],
}

/// The declaration of one metric. Written once, as a `static`, beside the parser that fills it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The name on the page. `{…}` in it marks a family of names that the kernel completes.
    pub name: Cow<'static, str>,
    /// What it is, for the person on call: one clause, ending in a full stop.
    pub help: Cow<'static, str>,
    /// Counter, gauge, a distribution.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Unit,
    /// Its labels, in the order in which a sampler gives their values.
    pub labels: &'static [Label],
    /// The page's TYPE where it is not the kind's.
    pub page_type: PageType,
    /// The OpenTelemetry side; `None` where OpenTelemetry has no such metric.
    pub otel: Option<Otel>,
    /// Whether the page shows it; `false` for what only OpenTelemetry has a name for.
    pub on_page: bool,
    /// From when on it has counted, where it counts.
    pub since: Since,
    /// Whether another program measured it: over OTLP it keeps its name, and its labels are its attributes.
    pub foreign: bool,
}

impl Metric {
    /// A metric of any kind.
    pub const fn new(kind: Kind, name: &'static str, unit: Unit, help: &'static str) -> Metric {
        Metric {
            name: Cow::Borrowed(name),
            help: Cow::Borrowed(help),
            kind,
            unit,
            labels: &[],
            page_type: PageType::OfKind,
            otel: None,
            on_page: true,
            since: Since::Boot,
            foreign: false,
        }
    }

    /// A number that only grows.
    pub const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Metric {
        Metric::new(Kind::Counter, name, unit, help)
    }

    /// A number that is what it is now.
    pub const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
        Metric::new(Kind::Gauge, name, unit, help)
    }

    /// A metric that only OpenTelemetry has a name for.
    pub const fn otel_only(kind: Kind, otel: &'static str, unit: Unit, help: &'static str) -> Metric {
        let mut metric = Metric::new(kind, otel, unit, help).otel(otel);
        metric.on_page = false;
        metric
    }

    /// Its labels.
    pub const fn labels(mut self, labels: &'static [Label]) -> Metric {
        self.labels = labels;
        self
    }

    /// Its OpenTelemetry name; a gauge becomes a Gauge there.
    pub const fn otel(mut self, name: &'static str) -> Metric {
        self.otel = Some(Otel { name, up_down: false, unit: None, fixed: &[] });
        self
    }

    /// Its OpenTelemetry name, where a gauge of the page is an UpDownCounter there.
    pub const fn otel_up_down(mut self, name: &'static str) -> Metric {
        self.otel = Some(Otel { name, up_down: true, unit: None, fixed: &[] });
        self
    }

    /// The attributes that tell it from those that share its OpenTelemetry name. Goes after [`Metric::otel`].
    pub const fn otel_fixed(mut self, fixed: &'static [(&'static str, &'static str)]) -> Metric {
        if let Some(otel) = &mut self.otel {
            otel.fixed = fixed;
        }
        self
    }

    /// The unit that OpenTelemetry gives it, where that is another. Goes after [`Metric::otel`].
    pub const fn otel_unit(mut self, unit: Unit) -> Metric {
        if let Some(otel) = &mut self.otel {
            otel.unit = Some(unit);
        }
        self
    }

    /// From when on it has counted, where that is not the host's boot.
    pub const fn since(mut self, since: Since) -> Metric {
        self.since = since;
        self
    }

    /// The page calls it `untyped`, as node_exporter does.
    pub const fn untyped(mut self) -> Metric {
        self.page_type = PageType::Untyped;
        self
    }

    /// The page calls it a `gauge`, as node_exporter does, though it counts.
    pub const fn page_gauge(mut self) -> Metric {
        self.page_type = PageType::Gauge;
        self
    }

    /// The word after `# TYPE` in the text format.
    pub fn type_on_page(&self) -> &'static str {
        match (self.page_type, self.kind) {
            (PageType::Untyped, _) => "untyped",
            (PageType::Gauge, _) | (PageType::OfKind, Kind::Gauge) => "gauge",
            (PageType::OfKind, Kind::Counter) => "counter",
            (PageType::OfKind, Kind::Histogram | Kind::Exponential) => "histogram",
            (PageType::OfKind, Kind::Summary) => "summary",
        }
    }

    /// This template with `{…}` of its name and help replaced by `field`, which the kernel has and we did not foresee.
    pub fn named(&self, field: &str) -> Arc<Metric> {
        Arc::new(Metric { name: fill(&self.name, field).into(), help: fill(&self.help, field).into(), ..self.clone() })
    }
}

fn fill(template: &str, field: &str) -> String {
    match (template.find('{'), template.find('}')) {
        (Some(open), Some(close)) if open < close => {
            let (head, rest) = template.split_at(open);
            let (_, tail) = rest.split_at(close - open + 1);
            format!("{head}{field}{tail}")
        }
        _ => template.to_owned(),
    }
}

/// A metric that a point belongs to: nearly always a `static`, else one that was born with a field we did not foresee.
#[derive(Clone, Debug)]
pub enum MetricRef {
    /// Declared in the source.
    Static(&'static Metric),
    /// Born while running.
    Born(Arc<Metric>),
}

impl MetricRef {
    /// Whether both are the very same declaration (not merely equal ones).
    pub fn same(&self, other: &MetricRef) -> bool {
        std::ptr::eq::<Metric>(&**self, &**other)
    }

    /// A number that no other declaration has while this one is kept.
    pub fn identity(&self) -> usize {
        std::ptr::from_ref::<Metric>(self).addr()
    }
}

impl std::ops::Deref for MetricRef {
    type Target = Metric;

    fn deref(&self) -> &Metric {
        match self {
            MetricRef::Static(metric) => metric,
            MetricRef::Born(metric) => metric,
        }
    }
}

impl From<&'static Metric> for MetricRef {
    fn from(metric: &'static Metric) -> MetricRef {
        MetricRef::Static(metric)
    }
}

impl From<&Arc<Metric>> for MetricRef {
    fn from(metric: &Arc<Metric>) -> MetricRef {
        MetricRef::Born(Arc::clone(metric))
    }
}
