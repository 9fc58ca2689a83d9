//! What tells the series of one metric apart.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The labels of a series, interned when it is born: cloning copies a pointer.
///
/// Holds the text form of the page (`device="vda",mode="idle"`), escaped once; [`Labels::pairs`] reads the values back.
#[derive(Clone)]
pub struct Labels(Arc<Text>);

/// As small as can be: a probe of a database has hundreds of these.
struct Text {
    /// Labels that stand before its own, such as those that all series of one probe have.
    before: Option<Labels>,
    /// A letter for the suffix; if that is a capital, nanoseconds since 1970 and a semicolon; then the own labels.
    own: Box<str>,
}

/// The suffixes, each with its letter.
const SUFFIXES: [(&str, char); 4] = [("", 'n'), ("_bucket", 'b'), ("_sum", 's'), ("_count", 'c')];

impl Labels {
    /// Interns label names and values. Names must be valid label names; values may be any text.
    pub fn new(pairs: &[(&str, &str)]) -> Labels {
        Labels::intern(None, "", pairs, None)
    }

    /// The same for one sample of a histogram or summary, whose name on the page is the metric's and `suffix`.
    pub fn part(suffix: &'static str, pairs: &[(&str, &str)]) -> Labels {
        Labels::intern(None, suffix, pairs, None)
    }

    /// The same of a thing that came while somebody looked: at `since` it was not there, and it has counted from zero
    /// after that.
    pub fn born(pairs: &[(&str, &str)], since: Option<SystemTime>) -> Labels {
        Labels::intern(None, "", pairs, since)
    }

    /// These, and `more` after them. Their own text is shared.
    pub fn with(&self, more: &[(&str, &str)]) -> Labels {
        if more.is_empty() { self.clone() } else { self.part_with("", more) }
    }

    /// The same for one sample of a histogram or summary.
    pub fn part_with(&self, suffix: &'static str, more: &[(&str, &str)]) -> Labels {
        if self.0.before.is_none() {
            return Labels::intern(Some(self.clone()), suffix, more, None);
        }
        let pairs = self.pairs();
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Labels::part(suffix, &pairs.chain(more.iter().copied()).collect::<Vec<_>>())
    }

    fn intern(
        before: Option<Labels>,
        suffix: &'static str,
        pairs: &[(&str, &str)],
        since: Option<SystemTime>,
    ) -> Labels {
        let letter = SUFFIXES.iter().find(|(known, _)| *known == suffix).map_or('n', |(_, letter)| *letter);
        let mut own = String::new();
        match since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()) {
            None => own.push(letter),
            Some(since) => {
                own.push(letter.to_ascii_uppercase());
                own.push_str(&since.as_nanos().to_string());
                own.push(';');
            }
        }
        let start = own.len();
        for (name, value) in pairs {
            if own.len() > start {
                own.push(',');
            }
            own.push_str(name);
            own.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => own.push_str("\\\\"),
                    '"' => own.push_str("\\\""),
                    '\n' => own.push_str("\\n"),
                    other => own.push(other),
                }
            }
            own.push('"');
        }
        let before = before.filter(|before| !before.own().is_empty());
        Labels(Arc::new(Text { before, own: own.into() }))
    }

    /// No labels at all: always the same.
    pub fn none() -> Labels {
        static NONE: LazyLock<Labels> = LazyLock::new(|| Labels::new(&[]));
        NONE.clone()
    }

    /// The text form, as it stands between the braces of the page.
    pub fn page(&self) -> Cow<'_, str> {
        let Joined([before, comma, own]) = self.joined();
        if before.is_empty() { own.into() } else { [before, comma, own].concat().into() }
    }

    /// The same, without putting it together.
    pub fn joined(&self) -> Joined<'_> {
        let (before, own) = (self.0.before.as_ref().map_or("", Labels::own), self.own());
        Joined([before, if before.is_empty() || own.is_empty() { "" } else { "," }, own])
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.before.is_none() && self.own().is_empty()
    }

    fn own(&self) -> &str {
        let rest = self.0.own.get(1..).unwrap_or_default();
        if self.letter().is_ascii_uppercase() { rest.split_once(';').map_or("", |(_, own)| own) } else { rest }
    }

    fn letter(&self) -> char {
        self.0.own.as_bytes().first().copied().unwrap_or_default().into()
    }

    /// `_bucket`, `_sum`, `_count` or nothing.
    pub fn suffix(&self) -> &'static str {
        let letter = self.letter().to_ascii_lowercase();
        SUFFIXES.iter().find(|(_, known)| *known == letter).map_or("", |(suffix, _)| suffix)
    }

    /// A moment at which its counters were at zero, where that is known of this very thing.
    pub fn since(&self) -> Option<SystemTime> {
        let (since, _) = self.0.own.get(1..)?.split_once(';').filter(|_| self.letter().is_ascii_uppercase())?;
        let nanoseconds: u64 = since.parse().ok()?;
        Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds))
    }

    /// Names and unescaped values, in order.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = self.0.before.as_ref().map(Labels::pairs).unwrap_or_default();
        let mut rest: &str = self.own();
        while let Some((name, tail)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut characters = tail.chars();
            while let Some(character) = characters.next() {
                match character {
                    '"' => break,
                    '\\' => match characters.next() {
                        Some('n') => value.push('\n'),
                        Some(other) => value.push(other),
                        None => break,
                    },
                    other => value.push(other),
                }
            }
            pairs.push((name.to_owned(), value));
            let after = characters.as_str();
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        pairs
    }

    /// Whether their own, after those that others share with them, are `more`: then nothing need be interned.
    pub fn end_with(&self, more: &[(&str, &str)]) -> bool {
        let mut rest = self.own().chars();
        let mut takes = |expected: char| rest.next() == Some(expected);
        let same = more.iter().enumerate().all(|(index, (name, value))| {
            (index == 0 || takes(','))
                && name.chars().chain(['=', '"']).all(&mut takes)
                && value.chars().all(|character| match character {
                    '\\' | '"' => takes('\\') && takes(character),
                    '\n' => takes('\\') && takes('n'),
                    other => takes(other),
                })
                && takes('"')
        });
        same && rest.as_str().is_empty()
    }

    /// Whether both were interned by the same call (not merely alike).
    pub fn same(&self, other: &Labels) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number that no other labels have while these are kept.
    pub fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}{{{}}}", self.suffix(), self.page())
    }
}

