//! Durations, byte sizes and counts, as the configuration writes them.

use std::fmt;
use std::time::Duration;

use serde::Deserializer;
use serde::de::{self, Unexpected, Visitor};

/// Units of a duration and their milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of a byte size.
const SIZES: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads `10s`, `250ms`, `7d` or `1h30m`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut milliseconds = 0_u64;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, further) = after.split_at_checked(unit_end)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        milliseconds = milliseconds.checked_add(number.checked_mul(*factor)?)?;
        rest = further;
    }
    (!text.is_empty()).then(|| Duration::from_millis(milliseconds))
}

/// Reads `256MiB`, `10MB` or `1024`.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// A duration as the configuration would write it.
pub struct Human(pub Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in UNITS {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

/// Deserializes a duration from `LEAST` to `MOST` milliseconds, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// For what is no duration, or one out of these limits.
pub fn duration<'de, D: Deserializer<'de>, const LEAST: u64, const MOST: u64>(d: D) -> Result<Duration, D::Error> {
    d.deserialize_str(DurationWithin(Duration::from_millis(LEAST), Duration::from_millis(MOST)))
}

struct DurationWithin(Duration, Duration);

impl Visitor<'_> for DurationWithin {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let example = if self.0 < Duration::from_secs(1) { "250ms" } else { "10s" };
        write!(f, "a duration from {} to {} with its unit, such as {example:?}", Human(self.0), Human(self.1))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse_duration(text)
            .filter(|duration| (self.0..=self.1).contains(duration))
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Deserializes a byte size from `LEAST` to `MOST`, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// For what is no byte size, or one out of these limits.
pub fn size<'de, D: Deserializer<'de>, const LEAST: u64, const MOST: u64>(d: D) -> Result<u64, D::Error> {
    d.deserialize_any(Within { what: "a byte size", example: ", such as \"256MiB\"", limits: LEAST..=MOST, text: true })
}

/// Deserializes a whole number from `LEAST` to `MOST`, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// For what is no number, or one out of these limits.
pub fn count<'de, D, const LEAST: u64, const MOST: u64>(d: D) -> Result<usize, D::Error>
where
    D: Deserializer<'de>,
{
    let limits = Within { what: "a whole number", example: "", limits: LEAST..=MOST, text: false };
    d.deserialize_any(limits).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

struct Within {
    what: &'static str,
    example: &'static str,
    limits: std::ops::RangeInclusive<u64>,
    text: bool,
}

impl Visitor<'_> for Within {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}{}", self.what, self.limits.start(), self.limits.end(), self.example)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number)
            .ok()
            .filter(|number| self.limits.contains(number))
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        if !self.text {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        parse_size(text)
            .filter(|size| self.limits.contains(size))
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, milliseconds) in [("10s", 10_000), ("250ms", 250), ("1m", 60_000), ("7d", 604_800_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(Human(Duration::from_millis(milliseconds)).to_string(), text);
        }
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(Human(Duration::from_secs(5_400)).to_string(), "1h30m");
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in
            ["", "10", "s", "10x", "1.5s", "-1s", " 1s", "1 s", "1S", "99999999999999999999s", "9999999999999999d"]
        {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_decimal_or_binary() {
        assert_eq!(parse_size("256MiB"), Some(268_435_456));
        assert_eq!(parse_size("10MB"), Some(10_000_000));
        assert_eq!(parse_size("1024"), Some(1_024));
        for text in ["", "MiB", "10mb", "1.5GiB", "10 MB", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text:?}");
        }
    }
}
