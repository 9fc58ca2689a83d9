//! What is wrong with a configuration, told so that it can be put right.

use std::fmt::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::de::{self, Expected, Unexpected};

use super::source::{Origin, Place, Source};

/// Below this likeness (Jaro and Winkler's, 0 to 1) two words are not each other's misspelling.
const ALIKE: f64 = 0.8;

/// The most of a line that a message shows, in characters.
const SHOWN: usize = 120;

/// The most mistakes that are told at once.
pub(super) const TOLD: usize = 50;

/// Keys whose lines are not shown when they cannot even be parsed.
const CONFIDENTIAL: [&str; 7] = ["user", "pass", "secret", "token", "header", "authorization", "key"];

/// Everything that is wrong with a configuration; each with its file, line, column and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// One complaint about a file as a whole.
    pub(super) fn about(path: &Path, complaint: impl fmt::Display) -> ConfigErrors {
        ConfigErrors(vec![format!("{}: {complaint}", path.display())])
    }

    /// Tells `faults` in the order of their places, without what is `hidden`.
    pub(super) fn tell(mut faults: Vec<Fault>, hidden: &[Place]) -> ConfigErrors {
        let rank = |fault: &Fault| fault.place.as_ref().map(|place| (place.source.order, place.span.start));
        faults.sort_by_key(rank);
        let mut told: Vec<_> = faults.iter().take(TOLD).map(|fault| fault.tell(hidden)).collect();
        if let Some(more) = faults.len().checked_sub(TOLD).filter(|more| *more > 0) {
            told.push(format!("and {more} more"));
        }
        ConfigErrors(told)
    }

    /// Each of them in one line, for a log.
    pub fn briefly(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|told| told.lines().next().unwrap_or_default())
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// One thing that is wrong.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Option<Place>,
    /// The keys that lead to it.
    pub(super) path: Vec<String>,
    pub(super) kind: Kind,
    /// What to do about it.
    pub(super) remedy: Option<String>,
    /// Whether another fault is the reason for this one.
    pub(super) follows: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// No such key in the table at the path.
    Unknown { key: String, known: &'static [&'static str] },
    /// The table at the path lacks a key.
    Missing(&'static str),
    /// The value at the path is something else.
    Unlike { expected: String, found: String },
    /// A secret where others can read it.
    ReadableSecret,
    /// The text is no TOML.
    Syntax(String),
    /// Any other, as a clause that follows the path.
    Other(String),
}

impl Fault {
    pub(super) fn new(kind: Kind) -> Fault {
        Fault { place: None, path: Vec::new(), kind, remedy: None, follows: false }
    }

    /// A fault that only the whole shows.
    pub(super) fn at(place: &Place, path: &[&str], complaint: String, remedy: Option<String>) -> Fault {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        Fault { place: Some(place.clone()), path, remedy, ..Fault::new(Kind::Other(complaint)) }
    }

    pub(super) fn syntax(source: &Arc<Source>, span: Range<usize>, message: &str) -> Fault {
        let place = Some(Place { source: Arc::clone(source), span });
        Fault { place, ..Fault::new(Kind::Syntax(message.to_owned())) }
    }

    fn complaint(&self) -> String {
        let path = self.path.join(".");
        match &self.kind {
            Kind::Unknown { key, .. } if path.is_empty() => format!("unknown key `{key}`"),
            Kind::Unknown { key, .. } => format!("unknown key `{key}` in [{path}]"),
            Kind::Missing(key) => format!("`{path}` lacks `{key}`"),
            Kind::Unlike { expected, found } => format!("`{path}`: expected {expected}, found {found}"),
            Kind::ReadableSecret => match self.place.as_ref().map(|place| &place.source.origin) {
                Some(Origin::File(_)) => format!("`{path}`: a secret in a file that others can read"),
                _ => format!("`{path}`: a secret among the arguments, which every user can read"),
            },
            Kind::Syntax(message) => message.clone(),
            Kind::Other(complaint) => format!("`{path}`: {complaint}"),
        }
    }

