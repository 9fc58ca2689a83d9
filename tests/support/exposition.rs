//! A strict reader of the two exposition formats: what a format does not allow fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One series: its name on the page, and its labels sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Series {
    pub(crate) fn new(name: &str, labels: &[(&str, &str)]) -> Series {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series { name: name.to_owned(), labels }
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        let labels: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        if labels.is_empty() { Ok(()) } else { write!(formatter, "{{{}}}", labels.join(",")) }
    }
}

/// A whole page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Family → its TYPE.
    pub(crate) types: BTreeMap<String, String>,
    /// Family → its HELP.
    pub(crate) help: BTreeMap<String, String>,
    pub(crate) series: BTreeMap<Series, f64>,
}

impl Page {
    /// The number of one series.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let series = Series::new(name, labels);
        *self.series.get(&series).unwrap_or_else(|| panic!("the page has no {series}"))
    }

    /// The number of one series, where the page has it.
    pub(crate) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.series.get(&Series::new(name, labels)).copied()
    }

    /// Every series of that name.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Series, f64)> {
        self.series.iter().filter(move |(series, _)| series.name == name).map(|(series, value)| (series, *value))
    }

    /// The TYPE of the family that a sample of that name belongs to.
    pub(crate) fn type_of(&self, sample: &str) -> Option<&str> {
        let family = std::iter::once(sample).chain(suffixes(sample)).find(|name| self.types.contains_key(*name))?;
        self.types.get(family).map(String::as_str)
    }

    /// Every series that only grows.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&Series, f64)> {
        let counts = |series: &Series| matches!(self.type_of(&series.name), Some("counter"));
        self.series.iter().filter(move |(series, _)| counts(series)).map(|(series, value)| (series, *value))
    }
}

fn suffixes(sample: &str) -> impl Iterator<Item = &str> {
    ["_total", "_bucket", "_sum", "_count", "_created", "_info"].iter().filter_map(|suffix| sample.strip_suffix(suffix))
}

