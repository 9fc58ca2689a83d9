//! RESP 2, in which Redis answers ("Redis serialization protocol specification"): read where it lies, nothing copied.
//!
//! Version 3 has nothing that a probe needs, and servers that do not know it, or call `HELLO` otherwise, are in use.

use std::str;

/// The deepest that an answer may be nested. What is asked for here needs five.
const DEPTH: usize = 8;

/// The most elements of an answer, those of its elements too: each costs time, however few bytes it has.
const ELEMENTS: u32 = 1 << 16;

/// The longest line without an end, in bytes: a number, a status or an error.
const LINE: usize = 64 << 10;

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// A status, such as `OK`.
    Status(&'a str),
    /// An error, such as `NOPERM …`.
    Error(&'a str),
    /// A number.
    Number(i64),
    /// Bytes.
    Bulk(&'a [u8]),
    /// Several.
    Array(Items<'a>),
    /// Nothing.
    Null,
}

/// What is no answer of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It begins as no answer begins, or breaks off within itself.
    Other,
    /// It says that it has so many bytes or elements, which is too much.
    TooLong(u64),
}

/// The answer at the beginning of `bytes` and its length; nothing where more bytes are needed. Answers of more than
/// `limit` bytes are refused before they are there.
///
/// # Errors
/// What is no answer, or is too long or too deep.
pub fn parse(bytes: &[u8], limit: usize) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let Some(end) = end(bytes, limit)? else { return Ok(None) };
    let whole = bytes.get(..end).unwrap_or_default();
    Ok(read(whole).map(|(reply, _)| (reply, end)))
}

/// Where the answer ends that `bytes` begin with.
fn end(bytes: &[u8], limit: usize) -> Result<Option<usize>, Malformed> {
    Scan::default().end(bytes, limit)
}

/// How far an answer was looked through that is not there as a whole yet: what was seen is not looked at again, however
/// small the pieces are that it comes in.
#[derive(Debug, Default)]
pub struct Scan {
    /// How many answers are still to come at each depth.
    open: [i64; DEPTH],
    depth: usize,
    at: usize,
    elements: u32,
}

impl Scan {
    /// Where the answer ends that `bytes` begin with, which are those of the last time and more; nothing where still more
    /// are needed.
    ///
    /// # Errors
    /// As for [`parse`].
    pub fn end(&mut self, bytes: &[u8], limit: usize) -> Result<Option<usize>, Malformed> {
        loop {
            let begin = self.at;
            let Some((head, length)) = line(bytes.get(begin..).unwrap_or_default())? else { return Ok(None) };
            let mut at = begin + length + 3;
            let count = || number(bytes, begin + 1, length);
            match head {
                b'+' | b'-' => {}
                b':' => drop(count()?),
                b'$' => match count()? {
                    -1 => {}
                    length => {
                        let length = usize::try_from(length).map_err(|_| Malformed::Other)?;
                        if length > limit.saturating_sub(at) {
                            return Err(Malformed::TooLong(length as u64));
                        }
                        match bytes.get(at + length..at + length + 2) {
                            Some(b"\r\n") => at += length + 2,
                            Some(_) => return Err(Malformed::Other),
                            None => return Ok(None),
                        }
                    }
                },
                _ => match count()? {
                    -1 | 0 => {}
                    count if count < 0 => return Err(Malformed::Other),
                    count => {
                        let more = u32::try_from(count).ok().and_then(|count| self.elements.checked_add(count));
                        self.elements =
                            more.filter(|all| *all <= ELEMENTS).ok_or(Malformed::TooLong(count.unsigned_abs()))?;
                        *self.open.get_mut(self.depth).ok_or(Malformed::Other)? = count;
                        self.depth += 1;
                        self.at = at;
                        continue;
                    }
                },
            }
            if at > limit {
                return Err(Malformed::TooLong(at as u64));
            }
            self.at = at;
            if self.close() {
                return Ok(Some(at));
            }
        }
    }

    /// One answer is over, and with it those of which it was the last; says whether it was the last of all.
    fn close(&mut self) -> bool {
        while let Some(left) = self.depth.checked_sub(1).and_then(|last| self.open.get_mut(last)) {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.depth -= 1;
        }
        true
    }
}

/// The first byte of a line, and how many more it has before its end; nothing where the end is not there yet.
fn line(bytes: &[u8]) -> Result<Option<(u8, usize)>, Malformed> {
    let Some((head, rest)) = bytes.split_first() else { return Ok(None) };
    if !b"+-:$*".contains(head) {
        return Err(Malformed::Other);
    }
    match rest.iter().take(LINE).position(|byte| *byte == b'\r') {
        Some(length) => match rest.get(length + 1) {
            Some(b'\n') => Ok(Some((*head, length))),
            Some(_) => Err(Malformed::Other),
            None => Ok(None),
        },
        None if rest.len() >= LINE => Err(Malformed::Other),
        None => Ok(None),
    }
}

fn number(bytes: &[u8], at: usize, length: usize) -> Result<i64, Malformed> {
    let text = bytes.get(at..at + length).and_then(|digits| str::from_utf8(digits).ok());
    text.and_then(|text| text.parse().ok()).ok_or(Malformed::Other)
}

/// The answer at the beginning of bytes that are known to hold one, and what follows it.
fn read(bytes: &[u8]) -> Option<(Reply<'_>, &[u8])> {
    let (head, length) = line(bytes).ok()??;
    let (text, rest) = (bytes.get(1..=length)?, bytes.get(length + 3..)?);
    let count = || number(bytes, 1, length).ok();
    Some(match head {
        b'+' => (Reply::Status(str::from_utf8(text).unwrap_or("…")), rest),
        b'-' => (Reply::Error(str::from_utf8(text).unwrap_or("…")), rest),
        b':' => (Reply::Number(count()?), rest),
        b'$' => match usize::try_from(count()?) {
            Ok(length) => (Reply::Bulk(rest.get(..length)?), rest.get(length + 2..)?),
            Err(_) => (Reply::Null, rest),
        },
        _ => match count()? {
            -1 => (Reply::Null, rest),
            0 => (Reply::Array(Items { bytes: &[] }), rest),
            _ => {
                let end = end(bytes, usize::MAX).ok()??;
                let items = Items { bytes: bytes.get(length + 3..end)? };
                (Reply::Array(items), bytes.get(end..)?)
            }
        },
    })
}

/// The elements of an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Items<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        let (reply, rest) = read(self.bytes)?;
        self.bytes = rest;
        Some(reply)
    }
}

