//! The series of one group: its labels, interned when it is first shown, and its numbers of a pass.

use crate::snapshot::{Labels, Reading};

use super::metrics;
use super::process::{Access, Process};
use super::usage::Usage;

/// process-exporter's words for the states of proc_pid_stat(5).
const STATES: [&str; 5] = ["Running", "Sleeping", "Waiting", "Zombie", "Other"];

/// What is so now of the members of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Now {
    pub(super) processes: u64,
    threads: u64,
    pub(super) resident_pages: u64,
    virtual_bytes: u64,
    swapped_bytes: u64,
    proportional: Option<(u64, u64)>,
    /// Open files, of the members that let them be seen.
    descriptors: Option<u64>,
    worst: Option<f64>,
    oldest: Option<u64>,
    states: [u64; STATES.len()],
}

impl Now {
    /// Counts a member.
    pub(super) fn count(&mut self, process: &Process) {
        self.processes += 1;
        self.threads += u64::from(process.threads);
        self.resident_pages = self.resident_pages.saturating_add(process.resident_pages);
        self.virtual_bytes = self.virtual_bytes.saturating_add(process.virtual_bytes);
        self.swapped_bytes = self.swapped_bytes.saturating_add(process.swapped_bytes);
        self.share(process.proportional);
        if process.fd == Access::Given {
            *self.descriptors.get_or_insert(0) += u64::from(process.descriptors);
            if process.descriptors_limit > 0 {
                let ratio = f64::from(process.descriptors) / f64::from(process.descriptors_limit);
                self.worst = Some(self.worst.map_or(ratio, |worst| worst.max(ratio)));
            }
        }
        self.oldest = Some(self.oldest.map_or(process.start, |oldest| oldest.min(process.start)));
        let [running, sleeping, waiting, zombie, other] = &mut self.states;
        *match process.state {
            b'R' => running,
            b'S' => sleeping,
            b'D' => waiting,
            b'Z' => zombie,
            _ => other,
        } += 1;
    }

    fn share(&mut self, more: Option<(u64, u64)>) {
        if let Some((resident, swapped)) = more {
            let sum = self.proportional.get_or_insert((0, 0));
            *sum = (sum.0.saturating_add(resident), sum.1.saturating_add(swapped));
        }
    }

    /// Counts all members of another group.
    pub(super) fn add(&mut self, more: &Now) {
        self.processes += more.processes;
        self.threads += more.threads;
        self.resident_pages = self.resident_pages.saturating_add(more.resident_pages);
        self.virtual_bytes = self.virtual_bytes.saturating_add(more.virtual_bytes);
        self.swapped_bytes = self.swapped_bytes.saturating_add(more.swapped_bytes);
        self.share(more.proportional);
        if let Some(more) = more.descriptors {
            *self.descriptors.get_or_insert(0) += more;
        }
        self.worst = self.worst.into_iter().chain(more.worst).reduce(f64::max);
        self.oldest = self.oldest.into_iter().chain(more.oldest).min();
        self.states.iter_mut().zip(more.states).for_each(|(sum, more)| *sum += more);
    }
}

/// What turns the kernel's numbers into ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) ticks_a_second: f64,
    pub(super) page_bytes: u64,
    pub(super) boot_seconds: Option<u64>,
}

/// The labels of one group's series.
#[derive(Debug)]
pub(super) struct Series {
    plain: Labels,
    user: Labels,
    system: Labels,
    resident: Labels,
    swapped: Labels,
    virtuals: Labels,
    proportional: [Labels; 2],
    voluntary: Labels,
    nonvoluntary: Labels,
    states: [Labels; STATES.len()],
}

impl Series {
    pub(super) fn of(group: &str) -> Series {
        let with = |label, value| Labels::new(&[("groupname", group), (label, value)]);
        let switch = |value| Labels::new(&[("ctxswitchtype", value), ("groupname", group)]);
        Series {
            plain: Labels::new(&[("groupname", group)]),
            user: with("mode", "user"),
            system: with("mode", "system"),
            resident: with("memtype", "resident"),
            swapped: with("memtype", "swapped"),
            virtuals: with("memtype", "virtual"),
            proportional: ["proportionalResident", "proportionalSwapped"].map(|part| with("memtype", part)),
            voluntary: switch("voluntary"),
            nonvoluntary: switch("nonvoluntary"),
            states: STATES.map(|state| with("state", state)),
        }
    }

    /// Writes what the group counted and has now. `io` is whether any member ever let its I/O be seen.
    pub(super) fn write(&self, counted: &Usage, io: bool, now: &Now, scale: &Scale, reading: &mut Reading) {
        let seconds = |ticks: u64| ticks as f64 / scale.ticks_a_second;
        let resident_bytes = now.resident_pages.saturating_mul(scale.page_bytes);
        reading.put_with(&metrics::PROCESSES, &self.plain, now.processes);
        reading.put_with(&metrics::CPU, &self.system, seconds(counted.system));
        reading.put_with(&metrics::CPU, &self.user, seconds(counted.user));
        reading.put_with(&metrics::MEMORY, &self.resident, resident_bytes);
        reading.put_with(&metrics::MEMORY, &self.swapped, now.swapped_bytes);
        reading.put_with(&metrics::MEMORY, &self.virtuals, now.virtual_bytes);
        if let Some((resident, swapped)) = now.proportional {
            for (labels, bytes) in self.proportional.iter().zip([resident, swapped]) {
                reading.put_with(&metrics::MEMORY, labels, bytes);
            }
        }
        reading.put_with(&metrics::RESIDENT, &self.plain, resident_bytes);
        reading.put_with(&metrics::VIRTUAL, &self.plain, now.virtual_bytes);
        if io {
            reading.put_with(&metrics::READ, &self.plain, counted.read);
            reading.put_with(&metrics::WRITTEN, &self.plain, counted.written);
        }
        reading.put_with(&metrics::MAJOR, &self.plain, counted.major);
        reading.put_with(&metrics::MINOR, &self.plain, counted.minor);
        reading.put_with(&metrics::SWITCHES, &self.nonvoluntary, counted.nonvoluntary);
        reading.put_with(&metrics::SWITCHES, &self.voluntary, counted.voluntary);
        if let Some(descriptors) = now.descriptors {
            reading.put_with(&metrics::DESCRIPTORS, &self.plain, descriptors);
        }
        if let Some(worst) = now.worst {
            reading.put_with(&metrics::WORST_DESCRIPTORS, &self.plain, worst);
        }
        if let Some((oldest, boot)) = now.oldest.zip(scale.boot_seconds) {
            reading.put_with(&metrics::OLDEST, &self.plain, boot as f64 + seconds(oldest));
        }
        reading.put_with(&metrics::THREADS, &self.plain, now.threads);
        for (labels, count) in self.states.iter().zip(now.states) {
            reading.put_with(&metrics::STATES, labels, count);
        }
    }
}
