//! Work that may hang in the kernel or in the C library, on a thread of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use super::failure::{ProbeError, Reason};

/// The stack of such a thread, in bytes: modules of nsswitch want more than we do.
const STACK: usize = 512 << 10;

/// One probe's place aside. There is one piece of work at a time: what hangs costs one thread, however often it is asked.
#[derive(Debug, Default)]
pub struct Aside {
    busy: Arc<Mutex<Option<Instant>>>,
}

impl Aside {
    /// Does `work` aside and waits for it.
    ///
    /// # Errors
    /// Where the work before this one still hangs, panicked, or the system gives no thread.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ProbeError> {
        if let Some(since) = self.begin() {
            let message = format!("the question before this one still hangs, for {} s", since.elapsed().as_secs());
            return Err(ProbeError::new(Reason::Timeout, message).mend("check what it waits for: a dead mount, or DNS"));
        }
        let end = End(Arc::clone(&self.busy));
        let (done, answer) = oneshot::channel();
        let thread = thread::Builder::new().name("probe".to_owned()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let end = end;
            let said = work();
            drop(end);
            // It fails when nobody waits any more.
            let _ = done.send(said);
        });
        if let Err(error) = spawned {
            return Err(ProbeError::new(Reason::Internal, format!("no thread to ask on: {error}"))
                .mend("raise TasksMax= of the unit, or have fewer probes"));
        }
        answer.await.map_err(|_| ProbeError::new(Reason::Internal, "the probe panicked"))
    }

    /// Takes the place, or says since when it is taken.
    fn begin(&self) -> Option<Instant> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *busy;
        busy.get_or_insert_with(Instant::now);
        before
    }
}

/// Frees the place, also after a panic.
struct End(Arc<Mutex<Option<Instant>>>);

impl Drop for End {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_hangs_costs_one_thread_until_it_comes_back() {
        let aside = Aside::default();
        let (release, released) = mpsc::channel::<()>();
        let hangs = aside.run(move || assert!(released.recv().is_err()));
        assert!(tokio::time::timeout(Duration::from_millis(20), hangs).await.is_err());
        let refused = aside.run(|| 1).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Timeout);
        drop(release);
        while aside.run(|| 2).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(aside.run(|| 3).await, Ok(3));
    }

    #[tokio::test]
    async fn a_panic_aside_is_told_and_leaves_the_place_free() {
        let aside = Aside::default();
        let panicked = aside.run(|| panic!("of this test")).await.map(|()| 0).unwrap_err();
        assert_eq!(panicked.reason, Reason::Internal);
        assert_eq!(aside.run(|| 3).await, Ok(3));
    }
}
