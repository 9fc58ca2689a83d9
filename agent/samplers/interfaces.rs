//! Which network interfaces a sampler shows: the options that the samplers of interfaces share.

use serde::Deserialize;

use crate::samplers::pattern::Pattern;

/// `[samplers.netdev]`, `[samplers.netclass]` and `[samplers.arp]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Interfaces that are not shown.
    pub exclude: Option<Pattern>,
    /// The only interfaces that are shown, less those that `exclude` takes away.
    pub include: Option<Pattern>,
}

impl Options {
    /// Whether the interface of that name is shown.
    pub fn admit(&self, name: &str) -> bool {
        let matches = |pattern: &Pattern| pattern.is_match(name);
        self.include.as_ref().is_none_or(matches) && !self.exclude.as_ref().is_some_and(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_are_shown_unless_told_otherwise() {
        assert!(Options::default().admit("eth0"));
    }

    #[test]
    fn exclude_takes_away_from_include() {
        let options: Options = toml::from_str("include = '^(eth|veth)'\nexclude = '^veth'").unwrap();
        assert_eq!(["eth0", "veth1", "lo"].map(|name| options.admit(name)), [true, false, false]);
    }
}
