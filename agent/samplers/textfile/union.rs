//! The metrics of several files as one page: families of the same name merged, and what contradicts refused.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::format::{Family, Type};
use crate::metric::{Kind, Metric, PageType, Since, Unit};
use crate::snapshot::{Labels, Value};

type Series = Vec<(Labels, Value)>;

/// What all files say together.
#[derive(Debug, Default)]
pub(super) struct Union {
    metrics: BTreeMap<String, (Arc<Metric>, Series)>,
}

/// A family while files are added.
struct Draft {
    kind: Type,
    help: Option<String>,
    files: Vec<String>,
    series: Series,
    seen: HashSet<(&'static str, String)>,
}

impl Union {
    /// Every metric with its points.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &(Arc<Metric>, Series)> {
        self.metrics.values()
    }

    /// Merges files anew, given as path and families in order: of two that contradict, the first counts. A metric that
    /// was there before and says the same stays the same one. `refuse` is told what is left out, and why.
    pub(super) fn renew<'a>(
        &mut self,
        files: impl Iterator<Item = (&'a str, &'a [Family])>,
        owned: &Owned,
        mut refuse: impl FnMut(String),
    ) {
        let mut drafts: BTreeMap<&str, Draft> = BTreeMap::new();
        for (file, families) in files {
            for family in families {
                let mut refuse = |reason: &str| refuse(format!("{file}: {} {reason}", family.name));
                if owned.has(&family.name) {
                    refuse("is a metric of this agent");
                    continue;
                }
                let draft = drafts.entry(&family.name).or_insert_with(|| Draft::of(family.kind));
                if draft.kind != family.kind {
                    refuse(&format!("has another TYPE than in {}", draft.files.join(", ")));
                    continue;
                }
                match (&draft.help, &family.help) {
                    (Some(known), Some(help)) if known != help => {
                        refuse(&format!("has another HELP than in {}", draft.files.join(", ")));
                        continue;
                    }
                    (None, Some(help)) => draft.help = Some(help.clone()),
                    _ => {}
                }
                draft.files.push(file.to_owned());
                let mut repeated = None;
                for (labels, value) in &family.series {
                    if draft.seen.insert((labels.suffix(), labels.page().into_owned())) {
                        draft.series.push((labels.clone(), *value));
                    } else {
                        repeated.get_or_insert(labels);
                    }
                }
                if let Some(labels) = repeated {
                    refuse(&format!("has a second value for {labels:?}"));
                }
            }
        }
        let mut before = std::mem::take(&mut self.metrics);
        for (name, draft) in drafts {
            let (metric, series) = draft.close(name);
            let metric = match before.remove(name) {
                Some((known, _)) if *known == metric => known,
                _ => Arc::new(metric),
            };
            self.metrics.insert(name.to_owned(), (metric, series));
        }
    }
}

impl Draft {
    fn of(kind: Type) -> Draft {
        Draft { kind, help: None, files: Vec::new(), series: Vec::new(), seen: HashSet::new() }
    }

    fn close(self, name: &str) -> (Metric, Series) {
        let (kind, page_type) = match self.kind {
            Type::Counter => (Kind::Counter, PageType::OfKind),
            Type::Gauge => (Kind::Gauge, PageType::OfKind),
            Type::Histogram => (Kind::Histogram, PageType::OfKind),
            Type::Summary => (Kind::Summary, PageType::OfKind),
            Type::Untyped => (Kind::Gauge, PageType::Untyped),
        };
        let help = self.help.unwrap_or_else(|| format!("Read from {}.", self.files.join(", ")));
        let metric = Metric {
            name: name.to_owned().into(),
            help: help.into(),
            page_type,
            since: Since::Unknown,
            foreign: true,
            ..Metric::new(kind, "", unit(name), "")
        };
        (metric, self.series)
    }
}

/// The unit that a name tells by its suffix.
fn unit(name: &str) -> Unit {
    let stem = name.strip_suffix("_total").unwrap_or(name);
    let units = [Unit::Seconds, Unit::Bytes, Unit::Hertz, Unit::Celsius];
    let told = |unit: &Unit| unit.suffix().is_some_and(|suffix| stem.ends_with(suffix));
    units.into_iter().find(told).unwrap_or(Unit::One)
}

/// The names that files must leave to this agent.
#[derive(Debug)]
pub(super) struct Owned {
    names: HashSet<&'static str>,
    /// What stands before and after the `{…}` of a template.
    templates: Vec<(&'static str, &'static str)>,
}

