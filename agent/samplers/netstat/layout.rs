//! The lines of names and values in which the kernel counts what its protocols do, and which of them are shown.

use std::iter::zip;
use std::sync::Arc;

use super::{METRICS, OTHER, Options};
use crate::metric::{Metric, MetricRef};
use crate::samplers::fields::Malformed;
use crate::samplers::pattern::Pattern;
use crate::snapshot::Value;

/// What the lines of a file hold. The kernel seldom changes them (the first ICMP message of a type adds a field), so
/// that a pass compares each header with the one of the pass before and takes the values that are shown.
#[derive(Debug, Default)]
pub struct Layout(Vec<Line>);

#[derive(Debug)]
struct Line {
    header: Box<str>,
    columns: Vec<Option<MetricRef>>,
}

impl Layout {
    fn line(
        &mut self,
        place: usize,
        header: &str,
        learn: impl FnOnce() -> Vec<Option<MetricRef>>,
    ) -> &[Option<MetricRef>] {
        if self.0.get(place).is_none_or(|known| &*known.header != header) {
            self.0.truncate(place);
            self.0.push(Line { header: header.into(), columns: learn() });
        }
        self.0.get(place).map_or(&[], |line| &line.columns)
    }
}

/// Which fields are shown.
#[derive(Debug)]
pub struct Choice {
    fields: Option<Pattern>,
    born: Vec<Arc<Metric>>,
}

impl Choice {
    /// The usual fields, and those that the options admit.
    pub fn of(options: &Options) -> Choice {
        Choice { fields: options.fields.clone(), born: Vec::new() }
    }

    fn metric(&mut self, protocol: &str, field: &str) -> Option<MetricRef> {
        let key = format!("{protocol}_{field}");
        let is = |metric: &Metric| metric.name.strip_prefix("node_netstat_") == Some(&key);
        if let Some(usual) = METRICS.iter().find(|metric| is(metric)) {
            return Some(MetricRef::Static(usual));
        }
        if let Some(known) = self.born.iter().find(|metric| is(metric)) {
            return Some(known.into());
        }
        let valid = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid || !self.fields.as_ref().is_some_and(|fields| fields.is_match(&key)) {
            return None;
        }
        let metric = OTHER.named(&key);
        self.born.push(Arc::clone(&metric));
        Some(MetricRef::Born(metric))
    }
}

/// Parses `/proc/net/netstat` and `/proc/net/snmp` (proc(5)): pairs of lines, the names of the fields and their values,
/// each begun by the protocol.
pub fn parse_pairs(
    text: &str,
    choice: &mut Choice,
    layout: &mut Layout,
    mut put: impl FnMut(&MetricRef, Value),
) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed::new("the name of a protocol", text));
    }
    let mut lines = text.lines().enumerate();
    while let Some((place, header)) = lines.next() {
        let (protocol, fields) =
            header.split_once(':').ok_or_else(|| Malformed::new("the name of a protocol", header))?;
        let (_, values) = lines.next().ok_or_else(|| Malformed::new("a line of values after the names", header))?;
        let words = values.strip_prefix(protocol).and_then(|rest| rest.strip_prefix(':'));
        let mut words = words
            .ok_or_else(|| Malformed::new("the values of the protocol named before", values))?
            .split_ascii_whitespace();
        let learn = || fields.split_ascii_whitespace().map(|field| choice.metric(protocol, field)).collect();
        let columns = layout.line(place / 2, header, learn);
        let mismatch = || Malformed::new("as many values as names", values);
        for metric in columns {
            let word = words.next().ok_or_else(mismatch)?;
            if let Some(metric) = metric {
                put(metric, value(word, values)?);
            }
        }
        if words.next().is_some() {
            return Err(mismatch());
        }
    }
    Ok(())
}

/// Parses `/proc/net/snmp6`: a name and a value a line, where the name begins with the protocol and its 6.
pub fn parse_list(
    text: &str,
    choice: &mut Choice,
    layout: &mut Layout,
    mut put: impl FnMut(&MetricRef, Value),
) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed::new("a name and a value", text));
    }
    for (place, line) in text.lines().enumerate() {
        let mut words = line.split_ascii_whitespace();
        let (name, word) =
            zip(words.next(), words.next()).next().ok_or_else(|| Malformed::new("a name and a value", line))?;
        let learn =
            || vec![name.split_once('6').and_then(|(protocol, field)| choice.metric(&format!("{protocol}6"), field))];
        for metric in layout.line(place, name, learn).iter().flatten() {
            put(metric, value(word, line)?);
        }
    }
    Ok(())
}

