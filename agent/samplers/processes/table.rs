//! All processes that are known, by number.

use super::process::Process;
use super::usage::Usage;

/// How much room is left for further processes, as a part of those that are there: not twice what is needed.
const SPARE: usize = 8;

/// Processes in ascending order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) processes: Vec<Process>,
    /// Those that ended since [`Table::settle`].
    ended: Vec<Process>,
    /// Those that ended before that, in this pass.
    buried: Vec<Process>,
}

impl Table {
    fn find(&mut self, pid: u32) -> Option<&mut Process> {
        let position = self.processes.binary_search_by_key(&pid, |process| process.pid).ok()?;
        self.processes.get_mut(position)
    }

    /// Sets what is not in `pids` aside as ended, and puts into `born` what is in it and not known. Both ascend.
    pub(super) fn compare(&mut self, pids: &[u32], born: &mut Vec<u32>) {
        let Table { processes, ended, .. } = self;
        let mut listed = pids.iter().copied().peekable();
        processes.retain(|process| {
            while let Some(pid) = listed.next_if(|pid| *pid < process.pid) {
                born.push(pid);
            }
            let lives = listed.next_if_eq(&process.pid).is_some();
            if !lives {
                ended.push(process.clone());
            }
            lives
        });
        born.extend(listed);
    }

    /// Sets aside as ended what `gone` says.
    pub(super) fn end(&mut self, gone: impl Fn(&Process) -> bool) {
        let Table { processes, ended, .. } = self;
        processes.retain(|process| {
            let gone = gone(process);
            if gone {
                ended.push(process.clone());
            }
            !gone
        });
    }

    /// Takes new processes in, which is empty then.
    pub(super) fn add(&mut self, born: &mut Vec<Process>) {
        if !born.is_empty() {
            let needed = self.processes.len() + born.len();
            if self.processes.capacity() < needed {
                self.processes.reserve_exact(born.len() + needed / SPARE);
            }
            self.processes.append(born);
            self.processes.sort_unstable_by_key(|process| process.pid);
        }
        let room = self.processes.len() + self.processes.len() / SPARE + 64;
        if self.processes.capacity() > 2 * room {
            self.processes.shrink_to(room);
        }
        born.shrink_to(64);
    }

    /// Begins a pass.
    pub(super) fn start(&mut self) {
        self.buried.clear();
        self.buried.shrink_to(64);
    }

    /// Tells those who waited for what has ended how far it had come, before they are read the next time; orphans are
    /// read as soon, to see who has adopted them.
    ///
    /// Where the parent ended too, who waited was either the parent, whom the next living ancestor waited for, or the one
    /// that adopts: both are told, so that nothing is counted twice. `take_back` may take back what was counted in this
    /// pass already, and gives what is left.
    pub(super) fn settle(&mut self, mut take_back: impl FnMut(u32, Usage) -> Usage) {
        if self.ended.is_empty() {
            return;
        }
        let ended = std::mem::take(&mut self.ended);
        let mut buried = std::mem::take(&mut self.buried);
        buried.extend_from_slice(&ended);
        buried.sort_unstable_by_key(|process| process.pid);
        for process in &ended {
            self.bequeath(process, &buried, &mut take_back);
        }
        for process in &mut self.processes {
            if buried.binary_search_by_key(&process.parent, |buried| buried.pid).is_ok() {
                process.rouse();
            }
        }
        self.buried = buried;
    }

    fn bequeath(&mut self, process: &Process, buried: &[Process], take_back: &mut impl FnMut(u32, Usage) -> Usage) {
        let whole = process.whole();
        let mut parent = process.parent;
        let mut orphan = false;
        // As long as the longest chain can be; numbers that were used again could make a ring of it.
        for _ in 0..64 {
            if let Some(living) = self.find(parent).filter(|living| living.start <= process.start) {
                living.charge(take_back(living.pid, whole));
                if !orphan || living.adopts {
                    return;
                }
                parent = living.parent;
            } else if let Ok(position) = buried.binary_search_by_key(&parent, |buried| buried.pid) {
                orphan = true;
                parent = buried.get(position).map_or(0, |buried| buried.parent);
            } else {
                return;
            }
        }
    }

