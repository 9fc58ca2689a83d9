//! Whom a certificate names: `CN=shop.example,O=Shop,C=FR`, as RFC 4514 writes such names.

use std::fmt::Write as _;

use super::der::{Der, OID};

/// The words of RFC 4514, section 3, and those that OpenSSL and Go have besides: the last byte of 2.5.4.x.
const WORDS: &[(u8, &str)] = &[
    (3, "CN"),
    (5, "SERIALNUMBER"),
    (6, "C"),
    (7, "L"),
    (8, "ST"),
    (9, "STREET"),
    (10, "O"),
    (11, "OU"),
    (17, "POSTALCODE"),
];

/// The longest name that is written, in bytes.
pub(super) const LIMIT: usize = 512;

/// Writes the name that `encoded` holds, the content of a `Name` of X.509: the last part first.
pub(super) fn write(encoded: &[u8]) -> String {
    let parts: Vec<_> = Der(encoded).collect();
    let mut text = String::new();
    for part in parts.into_iter().rev() {
        for (index, pair) in part.inside().enumerate() {
            if !text.is_empty() {
                text.push(if index == 0 { ',' } else { '+' });
            }
            write_pair(pair.inside(), &mut text);
            if text.len() > LIMIT {
                return cut(text);
            }
        }
    }
    text
}

/// The common name in `encoded`, the last one where there are several; empty where there is none.
pub(super) fn common_name(encoded: &[u8]) -> String {
    let pairs = Der(encoded).flat_map(|part| part.inside());
    let names = pairs.filter_map(|pair| {
        let mut pair = pair.inside();
        pair.read(OID).filter(|key| key.content == [0x55, 4, 3])?;
        let value = pair.next()?;
        string(value.tag, value.content)
    });
    names.last().map(cut).unwrap_or_default()
}

/// The text, or as much of it as there is room for.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > LIMIT {
        text.truncate(text.floor_char_boundary(LIMIT));
        text.push('…');
    }
    text
}

fn write_pair(mut pair: Der<'_>, text: &mut String) {
    let (Some(key), Some(value)) = (pair.read(OID), pair.next()) else { return };
    match key.content {
        [0x55, 4, last] if WORDS.iter().any(|(number, _)| number == last) => {
            let word = WORDS.iter().find(|(number, _)| number == last);
            text.push_str(word.map_or("", |(_, word)| word));
        }
        other => write_oid(other, text),
    }
    text.push('=');
    match string(value.tag, value.content) {
        Some(value) => escape(&value, text),
        None => {
            text.push('#');
            for byte in value.whole.iter().take(LIMIT) {
                // A String takes every write.
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
}

/// The dotted numbers of an object identifier (X.690, 8.19).
fn write_oid(encoded: &[u8], text: &mut String) {
    let mut number = 0_u64;
    let mut first = true;
    for byte in encoded.iter().take(64) {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        // A String takes every write.
        let _ = if first {
            let root = (number / 40).min(2);
            write!(text, "{root}.{}", number - root * 40)
        } else {
            write!(text, ".{number}")
        };
        (number, first) = (0, false);
    }
}

/// A string of X.520's many kinds.
fn string(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, NumericString, PrintableString and IA5String.
        0x0c | 0x12 | 0x13 | 0x16 => Some(String::from_utf8_lossy(content).into_owned()),
        // TeletexString: nobody means anything but Latin-1 by it.
        0x14 => Some(content.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString: UTF-16 without the pairs.
        0x1e => {
            let units: Vec<u16> = content
                .chunks_exact(2)
                .map(|unit| unit.iter().fold(0, |all, byte| all << 8 | u16::from(*byte)))
                .collect();
            Some(String::from_utf16_lossy(&units))
        }
        _ => None,
    }
}

fn escape(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, letter) in value.chars().enumerate() {
        let edge = index == 0 || index == last;
        if r#",+"\<>;"#.contains(letter) || (letter == ' ' && edge) || (letter == '#' && index == 0) {
            text.push('\\');
        }
        text.push(if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let mut pair = [&[OID, key.len() as u8], key, &[tag, value.len() as u8], value].concat();
        pair.splice(0..0, [0x30, pair.len() as u8]);
        pair.splice(0..0, [0x31, pair.len() as u8]);
        pair
    }

    #[test]
    fn the_last_part_is_written_first_and_signs_are_escaped() {
        let name = [
            pair(&[0x55, 4, 6], 0x13, b"FR"),
            pair(&[0x55, 4, 10], 0x0c, "Crêpes, \"fines\" ".as_bytes()),
            pair(&[0x55, 4, 3], 0x1e, &[0, b'#', 0, b'1']),
        ];
        assert_eq!(write(&name.concat()), r#"CN=\#1,O=Crêpes\, \"fines\"\ ,C=FR"#);
    }

    #[test]
    fn what_has_no_word_is_a_number() {
        let email = pair(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], 0x16, b"a@b.c");
        assert_eq!(write(&email), "1.2.840.113549.1.9.1=a@b.c");
        assert_eq!(write(&pair(&[0x55, 4, 45], 0x03, &[0, 1])), "2.5.4.45=#03020001");
    }

    #[test]
    fn a_name_without_end_is_cut() {
        let long = pair(&[0x55, 4, 3], 0x0c, &[b'x'; 100]).repeat(100);
        assert!(write(&long).len() < LIMIT + 200);
    }
}
