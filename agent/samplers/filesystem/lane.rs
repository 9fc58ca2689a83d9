//! Asks mounts for their space on threads that may hang, so that nobody else does.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::samplers::root::calls::{Calls, Space};

/// How long a mount may take to answer before it counts as hanging.
const PATIENCE: Duration = Duration::from_millis(50);

/// The most threads of a lane. When all of them hang, the lane's other mounts are not asked.
const THREADS: usize = 4;

/// Who answers statvfs(3): the kernel, or a test that hangs.
pub(super) trait Statvfs: Send + Sync + 'static {
    fn statvfs(&self, mount_point: &str) -> io::Result<Space>;
}

impl Statvfs for Calls {
    fn statvfs(&self, mount_point: &str) -> io::Result<Space> {
        Calls::statvfs(self, mount_point)
    }
}

/// What a mount said, or why it said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Space(Space),
    /// The kernel's error.
    Error(i32),
    /// No answer yet to a question of some time ago.
    Hangs,
    /// All threads of the lane hang at other mounts.
    NotAsked,
}

/// A mount as its lane knows it.
#[derive(Debug)]
pub(super) struct Asked {
    path: String,
    state: Mutex<State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Idle(Answer),
    Queued,
    /// A thread waits for the kernel.
    Under,
}

impl Asked {
    pub(super) fn new(path: &str) -> Arc<Asked> {
        Arc::new(Asked { path: path.to_owned(), state: Mutex::new(State::Idle(Answer::NotAsked)) })
    }

    /// What it said to the last question.
    pub(super) fn answer(&self) -> Answer {
        match &*lock(&self.state) {
            State::Idle(answer) => answer.clone(),
            State::Under => Answer::Hangs,
            State::Queued => Answer::NotAsked,
        }
    }
}

/// Mounts of one kind, and the threads that ask them: one, and one more for each mount that hangs, up to a bound.
#[derive(Debug)]
pub(super) struct Lane {
    name: &'static str,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    work: Mutex<Work>,
    /// There is something in the queue, or the lane is closed.
    queued: Condvar,
    /// A mount has answered.
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    queue: VecDeque<Arc<Asked>>,
    /// Mounts of this pass that have not answered.
    open: usize,
    /// Counts the passes: an answer to an earlier one's question closes nothing.
    pass: u64,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Lane {
    pub(super) fn new(name: &'static str) -> Lane {
        Lane { name, desk: Arc::default() }
    }

    /// Asks all `mounts` and waits for their answers, for each that hangs a little while and only the first time.
    pub(super) fn ask<'a, S: Statvfs>(&self, calls: &Arc<S>, mounts: impl Iterator<Item = &'a Arc<Asked>>) {
        let mut work = lock(&self.desk.work);
        work.pass += 1;
        for mount in mounts {
            let mut state = lock(&mount.state);
            if *state != State::Under {
                *state = State::Queued;
                work.queue.push_back(Arc::clone(mount));
            }
        }
        work.open = work.queue.len();
        while work.open > 0 {
            let all_hang = work.idle == 0 && work.threads == THREADS;
            if work.idle == 0 && (all_hang || !self.hire(&mut work, calls)) {
                break;
            }
            self.desk.queued.notify_one();
            work = self.wait(work);
            if work.queue.is_empty() {
                break;
            }
        }
        for mount in work.queue.drain(..) {
            *lock(&mount.state) = State::Idle(Answer::NotAsked);
        }
        work.open = 0;
    }

    /// Waits until all are answered, or nothing was for as long as a mount may take.
    fn wait<'w>(&self, mut work: MutexGuard<'w, Work>) -> MutexGuard<'w, Work> {
        loop {
            let open = work.open;
            let (guard, timeout) =
                self.desk.answered.wait_timeout(work, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            work = guard;
            if work.open == 0 || (timeout.timed_out() && work.open == open) {
                return work;
            }
        }
    }

    /// Starts one more thread. `false` when the system gives none.
    fn hire<S: Statvfs>(&self, work: &mut Work, calls: &Arc<S>) -> bool {
        let (desk, calls) = (Arc::clone(&self.desk), Arc::clone(calls));
        let thread = std::thread::Builder::new().name(self.name.to_owned()).stack_size(STACK);
        let hired = thread.spawn(move || desk.serve(&*calls)).is_ok();
        work.threads += usize::from(hired);
        hired
    }
}

