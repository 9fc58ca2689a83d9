//! Asks mounts for their space on threads that may hang, so that nobody else does.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::samplers::root::calls::{Calls, Space};

/// How long the lane is silent before another thread is started.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a pass waits for answers at most. What comes later counts for the next pass.
const DEADLINE: Duration = Duration::from_millis(100);

/// The most threads of a lane. When all of them hang, the lane's other mounts are not asked.
const THREADS: usize = 4;

/// Who answers statvfs(3): the kernel, or a test that hangs.
pub(super) trait Statvfs: Send + Sync + 'static {
    fn statvfs(&self, mount_point: &Path) -> io::Result<Space>;
}

impl Statvfs for Calls {
    fn statvfs(&self, mount_point: &Path) -> io::Result<Space> {
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
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    question: Question,
    /// What it said last, and in which pass.
    said: Option<(Answer, u64)>,
    /// The pass that waits for it.
    pass: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    None,
    Queued,
    /// A thread waits for the kernel.
    Open,
}

impl Asked {
    pub(super) fn new(path: PathBuf) -> Arc<Asked> {
        Arc::new(Asked { path, state: Mutex::new(State { question: Question::None, said: None, pass: 0 }) })
    }

    /// What it says in this pass: the answer to this question, or one that came since the question before.
    pub(super) fn answer(&self) -> Answer {
        let state = lock(&self.state);
        match (&state.said, state.question) {
            (Some((answer, said)), question) if question == Question::None || said + 1 >= state.pass => answer.clone(),
            (_, Question::Open) => Answer::Hangs,
            (_, Question::Queued | Question::None) => Answer::NotAsked,
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
    /// Mounts that the pass waits for.
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

    /// Asks all `mounts` that are not asked already.
    pub(super) fn ask<'a>(&self, mounts: impl Iterator<Item = &'a Arc<Asked>>) {
        let mut work = lock(&self.desk.work);
        work.pass += 1;
        work.open = 0;
        for mount in mounts {
            let mut state = lock(&mount.state);
            state.pass = work.pass;
            match state.question {
                // It hangs since an earlier pass, or takes its time: nobody waits for it.
                Question::Open => continue,
                Question::Queued => {}
                Question::None => {
                    state.question = Question::Queued;
                    work.queue.push_back(Arc::clone(mount));
                }
            }
            work.open += 1;
        }
        self.desk.queued.notify_one();
    }

    /// Waits for the answers, for a little while. What hangs, hangs on in its thread, and the others get another.
    pub(super) fn wait<S: Statvfs>(&self, calls: &Arc<S>) {
        let end = Instant::now() + DEADLINE;
        let mut work = lock(&self.desk.work);
        while work.open > 0 {
            if work.idle == 0 && !work.queue.is_empty() && !self.hire(&mut work, calls) {
                return;
            }
            let patience = end.saturating_duration_since(Instant::now()).min(PATIENCE);
            if patience.is_zero() {
                return;
            }
            let silent_from = Instant::now();
            while work.open > 0 && silent_from.elapsed() < patience {
                let rest = patience.saturating_sub(silent_from.elapsed());
                work = self.desk.answered.wait_timeout(work, rest).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Starts one more thread. `false` when there are enough, or the system gives none.
    fn hire<S: Statvfs>(&self, work: &mut Work, calls: &Arc<S>) -> bool {
        if work.threads == THREADS {
            return false;
        }
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
        while !work.closed {
            let Some(mount) = work.queue.pop_front() else {
                if work.idle > 0 {
                    break;
                }
                work.idle += 1;
                work = self.queued.wait(work).unwrap_or_else(PoisonError::into_inner);
                work.idle -= 1;
                continue;
            };
            lock(&mount.state).question = Question::Open;
            drop(work);
            let answer = match calls.statvfs(&mount.path) {
                Ok(space) => Answer::Space(space),
                Err(error) => Answer::Error(error.raw_os_error().unwrap_or(nix::libc::EIO)),
            };
            work = lock(&self.work);
            let mut state = lock(&mount.state);
            state.question = Question::None;
            state.said = Some((answer, work.pass));
            if state.pass == work.pass && work.open > 0 {
                work.open -= 1;
                self.answered.notify_one();
            }
        }
        work.threads -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mounts whose path begins with `/dead` hang until they are released; `/slow` takes its time.
    #[derive(Default)]
    struct Host {
        released: Mutex<bool>,
        release: Condvar,
    }

    impl Host {
        fn release(&self) {
            *lock(&self.released) = true;
            self.release.notify_all();
        }
    }

    impl Statvfs for Host {
        fn statvfs(&self, mount_point: &Path) -> io::Result<Space> {
            let path = mount_point.to_str().unwrap();
            let mut released = lock(&self.released);
            while path.starts_with("/dead") && !*released {
                released = self.release.wait(released).unwrap();
            }
            drop(released);
            if path.starts_with("/slow") {
                std::thread::sleep(DEADLINE * 2);
            }
            Ok(Space { files: 7, ..Space::default() })
        }
    }

    fn mounts(paths: &[&str]) -> Vec<Arc<Asked>> {
        paths.iter().map(|path| Asked::new(path.into())).collect()
    }

    fn pass(lane: &Lane, host: &Arc<Host>, mounts: &[Arc<Asked>]) -> Vec<Answer> {
        lane.ask(mounts.iter());
        lane.wait(host);
        mounts.iter().map(|mount| mount.answer()).collect()
    }

    const GOOD: Answer =
        Answer::Space(Space { size_bytes: 0, free_bytes: 0, available_bytes: 0, files: 7, files_free: 0 });

    #[test]
    fn one_thread_is_enough_where_nothing_hangs() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/a", "/b", "/c"]);
        for _ in 0..3 {
            assert_eq!(pass(&lane, &host, &mounts), [GOOD, GOOD, GOOD]);
        }
        assert_eq!(lock(&lane.desk.work).threads, 1);
    }

    #[test]
    fn a_mount_that_hangs_is_left_alone_until_it_answers() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/dead", "/b"]);
        for _ in 0..5 {
            assert_eq!(pass(&lane, &host, &mounts), [Answer::Hangs, GOOD]);
            assert_eq!(lock(&lane.desk.work).threads, 2);
        }
        host.release();
        while mounts[0].answer() == Answer::Hangs {
            std::thread::yield_now();
        }
        assert_eq!(pass(&lane, &host, &mounts), [GOOD, GOOD]);
    }

    #[test]
    fn what_answered_before_it_hung_is_not_shown_for_long() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/dead"]);
        host.release();
        assert_eq!(pass(&lane, &host, &mounts), [GOOD]);
        *lock(&host.released) = false;
        pass(&lane, &host, &mounts);
        assert_eq!(pass(&lane, &host, &mounts), [Answer::Hangs]);
        host.release();
    }

    #[test]
    fn an_answer_that_comes_late_counts_for_the_next_pass() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/slow", "/b"]);
        assert_eq!(pass(&lane, &host, &mounts), [Answer::Hangs, GOOD]);
        for _ in 0..3 {
            std::thread::sleep(DEADLINE * 3);
            assert_eq!(pass(&lane, &host, &mounts), [GOOD, GOOD]);
        }
    }

    #[test]
    fn many_that_are_slow_hold_nobody_up() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts: Vec<_> = (0..40).map(|number| Asked::new(format!("/slow{number}").into())).collect();
        let begun = Instant::now();
        pass(&lane, &host, &mounts);
        assert!(begun.elapsed() < DEADLINE * 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn threads_are_bounded_however_many_hang() {
        let (lane, host) = (Lane::new("test"), Arc::new(Host::default()));
        let mounts = mounts(&["/dead1", "/dead2", "/dead3", "/dead4", "/dead5", "/dead6", "/g"]);
        for _ in 0..4 {
            pass(&lane, &host, &mounts);
        }
        let answers = pass(&lane, &host, &mounts);
        let hang = answers.iter().filter(|answer| **answer == Answer::Hangs).count();
        assert_eq!((hang, answers[6].clone(), lock(&lane.desk.work).threads), (THREADS, Answer::NotAsked, THREADS));
        host.release();
        while pass(&lane, &host, &mounts) != vec![GOOD; 7] {}
    }
}
