//! What a unit is called: `nginx.service`, or a pattern of names (systemd.unit(5)).

use std::fmt;

use serde::Deserialize;

/// The longest name of a unit, in bytes (systemd.unit(5)).
const LIMIT: usize = 255;

/// The kinds of units.
const KINDS: &[&str] =
    &["automount", "device", "mount", "path", "scope", "service", "slice", "socket", "swap", "target", "timer"];

/// The name of a unit, or a pattern as a shell has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// A text that no unit is called.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    r#"expected the name of a unit such as "nginx.service", "backup.timer" or "postgresql@*.service", found {0:?}"#
)]
pub struct NoName(String);

impl TryFrom<String> for Name {
    type Error = NoName;

    /// A name without a kind is a service's, as for systemctl.
    fn try_from(text: String) -> Result<Name, NoName> {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || r":-_.\@*?[]!".contains(letter);
        let full = match text.rsplit_once('.') {
            Some((_, kind)) if KINDS.contains(&kind) || kind.contains(['*', '?', '[']) => text.clone(),
            _ => format!("{text}.service"),
        };
        if text.is_empty() || full.starts_with('.') || full.len() > LIMIT || !full.chars().all(legal) {
            return Err(NoName(text));
        }
        Ok(Name(full))
    }
}

impl Name {
    /// The name with its kind.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it may be that of several units.
    pub fn is_pattern(&self) -> bool {
        self.0.contains(['*', '?', '['])
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_kind_is_a_services() {
        for (text, name) in [
            ("nginx", "nginx.service"),
            ("backup.timer", "backup.timer"),
            ("postgresql@15-main", "postgresql@15-main.service"),
            ("org.example.thing", "org.example.thing.service"),
            (r"dev-disk-by\x2duuid.mount", r"dev-disk-by\x2duuid.mount"),
            ("php*-fpm.*", "php*-fpm.*"),
        ] {
            assert_eq!(Name::try_from(text.to_owned()).unwrap().as_str(), name);
        }
        assert!(Name::try_from("a@*".to_owned()).unwrap().is_pattern());
        for text in ["", "a b", "/etc/x", "é", ".service", &"x".repeat(256)] {
            assert!(Name::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
