//! The configuration.

use serde::Deserialize;

use crate::samplers::{disk, interfaces, netstat, textfile};

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
    /// `[samplers.filesystem]`.
    pub filesystem: crate::samplers::filesystem::Options,
    /// `[samplers.diskstats]`.
    pub diskstats: disk::Options,
    /// Which interfaces `node_arp_entries` counts for.
    pub arp: interfaces::Options,
    /// Which interfaces have their state shown.
    pub netclass: interfaces::Options,
    /// Which interfaces have their traffic shown.
    pub netdev: interfaces::Options,
    /// Which fields are shown beyond the usual ones.
    pub netstat: netstat::Options,
    /// `[samplers.textfile]`.
    pub textfile: textfile::Options,
    /// `[samplers.vmstat]`.
    pub vmstat: crate::samplers::vmstat::Options,
}

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
