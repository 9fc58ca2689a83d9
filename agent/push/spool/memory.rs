//! What stands in for the disk while it cannot be written: the newest records, in a little memory.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::dropped::{Dropped, Reason};
use crate::push::record::Record;

/// Bytes of bodies that wait here at most.
pub(super) const LIMIT: usize = 1 << 20;

/// Records that came after all on disk, oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) records: VecDeque<Record>,
}

impl Memory {
    pub(super) fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.body.len()).sum()
    }

    pub(super) fn points(&self) -> u64 {
        self.records.iter().map(|record| u64::from(record.points)).sum()
    }

    /// Drops the oldest as long as it is too much.
    pub(super) fn bound(&mut self, dropped: &mut Dropped) {
        let mut bytes = self.bytes();
        while bytes > LIMIT
            && let Some(oldest) = self.records.pop_front()
        {
            bytes -= oldest.body.len();
            dropped.add(Reason::Memory, 1, u64::from(oldest.points));
        }
    }

    /// Drops what was measured before `horizon`, as far as it comes first.
    pub(super) fn expire(&mut self, horizon: SystemTime, dropped: &mut Dropped) {
        while let Some(oldest) = self.records.pop_front_if(|oldest| oldest.taken < horizon) {
            dropped.add(Reason::Age, 1, u64::from(oldest.points));
        }
    }
}