    fn tell(&self, hidden: &[Place]) -> String {
        let Some(place) = &self.place else { return self.complaint() };
        let source = &place.source;
        let before = source.text.get(..place.span.start).unwrap_or(&source.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = source.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;

        let complaint = self.complaint();
        let (mut told, number) = match &source.origin {
            Origin::File(file) => (format!("{}:{number}:{column}: {complaint}", file.display()), number.to_string()),
            Origin::Argument => (format!("--set: {complaint}"), String::new()),
            Origin::Variable(name) => (format!("environment variable {name}: {complaint}"), String::new()),
        };
        let margin = " ".repeat(number.len());
        let (shown, caret) = self.snippet(place, line_start, line, hidden);
        let remedy = self.remedy.as_ref().map(|remedy| format!(" {remedy}")).unwrap_or_default();
        // A String takes every write.
        let _ = write!(told, "\n{margin} |\n{number} | {shown}\n{margin} | {caret}{remedy}");
        told
    }

    /// The line as it may be shown, and the caret below it.
    fn snippet(&self, place: &Place, line_start: usize, line: &str, hidden: &[Place]) -> (String, String) {
        let mut masks: Vec<_> =
            hidden.iter().filter(|mask| mask.source == place.source).map(|mask| mask.span.clone()).collect();
        if matches!(self.kind, Kind::Syntax(_)) && is_confidential(&place.source.text, line_start, line) {
            let written = line.split_once('=').map_or(line, |(_, value)| value).trim_start();
            masks.push(line_start + line.len() - written.len()..line_start + line.len());
        }
        let mut shown = Vec::new();
        let mut carets = None;
        let mut masked = false;
        for (at, c) in line.char_indices().map(|(at, c)| (line_start + at, c)) {
            let hide = masks.iter().any(|mask| mask.contains(&at));
            if !hide || !masked {
                let under = at >= place.span.start && at < place.span.end.max(place.span.start + 1);
                if under {
                    let first = carets.map_or(shown.len(), |(first, _)| first);
                    carets = Some((first, shown.len()));
                }
                shown.push(if hide {
                    '…'
                } else if c.is_control() {
                    ' '
                } else {
                    c
                });
            }
            masked = hide;
        }
        let (first, last) = carets.unwrap_or((shown.len(), shown.len()));
        let cut = if shown.len() > SHOWN { first.saturating_sub(SHOWN / 2) } else { 0 };
        let shown: String = shown.iter().skip(cut).take(SHOWN).collect();
        let carets = (last - first + 1).min(SHOWN - SHOWN / 2);
        (shown, format!("{}{}", " ".repeat(first - cut), "^".repeat(carets)))
    }
}

/// Whether a text may be a URL with a password in it, if only most of one.
pub(super) fn may_hold_password(text: &str) -> bool {
    text.contains(':') && text.contains('@')
}

/// Whether a line that is no TOML, or the table it stands in, sounds like a secret.
fn is_confidential(text: &str, line_start: usize, line: &str) -> bool {
    let header =
        text.get(..line_start).unwrap_or_default().lines().rev().find(|line| line.trim_start().starts_with('['));
    let sounds = |line: &str| {
        let line = line.to_lowercase();
        CONFIDENTIAL.iter().any(|word| line.contains(word))
    };
    may_hold_password(line) || [Some(line), header].into_iter().flatten().any(sounds)
}

/// The candidate that a misspelt word was probably meant to be.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |candidate: &&str| strsim::jaro_winkler(word, candidate);
    let (likeness, candidate) = candidates
        .into_iter()
        .map(|candidate| (likeness(&candidate), candidate))
        .max_by(|(one, _), (two, _)| one.total_cmp(two))?;
    (likeness >= ALIKE).then_some(candidate)
}

/// Words in backticks, with commas.
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.complaint())
    }
}

impl std::error::Error for Fault {}

/// Boxed, as it goes through every type of the configuration.
impl de::Error for Box<Fault> {
    fn custom<T: fmt::Display>(message: T) -> Box<Fault> {
        Fault::new(Kind::Other(message.to_string())).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Box<Fault> {
        let found = match found {
            Unexpected::Str(_) => "a string".to_owned(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Bool(truth) => truth.to_string(),
            Unexpected::Float(number) => number.to_string(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a table".to_owned(),
            other => other.to_string(),
        };
        let expected = match expected.to_string() {
            kind if kind == "a map" => "a table".to_owned(),
            kind if kind == "a sequence" => "a list".to_owned(),
            kind if kind == "path string" => "a path, as a string".to_owned(),
            kind if kind == "a boolean" => "true or false".to_owned(),
            kind if ["u8", "u16", "u32", "u64", "usize", "i64"].contains(&kind.as_str()) => "a whole number".to_owned(),
            kind => kind,
        };
        Fault::new(Kind::Unlike { expected, found }).into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Box<Fault> {
        match found {
            Unexpected::Str(text) => {
                Fault::new(Kind::Unlike { expected: expected.to_string(), found: format!("{text:?}") }).into()
            }
            found => de::Error::invalid_type(found, expected),
        }
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Box<Fault> {
        let remedy = nearest(found, known.iter().copied()).map(|word| format!("did you mean {word:?}?"));
        let known: Vec<_> = known.iter().map(|word| format!("{word:?}")).collect();
        let expected = format!("one of {}", known.join(", "));
        Fault { remedy, ..Fault::new(Kind::Unlike { expected, found: format!("{found:?}") }) }.into()
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Box<Fault> {
        Fault::new(Kind::Unknown { key: key.to_owned(), known }).into()
    }

    fn missing_field(key: &'static str) -> Box<Fault> {
        Fault::new(Kind::Missing(key)).into()
    }
}
