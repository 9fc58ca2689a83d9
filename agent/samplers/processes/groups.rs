//! The groups: what each has counted, which are shown by name, and what the others have together.
//!
//! Growth goes to one series only, and stays there: that of the group if it is shown before and after the pass, or if
//! the group is new; else to `other`. So no series ever falls, and what all series grew by in a pass is what all
//! processes grew by. A group that comes back goes on where its series ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::snapshot::Reading;

use super::identity::OTHER;
use super::process::Process;
use super::shown::{Now, Scale, Series};
use super::top::{self, Weight};
use super::usage::Usage;

/// The most groups that are known by name, shown or not. Processes of further ones go to `other`.
pub(super) const LIMIT: usize = 2048;

/// How long a group is kept that has no members.
const VACANT: Duration = Duration::from_secs(300);

/// The number of `other`.
pub(super) const OTHER_ID: u32 = 0;

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    name: Box<str>,
    counted: Usage,
    grown: Usage,
    now: Now,
    weight: Weight,
    /// Whether any member ever let its I/O be seen.
    io: bool,
    new: bool,
    pub(super) shown: bool,
    series: Option<Box<Series>>,
    vacant: Option<Instant>,
}

/// All groups. The first is `other`; a place without a name is free.
#[derive(Debug)]
pub(super) struct Groups {
    groups: Vec<Group>,
    numbers: HashMap<Box<str>, u32>,
    free: Vec<u32>,
    top: usize,
    candidates: Vec<(f64, usize)>,
    /// Which groups were shown in the pass before.
    before: Vec<bool>,
    other: Now,
    last: Option<Instant>,
}

impl Groups {
    pub(super) fn new(top: usize) -> Groups {
        let other = Group { name: OTHER.into(), series: Some(Box::new(Series::of(OTHER))), ..Group::default() };
        Groups {
            groups: vec![other],
            numbers: HashMap::from([(OTHER.into(), OTHER_ID)]),
            free: Vec::new(),
            top,
            candidates: Vec::new(),
            before: Vec::new(),
            other: Now::default(),
            last: None,
        }
    }

    /// The number of the group of that name.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.groups.len() <= LIMIT => {
                self.groups.push(Group::default());
                u32::try_from(self.groups.len() - 1).unwrap_or(OTHER_ID)
            }
            None => return OTHER_ID,
        };
        if let Some(group) = self.groups.get_mut(number as usize) {
            *group = Group { name: name.into(), new: true, ..Group::default() };
        }
        self.numbers.insert(name.into(), number);
        number
    }

    /// Begins a pass.
    pub(super) fn start(&mut self) {
        for group in &mut self.groups {
            (group.grown, group.now) = (Usage::default(), Now::default());
        }
    }

    /// Counts what a member used.
    pub(super) fn grow(&mut self, number: u32, grown: Usage) {
        if let Some(group) = self.groups.get_mut(number as usize) {
            group.grown += grown;
        }
    }

    /// Takes back a part of what a member used in this pass.
    pub(super) fn take_back(&mut self, number: u32, usage: &Usage) {
        if let Some(group) = self.groups.get_mut(number as usize) {
            group.grown = group.grown.since(usage);
        }
    }

    /// Counts a member.
    pub(super) fn count(&mut self, process: &Process) {
        if let Some(group) = self.groups.get_mut(process.group as usize) {
            group.now.count(process);
            group.io |= process.io == super::process::Access::Given;
        }
    }

    /// Ends a pass: chooses what is shown, and puts what grew where it belongs. Gives how much CPU all grew by, in ticks.
    pub(super) fn finish(&mut self, now: Instant) -> u64 {
        let passed = self.last.map(|last| now.saturating_duration_since(last));
        self.last = Some(now);
        for group in self.groups.iter_mut().filter(|group| !group.name.is_empty()) {
            group.weight.take(&group.grown, group.now.resident_pages, passed);
            group.vacant = if group.now.processes > 0 { None } else { group.vacant.or(Some(now)) };
        }
        self.forget(now);
        self.before.clear();
        self.before.extend(self.groups.iter().map(|group| group.shown));
        self.choose();
        self.settle()
    }

    /// Lets go of groups that have had no members for long, and of those that nobody would miss.
    fn forget(&mut self, now: Instant) {
        for (number, group) in self.groups.iter_mut().enumerate().skip(1) {
            let Some(since) = group.vacant else { continue };
            let missed = group.shown || group.counted != Usage::default();
            let expired = !missed || now.saturating_duration_since(since) >= VACANT;
            if expired && group.grown == Usage::default() && !group.name.is_empty() {
                self.numbers.remove(&group.name);
                *group = Group::default();
                self.free.extend(u32::try_from(number));
            }
        }
    }

    fn choose(&mut self) {
        let known = |group: &Group| !group.name.is_empty();
        let mut sum = Weight::default();
        self.groups.iter().skip(1).for_each(|group| sum.add(&group.weight));
        self.candidates.clear();
        let scored = self.groups.iter().enumerate().skip(1).filter(|(_, group)| known(group));
        self.candidates.extend(scored.map(|(number, group)| {
            let vacant_and_hidden = group.vacant.is_some() && !group.shown && !group.new;
            (if vacant_and_hidden { -1.0 } else { group.weight.share(&sum) }, number)
        }));
        let groups = &mut self.groups;
        let shown = |number: usize| groups.get(number).is_some_and(|group| group.shown);
        let (fold, show) = top::changes(&mut self.candidates, self.top, shown);
        for number in fold {
            if let Some(group) = groups.get_mut(number) {
                group.shown = false;
            }
        }
        for (_, number) in show {
            if let Some(group) = groups.get_mut(*number) {
                group.shown = true;
                group.series.get_or_insert_with(|| Box::new(Series::of(&group.name)));
            }
        }
    }

    fn settle(&mut self) -> u64 {
        let Some((other, groups)) = self.groups.split_first_mut() else { return 0 };
        let mut cpu = other.grown.cpu();
        let mut rest = other.grown;
        self.other = other.now.clone();
        for (group, before) in groups.iter_mut().zip(self.before.iter().skip(1)) {
            cpu = cpu.saturating_add(group.grown.cpu());
            if group.shown && (*before || group.new) {
                group.counted += group.grown;
            } else {
                rest += group.grown;
                other.io |= group.io;
            }
            if !group.shown {
                self.other.add(&group.now);
            }
            group.new = false;
        }
        other.counted += rest;
        cpu
    }

    /// Writes what is shown.
    pub(super) fn write(&self, scale: &Scale, reading: &mut Reading) {
        let shown = self.groups.iter().skip(1).filter(|group| group.shown);
        for (group, now) in
            shown.map(|group| (group, &group.now)).chain(self.groups.first().map(|group| (group, &self.other)))
        {
            if let Some(series) = &group.series {
                series.write(&group.counted, group.io, now, scale, reading);
            }
        }
    }

    /// How many groups are shown by name, and how many have members and are not.
    pub(super) fn counts(&self) -> (u64, u64) {
        let groups = || self.groups.iter().skip(1).filter(|group| !group.name.is_empty());
        let shown = groups().filter(|group| group.shown).count();
        let folded = groups().filter(|group| !group.shown && group.now.processes > 0).count();
        (shown as u64, folded as u64)
    }
}

#[cfg(test)]
mod tests;
