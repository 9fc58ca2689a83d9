//! Prometheus' text format 0.0.4, as people and scripts write it.

use std::collections::HashMap;

use crate::samplers::fields::Malformed;
use crate::snapshot::{Labels, Value};
use open::{Open, Sample};
use words::{name_length, parse_labels, parse_value, take_bound, unescape};

mod open;
mod words;

/// What a TYPE line says, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `counter`.
    Counter,
    /// `gauge`.
    Gauge,
    /// `histogram`.
    Histogram,
    /// `summary`.
    Summary,
    /// `untyped`, or no TYPE line.
    Untyped,
}

/// One metric of a file.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Its HELP, unescaped.
    pub help: Option<String>,
    /// Its TYPE.
    pub kind: Type,
    /// Its samples; those of one histogram or summary stand together.
    pub series: Vec<(Labels, Value)>,
}

/// Parses a file of at most `limit` samples, which must have no timestamps.
///
/// # Errors
/// At the first line that is not of the format: a file is taken whole or not at all.
pub fn parse(text: &str, limit: usize) -> Result<Vec<Family>, Malformed> {
    let mut draft = Draft { families: Vec::new(), by_name: HashMap::new() };
    let mut room = limit;
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        let line = line.trim_matches(BLANK);
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            draft.comment(comment.trim_start_matches(BLANK), line)?;
            continue;
        }
        room = room.checked_sub(1).ok_or_else(|| Malformed::new("fewer samples", line))?;
        draft.sample(line)?;
    }
    Ok(draft.families.into_iter().filter(|family| !family.samples.is_empty()).map(Open::close).collect())
}

const BLANK: [char; 2] = [' ', '\t'];

/// A file as far as it was read.
struct Draft {
    families: Vec<Open>,
    by_name: HashMap<String, usize>,
}

impl Draft {
    fn comment(&mut self, comment: &str, line: &str) -> Result<(), Malformed> {
        let (keyword, rest) = comment.split_once(BLANK).unwrap_or((comment, ""));
        let rest = rest.trim_start_matches(BLANK);
        if !matches!(keyword, "HELP" | "TYPE") || rest.is_empty() {
            return Ok(());
        }
        let (name, rest) = rest.split_once(BLANK).unwrap_or((rest, ""));
        if name_length(name, true) != name.len() {
            return Err(Malformed::new("the name of a metric", line));
        }
        let rest = rest.trim_start_matches(BLANK);
        if rest.is_empty() {
            return Ok(());
        }
        let family = self.family(name);
        if keyword == "HELP" {
            let first = family.help.replace(unescape(rest)).is_none();
            return if first { Ok(()) } else { Err(Malformed::new("one HELP a metric", line)) };
        }
        let kind = match rest.to_ascii_lowercase().as_str() {
            "counter" => Type::Counter,
            "gauge" => Type::Gauge,
            "histogram" => Type::Histogram,
            "summary" => Type::Summary,
            "untyped" => Type::Untyped,
            _ => return Err(Malformed::new("counter, gauge, histogram, summary or untyped", line)),
        };
        match family.kind.replace(kind) {
            None => Ok(()),
            Some(_) => Err(Malformed::new("one TYPE a metric, before its samples", line)),
        }
    }

    fn sample(&mut self, line: &str) -> Result<(), Malformed> {
        let (name, rest) = line.split_at(name_length(line, true));
        if name.is_empty() {
            return Err(Malformed::new("the name of a metric", line));
        }
        let rest = rest.trim_start_matches(BLANK);
        let (mut labels, rest) = match rest.strip_prefix('{') {
            Some(inner) => parse_labels(inner, line)?,
            None if rest.len() + name.len() == line.len() => {
                return Err(Malformed::new("a blank after the name", line));
            }
            None => (Vec::new(), rest),
        };
        let mut words = rest.split(BLANK).filter(|word| !word.is_empty());
        let value = words.next().and_then(parse_value).ok_or_else(|| Malformed::new("a number", line))?;
        if words.next().is_some() {
            return Err(Malformed::new("no timestamp", line));
        }
        let (family, suffix) = self.family_of_sample(name);
        let bound = match (family.kind, suffix) {
            (Some(Type::Histogram), "_bucket") => Some(take_bound(&mut labels, "le", line)?),
            (Some(Type::Histogram), "") => return Err(Malformed::new("_bucket, _sum or _count of a histogram", line)),
            (Some(Type::Summary), "") => Some(take_bound(&mut labels, "quantile", line)?),
            _ => None,
        };
        family.kind.get_or_insert(Type::Untyped);
        labels.sort_unstable();
        if labels.is_sorted_by(|(one, _), (next, _)| one != next) {
            family.samples.push(Sample { suffix, labels, bound, value });
            Ok(())
        } else {
            Err(Malformed::new("each label once", line))
        }
    }

    fn family(&mut self, name: &str) -> &mut Open {
        let index = match self.by_name.get(name) {
            Some(index) => *index,
            None => {
                self.by_name.insert(name.to_owned(), self.families.len());
                self.families.push(Open { name: name.to_owned(), help: None, kind: None, samples: Vec::new() });
                self.families.len() - 1
            }
        };
        // Every index in `by_name` was that of a family when it was put there, and none is ever taken out.
        #[allow(clippy::indexing_slicing)]
        &mut self.families[index]
    }

