//! `key=value,key=value`, as W3C Baggage writes it but for its metadata.

use std::ops::Range;

/// A key and its value, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: String,
    /// Where the value stands.
    pub(super) at: Range<usize>,
}

/// What is no pair.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Odd {
    pub(super) complaint: &'static str,
    pub(super) at: Range<usize>,
}

/// The pairs of a list, without empty places in it and without the spaces around keys and values.
pub(super) fn pairs(text: &str) -> Vec<Result<Pair, Odd>> {
    let mut found = Vec::new();
    let mut start = 0;
    for member in text.split(',') {
        let after = start + member.len();
        if !member.trim().is_empty() {
            found.push(pair(member, start));
        }
        start = after + 1;
    }
    found
}

/// One of them, which begins at `start` of the list.
fn pair(member: &str, start: usize) -> Result<Pair, Odd> {
    let odd = |complaint| Odd { complaint, at: start..start + member.len() };
    let (key, value) = member.split_once('=').ok_or_else(|| odd("expected key=value"))?;
    let end = start + member.trim_end().len();
    let at = end - value.trim().len()..end;
    let decoded = |text: &str| decoded(text).ok_or_else(|| odd("expected two hexadecimal digits after %, of UTF-8"));
    match decoded(key.trim())? {
        key if key.is_empty() => Err(odd("expected a key before the =")),
        key => Ok(Pair { key, value: decoded(value.trim())?, at }),
    }
}

/// Text that was percent-encoded (RFC 3986, section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(if byte == b'%' { u8::try_from(digit()? << 4 | digit()?).ok()? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<(String, String, &str), &'static str>> {
        let told = |pair: Pair| (pair.key, pair.value, &text[pair.at]);
        pairs(text).into_iter().map(|found| found.map(told).map_err(|odd| odd.complaint)).collect()
    }

    fn pair<'a>(key: &str, value: &str, at: &'a str) -> Result<(String, String, &'a str), &'static str> {
        Ok((key.to_owned(), value.to_owned(), at))
    }

    #[test]
    fn keys_and_values_are_decoded_and_trimmed() {
        assert_eq!(read("a=1,b = Bearer%20x== ,"), [pair("a", "1", "1"), pair("b", "Bearer x==", "Bearer%20x==")]);
        assert_eq!(read(" caf%C3%A9=%2C%3d,,c="), [pair("café", ",=", "%2C%3d"), pair("c", "", "")]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn what_is_no_pair_does_not_hide_the_others() {
        let digits = "expected two hexadecimal digits after %, of UTF-8";
        let expected = [
            Err("expected key=value"),
            Err("expected a key before the ="),
            Err(digits),
            Err(digits),
            Err(digits),
            pair("e", "1", "1"),
        ];
        assert_eq!(read("a,=b,c=%2,d=%zz,d=%ff,e=1"), expected);
    }
}
