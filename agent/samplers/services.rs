//! Resources by systemd unit and by container, from the kernel's control groups: `/sys/fs/cgroup`, version 2, version 1
//! or both.
//!
//! The kernel adds up what a cgroup used while its processes come and go, so that children that live for a millisecond
//! count too. A cgroup holds those below it: the sum over `type!="slice"` counts everything once, a slice is the sum of
//! its units, and what a service was delegated is the service's.
//!
//! # Names
//!
//! What systemd_exporter names is called so (`systemd_unit_…{name,type}`; we add the device to its I/O, for a volume
//! and the disk below it count the same bytes), and what it has no name for is `vigie_unit_…`. cAdvisor's
//! `container_…{id,name}` are for containers only: on dashboards made for them a service would look like one. A
//! container's scope is a unit too, and has both. OpenTelemetry's conventions know containers; for units there are the
//! Collector's attribute `systemd.unit.name` and its namespace `systemd.unit`, in which we keep to the shape of
//! `container.*`. What only systemd itself knows (`systemd_unit_state`, restarts, start times) needs its bus and is not
//! here.
//!
//! # Start times
//!
//! A cgroup counts from zero since it was made, and nothing that anybody may read says when that was: its directory has
//! the times of whoever looked at it first, and `/run/systemd/units/invocation:*` those of a start, over which a service
//! that restarts by itself may keep its cgroup and its counts. So the start is known exactly of what comes while the
//! agent runs, or comes anew under its old name: at the pass before, that cgroup was not there. What was there before the agent has counted since it was first seen.

use std::time::SystemTime;

use serde::Deserialize;

use super::born::Born;
use super::pattern::Pattern;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::config::quantity;
use crate::metric::{Metric, Since, Unit};
use crate::samplers;
use crate::snapshot::Reading;
use account::Account;
use devices::Devices;
use entry::Entry;
use hierarchies::Hierarchies;
use tree::Tree;

mod account;
mod cgroup;
mod columns;
mod container;
mod devices;
mod entry;
pub mod files;
mod hierarchies;
mod tree;

static LEFT_OUT: Metric = Metric::gauge(
    "vigie_units_left_out",
    Unit::Of("{unit}"),
    "Units and containers that are not shown because there are more than max_units.",
)
.otel_up_down("vigie.unit.left_out")
.since(Since::Agent);

/// The declaration of `services`.
pub static SAMPLER: Declaration = Declaration {
    name: "services",
    tier: Tier::Standard,
    metrics: &[
        &LEFT_OUT,
        &columns::INFO,
        &columns::CPU,
        &columns::CPU_USAGE,
        &columns::CPU_PERIODS,
        &columns::CPU_THROTTLED_PERIODS,
        &columns::CPU_THROTTLED,
        &columns::MEMORY,
        &columns::MEMORY_ANON,
        &columns::MEMORY_FILE,
        &columns::MEMORY_KERNEL,
        &columns::MEMORY_SWAP,
        &columns::MEMORY_PEAK,
        &columns::MEMORY_LIMIT,
        &columns::MEMORY_LIMIT_HITS,
        &columns::OOM_EVENTS,
        &columns::OOM_KILLS,
        &columns::TASKS,
        &columns::TASKS_LIMIT,
        &columns::CPU_WAITING,
        &columns::CPU_STALLED,
        &columns::MEMORY_WAITING,
        &columns::MEMORY_STALLED,
        &columns::IO_WAITING,
        &columns::IO_STALLED,
        &columns::READ_BYTES,
        &columns::WRITTEN_BYTES,
        &columns::READS,
        &columns::WRITES,
        &container::CPU_USAGE,
        &container::CPU_USER,
        &container::CPU_SYSTEM,
        &container::CPU_PERIODS,
        &container::CPU_THROTTLED_PERIODS,
        &container::CPU_THROTTLED,
        &container::MEMORY,
        &container::MEMORY_WORKING_SET,
        &container::MEMORY_ANON,
        &container::MEMORY_FILE,
        &container::MEMORY_KERNEL,
        &container::MEMORY_SWAP,
        &container::MEMORY_PEAK,
        &container::MEMORY_LIMIT,
        &container::MEMORY_LIMIT_HITS,
        &container::OOM_EVENTS,
        &container::THREADS,
        &container::THREADS_LIMIT,
        &container::CPU_WAITING,
        &container::CPU_STALLED,
        &container::MEMORY_WAITING,
        &container::MEMORY_STALLED,
        &container::IO_WAITING,
        &container::IO_STALLED,
        &container::READ_BYTES,
        &container::WRITTEN_BYTES,
        &container::READS,
        &container::WRITES,
    ],
    build: |config| Box::new(Services::new(config)),
};

