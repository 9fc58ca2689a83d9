//! The encoding of certificates: tag, length, content (X.690, DER). Only what certificates have is read.

/// A sequence of bytes, not looked at yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

/// One thing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// The whole of it, with its tag and length.
    pub(super) whole: &'a [u8],
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// The tag of a field that the type numbers itself, `[number]`.
pub(super) const fn numbered(number: u8) -> u8 {
    0xa0 | number
}

impl<'a> Der<'a> {
    /// Takes the next thing where it has this tag, else nothing.
    pub(super) fn read(&mut self, tag: u8) -> Option<Item<'a>> {
        let mut ahead = *self;
        let item = ahead.next().filter(|item| item.tag == tag)?;
        *self = ahead;
        Some(item)
    }
}

impl<'a> Item<'a> {
    /// What it consists of.
    pub(super) fn inside(self) -> Der<'a> {
        Der(self.content)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = Item<'a>;

    /// Takes the next thing. Where the bytes are no DER, nothing comes after that.
    fn next(&mut self) -> Option<Item<'a>> {
        let bytes = std::mem::take(&mut self.0);
        let (tag, rest) = bytes.split_first()?;
        // A tag of several bytes is in no certificate.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
                (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            // Of no length, or of one that no memory has.
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        let whole = bytes.get(..bytes.len() - rest.len())?;
        Some(Item { tag: *tag, content, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_or_long() {
        let mut long = vec![SEQUENCE, 0x82, 0x01, 0x00];
        long.extend([7; 256]);
        assert_eq!(Der(&long).next().map(|item| item.content.len()), Some(256));
        let short = Der(&[INTEGER, 1, 5, OCTETS, 0]);
        let read: Vec<_> = short.map(|item| (item.tag, item.content, item.whole)).collect();
        assert_eq!(read, [(INTEGER, &[5][..], &[INTEGER, 1, 5][..]), (OCTETS, &[][..], &[OCTETS, 0][..])]);
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        for bytes in [&[][..], &[2], &[2, 2, 1], &[2, 0x80], &[2, 0x82, 1], &[2, 0x88, 0, 0], &[0x1f, 1, 1]] {
            assert_eq!(Der(bytes).next(), None, "{bytes:x?}");
        }
    }
}
