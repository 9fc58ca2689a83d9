//! Paths with wildcards, as a shell has them (glob(7)): `*`, `?` and `[a-z]` within one name.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::failure::{ProbeError, Reason};
use crate::samplers::SampleError;
use crate::samplers::root::{Metadata, Root};

/// The most names that one walk looks at.
const NAMES: usize = 100_000;

/// An absolute path, in which names may have wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Glob {
    text: String,
    names: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Literal(String),
    Wild(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    One(char),
    Any,
    AnyNumber,
    Among { ranges: Vec<(char, char)>, not: bool },
}

/// A text that is no such path.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(r#"expected an absolute path such as "/var/backups/*.gz", found {0:?}"#)]
pub struct NoGlob(String);

impl FromStr for Glob {
    type Err = NoGlob;

    fn from_str(text: &str) -> Result<Glob, NoGlob> {
        let no_glob = || NoGlob(text.to_owned());
        let below = text.strip_prefix('/').filter(|below| !below.contains('\0')).ok_or_else(no_glob)?;
        let names = below.split('/').filter(|name| !name.is_empty() && *name != ".");
        let names: Option<Vec<Name>> = names.map(|name| if name == ".." { None } else { Name::parse(name) }).collect();
        let names = names.filter(|names| !names.is_empty()).ok_or_else(no_glob)?;
        Ok(Glob { text: text.to_owned(), names })
    }
}

impl TryFrom<String> for Glob {
    type Error = NoGlob;