/// `[samplers.services]`. A container that is no unit goes by its short id.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The only units that are shown, less those that `exclude` takes away.
    pub include: Option<Pattern>,
    /// Units that are left out: at first the scopes of sessions, of which every login makes a new one. They count in
    /// `user-UID.slice`.
    pub exclude: Pattern,
    /// Whether the units of users' own systemd are shown beside `user@UID.service`, which has the sum of them.
    pub user_units: bool,
    /// The most units and containers that are shown.
    #[serde(deserialize_with = "quantity::count::<_, 1, 4_096>")]
    pub max_units: usize,
}

impl Default for Options {
    fn default() -> Options {
        let exclude = Pattern::fixed(r"^session-c?\d+\.scope$");
        Options { include: None, exclude, user_units: false, max_units: 500 }
    }
}

impl Options {
    fn admit(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(name)) && !self.exclude.is_match(name)
    }
}

/// After how many passes everything of a unit is read again: its limits, and files that were not there. Units take
/// turns, so that no pass reads everything of all.
const TURN: usize = 30;

struct Services {
    options: Options,
    hierarchies: Option<Hierarchies>,
    tree: Tree,
    /// Nothing for what is left out.
    entries: Born<Option<Entry>>,
    account: Account,
    devices: Devices,
    path: String,
    pass: usize,
    /// When the pass before was, if it saw everything: what is new now was not there then.
    complete: Option<SystemTime>,
}

impl Services {
    fn new(config: &samplers::Options) -> Services {
        Services {
            options: config.services.clone(),
            hierarchies: None,
            tree: Tree::default(),
            entries: Born::default(),
            account: Account::default(),
            devices: Devices::new(config.diskstats.exclude.clone()),
            path: String::new(),
            pass: 0,
            complete: None,
        }
    }
}

impl Sampler for Services {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let before = self.complete.take();
        // What cannot be listed any more is opened anew in the next pass.
        let hierarchies = match self.hierarchies.take() {
            Some(hierarchies) => hierarchies,
            None => Hierarchies::open(root)?,
        };
        self.tree.walk(hierarchies.names(), self.options.user_units)?;
        let hierarchies = &*self.hierarchies.insert(hierarchies);
        if self.tree.found().next().is_none() {
            return Err(SampleError::Absent(hierarchies.names().at("system.slice")));
        }
        if self.pass.is_multiple_of(TURN) {
            self.devices.forget();
        }
        self.entries.start();
        let (mut shown, mut left_out) = (0, self.tree.beyond());
        let ticks = root.calls.clock_ticks();
        for (index, (path, inode)) in self.tree.found().enumerate() {
            let turn = (self.pass + index) % TURN;
            let born = || Entry::born((path, inode), before, |name| self.options.admit(name));
            let met = self.entries.meet(path, born);
            if met.as_ref().is_some_and(|entry| entry.inode != inode) {
                *met = born();
            }
            let Some(entry) = met else { continue };
            if shown == self.options.max_units {
                left_out += 1;
                continue;
            }
            shown += 1;
            entry.turn(turn == 0);
            self.account.read(&mut entry.files(hierarchies, path, &mut self.path, buffer), ticks);
            entry.put(&self.account, &mut self.devices, root, buffer, reading);
        }
        reading.put(&LEFT_OUT, left_out as u64);
        self.pass = self.pass.wrapping_add(1);
        self.complete = self.tree.complete().then_some(reading.taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