/// Most values are unsigned; `Tcp_MaxConn` is -1 where there is no limit.
fn value(word: &str, line: &str) -> Result<Value, Malformed> {
    let signed = word.parse::<i64>().map(Value::from);
    signed.or_else(|_| word.parse::<u64>().map(Value::from)).map_err(|_| Malformed::new("a whole number", line))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parse = fn(&str, &mut Choice, &mut Layout, &mut dyn FnMut(&MetricRef, Value)) -> Result<(), Malformed>;
    const PAIRS: Parse = |text, choice, layout, put| parse_pairs(text, choice, layout, put);
    const LIST: Parse = |text, choice, layout, put| parse_list(text, choice, layout, put);

    fn pass(parse: Parse, layout: &mut Layout, fields: &str, text: &str) -> Result<Vec<String>, String> {
        let mut choice = Choice::of(&Options { fields: Some(fields.parse().unwrap()) });
        let mut lines = Vec::new();
        let mut put = |metric: &MetricRef, value| {
            lines.push(format!("{} {value:?}", metric.name.trim_start_matches("node_netstat_")));
        };
        parse(text, &mut choice, layout, &mut put).map_err(|error| error.to_string())?;
        Ok(lines)
    }

    fn once(parse: Parse, fields: &str, text: &str) -> Result<Vec<String>, String> {
        pass(parse, &mut Layout::default(), fields, text)
    }

    #[test]
    fn usual_fields_are_found_by_name() {
        let text = "Tcp: RtoMin MaxConn InSegs\nTcp: 200 -1 7\nIp: InSegs Forwarding\nIp: 9 2\n";
        assert_eq!(once(PAIRS, "^$", text), Ok(vec!["Tcp_InSegs Int(7)".into(), "Ip_Forwarding Int(2)".into()]));
    }

    #[test]
    fn admitted_fields_are_born_and_may_be_negative() {
        assert_eq!(
            once(PAIRS, "^Tcp_Max", "Tcp: RtoMin MaxConn\nTcp: 200 -1\n"),
            Ok(vec!["Tcp_MaxConn Int(-1)".into()])
        );
        assert_eq!(once(LIST, "InMcast", "Ip6InMcastPkts  \t3\n"), Ok(vec!["Ip6_InMcastPkts Int(3)".into()]));
        assert_eq!(once(PAIRS, ".", "Tcp: a\"b\nTcp: 1\n"), Ok(vec![]));
    }

    #[test]
    fn the_protocol_ends_with_its_six() {
        let text = "Udp6InErrors 4\nUdpLite6InErrors 5\nUdp6InErrorsNew 6\nodd 7\n";
        assert_eq!(once(LIST, "^$", text), Ok(vec!["Udp6_InErrors Int(4)".into(), "UdpLite6_InErrors Int(5)".into()]));
    }

    #[test]
    fn mismatched_lines_are_errors() {
        for values in ["Tcp: 1", "Tcp: 1 2 3", "Udp: 1 2", "", "Tcp: 1 x"] {
            assert!(once(PAIRS, "^$", &format!("Tcp: InErrs InSegs\n{values}\n")).is_err(), "{values}");
        }
        let error = once(PAIRS, "^$", "Tcp: InErrs InSegs\nTcp: 1\n").unwrap_err();
        assert_eq!(error, r#"expected as many values as names in "Tcp: 1""#);
        assert!(once(LIST, "^$", "Udp6InErrors\n").is_err());
        assert!(once(PAIRS, "^$", "").is_err() && once(LIST, "^$", "").is_err());
    }

    #[test]
    fn a_field_keeps_its_metric_when_the_header_changes() {
        let mut choice = Choice::of(&Options { fields: Some("^IcmpMsg".parse().unwrap()) });
        let mut born = |header: &str| {
            let mut metrics = Vec::new();
            let text = format!("IcmpMsg: {header}\nIcmpMsg: {}\n", "1 ".repeat(header.split(' ').count()));
            parse_pairs(&text, &mut choice, &mut Layout::default(), |metric, _| metrics.push(metric.clone())).unwrap();
            metrics
        };
        let (before, after) = (born("InType3"), born("InType0 InType3"));
        assert!(before[0].same(&after[1]) && !before[0].same(&after[0]));
    }

    #[test]
    fn a_header_that_changed_is_learned_anew() {
        let mut layout = Layout::default();
        for (names, expected) in [("InErrs OutRsts", "Tcp_InErrs Int(1)"), ("OutRsts InErrs", "Tcp_OutRsts Int(1)")] {
            let lines = pass(PAIRS, &mut layout, "^$", &format!("Tcp: {names}\nTcp: 1 2\n")).unwrap();
            assert_eq!(lines[0], expected);
        }
    }
}
