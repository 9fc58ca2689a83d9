//! The spool on a thread of its own: a disk that hangs must not hold up the network.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use super::{Reason, Spool, Status};
use crate::config;
use crate::push::record::Record;

/// Batches that wait for the disk at most.
const QUEUE: usize = 8;

/// Bytes of the thread's stack.
const STACK: usize = 256 << 10;

/// A handle to the spool. There may be many that append, and one that takes out.
#[derive(Clone)]
pub struct Keeper {
    orders: mpsc::Sender<Order>,
    desk: Arc<Desk>,
}

enum Order {
    Append(Vec<Record>, Option<oneshot::Sender<()>>),
    Done,
    SetLimits(config::Spool),
    Close(oneshot::Sender<()>),
}

/// What the thread lays out for the others.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    /// There is another record, or a status that tells so.
    changed: Notify,
}

#[derive(Default)]
struct State {
    status: Status,
    /// The oldest record, and how many were done when it was laid out.
    head: Option<(u64, Record)>,
    /// How many are done for those who take out; the thread may not know all of it yet.
    done: u64,
    /// What found the queue full.
    busy: (u64, u64),
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(spool: Spool) -> io::Result<Keeper> {
        let (orders, queue) = mpsc::channel(QUEUE);
        let desk = Arc::new(Desk::default());
        let keeper = Keeper { orders, desk: Arc::clone(&desk) };
        let thread = std::thread::Builder::new().name("spool".to_owned()).stack_size(STACK);
        thread.spawn(move || {
            let _gone = Gone(&desk);
            serve(spool, queue, &desk);
        })?;
        Ok(keeper)
    }

    /// Adds records; returns when they are kept, or dropped because the disk does not keep up. To drop the call changes
    /// neither.
    pub async fn append(&self, records: Vec<Record>) {
        let (sender, kept) = oneshot::channel();
        if self.order(Order::Append(records, Some(sender))) {
            // The end of the thread is an answer too.
            let _ = kept.await;
        }
    }

    /// Adds an order without waiting. `false` where the disk does not keep up: it is dropped.
    fn order(&self, order: Order) -> bool {
        match self.orders.try_send(order) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(order) | mpsc::error::TrySendError::Closed(order)) => {
                self.count_busy(&order);
                false
            }
        }
    }

    /// The oldest record, once there is one; the same again until [`Keeper::done`]. To drop the call loses nothing. Waits
    /// for ever behind [`Keeper::close`].
    pub async fn next(&self) -> Record {
        loop {
            let changed = self.desk.changed.notified();
            if let Some(record) = self.desk.lock().head().cloned() {
                return record;
            }
            changed.await;
        }
    }

    /// Acknowledges what [`Keeper::next`] gave; without that, nothing.
    pub async fn done(&self) {
        let Ok(place) = self.orders.reserve().await else { return };
        let mut state = self.desk.lock();
        if state.head().is_some() {
            state.head = None;
            state.done += 1;
            place.send(Order::Done);
        }
    }

    /// How the spool was after what it did last; does not wait for it.
    pub fn status(&self) -> Status {
        let state = self.desk.lock();
        let mut status = state.status.clone();
        status.dropped.add(Reason::Busy, state.busy.0, state.busy.1);
        status
    }

    /// Takes over other limits.
    pub async fn set_limits(&self, limits: config::Spool) {
        // Nobody needs them where the thread has ended.
        let _ = self.orders.send(Order::SetLimits(limits)).await;
    }

    /// Ends the thread behind what was asked of it so far. `false` where that takes longer than `patience`: a disk
    /// hangs, and the thread with it.
    pub async fn close(&self, patience: Duration) -> bool {
        let close = async {
            let (sender, closed) = oneshot::channel();
            // The end of the thread is an answer too.
            let _ = self.orders.send(Order::Close(sender)).await;
            let _ = closed.await;
        };
        tokio::time::timeout(patience, close).await.is_ok()
    }

    fn count_busy(&self, order: &Order) {
        if let Order::Append(records, _) = order {
            let busy = &mut self.desk.lock().busy;
            busy.0 += records.len() as u64;
            busy.1 += records.iter().map(|record| u64::from(record.points)).sum::<u64>();
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest record, unless it is done already.
    fn head(&self) -> Option<&Record> {
        self.head.as_ref().filter(|(done, _)| *done == self.done).map(|(_, record)| record)
    }
}

/// The life of the thread: until it is closed, or nobody is left to ask.
fn serve(mut spool: Spool, mut queue: mpsc::Receiver<Order>, desk: &Desk) {
    let (mut done, mut closers) = (0, Vec::new());
    lay_out(&mut spool, done, desk);
    while let Some(order) = queue.blocking_recv() {
        let mut kept = None;
        match order {
            Order::Append(records, sender) => {
                spool.append(records);
                kept = sender;
            }
            Order::Done => {
                spool.done();
                done += 1;
            }
            Order::SetLimits(limits) => spool.set_limits(limits),
            Order::Close(sender) => {
                // What is in the queue already is kept; nothing more comes in.
                queue.close();
                closers.push(sender);
            }
        }
        lay_out(&mut spool, done, desk);
        if let Some(sender) = kept {
            // Whoever asked may have gone on.
            let _ = sender.send(());
        }
    }
    spool.close();
    for sender in closers {
        // Whoever is told may open the directory.
        let _ = sender.send(());
    }
}

fn lay_out(spool: &mut Spool, done: u64, desk: &Desk) {
    let head = spool.front().map(|record| (done, record));
    let status = spool.status();
    let mut state = desk.lock();
    (state.head, state.status) = (head, status);
    drop(state);
    desk.changed.notify_waiters();
}

/// Tells that the thread has ended, by a panic too.
struct Gone<'a>(&'a Desk);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        // Nobody could acknowledge it.
        state.head = None;
        if std::thread::panicking() {
            state.status.trouble = Some("the spool's thread ended by a panic: restart vigie".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
