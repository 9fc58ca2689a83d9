//! What the spool gave up, and why.

/// Why records were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The spool was full: the oldest go.
    Bytes,
    /// They waited too long.
    Age,
    /// Their bytes on disk are damaged, unreadable or gone.
    Corrupt,
    /// The disk could not be written, and the memory that stands in for it was full.
    Memory,
    /// More came at once than the disk took.
    Busy,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 5] = [Reason::Bytes, Reason::Age, Reason::Corrupt, Reason::Memory, Reason::Busy];

    /// Its name on a metric.
    pub fn label(self) -> &'static str {
        match self {
            Reason::Bytes => "bytes",
            Reason::Age => "age",
            Reason::Corrupt => "corrupt",
            Reason::Memory => "memory",
            Reason::Busy => "busy",
        }
    }
}

/// Some records, and the points in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Records.
    pub records: u64,
    /// Points.
    pub points: u64,
}

/// What was given up since the spool was opened, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped([Count; Reason::ALL.len()]);

impl Dropped {
    /// What was given up for this reason.
    pub fn of(&self, reason: Reason) -> Count {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, reason: Reason, records: u64, points: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            count.records += records;
            count.points += points;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        let mut dropped = Dropped::default();
        for (number, reason) in (1..).zip(Reason::ALL) {
            dropped.add(reason, number, 10 * number);
        }
        for (number, reason) in (1..).zip(Reason::ALL) {
            assert_eq!(dropped.of(reason), Count { records: number, points: 10 * number });
        }
    }
}
