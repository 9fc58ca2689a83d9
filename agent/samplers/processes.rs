//! Who uses this machine: processes in groups, from `/proc/PID`, under process-exporter's names.
//!
//! Counters begin at the agent's first pass, as process-exporter's do: a counter that began with its oldest process would
//! fall whenever the agent is started anew, and look like a burst. What starts later is counted whole.

use serde::Deserialize;

use super::root::handover::Totals;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier, stat as host_stat};
use crate::config::quantity;
use crate::samplers;
use crate::snapshot::{Labels, Reading};
use groups::Groups;
use identity::Namer;
use path::ProcessPath;
use process::{Access, Process};
use remainder::Remainder;
use rules::Rules;
use scan::{Look, Scan, Troubles};
use shown::Scale;
use table::Table;
use unavailable::Unavailable;
use usage::Usage;

mod groups;
mod identity;
mod mask;
mod metrics;
mod path;
mod process;
mod remainder;
pub mod rules;
mod scan;
mod shown;
pub mod stat;
mod table;
pub mod template;
mod top;
mod unavailable;
mod usage;
pub mod users;

/// The declaration of `processes`.
pub static SAMPLER: Declaration = Declaration {
    name: "processes",
    tier: Tier::Standard,
    metrics: metrics::ALL,
    build: |samplers: &samplers::Options| Box::new(Processes::new(&samplers.processes)),
};

/// `[samplers.processes]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The most groups that are shown by name; all others are `other`.
    #[serde(deserialize_with = "quantity::count::<_, 0, 1_000>")]
    pub top: usize,
    /// Which process belongs to which group; none: by systemd unit, else by name.
    pub rules: Vec<rules::Rule>,
    /// Whether a process that no rule matches belongs to its parent's group.
    pub children: bool,
    /// Whether memory is also told in parts of what processes share, which is dear.
    pub proportional: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { top: 30, rules: Vec::new(), children: true, proportional: false }
    }
}

struct Processes {
    children: bool,
    proportional: bool,
    namer: Namer,
    groups: Groups,
    table: Table,
    remainder: Remainder,
    troubles: Troubles,
    unavailable: Unavailable,
    path: ProcessPath,
    pids: Vec<u32>,
    births: Vec<u32>,
    born: Vec<Process>,
    /// Forks and threads of the host when the processes were last listed: as long as neither moves, none came or went.
    listed: Option<(u64, u64)>,
    /// The start of the youngest process of the first pass: what is as young or younger is counted whole.
    youngest: Option<u64>,
    passes: u32,
    /// Read once: it moves with every step of the clock.
    boot_seconds: Option<u64>,
    fd_by_size: Option<bool>,
    shown: Labels,
    folded: Labels,
}

impl Processes {
    fn new(options: &Options) -> Processes {
        let state = |state| Labels::new(&[("state", state)]);
        Processes {
            children: options.children,
            proportional: options.proportional,
            namer: Namer::new(Rules::new(options.rules.clone())),
            groups: Groups::new(options.top),
            table: Table::default(),
            remainder: Remainder::default(),
            troubles: Troubles::default(),
            unavailable: Unavailable::default(),
            path: ProcessPath::default(),
            pids: Vec::new(),
            births: Vec::new(),
            born: Vec::new(),
            listed: None,
            youngest: None,
            passes: 0,
            boot_seconds: None,
            fd_by_size: None,
            shown: state("shown"),
            folded: state("folded"),
        }
    }

    /// Lists the processes, unless none came or went.
    fn list(&mut self, root: &Root, buffer: &mut Buffer, totals: &Totals) -> Result<(), SampleError> {
        self.births.clear();
        let mut threads = || stat::parse_thread_count(root.proc.read_bytes("loadavg", buffer).ok()?);
        let now = totals.forks.zip(threads());
        if now.is_some() && now == self.listed {
            return Ok(());
        }
        // What comes or goes while they are listed is seen in the next pass: the counts are older than the list.
        self.listed = now;
        root.proc.numbers(&mut self.pids)?;
        // Those that did not let themselves be read are tried again.
        self.troubles.withheld = false;
        self.unavailable.listed(&self.pids);
        self.table.compare(&self.pids, &mut self.births);
        self.births.shrink_to(4096);
        Ok(())
    }

