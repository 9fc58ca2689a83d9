//! Values of D-Bus as bytes: each aligned to its size (D-Bus specification, "Marshaling (Wire Format)").

/// The longest array that is read, in bytes; the specification has 64 MiB.
const ARRAY_LIMIT: usize = 4 << 20;

/// A text that no message can hold: D-Bus has none with a NUL in it, and none of 4 GiB.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsayable;

/// Writes values, the least byte first.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes zeros up to a multiple of `alignment`.
    pub fn align(&mut self, alignment: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
    }

    /// `y`: a byte.
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// `u`: a number of 32 bits.
    pub fn number(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend(number.to_le_bytes());
    }

    /// `t`: a number of 64 bits.
    pub fn long(&mut self, number: u64) {
        self.align(8);
        self.bytes.extend(number.to_le_bytes());
    }

    /// `s` or `o`: a text or a path.
    ///
    /// # Errors
    /// [`Unsayable`].
    pub fn text(&mut self, text: &str) -> Result<(), Unsayable> {
        let length = u32::try_from(text.len()).ok().filter(|_| !text.contains('\0')).ok_or(Unsayable)?;
        self.number(length);
        self.bytes.extend(text.as_bytes());
        self.byte(0);
        Ok(())
    }

    /// `g`: a signature, of at most 255 bytes.
    ///
    /// # Errors
    /// [`Unsayable`].
    pub fn signature(&mut self, signature: &str) -> Result<(), Unsayable> {
        self.byte(u8::try_from(signature.len()).map_err(|_| Unsayable)?);
        self.bytes.extend(signature.as_bytes());
        self.byte(0);
        Ok(())
    }

    /// `a`: an array of what `write` writes, whose elements are aligned so.
    ///
    /// # Errors
    /// What `write` says.
    pub fn array(
        &mut self,
        alignment: usize,
        write: impl FnOnce(&mut Writer) -> Result<(), Unsayable>,
    ) -> Result<(), Unsayable> {
        self.number(0);
        let length_at = self.bytes.len() - 4;
        self.align(alignment);
        let begin = self.bytes.len();
        write(self)?;
        let length = u32::try_from(self.bytes.len() - begin).map_err(|_| Unsayable)?;
        if let Some(place) = self.bytes.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    /// Bytes that were written apart.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }
}

/// Reads values. Each is `None` where the bytes end too early, or are none of it.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether the greatest byte comes first.
    big: bool,
}

impl<'a> Reader<'a> {
    /// Reads what stands at `at` of `bytes`: values are aligned from the beginning.
    pub fn at(bytes: &'a [u8], at: usize, big: bool) -> Reader<'a> {
        Reader { bytes, at, big }
    }

    /// How much was read, from the beginning.
    pub fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// Skips up to a multiple of `alignment`.
    pub fn align(&mut self, alignment: usize) -> Option<()> {
        let end = self.at.checked_next_multiple_of(alignment)?;
        self.take(end - self.at).map(drop)
    }

    /// `y`.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// `u`.
    pub fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// `t`.
    pub fn long(&mut self) -> Option<u64> {
        self.align(8)?;
        let bytes: [u8; 8] = self.take(8)?.try_into().ok()?;
        Some(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// `s` or `o`.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = self.take(length)?;
        (self.byte()? == 0).then_some(())?;
        std::str::from_utf8(text).ok()
    }

    /// `g`.
    pub fn signature(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        let text = self.take(length)?;
        (self.byte()? == 0).then_some(())?;
        std::str::from_utf8(text).ok()
    }

    /// `a`: takes the whole array, whose elements are aligned so, to be read element by element.
    pub fn array(&mut self, alignment: usize) -> Option<Reader<'a>> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= ARRAY_LIMIT)?;
        self.align(alignment)?;
        let begin = self.at;
        self.take(length)?;
        Some(Reader { bytes: self.bytes.get(..self.at)?, at: begin, big: self.big })
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        let mut writer = Writer::default();
        writer.byte(7);
        writer.text("nginx.service").unwrap();
        writer
            .array(8, |writer| {
                writer.align(8);
                writer.long(1 << 40);
                writer.signature("a(su)")
            })
            .unwrap();
        writer.number(5);
        let bytes = writer.into_bytes();
        let mut reader = Reader::at(&bytes, 0, false);
        assert_eq!((reader.byte(), reader.text()), (Some(7), Some("nginx.service")));
        let mut array = reader.array(8).unwrap();
        assert_eq!((array.long(), array.signature(), array.is_done()), (Some(1 << 40), Some("a(su)"), true));
        assert_eq!((reader.number(), reader.is_done(), reader.number()), (Some(5), true, None));
        assert_eq!(Writer::default().text("a\0b"), Err(Unsayable));
    }

    #[test]
    fn the_greatest_byte_may_come_first() {
        let mut reader = Reader::at(&[0, 0, 0, 2, b'h', b'i', 0], 0, true);
        assert_eq!(reader.text(), Some("hi"));
        assert_eq!(Reader::at(&[0xff; 8], 0, true).array(4).map(|_| ()), None);
    }
}
