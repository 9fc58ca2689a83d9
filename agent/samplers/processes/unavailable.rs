//! What may not be read of some processes: a state, told once.

use crate::snapshot::{Labels, Reading};

use super::metrics;

/// The fields that may be withheld, and why.
const FIELDS: [(&str, &str); 3] = [("io", "permission"), ("fd", "permission"), ("process", "hidepid")];

#[derive(Debug)]
pub(super) struct Unavailable {
    labels: [Labels; FIELDS.len()],
    io: bool,
    fd: bool,
    hidden: bool,
    /// Whether the first process is not listed.
    unlisted: bool,
    told: bool,
}

impl Default for Unavailable {
    fn default() -> Unavailable {
        let labels = FIELDS.map(|(field, reason)| Labels::new(&[("field", field), ("reason", reason)]));
        Unavailable { labels, io: false, fd: false, hidden: false, unlisted: false, told: false }
    }
}

impl Unavailable {
    /// Notes whether all processes are listed: every system and every container has a first one.
    pub(super) fn listed(&mut self, pids: &[u32]) {
        self.unlisted = !pids.is_empty() && pids.first() != Some(&1);
    }

    /// Begins a pass. `withheld` is whether a process that is listed does not let itself be read.
    pub(super) fn start(&mut self, withheld: bool) {
        (self.io, self.fd, self.hidden) = (false, false, withheld || self.unlisted);
    }

    /// Notes what a process withholds.
    pub(super) fn count(&mut self, io: bool, fd: bool) {
        self.io |= io;
        self.fd |= fd;
    }

    /// Says in the log, once, what is missing and what mends it.
    pub(super) fn tell(&mut self) {
        if self.told || !(self.io || self.fd || self.hidden) {
            return;
        }
        self.told = true;
        if self.hidden {
            tracing::info!(
                "processes of other users are not shown, for /proc is mounted with hidepid: link \
                 /usr/share/vigie/drop-ins/process-details.conf into vigie.service.d, or mount /proc with gid= of a group \
                 that SupplementaryGroups= gives to vigie"
            );
            return;
        }
        let what = match (self.io, self.fd) {
            (true, false) => "the I/O of other users' processes is not shown",
            (false, true) => "the open files of other users' processes are not shown",
            _ => "the I/O and the open files of other users' processes are not shown",
        };
        tracing::info!("{what}: link /usr/share/vigie/drop-ins/process-details.conf into vigie.service.d to see it");
    }

    /// Writes the state.
    pub(super) fn write(&self, reading: &mut Reading) {
        for (labels, missing) in self.labels.iter().zip([self.io, self.fd, self.hidden]) {
            reading.put_with(&metrics::UNAVAILABLE, labels, missing);
        }
    }
}