    /// Notes that this process adopts orphans.
    pub(super) fn adopts(&mut self, pid: u32) {
        if let Some(process) = self.find(pid) {
            process.adopts = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::processes::process::Access;

    fn process(pid: u32, parent: u32, read: u64) -> Process {
        let mut process = Process::born(pid);
        (process.parent, process.start, process.io) = (parent, u64::from(pid), Access::Given);
        process.usage.read = read;
        process
    }

    fn table(processes: &[(u32, u32, u64)]) -> Table {
        let processes = processes.iter().map(|(pid, parent, read)| process(*pid, *parent, *read)).collect();
        Table { processes, ..Table::default() }
    }

    fn pids(table: &Table) -> Vec<u32> {
        table.processes.iter().map(|process| process.pid).collect()
    }

    /// What of the next 1000 bytes that a process' `io` tells is its own.
    fn own(table: &mut Table, pid: u32) -> u64 {
        let process = table.find(pid).unwrap();
        let before = process.usage.read;
        process.take_io((before + 1000, 0)).read
    }

    #[test]
    fn births_and_ends_are_what_the_listing_says() {
        let (mut table, mut born) = (table(&[(2, 1, 0), (5, 1, 0), (9, 1, 0)]), Vec::new());
        table.compare(&[1, 5, 7, 9, 12], &mut born);
        assert_eq!((pids(&table), &*born), (vec![5, 9], &[1, 7, 12][..]));
        assert_eq!(table.ended.iter().map(|process| process.pid).collect::<Vec<_>>(), [2]);
        let mut new: Vec<Process> = born.iter().map(|pid| Process::born(*pid)).collect();
        table.add(&mut new);
        assert_eq!(pids(&table), [1, 5, 7, 9, 12]);
    }

    #[test]
    fn a_parent_is_told_what_was_counted_of_a_child() {
        let mut table = table(&[(1, 0, 0), (5, 1, 0), (6, 5, 300)]);
        table.compare(&[1, 5], &mut Vec::new());
        table.settle(|_, whole| whole);
        assert_eq!((own(&mut table, 5), own(&mut table, 1)), (700, 1000));
    }

    #[test]
    fn where_the_parent_ended_too_the_next_ancestor_and_the_adopter_are_told() {
        let mut table = table(&[(1, 0, 0), (5, 1, 0), (6, 5, 0), (7, 6, 300)]);
        table.compare(&[1, 5], &mut Vec::new());
        table.settle(|_, whole| whole);
        assert_eq!((own(&mut table, 5), own(&mut table, 1)), (700, 700));
    }

    #[test]
    fn a_parent_that_is_younger_than_its_child_has_only_its_number() {
        let mut table = table(&[(1, 0, 0), (6, 1, 0), (7, 6, 300)]);
        table.processes[1].start = 100;
        table.compare(&[1, 6], &mut Vec::new());
        table.settle(|_, whole| whole);
        assert_eq!((own(&mut table, 6), own(&mut table, 1)), (1000, 1000));
    }

    #[test]
    fn orphans_are_looked_at_in_the_next_pass() {
        let mut table = table(&[(1, 0, 0), (6, 1, 0), (7, 6, 0)]);
        table.compare(&[1, 7], &mut Vec::new());
        table.settle(|_, whole| whole);
        assert!((0..6).all(|pass| table.processes[1].due(pass)));
    }

    #[test]
    fn the_room_of_a_storm_is_given_back() {
        let (mut table, mut born) = (Table::default(), Vec::new());
        table.add(&mut (1..=10_000).map(Process::born).collect());
        assert!(table.processes.capacity() <= 12_000, "{}", table.processes.capacity());
        table.compare(&[1, 2, 3], &mut born);
        table.settle(|_, whole| whole);
        table.add(&mut Vec::new());
        table.start();
        assert!(table.processes.capacity() < 200 && table.ended.capacity() < 200 && table.buried.capacity() < 200);
    }
}
