//! gzip (RFC 1952), with memory that is kept from one text to the next.

use flate2::{Compress, CompressError, Compression, Crc, FlushCompress, Status};

/// The level that costs the least.
const LEVEL: Compression = Compression::fast();

/// How much is compressed at once, in bytes: what fits the memory of deflate (two windows of 32 KiB) before it has to
/// look further ahead (262 bytes). Beyond that it moves the window and all that it knows of it, every 32 KiB, which
/// costs as much again as the compressing; to begin anew costs next to nothing, and one or two hundredths of the size.
const PIECE: usize = (64 << 10) - 512;

/// The header of a member without name and time: made for speed (4), on any system (255).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// Compresses one text after the other.
pub struct Gzip {
    deflate: Compress,
}

impl Default for Gzip {
    fn default() -> Gzip {
        Gzip { deflate: Compress::new(LEVEL, false) }
    }
}

impl Gzip {
    /// Appends `plain` in gzip to `out`.
    ///
    /// # Errors
    /// Never, as long as memory takes all: then `out` holds a part.
    pub fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.reserve(plain.len() / 6 + 256);
        self.begin(out).end(plain)
    }

    /// Begins a text that comes bit by bit; what it becomes is appended to `out`.
    pub fn begin<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Packing<'a> {
        out.extend_from_slice(&HEADER);
        Packing { gzip: self, out, crc: Crc::new() }
    }

    /// Appends blocks that hold `piece` and refer to nothing before it. All but the last end at a whole byte.
    fn piece(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.deflate.reset();
        loop {
            let read = usize::try_from(self.deflate.total_in()).unwrap_or(usize::MAX);
            let rest = piece.get(read..).unwrap_or_default();
            let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
            let status = self.deflate.compress_vec(rest, out, flush)?;
            let all = self.deflate.total_in() == piece.len() as u64 && out.len() < out.capacity();
            if status == Status::StreamEnd || !last && all {
                return Ok(());
            }
            out.reserve(rest.len() / 4 + 256);
        }
    }
}

/// A text of which the beginning is compressed. One that is not ended is no gzip.
pub struct Packing<'a> {
    gzip: &'a mut Gzip,
    out: &'a mut Vec<u8>,
    crc: Crc,
}

impl Packing<'_> {
    /// Takes the whole pieces out of `plain`, which is what follows; the rest stays there.
    ///
    /// # Errors
    /// Never, as long as memory takes all.
    pub fn take(&mut self, plain: &mut Vec<u8>) -> Result<(), CompressError> {
        let whole = plain.len() / PIECE * PIECE;
        for piece in plain.get(..whole).unwrap_or_default().chunks(PIECE) {
            self.piece(piece, false)?;
        }
        plain.drain(..whole);
        Ok(())
    }

    /// Takes `plain`, after which nothing follows.
    ///
    /// # Errors
    /// Never, as long as memory takes all.
    pub fn end(mut self, plain: &[u8]) -> Result<(), CompressError> {
        let (mut pieces, mut rest) = (plain.chunks(PIECE), plain.len());
        loop {
            let piece = pieces.next().unwrap_or_default();
            rest -= piece.len();
            self.piece(piece, rest == 0)?;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&self.crc.sum().to_le_bytes());
        // The length modulo 2^32, as the format has it.
        self.out.extend_from_slice(&self.crc.amount().to_le_bytes());
        Ok(())
    }

    fn piece(&mut self, piece: &[u8], last: bool) -> Result<(), CompressError> {
        self.crc.update(piece);
        self.gzip.piece(piece, last, self.out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(packed);
        decoder.read_to_end(&mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "something is left over");
        plain
    }

    /// Knuth's MMIX generator: bytes that cannot be made smaller.
    fn noise(length: usize) -> Vec<u8> {
        let mut random = 1_u64;
        let next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn what_is_packed_is_unpacked_whatever_its_size() {
        let mut gzip = Gzip::default();
        let noise = noise(3 * PIECE + 1);
        let text: Vec<u8> =
            (0..60_000).flat_map(|line| format!("a{{x=\"{}\"}} {line}\n", line % 7).into_bytes()).collect();
        for length in [0, 1, 2, 300, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 1] {
            for plain in [&noise, &text].map(|all| all.get(..length).unwrap()) {
                let mut out = Vec::new();
                gzip.pack(plain, &mut out).unwrap();
                assert!(unpacked(&out) == plain, "{length}");
                assert!(out.len() <= length + length / 8 + 64);
            }
        }
    }

    #[test]
    fn any_room_will_do() {
        let mut gzip = Gzip::default();
        let noise = noise(1000);
        for room in 0..1300 {
            let mut out = Vec::with_capacity(room);
            for last in [false, true] {
                gzip.piece(&noise, last, &mut out).unwrap();
            }
            let mut plain = Vec::new();
            flate2::read::DeflateDecoder::new(&*out).read_to_end(&mut plain).unwrap();
            assert!(plain == [&*noise, &noise].concat(), "{room}");
        }
    }

    #[test]
    fn what_comes_bit_by_bit_is_packed_as_if_it_came_at_once() {
        let (mut gzip, noise) = (Gzip::default(), noise(3 * PIECE + 1));
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 1] {
            let (plain, mut whole, mut out) = (noise.get(..length).unwrap(), Vec::new(), Vec::new());
            gzip.pack(plain, &mut whole).unwrap();
            let (mut packing, mut waiting) = (gzip.begin(&mut out), Vec::new());
            for bit in plain.chunks(PIECE / 3) {
                waiting.extend_from_slice(bit);
                packing.take(&mut waiting).unwrap();
                assert!(waiting.len() < PIECE);
            }
            packing.end(&waiting).unwrap();
            assert!(unpacked(&out) == plain, "{length}");
        }
    }

    #[test]
    fn the_same_text_is_packed_the_same() {
        let (mut gzip, noise) = (Gzip::default(), noise(1000));
        let packed = [(); 2].map(|()| {
            let mut out = Vec::new();
            gzip.pack(&noise, &mut out).unwrap();
            out
        });
        assert_eq!(packed[0], packed[1]);
    }
}
