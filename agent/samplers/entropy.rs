//! The kernel's pool of randomness, from `/proc/sys/kernel/random`.

use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier, fields};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

static AVAILABLE: Metric = Metric::gauge(
    "node_entropy_available_bits",
    Unit::Of("bit"),
    "Randomness that the kernel holds; since Linux 5.18 always the whole pool once it is seeded.",
);
static POOL_SIZE: Metric =
    Metric::gauge("node_entropy_pool_size_bits", Unit::Of("bit"), "Randomness that the kernel's pool can hold.");

/// The declaration of `entropy`.
pub static SAMPLER: Declaration = Declaration {
    name: "entropy",
    tier: Tier::Standard,
    metrics: &[&AVAILABLE, &POOL_SIZE],
    build: |_| Box::new(Entropy),
};

struct Entropy;

impl Sampler for Entropy {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let available: u64 = root.proc.parse("sys/kernel/random/entropy_avail", buffer, bits)?;
        reading.put(&AVAILABLE, available);
        match root.proc.parse("sys/kernel/random/poolsize", buffer, bits) {
            Ok(size) => reading.put(&POOL_SIZE, size),
            Err(SampleError::Absent(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn bits(text: &str) -> Result<u64, fields::Malformed> {
    fields::number(text, "a number of bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    #[test]
    fn both_files_are_read_and_the_second_may_be_absent() {
        let host = Host::new(&[("proc/sys/kernel/random/entropy_avail", "256\n")]);
        assert_eq!(host.pass(&mut Entropy).unwrap(), ["node_entropy_available_bits 256"]);
        host.write("proc/sys/kernel/random/poolsize", "4096\n");
        let expected = ["node_entropy_available_bits 256", "node_entropy_pool_size_bits 4096"];
        assert_eq!(host.pass(&mut Entropy).unwrap(), expected);
        host.write("proc/sys/kernel/random/poolsize", "");
        assert!(
            host.pass(&mut Entropy).unwrap_err().to_string().ends_with(r#"poolsize: expected a number of bits in """#)
        );
    }
}
