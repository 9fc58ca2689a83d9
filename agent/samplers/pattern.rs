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
