//! Open files of the whole system, from `/proc/sys/fs/file-nr`.

use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

static ALLOCATED: Metric = Metric::gauge(
    "node_filefd_allocated",
    Unit::Of("{file}"),
    "Files, sockets and pipes that are open, all processes together.",
);
static MAXIMUM: Metric = Metric::gauge(
    "node_filefd_maximum",
    Unit::Of("{file}"),
    "How many may be open at once (fs.file-max); over it, opening fails for all but root.",
);

/// The declaration of `filefd`.
pub static SAMPLER: Declaration =
    Declaration { name: "filefd", tier: Tier::Standard, metrics: &[&ALLOCATED, &MAXIMUM], build: |_| Box::new(Filefd) };

struct Filefd;

impl Sampler for Filefd {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let files = root.proc.parse("sys/fs/file-nr", buffer, parse)?;
        reading.put(&ALLOCATED, files.allocated);
        reading.put(&MAXIMUM, files.maximum);
        Ok(())
    }
}

/// The numbers of `file-nr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// Open now.
    pub allocated: u64,
    /// May be open.
    pub maximum: u64,
}

/// Parses `1536 0 9223372036854775807`; the second is always 0 (Documentation/admin-guide/sysctl/fs.rst).
pub fn parse(text: &str) -> Result<Files, Malformed> {
    let mut fields = Fields::of(text);
    let allocated = fields.number("the number of open files")?;
    fields.skip(1);
    Ok(Files { allocated, maximum: fields.number("the most files that may be open")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_maximum_stays_exact() {
        let maximum = 9_223_372_036_854_775_807;
        assert_eq!(parse("1536\t0\t9223372036854775807\n"), Ok(Files { allocated: 1536, maximum }));
    }

    #[test]
    fn a_short_file_is_refused() {
        assert_eq!(parse("1536 0").unwrap_err().to_string(), r#"expected the most files that may be open in "1536 0""#);
        assert!(parse("").is_err());
    }
}
