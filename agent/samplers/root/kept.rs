//! Files of the kernel that stay open: to read one again, its path need not be walked again.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};

/// The most files that stay open, of a process that may open 1,024 or more.
const LIMIT: usize = 256;

/// How many files may still be kept open, shared by all directories of a root.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// A quarter of what this process may open, at most 256.
    pub(super) fn of_process() -> Budget {
        let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        Budget(Arc::new(AtomicUsize::new(usize::try_from(soft / 4).unwrap_or(LIMIT).min(LIMIT))))
    }

    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, count: usize) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// The files of one directory that are kept open.
#[derive(Debug)]
pub(super) struct Kept {
    files: Mutex<HashMap<Box<str>, Arc<OwnedFd>>>,
    budget: Budget,
    keeps: bool,
}

impl Kept {
    /// For a directory of procfs or sysfs, whose files say anew what is true each time they are read from their
    /// beginning. Any other file may have been replaced under its name: those are opened each time.
    pub(super) fn of(directory: &OwnedFd, budget: &Budget) -> Option<Kept> {
        let kernel = |of: FsType| of == PROC_SUPER_MAGIC || of == SYSFS_MAGIC;
        let kernel = fstatfs(directory).is_ok_and(|stat| kernel(stat.filesystem_type()));
        kernel.then(|| Kept { files: Mutex::default(), budget: budget.clone(), keeps: true })
    }

    /// The same, which keeps nothing itself: below it a path leads to another device once its name is given to that,
    /// while the open file still answers for the old one. A device's own directory, opened, is the device.
    pub(super) fn below(mut self) -> Kept {
        self.keeps = false;
        self
    }

    /// The budget, for a directory below.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The open file, which nobody is kept from reading while another does: that may hang.
    pub(super) fn get(&self, path: &str) -> Option<Arc<OwnedFd>> {
        self.files().get(path).map(Arc::clone)
    }

    /// Keeps a file open, if the budget has room.
    pub(super) fn keep(&self, path: &str, file: OwnedFd) {
        if self.keeps && self.budget.take() && self.files().insert(path.into(), Arc::new(file)).is_some() {
            self.budget.give_back(1);
        }
    }

    /// Closes a file that does not answer any more: its device went, or came back as another.
    pub(super) fn forget(&self, path: &str) {
        if self.files().remove(path).is_some() {
            self.budget.give_back(1);
        }
    }

    fn files(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<OwnedFd>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.give_back(self.files().len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &str) -> OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    #[test]
    fn only_the_kernels_own_files_are_kept() {
        let budget = Budget::of_process();
        assert!(Kept::of(&open("/proc"), &budget).is_some() && Kept::of(&open("/sys/class"), &budget).is_some());
        assert!(Kept::of(&open("/etc"), &budget).is_none());
    }

    #[test]
    fn what_is_found_by_a_devices_name_is_not_kept() {
        let kept = Kept::of(&open("/sys"), &Budget::of_process()).unwrap().below();
        kept.keep("class/net/lo/ifindex", open("/sys/class/net/lo/ifindex"));
        assert!(kept.get("class/net/lo/ifindex").is_none());
    }

    #[test]
    fn the_budget_is_kept_and_comes_back() {
        let budget = Budget(Arc::new(AtomicUsize::new(2)));
        let kept = Kept::of(&open("/proc"), &budget).unwrap();
        for path in ["stat", "uptime", "loadavg"] {
            kept.keep(path, open("/proc/stat"));
        }
        assert!(kept.get("uptime").is_some() && kept.get("loadavg").is_none());
        kept.forget("stat");
        kept.keep("uptime", open("/proc/uptime"));
        assert_eq!(budget.0.load(Ordering::Relaxed), 1);
        drop(kept);
        assert_eq!(budget.0.load(Ordering::Relaxed), 2);
    }
}
