//! Protobuf, as far as OTLP takes it: fields that are appended, and messages whose length is known when they end.

/// A number of variable length.
const VARINT: u32 = 0;
/// Eight bytes.
const FIXED64: u32 = 1;
/// Bytes with their length before them.
const BYTES: u32 = 2;
/// Four bytes.
const FIXED32: u32 = 5;

/// The bytes of a field of eight bytes, whose number is below 16.
pub(super) const FIXED64_FIELD: usize = 9;

/// The most bytes that the tag of a field below 16 and a length take, of a message of at most 256 MiB.
pub(super) const HEAD: usize = 1 + LENGTH;

/// The bytes of a field with a number below 128, whose own number is below 16.
pub(super) const NUMBER_FIELD: usize = 2;

/// A message that has begun: where its length goes.
#[must_use]
pub(super) struct Open(usize);

/// Bytes that hold the length of a message. Written in full it may have zeros at its end, which a varint may.
const LENGTH: usize = 4;

/// A number of as many bytes as it needs.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(field: u32, kind: u32, out: &mut Vec<u8>) {
    varint(u64::from(field << 3 | kind), out);
}

pub(super) fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    tag(field, VARINT, out);
    varint(value, out);
}

/// A number of the types `sint32` and `sint64`.
pub(super) fn signed(field: u32, value: i32, out: &mut Vec<u8>) {
    let value = i64::from(value);
    number(field, ((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

pub(super) fn fixed64(field: u32, value: u64, out: &mut Vec<u8>) {
    tag(field, FIXED64, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// The beginning of a text or a message of `length` bytes.
pub(super) fn head(field: u32, length: usize, out: &mut Vec<u8>) {
    tag(field, BYTES, out);
    varint(length as u64, out);
}

/// The bytes of a field of `length` bytes whose number is below 16, with its head.
pub(super) fn field_length(length: usize) -> usize {
    let bits = usize::BITS - (length | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize + length
}

/// The bytes of a packed field of so many numbers of eight bytes each.
pub(super) fn packed_length(count: usize) -> usize {
    if count == 0 { 0 } else { field_length(8 * count) }
}

/// Numbers of eight bytes each, of which there are `count`. None is no field.
pub(super) fn packed(field: u32, count: usize, values: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    if count > 0 {
        head(field, 8 * count, out);
        values.take(count).for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}

/// Text, or a message that is encoded already. An empty text is the same as none.
pub(super) fn bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    head(field, value.len(), out);
    out.extend_from_slice(value);
}

/// Begins a message, at most 256 MiB of it.
pub(super) fn begin(field: u32, out: &mut Vec<u8>) -> Open {
    tag(field, BYTES, out);
    out.extend_from_slice(&[0; LENGTH]);
    Open(out.len())
}

/// Ends a message: its length is put before it.
pub(super) fn end(open: Open, out: &mut [u8]) {
    let length = out.len() - open.0;
    let [a, b, c, d] = [0, 7, 14, 21].map(|shift| (length >> shift) as u8);
    if let Some(place) = out.get_mut(open.0 - LENGTH..open.0) {
        place.copy_from_slice(&[a | 0x80, b | 0x80, c | 0x80, d & 0x7f]);
    }
}

/// One field of a message, as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order: number and content; nothing further after one that is none.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The number of variable length that comes next, where one does.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Raw<'a>)> {
        let tag = self.varint()?;
        let raw = match (tag & 7) as u32 {
            VARINT => Raw::Varint(self.varint()?),
            FIXED64 => {
                let (value, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Raw::Fixed64(u64::from_le_bytes(*value))
            }
            FIXED32 => {
                let (value, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Raw::Fixed32(u32::from_le_bytes(*value))
            }
            BYTES => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (value, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Raw::Bytes(value)
            }
            _ => return None,
        };
        Some((tag >> 3, raw))
    }
}

impl<'a> Iterator for Fields<'a> {
    /// `Err` once, where the rest is no field.
    type Item = Result<(u64, Raw<'a>), ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            number(15, value, &mut out);
            fixed64(16, value, &mut out);
            let open = begin(2, &mut out);
            bytes(1, b"abc", &mut out);
            end(open, &mut out);
            let read: Vec<_> = Fields(&out).map(Result::unwrap).collect();
            let inner: &[u8] = &[0x0a, 3, b'a', b'b', b'c'];
            assert_eq!(read, [(15, Raw::Varint(value)), (16, Raw::Fixed64(value)), (2, Raw::Bytes(inner))]);
        }
    }

    #[test]
    fn four_bytes_are_read_too() {
        let read: Vec<_> = Fields(&[0x3d, 1, 2, 0, 0, 0x08, 1]).map(Result::unwrap).collect();
        assert_eq!(read, [(7, Raw::Fixed32(0x201)), (1, Raw::Varint(1))]);
    }

    #[test]
    fn a_long_message_has_its_whole_length() {
        let mut out = Vec::new();
        let open = begin(1, &mut out);
        out.resize(out.len() + 3_000_000, 7);
        end(open, &mut out);
        assert!(matches!(Fields(&out).next(), Some(Ok((1, Raw::Bytes(inner)))) if inner.len() == 3_000_000));
    }

    #[test]
    fn a_length_is_what_is_written() {
        for count in [0, 1, 15, 16, 17, 2047, 2048, 300_000] {
            let mut out = Vec::new();
            packed(6, count, 0.., &mut out);
            assert_eq!(out.len(), packed_length(count), "{count}");
            out.clear();
            bytes(15, &vec![0; count], &mut out);
            assert_eq!(out.len(), field_length(count), "{count}");
        }
    }

    #[test]
    fn what_is_torn_ends_in_an_error() {
        for torn in [&[0x80][..], &[0x0a, 5, 1], &[0x09, 1, 2], &[0x0d, 1], &[0x0b], &[0x0a, 0xff], &[0xff; 11]] {
            assert_eq!(Fields(torn).collect::<Vec<_>>(), [Err(())], "{torn:?}");
        }
    }
}
