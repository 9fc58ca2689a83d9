use std::fs;
use std::time::{Instant, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::push::record::Encoding;
use crate::push::spool::{Count, SpoolError};

const LIMITS: config::Spool = config::Spool { max_bytes: 1 << 20, max_age: Duration::from_secs(3600) };
const PATIENCE: Duration = Duration::from_secs(30);

fn record(number: u32) -> Record {
    let body = number.to_le_bytes().to_vec().into();
    Record { body, encoding: Encoding::Gzip, taken: SystemTime::now(), points: 2 }
}

fn number(record: &Record) -> u32 {
    u32::from_le_bytes(record.body[..].try_into().unwrap())
}

fn keeper(state: &TempDir) -> Keeper {
    let begun = Instant::now();
    loop {
        match Spool::open(state.path(), LIMITS) {
            // A process that another test starts has our lock too, for a moment.
            Err(SpoolError::Locked { .. }) if begun.elapsed() < PATIENCE => std::thread::yield_now(),
            spool => return Keeper::start(spool.unwrap()).unwrap(),
        }
    }
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_appended_comes_out_in_order_and_over_the_end() {
    let state = tempfile::tempdir().unwrap();
    let spool = keeper(&state);
    spool.append(vec![record(0), record(1)]).await;
    assert_eq!(spool.status().records, 2);
    assert!(spool.order(Order::Append(vec![record(2)], None)));
    for expected in 0..2 {
        assert_eq!(number(&spool.next().await), expected);
        assert_eq!(number(&spool.next().await), expected, "until it is acknowledged");
        spool.done().await;
    }
    assert!(spool.close(PATIENCE).await);
    assert!(!spool.order(Order::Append(vec![record(9)], None)));
    assert_eq!(spool.status().dropped.of(Reason::Busy), Count { records: 1, points: 2 });
    spool.append(vec![record(9)]).await;
    spool.done().await;
    assert!(spool.close(PATIENCE).await, "it is closed already");
    let spool = keeper(&state);
    assert_eq!(number(&spool.next().await), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_waits_gets_what_comes_and_whoever_gives_up_loses_nothing() {
    let state = tempfile::tempdir().unwrap();
    let spool = keeper(&state);
    for round in 0..50 {
        let early = tokio::time::timeout(Duration::from_micros(10), spool.next()).await;
        assert!(early.is_err());
        let (waiting, appending) = (spool.clone(), spool.clone());
        let next = tokio::spawn(async move { waiting.next().await });
        tokio::task::yield_now().await;
        std::thread::spawn(move || assert!(appending.order(Order::Append(vec![record(round)], None))));
        assert_eq!(number(&next.await.unwrap()), round);
        spool.done().await;
        // There is none: that acknowledges nothing.
        spool.done().await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_skipped_or_repeated_while_others_append() {
    const EACH: u32 = 300;
    let state = tempfile::tempdir().unwrap();
    let spool = keeper(&state);
    let appending = spool.clone();
    let appender = tokio::spawn(async move {
        for number in 0..EACH {
            appending.append(vec![record(number)]).await;
        }
    });
    for expected in 0..EACH {
        // Some calls are dropped at any point.
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(expected % 50)), spool.next()).await;
        assert_eq!(number(&spool.next().await), expected);
        spool.done().await;
    }
    appender.await.unwrap();
    until("all is acknowledged", || spool.status().records == 0).await;
    assert_eq!(spool.status().dropped, Default::default());
}

/// A pipe that nobody reads, in the place of the cursor's next version: an open() that hangs until somebody does.
#[tokio::test(flavor = "current_thread")]
async fn a_disk_that_hangs_holds_up_nobody() {
    let state = tempfile::tempdir().unwrap();
    let spool = keeper(&state);
    spool.append(vec![record(0)]).await;
    let pipe = state.path().join("spool/cursor.new");
    let _ = fs::remove_file(&pipe);
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    spool.next().await;
    spool.done().await;
    let mut taken = 0;
    until("the queue is full", || {
        taken += u64::from(spool.order(Order::Append(vec![record(1)], None)));
        spool.status().dropped.of(Reason::Busy).records > 2
    })
    .await;
    assert!(taken >= QUEUE as u64 && taken <= QUEUE as u64 + 1, "{taken}");
    assert!(!spool.close(Duration::from_millis(50)).await);
    let free = std::thread::spawn(move || fs::read(pipe).unwrap());
    for _ in 0..taken {
        assert_eq!(number(&spool.next().await), 1);
        spool.done().await;
    }
    until("all is acknowledged", || spool.status().records == 0).await;
    free.join().unwrap();
    assert!(spool.close(PATIENCE).await);
}

#[tokio::test(flavor = "current_thread")]
async fn other_limits_reach_the_thread_and_its_end_frees_the_directory() {
    let state = tempfile::tempdir().unwrap();
    let spool = keeper(&state);
    spool.append((0..10).map(record).collect()).await;
    spool.set_limits(config::Spool { max_age: Duration::ZERO, ..LIMITS }).await;
    until("all but the one that is out is too old", || spool.status().dropped.of(Reason::Age).records == 9).await;
    drop(spool);
    keeper(&state);
}
