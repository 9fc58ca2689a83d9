//! The trace that a check is part of, for the target to go on with (W3C Trace Context, section 3.2).

use std::fmt::Write as _;

use hyper::header::HeaderValue;
use ring::rand::{SecureRandom, SystemRandom};

use crate::probes::failure::{ProbeError, Reason};

/// A trace of one check.
pub(super) struct Trace {
    text: String,
}

/// `00-`, the trace in 32 digits, `-`, the parent in 16, and `-01`: it is recorded.
impl Trace {
    /// A new one.
    pub(super) fn begin() -> Result<Trace, ProbeError> {
        let mut random = [0_u8; 24];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| ProbeError::new(Reason::Internal, "the system gives no random number"))?;
        Ok(Trace::of(random))
    }

    fn of(random: [u8; 24]) -> Trace {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        for (at, byte) in random.into_iter().enumerate() {
            if at == 16 {
                text.push('-');
            }
            // Ids of zeros are none. A String takes every write.
            let _ = write!(text, "{:02x}", if at % 16 == 0 { byte | 1 } else { byte });
        }
        text.push_str("-01");
        Trace { text }
    }

    /// As the header has it.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.text).ok()
    }

    /// The same failure, with where to look for more.
    pub(super) fn mark(&self, mut error: ProbeError) -> ProbeError {
        if let Some(id) = self.text.get(3..35) {
            // A String takes every write.
            let _ = write!(error.message, " (trace {id})");
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_written_as_the_recommendation_says() {
        let random: Vec<u8> = (0..24).collect();
        let trace = Trace::of(random.try_into().unwrap());
        assert_eq!(trace.text, "00-010102030405060708090a0b0c0d0e0f-1111121314151617-01");
        assert_eq!(trace.text.len(), 55);
        let error = trace.mark(ProbeError::new(Reason::Status, "no"));
        assert_eq!(error.message, "no (trace 010102030405060708090a0b0c0d0e0f)");
        assert_eq!(Trace::of([0; 24]).text, "00-01000000000000000000000000000000-0100000000000000-01");
    }
}