/// How names begin that no file may take.
const RESERVED: [(&str, &str); 3] = [("vigie_", ""), ("node_scrape_collector_", ""), ("probe_", "")];

impl Owned {
    /// The names of these metrics, and those that the supervisor and the probes give.
    pub(super) fn of(metrics: impl Iterator<Item = &'static Metric>) -> Owned {
        let mut owned = Owned { names: HashSet::new(), templates: RESERVED.to_vec() };
        for metric in metrics.filter(|metric| metric.on_page) {
            let template = metric.name.split_once('{').zip(metric.name.rsplit_once('}'));
            if let Some(((before, _), (_, after))) = template {
                owned.templates.push((before, after));
            } else {
                owned.names.insert(&metric.name);
            }
        }
        owned
    }

    fn has(&self, name: &str) -> bool {
        let completes = |(before, after): &(&str, &str)| {
            name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(|field| !field.is_empty())
        };
        self.names.contains(name) || self.templates.iter().any(completes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::textfile::format::parse;

    fn union(files: &[(&str, &str)]) -> (Union, Vec<String>) {
        let mut union = Union::default();
        let refused = renew(&mut union, files);
        (union, refused)
    }

    fn renew(union: &mut Union, files: &[(&str, &str)]) -> Vec<String> {
        static OWN: Metric = Metric::gauge("node_load1", Unit::One, "Load.");
        static TEMPLATE: Metric = Metric::gauge("node_memory_{key}_bytes", Unit::Bytes, "Memory.");
        let parsed: Vec<_> = files.iter().map(|(path, text)| (*path, parse(text, 100).unwrap())).collect();
        let mut refused = Vec::new();
        let files = parsed.iter().map(|(path, families)| (*path, families.as_slice()));
        union.renew(files, &Owned::of([&OWN, &TEMPLATE].into_iter()), |reason| refused.push(reason));
        refused
    }

    #[test]
    fn files_share_a_family() {
        let (union, refused) = union(&[("a", "x{f=\"a\"} 1\n"), ("b", "# HELP x Things.\nx{f=\"b\"} 2\n")]);
        let (metric, series) = union.metrics().next().unwrap();
        assert_eq!((&*metric.help, series.len(), refused.len()), ("Things.", 2, 0));
        assert_eq!((metric.page_type, metric.unit), (PageType::Untyped, Unit::One));
    }

    #[test]
    fn a_metric_without_help_tells_its_files() {
        let (union, _) = union(&[("a", "x_seconds_total{f=\"a\"} 1\n"), ("b", "x_seconds_total 2\n")]);
        let (metric, _) = union.metrics().next().unwrap();
        assert_eq!((&*metric.help, metric.unit), ("Read from a, b.", Unit::Seconds));
    }

    #[test]
    fn of_two_that_contradict_the_first_counts() {
        let text = "# HELP x A.\n# TYPE x gauge\nx 1\n";
        let (union, refused) = union(&[
            ("a", text),
            ("b", "# TYPE x counter\nx{b=\"\"} 2\ny 1\n"),
            ("c", "# HELP x B.\n# TYPE x gauge\nx{c=\"\"} 3\n"),
            ("d", text),
        ]);
        let expected =
            ["b: x has another TYPE than in a", "c: x has another HELP than in a", "d: x has a second value for {}"];
        assert_eq!(refused, expected);
        assert_eq!(union.metrics().map(|(_, series)| series.len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn names_of_the_agent_are_refused() {
        let text = "node_load1 1\nnode_memory_Foo_bytes 1\nvigie_x 1\nnode_load12 1\nnode_memory__bytes 1\n";
        let (union, refused) = union(&[("a", text)]);
        assert_eq!((refused.len(), union.metrics().count()), (3, 2));
        assert_eq!(refused[0], "a: node_load1 is a metric of this agent");
    }

    #[test]
    fn a_metric_is_born_once() {
        let mut union = Union::default();
        renew(&mut union, &[("a", "x 1\n")]);
        let before = union.metrics().next().unwrap().0.clone();
        renew(&mut union, &[("a", "x 2\n")]);
        assert!(Arc::ptr_eq(&before, &union.metrics().next().unwrap().0));
        renew(&mut union, &[("a", "# HELP x Changed.\nx 2\n")]);
        assert!(!Arc::ptr_eq(&before, &union.metrics().next().unwrap().0));
    }
}
