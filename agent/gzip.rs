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
        out.extend_from_slice(&HEADER);
        let (mut pieces, mut rest) = (plain.chunks(PIECE), plain.len());
        loop {
            let piece = pieces.next().unwrap_or_default();
            rest -= piece.len();
            self.piece(piece, rest == 0, out)?;
            if rest == 0 {
                break;
            }
        }
        let mut crc = Crc::new();
        crc.update(plain);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        // The length modulo 2^32, as the format has it.
        out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        Ok(())
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
