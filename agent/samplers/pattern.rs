//! A regular expression of the configuration.

use serde::Deserialize;

/// A regular expression of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    /// Always there but for a built-in expression that is none, which a test excludes.
    regex: Option<regex_lite::Regex>,
}

impl Pattern {
    /// An expression that is written in the source.
    pub fn fixed(text: &'static str) -> Pattern {
        Pattern { text: text.to_owned(), regex: regex_lite::Regex::new(text).ok() }
    }

    /// Whether it occurs in `text`; anchor it with `^` and `$` to match the whole.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// What its groups hold where it first occurs in `text`: the name of the group, empty for those without one and for
    /// the whole, and its text, empty where the group took no part.
    pub fn captures<'p, 't>(&'p self, text: &'t str) -> Option<impl Iterator<Item = (&'p str, &'t str)>> {
        let regex = self.regex.as_ref()?;
        let captures = regex.captures(text)?;
        let texts: Vec<&str> = captures.iter().map(|group| group.map_or("", |group| group.as_str())).collect();
        Some(regex.capture_names().map(Option::unwrap_or_default).zip(texts))
    }

    /// Whether it has a group of that name.
    pub fn names(&self, group: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.capture_names().flatten().any(|name| name == group))
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex_lite::Error;

    fn try_from(text: String) -> Result<Pattern, regex_lite::Error> {
        let regex = regex_lite::Regex::new(&text)?;
        Ok(Pattern { text, regex: Some(regex) })
    }
}

impl std::str::FromStr for Pattern {
    type Err = regex_lite::Error;

    fn from_str(text: &str) -> Result<Pattern, regex_lite::Error> {
        Pattern::try_from(text.to_owned())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}
