use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use super::*;
use crate::samplers::host;

const PASS: Duration = Duration::from_secs(10);

/// Numbers that look like chance, the same in each run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn member(group: u32, resident_pages: u64) -> Process {
    let mut process = Process::born(7);
    (process.group, process.resident_pages, process.state) = (group, resident_pages, b'S');
    process
}

/// The CPU of each series, in ticks, by the name of the group.
fn shown(groups: &Groups) -> BTreeMap<String, u64> {
    let mut reading = Reading::default();
    reading.start(Instant::now(), SystemTime::now());
    groups.write(&Scale { ticks_a_second: 1.0, page_bytes: 1, boot_seconds: None }, &mut reading);
    let mut series = BTreeMap::new();
    for line in host::lines(&reading).iter().filter(|line| line.starts_with("namedprocess_namegroup_cpu_seconds_total"))
    {
        let (name, value) = (line.split('"').nth(1).unwrap(), line.split(' ').next_back().unwrap());
        *series.entry(name.to_owned()).or_default() += value.parse::<u64>().unwrap();
    }
    series
}

fn pass(groups: &mut Groups, now: &mut Instant, members: &[(&str, u64, u64)]) -> u64 {
    groups.start();
    for (name, resident_pages, ticks) in members {
        let number = groups.number(name);
        groups.grow(number, Usage { user: *ticks, ..Usage::default() });
        groups.count(&member(number, *resident_pages));
    }
    *now += PASS;
    groups.finish(*now)
}

#[test]
fn no_series_falls_and_all_grow_by_what_was_used_whatever_happens() {
    for seed in 0..20 {
        let (mut dice, mut groups, mut now) = (Dice(seed), Groups::new(3), Instant::now());
        let names: Vec<String> = (0..12).map(|index| format!("group{index}")).collect();
        let mut before = shown(&groups);
        // What each series had when it was last shown: one that comes back goes on there.
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut folds = 0;
        for _ in 0..400 {
            let mut members = Vec::new();
            for name in &names {
                if dice.below(4) > 0 {
                    let ticks = if dice.below(8) == 0 { dice.below(5000) } else { dice.below(3) };
                    members.push((&**name, dice.below(100), ticks));
                }
            }
            let used: u64 = members.iter().map(|(.., ticks)| ticks).sum();
            assert_eq!(pass(&mut groups, &mut now, &members), used);
            let after = shown(&groups);
            assert!(after.len() <= 4, "{after:?}");
            let mut grown = 0;
            for (name, value) in &after {
                let from = before.get(name).or_else(|| last.get(name)).copied().unwrap_or_default();
                assert!(*value >= from, "{name} fell from {from} to {value}");
                grown += value - from;
            }
            assert_eq!(grown, used, "seed {seed}: {before:?} {after:?}");
            folds += before.keys().filter(|name| !after.contains_key(*name)).count();
            last.extend(after.clone());
            before = after;
        }
        assert!(folds > 10, "{folds}");
    }
}

#[test]
fn a_new_group_has_all_that_it_used() {
    let (mut groups, mut now) = (Groups::new(2), Instant::now());
    pass(&mut groups, &mut now, &[("a", 10, 0)]);
    pass(&mut groups, &mut now, &[("a", 10, 0), ("b", 10, 800)]);
    assert_eq!(shown(&groups), BTreeMap::from([("a".into(), 0), ("b".into(), 800), (OTHER.into(), 0)]));
}

#[test]
fn a_group_keeps_what_its_members_used_and_goes_after_five_minutes() {
    let (mut groups, mut now) = (Groups::new(2), Instant::now());
    pass(&mut groups, &mut now, &[("a", 10, 5)]);
    for _ in 0..29 {
        pass(&mut groups, &mut now, &[]);
    }
    assert_eq!(shown(&groups).get("a"), Some(&5));
    for _ in 0..2 {
        pass(&mut groups, &mut now, &[]);
    }
    assert_eq!(shown(&groups), BTreeMap::from([(OTHER.into(), 0)]));
    assert_eq!((groups.numbers.len(), groups.free.len()), (1, 1));
}

#[test]
fn groups_that_weigh_the_same_do_not_flap() {
    let (mut groups, mut now, mut dice) = (Groups::new(5), Instant::now(), Dice(1));
    let names: Vec<String> = (0..20).map(|index| format!("group{index}")).collect();
    let mut changes = 0;
    let mut before = Vec::new();
    for _ in 0..200 {
        let members: Vec<_> = names.iter().map(|name| (&**name, 100, 90 + dice.below(20))).collect();
        pass(&mut groups, &mut now, &members);
        let after: Vec<String> = shown(&groups).into_keys().collect();
        changes += usize::from(before != after);
        before = after;
    }
    assert_eq!(changes, 1);
    assert_eq!(groups.counts(), (5, 15));
}

#[test]
fn whatever_comes_there_is_a_bound() {
    let (mut groups, mut now) = (Groups::new(30), Instant::now());
    let names: Vec<String> = (0..9000).map(|index| format!("job{index}")).collect();
    for some in names.chunks(3000) {
        let members: Vec<_> = some.iter().map(|name| (&**name, 1, 1)).collect();
        assert_eq!(pass(&mut groups, &mut now, &members), 3000);
        assert_eq!(groups.groups.len(), LIMIT + 1);
        assert_eq!(shown(&groups).len(), 31);
    }
    pass(&mut groups, &mut now, &[]);
    assert!(groups.numbers.len() <= 31 + 8, "{}", groups.numbers.len());
}
