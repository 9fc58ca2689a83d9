//! Names, labels, values and bounds, as a line of the text format has them.

use super::BLANK;
use crate::samplers::fields::Malformed;
use crate::snapshot::Value;

/// How many bytes of `text` are a name: of a metric, which may have colons, or of a label.
pub(super) fn name_length(text: &str, colons: bool) -> usize {
    let of_name = |(index, byte): &(usize, u8)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
        b'0'..=b'9' => *index > 0,
        b':' => colons,
        _ => false,
    };
    text.bytes().enumerate().take_while(of_name).count()
}

pub(super) type Pairs = Vec<(String, String)>;

/// The labels after `{`, and what stands after `}`.
pub(super) fn parse_labels<'a>(mut rest: &'a str, line: &str) -> Result<(Pairs, &'a str), Malformed> {
    let malformed = |expected| Malformed::new(expected, line);
    let mut labels = Pairs::new();
    loop {
        rest = rest.trim_start_matches(BLANK);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_at(name_length(rest, false));
        if name.is_empty() || name == "__name__" {
            return Err(malformed("the name of a label"));
        }
        let after = after.trim_start_matches(BLANK).strip_prefix('=').ok_or_else(|| malformed("= after a label"))?;
        let after = after.trim_start_matches(BLANK).strip_prefix('"');
        let (value, after) = after.and_then(parse_quoted).ok_or_else(|| malformed("a label's value in quotes"))?;
        labels.push((name.to_owned(), value));
        let after = after.trim_start_matches(BLANK);
        rest = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.starts_with('}') => after,
            None => return Err(malformed(", or } after a label")),
        };
    }
}

/// A value up to its closing quote, and what stands after that.
fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                quoted @ ('\\' | '"') => quoted,
                _ => return None,
            }),
            character => value.push(character),
        }
    }
}

/// HELP has `\\` and `\n`; any other backslash stands for itself.
pub(super) fn unescape(help: &str) -> String {
    let mut text = String::new();
    let mut characters = help.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some('n')) => text.push('\n'),
            ('\\', Some('\\')) => text.push('\\'),
            _ => {
                text.push(character);
                continue;
            }
        }
        characters.next();
    }
    text
}

pub(super) fn parse_value(word: &str) -> Option<Value> {
    word.parse().map(Value::Int).or_else(|_| word.parse().map(Value::Float)).ok()
}

pub(super) fn take_bound(labels: &mut Pairs, name: &str, line: &str) -> Result<f64, Malformed> {
    let at = labels.iter().position(|(known, _)| known == name);
    let text = at.map(|at| labels.swap_remove(at).1);
    let bound = text.and_then(|text| text.parse().ok()).filter(|bound: &f64| !bound.is_nan());
    bound.ok_or_else(|| Malformed::new("a number as le of a bucket or quantile of a summary", line))
}

/// A bound as Go writes it, which is what queries compare with.
pub(super) fn bound_text(bound: f64) -> String {
    if bound.is_infinite() {
        return if bound > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if bound == 0.0 || (1e-4..1e21).contains(&bound.abs()) {
        return bound.to_string();
    }
    let text = format!("{bound:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_go_does() {
        let texts = [0.005, 2.5, 1e6, 1e21, 1e-5, 1.5e-7, -3.0, 0.0].map(bound_text);
        assert_eq!(texts, ["0.005", "2.5", "1000000", "1e+21", "1e-05", "1.5e-07", "-3", "0"]);
    }
}
