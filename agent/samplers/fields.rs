//! The words and numbers of a line that the kernel wrote.

use std::str::{FromStr, SplitAsciiWhitespace};

/// What a parser expected, and where it found something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} in {found:?}")]
pub struct Malformed {
    /// What should have stood there.
    pub expected: &'static str,
    /// The line, cut to what fits a log line.
    pub found: String,
}

/// The most of a bad line that an error shows, in characters.
const SHOWN: usize = 80;

impl Malformed {
    /// Notes that `found` holds no `expected`.
    pub fn new(expected: &'static str, found: &str) -> Malformed {
        Malformed { expected, found: found.chars().take(SHOWN).collect() }
    }
}

/// The words of one line, taken one after the other.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    line: &'a str,
    words: SplitAsciiWhitespace<'a>,
}

impl<'a> Fields<'a> {
    /// Splits at runs of white space.
    pub fn of(line: &'a str) -> Fields<'a> {
        Fields { line, words: line.split_ascii_whitespace() }
    }

    /// The next word.
    ///
    /// # Errors
    /// [`Malformed`] at the end of the line.
    pub fn word(&mut self, expected: &'static str) -> Result<&'a str, Malformed> {
        self.words.next().ok_or_else(|| Malformed::new(expected, self.line))
    }

    /// The next word as a number.
    ///
    /// # Errors
    /// [`Malformed`] at the end of the line, or where the word is not such a number.
    pub fn number<T: FromStr>(&mut self, expected: &'static str) -> Result<T, Malformed> {
        self.word(expected)?.parse().map_err(|_| Malformed::new(expected, self.line))
    }

    /// The next word as a number, or nothing at the end of the line: for what newer kernels append.
    ///
    /// # Errors
    /// [`Malformed`] where there is a word that is not such a number.
    pub fn further<T: FromStr>(&mut self, expected: &'static str) -> Result<Option<T>, Malformed> {
        match self.words.next() {
            None => Ok(None),
            Some(word) => word.parse().map(Some).map_err(|_| Malformed::new(expected, self.line)),
        }
    }

    /// Goes over `count` words.
    pub fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.words.next();
        }
    }
}

/// All of `text`, trimmed, as one number.
///
/// # Errors
/// [`Malformed`] where it is none.
pub fn number<T: FromStr>(text: &str, expected: &'static str) -> Result<T, Malformed> {
    text.trim_ascii().parse().map_err(|_| Malformed::new(expected, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_was_expected_and_shows_the_line() {
        let error =
            Fields::of("8 0 sda").number::<u64>("major").and_then(|_| Fields::of("8 x").number::<u64>("a number"));
        assert!(error.is_ok());
        let mut fields = Fields::of("8 zero sda");
        fields.skip(1);
        let error = fields.number::<u64>("the minor number").unwrap_err();
        assert_eq!(error.to_string(), r#"expected the minor number in "8 zero sda""#);
    }

    #[test]
    fn a_megabyte_long_line_does_not_fill_the_log() {
        assert_eq!(Malformed::new("less", &"x".repeat(1 << 20)).found.len(), SHOWN);
    }
}
