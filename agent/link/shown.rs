//! What a stranger says, fit to be shown.

/// The longest text that is shown, in characters.
const SHOWN: usize = 300;

/// A stranger's text on one line, of bounded length, without what moves a cursor.
pub(crate) fn shown(text: &[u8]) -> String {
    // Four bytes are the longest character.
    let text = text.get(..SHOWN * 4).unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    let mut words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    if let Some((end, _)) = line.char_indices().nth(SHOWN) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut() {
        let cut = shown("ä".repeat(5000).as_bytes());
        assert_eq!(cut, format!("{}…", "ä".repeat(SHOWN)));
        assert_eq!(shown(b"\x1b\xff\r\n"), "\u{fffd}");
    }
}
