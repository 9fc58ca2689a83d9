//! A request as it goes over the wire.

use std::time::SystemTime;

use hyper::body::Bytes;

use super::record::{Encoding, Record};
use crate::config::Compression;
use crate::gzip::Gzip;

/// Makes records of requests, one after the other, with memory that it keeps.
pub struct Compressor {
    gzip: Option<Gzip>,
    packed: Vec<u8>,
}

impl Compressor {
    /// Compresses in this way.
    pub fn new(compression: Compression) -> Compressor {
        let gzip = match compression {
            Compression::Gzip => Some(Gzip::default()),
            Compression::None => None,
        };
        Compressor { gzip, packed: Vec::new() }
    }

    /// A record of its own memory, of a request with so many data points that were measured at `taken`.
    pub fn record(&mut self, request: &[u8], points: u32, taken: SystemTime) -> Record {
        self.packed.clear();
        let packed = self.gzip.as_mut().is_some_and(|gzip| gzip.pack(request, &mut self.packed).is_ok());
        let (body, encoding) = match packed {
            true => (&*self.packed, Encoding::Gzip),
            false => (request, Encoding::Identity),
        };
        Record { body: Bytes::copy_from_slice(body), encoding, taken, points }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_record_says_how_it_is_compressed() {
        let request = b"as it was encoded".repeat(9);
        for (compression, expected) in [(Compression::Gzip, Encoding::Gzip), (Compression::None, Encoding::Identity)] {
            let mut compressor = Compressor::new(compression);
            for _ in 0..2 {
                let record = compressor.record(&request, 7, UNIX_EPOCH);
                assert_eq!((record.encoding, record.points, record.taken), (expected, 7, UNIX_EPOCH));
                let mut plain = Vec::new();
                match record.encoding {
                    Encoding::Gzip => flate2::read::GzDecoder::new(&*record.body).read_to_end(&mut plain).unwrap(),
                    Encoding::Identity => record.body.as_ref().read_to_end(&mut plain).unwrap(),
                };
                assert_eq!(plain, request);
            }
        }
    }
}