    /// `x_sum` belongs to the histogram or summary `x`, unless there is an `x_sum` of its own.
    fn family_of_sample(&mut self, name: &str) -> (&mut Open, &'static str) {
        let part = |suffix: &'static str| {
            let base = name.strip_suffix(suffix)?;
            let kind = self.families.get(*self.by_name.get(base)?)?.kind;
            let has = kind == Some(Type::Histogram) || (kind == Some(Type::Summary) && suffix != "_bucket");
            has.then_some((base, suffix))
        };
        let own = self.by_name.contains_key(name);
        let found = if own { None } else { ["_bucket", "_sum", "_count"].into_iter().find_map(part) };
        let (name, suffix) = found.unwrap_or((name, ""));
        (self.family(name), suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for family in parse(text, 100).unwrap() {
            for (labels, value) in family.series {
                lines.push(format!("{}{labels:?} {value:?}", family.name));
            }
        }
        lines
    }

    fn expected(text: &str) -> &'static str {
        parse(text, 100).unwrap_err().expected
    }

    #[test]
    fn help_type_and_samples_make_a_family() {
        let text = "# HELP a_total Things\\n of \\\\ C:\\x.\n# TYPE a_total counter\na_total{x=\"1\"} 3\na_total 4.5\n";
        let family = &parse(text, 2).unwrap()[0];
        assert_eq!(family.help.as_deref(), Some("Things\n of \\ C:\\x."));
        assert_eq!((family.kind, family.series.len()), (Type::Counter, 2));
    }

    #[test]
    fn what_people_write_is_taken() {
        assert_eq!(
            shown("\u{feff}a 1\r\n\r\n  b\t-2 \r\n#c\n# TYPE\n# HELP d\nd{ } NaN"),
            ["a{} Int(1)", "b{} Int(-2)", "d{} Float(NaN)"]
        );
        assert_eq!(shown("a{ y = \"1\" , x=\"2\",} +Inf"), [r#"a{x="2",y="1"} Float(inf)"#]);
        assert_eq!(shown("# TYPE a Gauge\n:b_{x=\"\\\\ \\\" \\n {}\"} 1e3"), [r#":b_{x="\\ \" \n {}"} Float(1000.0)"#]);
    }

    #[test]
    fn a_histogram_is_put_in_order() {
        let text = "# TYPE h histogram\nh_sum 9\nh_bucket{le=\"10\"} 2\nh_count{x=\"1\"} 1\nh_bucket{le=\"0.50\"} 1\nh_count 3\n";
        let expected = [
            "h_bucket{le=\"0.5\"} Int(1)",
            "h_bucket{le=\"10\"} Int(2)",
            "h_bucket{le=\"+Inf\"} Int(3)",
            "h_sum{} Int(9)",
            "h_count{} Int(3)",
            "h_bucket{x=\"1\",le=\"+Inf\"} Int(1)",
            "h_count{x=\"1\"} Int(1)",
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn a_summary_has_quantiles() {
        let text = "# TYPE s summary\ns{quantile=\"0.90\",x=\"1\"} 7\ns_sum{x=\"1\"} 8\ns_count{x=\"1\"} 2\n";
        let expected = [r#"s{x="1",quantile="0.9"} Int(7)"#, r#"s_sum{x="1"} Int(8)"#, r#"s_count{x="1"} Int(2)"#];
        assert_eq!(shown(text), expected);
        assert_eq!(shown("# TYPE s summary\n# TYPE s_sum gauge\ns_sum 1\n"), ["s_sum{} Int(1)"]);
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(expected("a 1 1700000000"), "no timestamp");
        assert_eq!(expected("a one"), "a number");
        assert_eq!(expected("a "), "a blank after the name");
        assert_eq!(expected("a{x=\"1\"}"), "a number");
        assert_eq!(expected("1a 1"), "the name of a metric");
        assert_eq!(expected("a-b 1"), "a blank after the name");
        assert_eq!(expected("a{x=\"1\" y=\"2\"} 1"), ", or } after a label");
        assert_eq!(expected("a{x=\"1} 1"), "a label's value in quotes");
        assert_eq!(expected("a{x=\"\\t\"} 1"), "a label's value in quotes");
        assert_eq!(expected("a{__name__=\"b\"} 1"), "the name of a label");
        assert_eq!(expected("a{x} 1"), "= after a label");
        assert_eq!(expected("a{x=\"1\",x=\"2\"} 1"), "each label once");
        assert_eq!(expected("# TYPE a meter"), "counter, gauge, histogram, summary or untyped");
        assert_eq!(expected("a 1\n# TYPE a gauge"), "one TYPE a metric, before its samples");
        assert_eq!(expected("# HELP a b\n# HELP a b"), "one HELP a metric");
        assert_eq!(expected("# TYPE h histogram\nh 1"), "_bucket, _sum or _count of a histogram");
        assert_eq!(expected("# TYPE h histogram\nh_bucket 1"), "a number as le of a bucket or quantile of a summary");
        assert_eq!(expected(&"a 1\n".repeat(101)), "fewer samples");
    }
}