/// Bytes of stack of a thread that makes one system call.
const STACK: usize = 64 << 10;

impl Drop for Lane {
    fn drop(&mut self) {
        lock(&self.desk.work).closed = true;
        self.desk.queued.notify_all();
    }
}

impl Desk {
    /// The life of a thread of the lane. One that finds another idle, as after a mount that hung answers, ends.
    fn serve(&self, calls: &impl Statvfs) {
        let mut work = lock(&self.work);
        loop {
            let Some(mount) = work.queue.pop_front() else {
                if work.closed || work.idle > 0 {
                    work.threads -= 1;
                    return;
                }
                work.idle += 1;
                work = self.queued.wait(work).unwrap_or_else(PoisonError::into_inner);
                work.idle -= 1;
                continue;
            };
            let pass = work.pass;
            *lock(&mount.state) = State::Under;
            drop(work);
            let answer = match calls.statvfs(&mount.path) {
                Ok(space) => Answer::Space(space),
                Err(error) => Answer::Error(error.raw_os_error().unwrap_or(nix::libc::EIO)),
            };
            work = lock(&self.work);
            *lock(&mount.state) = State::Idle(answer);
            if work.pass == pass && work.open > 0 {
                work.open -= 1;
                self.answered.notify_one();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mounts whose path begins with `/dead` hang until they are released.
    #[derive(Default)]
    struct Host {
        released: Mutex<bool>,
        release: Condvar,
    }

    impl Statvfs for Host {
        fn statvfs(&self, mount_point: &str) -> io::Result<Space> {
            let mut released = lock(&self.released);
            while mount_point.starts_with("/dead") && !*released {
                released = self.release.wait(released).unwrap();
            }
            Ok(Space { files: 7, ..Space::default() })
        }
    }

    fn mounts(paths: &[&str]) -> Vec<Arc<Asked>> {
        paths.iter().map(|path| Asked::new(path)).collect()
    }

    fn answers(mounts: &[Arc<Asked>]) -> Vec<Answer> {
        mounts.iter().map(|mount| mount.answer()).collect()
    }

    const GOOD: Answer =
        Answer::Space(Space { size_bytes: 0, free_bytes: 0, available_bytes: 0, files: 7, files_free: 0 });

    #[test]
    fn one_thread_is_enough_where_nothing_hangs() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/a", "/b", "/c"]);
        for _ in 0..3 {
            lane.ask(&host, mounts.iter());
            assert_eq!(answers(&mounts), [GOOD, GOOD, GOOD]);
        }
        assert_eq!(lock(&lane.desk.work).threads, 1);
    }

    #[test]
    fn a_mount_that_hangs_is_left_alone_until_it_answers() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/dead", "/b"]);
        for _ in 0..5 {
            lane.ask(&host, mounts.iter());
            assert_eq!(answers(&mounts), [Answer::Hangs, GOOD]);
            assert_eq!(lock(&lane.desk.work).threads, 2);
        }
        *lock(&host.released) = true;
        host.release.notify_all();
        while mounts[0].answer() == Answer::Hangs {
            std::thread::yield_now();
        }
        lane.ask(&host, mounts.iter());
        assert_eq!(answers(&mounts), [GOOD, GOOD]);
    }

    #[test]
    fn threads_are_bounded_however_many_hang() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/dead1", "/dead2", "/dead3", "/dead4", "/dead5", "/dead6", "/g"]);
        for _ in 0..3 {
            lane.ask(&host, mounts.iter());
        }
        let hang = answers(&mounts).iter().filter(|answer| **answer == Answer::Hangs).count();
        assert_eq!((hang, mounts[6].answer(), lock(&lane.desk.work).threads), (THREADS, Answer::NotAsked, THREADS));
        *lock(&host.released) = true;
        host.release.notify_all();
        while answers(&mounts) != vec![GOOD; 7] {
            lane.ask(&host, mounts.iter());
        }
    }
}
