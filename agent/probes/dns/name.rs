//! Names as they go over the wire (RFC 1035, sections 3.1 and 4.1.4), and the reading of a message's bytes.

use std::fmt::Write;

/// The longest label and the longest name, in bytes on the wire.
const LABEL: usize = 63;
const NAME: usize = 255;

/// The two high bits of a length that is no length but a place further up.
const POINTER: u8 = 0xc0;

/// A name as it goes over the wire. Nothing for a text that is none.
pub fn encode(name: &str) -> Option<Vec<u8>> {
    let mut encoded = Vec::new();
    for label in name.strip_suffix('.').unwrap_or(name).split('.').filter(|_| name != ".") {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=LABEL).contains(&usize::from(*length)))?;
        if !label.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        encoded.push(length);
        encoded.extend_from_slice(label.as_bytes());
    }
    encoded.push(0);
    (encoded.len() <= NAME).then_some(encoded)
}

/// Reads a name, as a zone file has it. A pointer leads further up only, so that there is an end.
pub(super) fn read(bytes: &mut Bytes<'_>) -> Option<String> {
    let (mut text, mut length) = (String::new(), 0);
    let mut here = bytes.clone();
    let mut start = here.at;
    let mut jumped = false;
    loop {
        let byte = here.byte()?;
        if byte & POINTER == POINTER {
            let to = usize::from(byte & !POINTER) << 8 | usize::from(here.byte()?);
            if !jumped {
                bytes.at = here.at;
                jumped = true;
            }
            if to >= start {
                return None;
            }
            (here.at, start) = (to, to);
            // Names are shared by the whole message, whatever part is read.
            here.end = here.message.len();
            continue;
        }
        if usize::from(byte) > LABEL {
            return None;
        }
        if byte == 0 {
            break;
        }
        length += usize::from(byte) + 1;
        if length >= NAME {
            return None;
        }
        text.push_str(&escaped(here.take(usize::from(byte))?, b".\\"));
        text.push('.');
    }
    if !jumped {
        bytes.at = here.at;
    }
    if text.is_empty() {
        text.push('.');
    }
    Some(text)
}

/// A text in which `special` bytes have a backslash, and those that cannot be seen are `\DDD`.
pub(super) fn escaped(bytes: &[u8], special: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            byte if special.contains(byte) => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            // A String takes every write.
            byte => drop(write!(text, "\\{byte:03}")),
        }
    }
    text
}

/// The bytes of a message, read from the front.
#[derive(Clone, Debug)]
pub(super) struct Bytes<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn of(message: &'a [u8]) -> Bytes<'a> {
        Bytes { message, at: 0, end: message.len() }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.end)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// 16 bits.
    pub(super) fn word(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// 32 bits.
    pub(super) fn long(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A text after its length.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// The next `length` bytes of the same message; they are passed over here.
    pub(super) fn part(&mut self, length: usize) -> Option<Bytes<'a>> {
        let at = self.at;
        self.take(length)?;
        Some(Bytes { message: self.message, at, end: self.at })
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.message.get(self.at..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(message: &[u8], at: usize) -> Option<(String, usize)> {
        let mut bytes = Bytes { message, at, end: message.len() };
        read(&mut bytes).map(|name| (name, bytes.at))
    }

    #[test]
    fn names_go_there_and_come_back() {
        for name in [".", "org.", "db-1.example.org."] {
            let encoded = encode(name).unwrap();
            assert_eq!(at(&encoded, 0), Some((name.to_owned(), encoded.len())));
        }
        assert_eq!(encode("example.org"), encode("example.org."));
        for name in ["", "a..b", ".a", "a b", &"a".repeat(64), &"a.".repeat(128)] {
            assert_eq!(encode(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_pointer_leads_further_up_or_nowhere() {
        let message = b"\x03org\0\x02db\xc0\x00\xc0\x05";
        assert_eq!(at(message, 5), Some(("db.org.".into(), 10)));
        assert_eq!(at(message, 10), Some(("db.org.".into(), 12)));
        for loops in [&b"\xc0\x00"[..], b"\x01a\xc0\x00", b"\xc0\x02\xc0\x00", b"\xc0", b"\x40a\0", b"\x05abc"] {
            assert_eq!(at(loops, 0), None, "{loops:?}");
        }
    }

    #[test]
    fn what_would_be_misread_is_escaped() {
        assert_eq!(at(b"\x05a.b\x07\\\0", 0).unwrap().0, "a\\.b\\007\\\\.");
    }
}