impl<'a> Reply<'a> {
    /// Its text, if it is one.
    pub fn text(self) -> Option<&'a str> {
        match self {
            Reply::Bulk(bytes) => str::from_utf8(bytes).ok(),
            Reply::Status(text) => Some(text),
            _ => None,
        }
    }

    /// Its number, also where it is written as text.
    pub fn number(self) -> Option<i64> {
        match self {
            Reply::Number(number) => Some(number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// Its elements, if it has some.
    pub fn items(self) -> Items<'a> {
        match self {
            Reply::Array(items) => items,
            _ => Items { bytes: &[] },
        }
    }
}

/// Appends a command: an array of bulks.
pub fn command(words: &[&[u8]], out: &mut Vec<u8>) {
    let length = |count: usize, mark: u8, out: &mut Vec<u8>| {
        out.push(mark);
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    length(words.len(), b'*', out);
    for word in words {
        length(word.len(), b'$', out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: &[u8] = b"*3\r\n$3\r\nget\r\n*2\r\n:7\r\n*-1\r\n+OK\r\n";

    #[test]
    fn an_answer_is_read_where_it_lies_and_what_follows_is_left() {
        let bytes = [MANY, b"-ERR x\r\n"].concat();
        let (reply, length) = parse(&bytes, 1000).unwrap().unwrap();
        assert_eq!(length, MANY.len());
        let [name, pair, status] = reply.items().collect::<Vec<_>>()[..] else { panic!("{reply:?}") };
        assert_eq!((name.text(), status), (Some("get"), Reply::Status("OK")));
        assert_eq!(pair.items().collect::<Vec<_>>(), [Reply::Number(7), Reply::Null]);
        assert_eq!(parse(&bytes[length..], 1000), Ok(Some((Reply::Error("ERR x"), 8))));
        assert_eq!(parse(b"$-1\r\n", 1000), Ok(Some((Reply::Null, 5))));
        assert_eq!(parse(b"*0\r\n", 1000).unwrap().unwrap().0.items().count(), 0);
    }

    #[test]
    fn one_that_is_cut_anywhere_waits_for_more() {
        for cut in 0..MANY.len() {
            assert_eq!(parse(&MANY[..cut], 1000), Ok(None), "{cut}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_there() {
        assert_eq!(parse(b"$100000000\r\nx", 1 << 20), Err(Malformed::TooLong(100_000_000)));
        assert_eq!(parse(b"*2000000000\r\n", 1 << 20), Err(Malformed::TooLong(2_000_000_000)));
        assert_eq!(parse(&b"*1\r\n".repeat(9), 1 << 20), Err(Malformed::Other));
        assert_eq!(parse(MANY, 20), Err(Malformed::TooLong(21)));
        assert_eq!(parse(&[&b"+"[..], &[b'x'; LINE]].concat(), 1 << 20), Err(Malformed::Other));
    }

    #[test]
    fn what_is_no_answer_is_told_at_once() {
        for bytes in
            [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"\x15\x03\x01", b":x\r\n", b"$-5\r\n", b"$2\r\nabcd", b"+a\rb"]
        {
            assert_eq!(parse(bytes, 1000), Err(Malformed::Other), "{bytes:?}");
        }
    }

    #[test]
    fn a_command_is_an_array_of_bulks() {
        let mut out = Vec::new();
        command(&[b"AUTH", b"p\r\nw"], &mut out);
        assert_eq!(out, b"*2\r\n$4\r\nAUTH\r\n$4\r\np\r\nw\r\n");
    }
}