/// Reads a page of the text format 0.0.4.
#[track_caller]
pub(crate) fn parse(text: &str) -> Page {
    Reader::new(false).read(text).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Reads a page of OpenMetrics 1.0.
#[track_caller]
pub(crate) fn parse_open_metrics(text: &str) -> Page {
    Reader::new(true).read(text).unwrap_or_else(|problem| panic!("{problem}"))
}

struct Reader {
    open_metrics: bool,
    page: Page,
    family: Option<String>,
    closed: BTreeSet<String>,
    sampled: bool,
}

impl Reader {
    fn new(open_metrics: bool) -> Reader {
        Reader { open_metrics, page: Page::default(), family: None, closed: BTreeSet::new(), sampled: false }
    }

    fn read(mut self, text: &str) -> Result<Page, String> {
        if !text.ends_with('\n') {
            return Err("the page does not end with a line feed".to_owned());
        }
        let mut ended = false;
        for (index, line) in text[..text.len() - 1].split('\n').enumerate() {
            if ended {
                return Err(format!("line {}: something stands after # EOF: {line:?}", index + 1));
            }
            if self.open_metrics && line == "# EOF" {
                ended = true;
                continue;
            }
            self.line(line).map_err(|problem| format!("line {}: {problem}: {line:?}", index + 1))?;
        }
        if self.open_metrics && !ended {
            return Err("the page does not end with # EOF".to_owned());
        }
        Ok(self.page)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("HELP without a text")?;
            self.enter(name)?;
            if help.is_empty() || self.sampled {
                return Err("HELP without a text, or after samples".to_owned());
            }
            return twice(self.page.help.insert(name.to_owned(), help.to_owned()), "HELP");
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
            self.enter(name)?;
            let kinds: &[&str] = if self.open_metrics {
                &["counter", "gauge", "histogram", "summary", "unknown", "info", "stateset", "gaugehistogram"]
            } else {
                &["counter", "gauge", "histogram", "summary", "untyped"]
            };
            if !kinds.contains(&kind) || self.sampled {
                return Err("no such TYPE, or after samples".to_owned());
            }
            return twice(self.page.types.insert(name.to_owned(), kind.to_owned()), "TYPE");
        }
        if self.open_metrics && line.starts_with("# UNIT ") {
            let (name, unit) = line["# UNIT ".len()..].split_once(' ').ok_or("UNIT without a unit")?;
            return if name.ends_with(&format!("_{unit}")) {
                self.enter(name)
            } else {
                Err("UNIT is no suffix".into())
            };
        }
        if line.starts_with('#') || line.is_empty() {
            return Err("a line that says nothing".to_owned());
        }
        let (series, value) = sample(line)?;
        let family = self.family.clone().ok_or("a sample before any TYPE")?;
        let kind = self.page.types.get(&family).ok_or("a sample before its TYPE")?;
        let allowed: &[&str] = match (kind.as_str(), self.open_metrics) {
            ("counter", true) => &["_total", "_created"],
            ("info", true) => &["_info"],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            ("summary", _) => &["", "_sum", "_count"],
            _ => &[""],
        };
        if !allowed.iter().any(|suffix| series.name.strip_suffix(suffix) == Some(&family)) {
            return Err(format!("no sample of the {kind} {family}"));
        }
        if kind == "counter" && (value.is_nan() || value < 0.0) {
            return Err("a counter below zero".to_owned());
        }
        self.sampled = true;
        twice(self.page.series.insert(series, value), "the series")
    }

    fn enter(&mut self, name: &str) -> Result<(), String> {
        if self.family.as_deref() == Some(name) {
            return Ok(());
        }
        if !is_name(name, true) {
            return Err("no metric name".to_owned());
        }
        if let Some(before) = self.family.replace(name.to_owned()) {
            if !self.sampled {
                return Err(format!("{before} has no sample"));
            }
            self.closed.insert(before);
        }
        self.sampled = false;
        if self.closed.contains(name) { Err("the family stands in two places".to_owned()) } else { Ok(()) }
    }
}

fn twice<T>(before: Option<T>, what: &str) -> Result<(), String> {
    if before.is_some() { Err(format!("{what} stands twice")) } else { Ok(()) }
}

fn is_name(name: &str, colon: bool) -> bool {
    let good = |(index, byte): (usize, u8)| {
        byte.is_ascii_alphabetic() || byte == b'_' || (colon && byte == b':') || (index > 0 && byte.is_ascii_digit())
    };
    !name.is_empty() && name.bytes().enumerate().all(good)
}

fn sample(line: &str) -> Result<(Series, f64), String> {
    let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err("no metric name".to_owned());
    }
    let mut labels = BTreeMap::new();
    let rest = match rest.strip_prefix('{') {
        Some(inside) => label_pairs(inside, &mut labels)?,
        None => rest,
    };
    let number = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = match number {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        _ if number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => {
            number.parse().map_err(|_| "no number")?
        }
        _ => return Err("no number, or something after it".to_owned()),
    };
    Ok((Series { name: name.to_owned(), labels }, value))
}

fn label_pairs<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> Result<&'a str, String> {
    loop {
        let (name, tail) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name, false) {
            return Err(format!("no label name: {name:?}"));
        }
        let mut value = String::new();
        let mut characters = tail.chars();
        loop {
            match characters.next().ok_or("a label value without end")? {
                '"' => break,
                '\\' => match characters.next() {
                    Some('n') => value.push('\n'),
                    Some(escaped @ ('\\' | '"')) => value.push(escaped),
                    other => return Err(format!("no such escape: {other:?}")),
                },
                other => value.push(other),
            }
        }
        twice(labels.insert(name.to_owned(), value), "the label")?;
        let after = characters.as_str();
        if let Some(end) = after.strip_prefix('}') {
            return Ok(end);
        }
        rest = after.strip_prefix(',').ok_or("neither , nor } after a label")?;
    }
}