/// The text of labels in three parts: one and the same text is equal however it is parted.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'a>(pub [&'a str; 3]);

impl Joined<'_> {
    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().flat_map(|part| part.bytes())
    }
}

impl PartialEq for Joined<'_> {
    fn eq(&self, other: &Joined<'_>) -> bool {
        self.0 == other.0 || self.bytes().eq(other.bytes())
    }
}

impl Eq for Joined<'_> {}

impl Hash for Joined<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The hasher of a map goes on where it was: it does not see where a part ends.
        self.0.iter().for_each(|part| state.write(part.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn labels_after_others_are_as_if_interned_at_once() {
        let own = Labels::new(&[("probe", "a\"b"), ("server", "db:6379")]);
        let more = own.part_with("_bucket", &[("cmd", "get"), ("le", "1.0")]);
        let whole = Labels::part("_bucket", &[("probe", "a\"b"), ("server", "db:6379"), ("cmd", "get"), ("le", "1.0")]);
        assert_eq!((more.page(), more.pairs(), more.suffix()), (whole.page(), whole.pairs(), whole.suffix()));
        assert_eq!(format!("{more:?}"), format!("{whole:?}"));
        assert_ne!(more.joined().0, whole.joined().0);
        let mut seen = HashSet::from([more.joined()]);
        assert!(!seen.insert(whole.joined()) && seen.insert(own.joined()));
        let third = more.with(&[("x", "y")]);
        assert_eq!(third.page(), format!("{},x=\"y\"", whole.page()));
        assert!(own.with(&[]).same(&own));
        assert_eq!(Labels::none().with(&[("a", "b")]).page(), "a=\"b\"");
        assert!(Labels::none().is_empty() && !own.is_empty() && !more.is_empty());
    }

    #[test]
    fn labels_know_what_they_were_interned_of() {
        let own = Labels::new(&[("probe", "a")]);
        let pairs = [("b", "1"), ("c", "x\"y\\z\n"), ("d", "")];
        let labels = own.with(&pairs);
        assert!(labels.end_with(&pairs) && own.end_with(&[("probe", "a")]) && Labels::none().end_with(&[]));
        assert!(!labels.end_with(&pairs[..2]) && !labels.end_with(&[("b", "1")]) && !own.end_with(&[]));
        assert!(!labels.end_with(&[pairs[0], ("c", "x\"y\\z"), pairs[2]]));
        assert!(!labels.end_with(&[pairs[0], pairs[1], pairs[2], ("e", "")]));
    }

    #[test]
    fn a_birth_is_told_to_the_nanosecond() {
        let since = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let born = Labels::born(&[("name", "a;b")], Some(since));
        assert_eq!((born.since(), &*born.page(), born.suffix()), (Some(since), "name=\"a;b\"", ""));
        let unborn = Labels::born(&[("name", "a;b")], None);
        assert_eq!((unborn.since(), unborn.page()), (None, born.page()));
    }
}
