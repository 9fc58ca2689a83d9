//! The reference of every metric, in Markdown: what `vigie metrics` prints and `docs/metrics.md` holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::metric::{Kind, Label, Metric, Otel};
use crate::{instruments, probes, push, samplers, supervisor};

const HEAD: &str = "# Metrics

Everything that vigie can show, source by source. This page is what `vigie metrics` prints.

A host shows what its kernel has: what it lacks gives no series. `{…}` in a name stands for what the kernel calls the
field. `—` means that this side has no such metric. Over OTLP a *sum* of a counter starts where the counter does:
with the host, with the agent (`process.*`, `vigie.*`), or after a reset; that of a unit or a container, whose start the
kernel does not tell, when it was first seen. What other programs leave in text files keeps its name there and counts
from when it was first seen; of their histograms and summaries those are pushed whose samples agree with one another. What begins with `httpcheck.` is
pushed where `otlp.naming` is `collector`.
";

/// One table a source.
pub fn reference_markdown() -> String {
    let mut page = HEAD.to_owned();
    for (name, metrics) in sources() {
        table(&mut page, &name, metrics);
    }
    page
}

/// The same as one JSON document: a list of metrics, each with its source.
///
/// # Errors
/// Never in practice: what is written are texts.
pub fn reference_json() -> Result<String, serde_json::Error> {
    let sources = sources();
    let entries = sources.iter().flat_map(|(source, metrics)| metrics.iter().map(|metric| Entry::of(source, metric)));
    serde_json::to_string_pretty(&entries.collect::<Vec<_>>()).map(|json| json + "\n")
}

fn sources() -> Vec<(String, &'static [&'static Metric])> {
    let mut sources: Vec<_> = samplers::ALL.iter().map(|source| (source.name.to_owned(), source.metrics)).collect();
    sources.sort_by(|(one, _), (two, _)| one.cmp(two));
    sources.push(("every probe".to_owned(), supervisor::PROBE_METRICS));
    sources.push(("probes that connect".to_owned(), probes::connect::METRICS));
    sources.push(("probes that speak TLS".to_owned(), probes::secure::METRICS));
    let kinds = probes::ALL.iter().filter(|kind| !kind.metrics.is_empty());
    sources.extend(kinds.map(|kind| (format!("probe.{}", kind.name), kind.metrics)));
    sources.push(("vigie itself".to_owned(), supervisor::METRICS));
    sources.push(("the push".to_owned(), push::status::METRICS));
    sources.push(("vigie's own work, as histograms".to_owned(), instruments::METRICS));
    sources
}

/// A metric as programs read it; a side that has no such metric is missing.
#[derive(Serialize)]
struct Entry {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prometheus: Option<PrometheusEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opentelemetry: Option<OtelEntry>,
    help: &'static str,
}

#[derive(Serialize)]
struct PrometheusEntry {
    name: &'static str,
    r#type: &'static str,
    labels: Vec<&'static str>,
}

#[derive(Serialize)]
struct OtelEntry {
    name: &'static str,
    instrument: &'static str,
    unit: &'static str,
    fixed: BTreeMap<&'static str, &'static str>,
    attributes: Vec<&'static str>,
}

impl Entry {
    fn of(source: &str, metric: &'static Metric) -> Entry {
        let labels = || metric.labels.iter();
        let prometheus = || PrometheusEntry {
            name: &metric.name,
            r#type: metric.type_on_page(),
            labels: labels().map(|label| label.name).collect(),
        };
        let opentelemetry = |otel: &Otel| OtelEntry {
            name: otel.name,
            instrument: instrument(metric, otel),
            unit: otel.unit.unwrap_or(metric.unit).ucum(),
            fixed: otel.fixed.iter().copied().collect(),
            attributes: labels()
                .flat_map(|label| [if label.otel_server { "server.port" } else { "" }, label.otel])
                .filter(|key| !key.is_empty())
                .collect(),
        };
        Entry {
            source: source.to_owned(),
            prometheus: metric.on_page.then(prometheus),
            opentelemetry: metric.otel.as_ref().map(opentelemetry),
            help: &metric.help,
        }
    }
}

fn table(page: &mut String, source: &str, metrics: &[&Metric]) {
    let head = "| Prometheus | type | labels | OpenTelemetry | unit | what it is |\n|---|---|---|---|---|---|\n";
    page.push_str(&format!("\n## {source}\n\n{head}"));
    for metric in metrics {
        let name = if metric.on_page { code(&metric.name) } else { "—".to_owned() };
        let kind = if metric.on_page { metric.type_on_page() } else { "—" };
        let labels =
            if metric.on_page { list(metric.labels.iter().map(|label| code(label.name))) } else { "—".to_owned() };
        let otel = metric.otel.as_ref().map_or_else(|| "—".to_owned(), |otel| told_otel(metric, otel));
        // Writing into a String does not fail.
        let _ = writeln!(
            page,
            "| {name} | {kind} | {labels} | {otel} | {} | {} |",
            code(metric.unit.ucum()),
            metric.help.replace('|', "\\|")
        );
    }
}

fn instrument(metric: &Metric, otel: &Otel) -> &'static str {
    match metric.kind {
        Kind::Counter => "sum",
        Kind::Gauge if otel.up_down => "up-down sum",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Exponential => "exponential histogram",
        Kind::Summary => "summary",
    }
}

fn told_otel(metric: &Metric, otel: &Otel) -> String {
    let mut told = format!("{} {}", code(otel.name), instrument(metric, otel));
    if let Some(unit) = otel.unit {
        let _ = write!(told, " in {}", code(unit.ucum()));
    }
    let fixed = otel.fixed.iter().map(|(key, value)| code(&format!("{key}={value}")));
    let carried = metric.labels.iter().filter(|label| !label.otel.is_empty()).map(attribute);
    let attributes: Vec<String> = fixed.chain(carried).collect();
    if !attributes.is_empty() {
        let _ = write!(told, "; {}", attributes.join(", "));
    }
    told
}

fn attribute(label: &Label) -> String {
    let renamed = label.otel_values.iter().map(|(page, otel)| format!("{page} → {otel}"));
    match list(renamed).as_str() {
        "" if label.otel_server => format!("{}, {}", code(label.otel), code("server.port")),
        "" => code(label.otel),
        renamed => format!("{} ({renamed})", code(label.otel)),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Unit;

    #[test]
    fn a_row_tells_both_names_and_what_is_called_otherwise() {
        static SECONDS: Metric = Metric::counter("x_seconds_total", Unit::Seconds, "Time | spent.")
            .labels(&[
                Label::new("mode").otel("cpu.mode").otel_values(&[("irq", "interrupt")]),
                Label::new("cpu").page_only(),
            ])
            .otel("x.time")
            .otel_fixed(&[("kind", "y")]);
        let mut page = String::new();
        table(&mut page, "x", &[&SECONDS]);
        let row = "| `x_seconds_total` | counter | `mode`, `cpu` | `x.time` sum; `kind=y`, `cpu.mode` (irq → interrupt) \
                   | `s` | Time \\| spent. |";
        assert_eq!(page.lines().last(), Some(row));
    }

    #[test]
    fn what_one_side_lacks_is_a_dash() {
        static ONLY: Metric = Metric::otel_only(Kind::Gauge, "system.x", Unit::One, "An x.");
        let mut page = String::new();
        table(&mut page, "x", &[&ONLY]);
        assert_eq!(page.lines().last(), Some("| — | — | — | `system.x` gauge | `1` | An x. |"));
    }
}