    fn try_from(text: String) -> Result<Glob, NoGlob> {
        text.parse()
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Name {
    fn parse(name: &str) -> Option<Name> {
        if !name.contains(['*', '?', '[', '\\']) {
            return Some(Name::Literal(name.to_owned()));
        }
        let mut parts = Vec::new();
        let mut letters = name.chars();
        while let Some(letter) = letters.next() {
            parts.push(match letter {
                '*' if parts.last() == Some(&Part::AnyNumber) => continue,
                '*' => Part::AnyNumber,
                '?' => Part::Any,
                '[' => Part::among(&mut letters)?,
                '\\' => Part::One(letters.next()?),
                letter => Part::One(letter),
            });
        }
        Some(Name::Wild(parts))
    }
}

impl Part {
    /// What stands between the brackets; the first is open already. `]` counts for itself where it comes first.
    fn among(letters: &mut std::str::Chars<'_>) -> Option<Part> {
        let mut ahead = letters.clone();
        let not = matches!(ahead.next(), Some('!' | '^'));
        if not {
            *letters = ahead;
        }
        let mut ranges = Vec::new();
        loop {
            let first = letters.next()?;
            if first == ']' && !ranges.is_empty() {
                return Some(Part::Among { ranges, not });
            }
            let mut ahead = letters.clone();
            let last = match (ahead.next(), ahead.next()) {
                (Some('-'), Some(last)) if last != ']' => {
                    *letters = ahead;
                    last
                }
                _ => first,
            };
            ranges.push((first, last));
        }
    }

    fn takes(&self, letter: char) -> bool {
        match self {
            Part::One(one) => *one == letter,
            Part::Any | Part::AnyNumber => true,
            Part::Among { ranges, not } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *not
            }
        }
    }
}

/// Whether a name is like these parts. A hidden one is only where its dot is written.
fn is_like(parts: &[Part], name: &str) -> bool {
    if name.starts_with('.') && parts.first() != Some(&Part::One('.')) {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    let (mut part, mut letter) = (0, 0);
    // Where the last `*` stands, and up to where it has taken letters: only that one is ever tried anew.
    let mut star: Option<(usize, usize)> = None;
    while let Some(next) = name.get(letter) {
        match parts.get(part) {
            Some(Part::AnyNumber) => {
                star = Some((part, letter));
                part += 1;
            }
            Some(one) if one.takes(*next) => (part, letter) = (part + 1, letter + 1),
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (part, letter) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    parts.get(part..).unwrap_or_default().iter().all(|part| *part == Part::AnyNumber)
}

impl Glob {
    /// Visits every plain file that it matches, with its path. It may hang as the filesystem does.
    ///
    /// # Errors
    /// Where a directory cannot be read, or there are too many names to look at.
    pub fn walk(&self, root: &Root, mut visit: impl FnMut(&str, Metadata)) -> Result<(), ProbeError> {
        let mut walk = Walk { root, left: NAMES, visit: &mut visit };
        walk.below(&mut String::new(), &self.names).map_err(|error| match error {
            Stop::Error(error) => error.into(),
            Stop::TooMany => {
                let message = format!("{self} has more than {NAMES} names to look through");
                ProbeError::new(Reason::Count, message).mend("write a narrower path")
            }
        })
    }
}

struct Walk<'a> {
    root: &'a Root,
    left: usize,
    visit: &'a mut dyn FnMut(&str, Metadata),
}

enum Stop {
    TooMany,
    Error(SampleError),
}

impl Walk<'_> {
    /// Goes on below `path`, which has no slash at its beginning and none at its end.
    fn below(&mut self, path: &mut String, names: &[Name]) -> Result<(), Stop> {
        let Some((name, further)) = names.split_first() else { return Ok(()) };
        match name {
            Name::Literal(name) => self.at(path, name, further),
            Name::Wild(parts) => {
                let (mut like, left) = (Vec::new(), self.left);
                let mut met = 0;
                let listed = self.root.host.each_until(if path.is_empty() { "." } else { path }, |name| {
                    met += 1;
                    if is_like(parts, name) {
                        like.push(name.to_owned());
                    }
                    met <= left
                });
                match listed {
                    Err(SampleError::Absent(_)) => return Ok(()),
                    Err(error) => return Err(Stop::Error(error)),
                    Ok(()) if met > left => return Err(Stop::TooMany),
                    Ok(()) => self.left -= met,
                }
                like.iter().try_for_each(|name| self.at(path, name, further))
            }
        }
    }

    fn at(&mut self, path: &mut String, name: &str, further: &[Name]) -> Result<(), Stop> {
        let length = path.len();
        if length > 0 {
            path.push('/');
        }
        path.push_str(name);
        let done = if further.is_empty() {
            match self.root.metadata(path) {
                Ok(metadata) if metadata.plain => {
                    (self.visit)(path, metadata);
                    Ok(())
                }
                // Not a file, or gone since it was listed.
                Ok(_) | Err(SampleError::Absent(_)) => Ok(()),
                Err(error) => Err(Stop::Error(error)),
            }
        } else {
            self.below(path, further)
        };
        path.truncate(length);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str, name: &str) -> bool {
        match Name::parse(pattern).unwrap() {
            Name::Literal(literal) => literal == name,
            Name::Wild(parts) => is_like(&parts, name),
        }
    }

    #[test]
    fn names_are_matched_as_a_shell_matches_them() {
        for (pattern, name) in [
            ("*", "a"),
            ("*.gz", "dump-1.sql.gz"),
            ("a*b*c", "aXbXbXc"),
            ("?[0-9][!a]", "x5b"),
            ("[]x]", "]"),
            ("[a-]", "-"),
            (r"\*", "*"),
            (".*", ".hidden"),
            ("dump-????", "dump-2026"),
        ] {
            assert!(like(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", ".hidden"),
            ("*.gz", "dump.gz.part"),
            ("a*b*c", "aXcXb"),
            ("?", ""),
            ("[0-9]", "a"),
            ("dump", "dump2"),
            ("a?", "a"),
        ] {
            assert!(!like(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        assert!(!like(&"*a".repeat(60), &format!("{}b", "a".repeat(200))));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "/", "var/x", "/var/[a", "/var/x\\", "/var/../x", "//"] {
            assert!(text.parse::<Glob>().is_err(), "{text:?}");
        }
    }
}