    /// Reads those that are due and those that are new.
    fn read(&mut self, root: &Root, buffer: &mut Buffer) {
        let fd_by_size = *self.fd_by_size.get_or_insert_with(|| root.proc.tells_descriptors());
        let Processes { namer, groups, table, troubles, path, born, .. } = self;
        let mut scan =
            Scan { root, buffer, path, namer, groups, troubles, fd_by_size, proportional: self.proportional };
        let mut adopters = Vec::new();
        let mut gone = Vec::new();
        let mut reapers: Vec<(u32, u32, Usage)> = Vec::new();
        for index in 0..table.processes.len() {
            let (before, rest) = table.processes.split_at_mut(index);
            let Some((process, after)) = rest.split_first_mut().filter(|(process, _)| process.due(self.passes)) else {
                continue;
            };
            match scan.look(process, parents(self.children, before, after)) {
                look @ (Look::Lives(grown) | Look::Adopted(grown)) => {
                    scan.groups.grow(process.group, grown);
                    if process.reaps || grown.io() > 0 {
                        reapers.push((process.pid, process.group, grown));
                    }
                    if matches!(look, Look::Adopted(_)) {
                        adopters.push(process.parent);
                    }
                }
                Look::Gone => gone.push(process.pid),
                Look::Replaced => {
                    gone.push(process.pid);
                    self.births.push(process.pid);
                }
                Look::Hidden => {}
            }
        }
        table.end(|process| gone.binary_search(&process.pid).is_ok());
        for pid in self.births.drain(..) {
            let mut process = if self.youngest.is_some() { Process::born(pid) } else { Process::met(pid) };
            match scan.look(&mut process, parents(self.children, &table.processes, born)) {
                Look::Lives(grown) | Look::Adopted(grown) => {
                    if self.youngest.is_some_and(|youngest| process.start >= youngest) {
                        scan.groups.grow(process.group, grown);
                    }
                    born.push(process);
                }
                Look::Gone | Look::Replaced | Look::Hidden => {}
            }
        }
        adopters.into_iter().for_each(|pid| table.adopts(pid));
        table.add(born);
        // A child that ended while this went on may be in what its parent told already, or not yet: taken back here, or
        // next time.
        table.settle(|pid, whole| {
            let reaper = reapers.binary_search_by_key(&pid, |(pid, ..)| *pid).ok().and_then(|at| reapers.get_mut(at));
            let Some((_, group, grown)) = reaper else { return whole };
            let twice = whole.reaped_of(grown);
            *grown = grown.since(&twice);
            scan.groups.take_back(*group, &twice);
            whole.since(&twice)
        });
    }

    fn write(&self, root: &Root, reading: &mut Reading) {
        let ticks_a_second = root.calls.clock_ticks().max(1) as f64;
        let scale = Scale { ticks_a_second, page_bytes: root.calls.page_size(), boot_seconds: self.boot_seconds };
        self.groups.write(&scale, reading);
        let (shown, folded) = self.groups.counts();
        reading.put_with(&metrics::GROUPS, &self.shown, shown);
        reading.put_with(&metrics::GROUPS, &self.folded, folded);
        reading.put(&metrics::PARTIAL_ERRORS, self.troubles.partial_errors);
        reading.put(&metrics::READ_ERRORS, self.troubles.read_errors);
        self.unavailable.write(reading);
    }
}

/// Tells the group of a parent, for the children that no rule matches.
fn parents<'a>(children: bool, some: &'a [Process], others: &'a [Process]) -> impl Fn(u32) -> Option<u32> + 'a {
    let find = |processes: &[Process], pid: u32| {
        let position = processes.binary_search_by_key(&pid, |process| process.pid).ok()?;
        processes.get(position).filter(|parent| !parent.kernel).map(|parent| parent.group)
    };
    move |pid| if children { find(some, pid).or_else(|| find(others, pid)) } else { None }
}

impl Sampler for Processes {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let totals = match root.stat.look(reading.at) {
            Some(totals) => totals,
            None => root.proc.parse("stat", buffer, host_stat::parse).unwrap_or_default(),
        };
        self.boot_seconds = self.boot_seconds.or(totals.boot_time_seconds);
        self.table.start();
        self.list(root, buffer, &totals)?;
        // Before their parents are read: what those reaped is in what they tell now.
        self.table.settle(|_, whole| whole);
        self.groups.start();
        self.read(root, buffer);
        if self.table.processes.is_empty() {
            return Err(SampleError::Absent(root.proc.at("PID/stat")));
        }
        let young = self.table.processes.iter().map(|process| process.start).max();
        self.youngest = self.youngest.or(young);
        self.unavailable.start(self.troubles.withheld);
        for process in &self.table.processes {
            self.groups.count(process);
            self.unavailable.count(process.io == Access::Denied, process.fd == Access::Denied);
        }
        self.unavailable.tell();
        let grown = self.groups.finish(reading.at);
        self.write(root, reading);
        if let Some(busy) = totals.busy_ticks {
            let ticks = self.remainder.take(busy, grown);
            reading.put(&metrics::UNATTRIBUTED, ticks as f64 / root.calls.clock_ticks().max(1) as f64);
        }
        self.passes = self.passes.wrapping_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
