//! The configuration.

use std::str::FromStr;

use serde::Deserialize;

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    pub host: Host,
    pub paths: Paths,
    pub sampling: Sampling,
    pub samplers: Samplers,
}
#[derive(Clone, Debug, Default)]
pub struct Host {
    pub name: Option<String>,
    pub attributes: std::collections::BTreeMap<String, String>,
}
#[derive(Clone, Debug)]
pub struct Paths {
    pub proc: std::path::PathBuf,
    pub sys: std::path::PathBuf,
    pub root: std::path::PathBuf,
}
#[derive(Clone, Debug)]
pub struct Sampling {
    pub interval: std::time::Duration,
}
impl Default for Config {
    fn default() -> Config {
        Config {
            host: Host::default(),
            paths: Paths { proc: "/proc".into(), sys: "/sys".into(), root: "/".into() },
            sampling: Sampling { interval: std::time::Duration::from_secs(10) },
            samplers: Samplers::default(),
        }
    }
}
impl Config {
    pub fn hash(&self) -> String {
        String::new()
    }
}

/// Options of the samplers, `[samplers]`: each sampler's section is a type beside the sampler.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Samplers {
    /// Samplers that do not run, by name.
    pub disabled: Vec<String>,
}

/// A regular expression of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(regex_lite::Regex);

impl Pattern {
    /// Whether it occurs in `text`; anchor it with `^` and `$` to match the whole.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = regex_lite::Error;

    fn from_str(text: &str) -> Result<Pattern, regex_lite::Error> {
        regex_lite::Regex::new(text).map(Pattern)
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex_lite::Error;

    fn try_from(text: String) -> Result<Pattern, regex_lite::Error> {
        text.parse()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.as_str() == other.as_str()
    }
}
