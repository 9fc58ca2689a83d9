use std::cell::Cell;
use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::push::record::Encoding;

mod damage;
mod disk_full;
mod killed;
mod model;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_800_000_000) };
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.get())
}

fn go(seconds: i64) {
    NOW.set(NOW.get().saturating_add_signed(seconds));
}

/// A record that is told from others by its number, taken now.
fn record(number: u64, bytes: usize) -> Record {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(bytes.max(8), number as u8);
    let encoding = if number.is_multiple_of(2) { Encoding::Gzip } else { Encoding::Identity };
    Record { body: body.into(), encoding, taken: now(), points: (number % 1000) as u32 + 1 }
}

fn number(record: &Record) -> u64 {
    let (number, rest) = record.body.split_first_chunk().unwrap();
    let number = u64::from_le_bytes(*number);
    assert!(rest.iter().all(|byte| *byte == number as u8), "record {number} is whole");
    assert_eq!(u64::from(record.points), number % 1000 + 1);
    assert_eq!(record.encoding == Encoding::Gzip, number.is_multiple_of(2));
    number
}

fn points(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().map(|number| number % 1000 + 1).sum()
}

/// A directory for thousands of fsyncs: on a filesystem in memory where there is one.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

const LIMITS: config::Spool = config::Spool { max_bytes: 1 << 20, max_age: Duration::from_secs(3600) };

fn open(state: &TempDir) -> Spool {
    open_with(state, LIMITS)
}

/// A process that another test starts has our lock too, for a moment: until it runs its program.
fn open_with(state: &TempDir, limits: config::Spool) -> Spool {
    let begun = std::time::Instant::now();
    loop {
        match Spool::open_by(state.path(), limits, now) {
            Err(SpoolError::Locked { .. }) if begun.elapsed() < Duration::from_secs(20) => std::thread::yield_now(),
            outcome => return outcome.unwrap(),
        }
    }
}

/// All that waits, acknowledged one by one.
fn drain(spool: &mut Spool) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(record) = spool.front() {
        numbers.push(number(&record));
        spool.done();
        assert!(numbers.len() < 100_000, "it ends");
    }
    numbers
}

fn append(spool: &mut Spool, numbers: impl IntoIterator<Item = u64>, bytes: usize) {
    spool.append(numbers.into_iter().map(|number| record(number, bytes)).collect());
}

fn directory(state: &TempDir) -> PathBuf {
    state.path().join("spool")
}

fn files(state: &TempDir, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory(state)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_str().unwrap().ends_with(kind)).collect();
    files.sort();
    files
}

fn bytes_on_disk(state: &TempDir) -> u64 {
    files(state, "").iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[test]
fn records_come_back_in_order_and_until_they_are_acknowledged() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    assert_eq!(spool.front(), None);
    spool.done();
    append(&mut spool, 0..3, 100);
    append(&mut spool, 3..5, 10_000);
    assert_eq!(spool.front(), spool.front());
    let status = spool.status();
    assert_eq!((status.records, status.points, status.oldest), (5, points(0..5), Some(now())));
    assert_eq!((status.in_memory, status.on_disk, status.trouble), (0, true, None));
    assert_eq!(drain(&mut spool), [0, 1, 2, 3, 4]);
    assert_eq!(spool.front(), None);
    let status = spool.status();
    assert_eq!((status.records, status.points, status.oldest), (0, 0, None));
    assert_eq!(status.dropped, Dropped::default());
}

#[test]
fn another_run_goes_on_where_the_last_one_was() {
    let state = tempfile::tempdir().unwrap();
    for run in 0..20 {
        let mut spool = open(&state);
        append(&mut spool, run * 10..run * 10 + 10, 3000);
        for expected in run * 7..run * 7 + 7 {
            assert_eq!(spool.front().map(|record| number(&record)), Some(expected));
            spool.done();
        }
        // It is out, but not acknowledged.
        assert_eq!(spool.front().map(|record| number(&record)), Some(run * 7 + 7));
        assert_eq!(spool.status().records, 3 + run * 3);
        assert_eq!(spool.status().points, points(run * 7 + 7..run * 10 + 10));
    }
    assert_eq!(drain(&mut open(&state)), (140..200).collect::<Vec<_>>());
    assert_eq!(open(&state).status().dropped, Dropped::default());
}

#[test]
fn what_is_sent_goes_from_the_disk() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    append(&mut spool, 0..40, 20_000);
    assert!(files(&state, ".seg").len() > 10);
    drain(&mut spool);
    assert_eq!(files(&state, ".seg").len(), 1, "the one that is being written");
    drop(spool);
    let mut spool = open(&state);
    append(&mut spool, 40..41, 100);
    assert_eq!(drain(&mut spool), [40]);
}

#[test]
fn too_much_is_dropped_oldest_first_and_counted() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    for number in 0..200 {
        append(&mut spool, [number], 20_000);
        assert!(bytes_on_disk(&state) <= LIMITS.max_bytes, "record {number}");
        assert!(spool.status().bytes <= LIMITS.max_bytes);
    }
    let status = spool.status();
    let first = 200 - status.records;
    assert!(status.records > 40);
    assert_eq!(status.dropped.of(Reason::Bytes), Count { records: first, points: points(0..first) });
    assert_eq!(status.points, points(first..200));
    assert_eq!(drain(&mut spool), (first..200).collect::<Vec<_>>());
    for reason in [Reason::Age, Reason::Corrupt, Reason::Memory, Reason::Busy] {
        assert_eq!(spool.status().dropped.of(reason), Count::default());
    }
}

#[test]
fn the_record_that_is_out_is_not_dropped() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    append(&mut spool, [0], 20_000);
    assert_eq!(spool.front().map(|record| number(&record)), Some(0));
    append(&mut spool, 1..200, 20_000);
    go(2 * 3600);
    append(&mut spool, [200], 10);
    assert_eq!(spool.front().map(|record| number(&record)), Some(0));
    spool.done();
    assert_eq!(drain(&mut spool), [200]);
    let dropped = spool.status().dropped;
    let [bytes, age] = [Reason::Bytes, Reason::Age].map(|reason| dropped.of(reason));
    assert_eq!((bytes.records + age.records, bytes.points + age.points), (199, points(1..200)));
}

#[test]
fn a_record_that_never_fits_is_dropped_alone() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    spool.append(vec![record(0, 100), record(1, 1 << 20), record(2, 700_000), record(3, 100)]);
    assert_eq!(drain(&mut spool), [0, 2, 3]);
    assert_eq!(spool.status().dropped.of(Reason::Bytes), Count { records: 1, points: 2 });
    append(&mut spool, [4, 5], 700_000);
    assert_eq!(drain(&mut spool), [5]);
}

#[test]
fn smaller_limits_hold_at_once() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open_with(&state, config::Spool { max_bytes: 4 << 20, ..LIMITS });
    append(&mut spool, 0..100, 20_000);
    assert_eq!(spool.status().records, 100);
    spool.set_limits(LIMITS);
    assert!(bytes_on_disk(&state) <= LIMITS.max_bytes);
    let first = spool.status().dropped.of(Reason::Bytes).records;
    assert_eq!(drain(&mut spool), (first..100).collect::<Vec<_>>());
}

#[test]
fn what_is_too_old_is_dropped_by_the_record() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    for number in 0..100 {
        append(&mut spool, [number], 2_000);
        go(60);
    }
    // The last is a minute old: 60 minutes and older are 40 of them.
    go(1);
    append(&mut spool, [100], 10);
    assert_eq!(spool.status().dropped.of(Reason::Age), Count { records: 41, points: points(0..41) });
    assert_eq!(spool.status().oldest, Some(now() - Duration::from_secs(59 * 60 + 1)));
    drop(spool);
    let mut spool = open(&state);
    assert_eq!(drain(&mut spool), (41..=100).collect::<Vec<_>>());
    assert_eq!(spool.status().dropped, Dropped::default(), "counted once");
}

#[test]
fn a_clock_that_is_set_costs_nothing_but_what_it_makes_too_old() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    append(&mut spool, [0], 10);
    go(-86_400);
    append(&mut spool, [1], 10);
    go(100);
    // Behind one of the future, even what is too old by now waits for its turn.
    go(7200);
    append(&mut spool, [2], 10);
    assert_eq!(spool.status().records, 3);
    assert_eq!(drain(&mut spool), [0, 2]);
    assert_eq!(spool.status().dropped.of(Reason::Age).records, 1);
    NOW.set(0);
    append(&mut spool, [3], 10);
    assert_eq!(drain(&mut spool), [3]);
}

#[test]
fn a_second_agent_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(&state);
    let error = Spool::open_by(state.path(), LIMITS, now).err().unwrap().to_string();
    let path = directory(&state);
    assert!(error.starts_with(&format!("another vigie uses the spool in {}: stop it", path.display())), "{error}");
    drop(spool);
    open(&state);
}

#[test]
fn foreign_files_and_later_segments_are_left_alone() {
    let state = tempfile::tempdir().unwrap();
    fs::create_dir(directory(&state)).unwrap();
    let mut newer = b"vigiespl".to_vec();
    newer.extend(2_u32.to_le_bytes());
    newer.extend(crc32c::crc32c(&newer).to_le_bytes());
    newer.extend([7; 4000]);
    let later = directory(&state).join("0000000000000007.seg");
    let foreign = directory(&state).join("notes.txt");
    let folder = directory(&state).join("0000000000000008.seg");
    fs::write(&later, &newer).unwrap();
    fs::write(&foreign, "hello").unwrap();
    fs::create_dir(&folder).unwrap();
    for run in 0..3 {
        let mut spool = open(&state);
        append(&mut spool, [run, run + 1], 40_000);
        assert_eq!(drain(&mut spool), [run, run + 1]);
        assert_eq!(spool.status().bad_segments, 0);
    }
    assert_eq!(fs::read(later).unwrap(), newer);
    assert_eq!(fs::read(foreign).unwrap(), b"hello");
    assert!(folder.is_dir());
}

#[test]
fn a_file_in_the_directorys_place_means_memory_until_it_goes() {
    let state = tempfile::tempdir().unwrap();
    fs::write(directory(&state), "in the way").unwrap();
    let mut spool = open(&state);
    let status = spool.status();
    assert_eq!((status.in_memory, status.on_disk), (0, false));
    let trouble = status.trouble.unwrap();
    assert!(trouble.starts_with(&format!("cannot create {}: ", directory(&state).display())), "{trouble}");
    assert!(trouble.ends_with(": move away what is in its place, or choose another directory with paths.state"));
    append(&mut spool, 0..60, 20_000);
    let dropped = spool.status().dropped.of(Reason::Memory);
    assert_eq!(dropped, Count { records: 8, points: points(0..8) });
    assert_eq!(spool.front().map(|record| number(&record)), Some(8));
    fs::remove_file(directory(&state)).unwrap();
    append(&mut spool, [60], 10);
    let status = spool.status();
    assert_eq!((status.in_memory, status.trouble, status.records), (0, None, 53));
    drop(spool);
    assert_eq!(drain(&mut open(&state)), (8..=60).collect::<Vec<_>>());
}

#[test]
fn a_directory_that_is_removed_is_made_anew() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    append(&mut spool, 0..10, 20_000);
    assert_eq!(spool.front().map(|record| number(&record)), Some(0));
    fs::remove_dir_all(directory(&state)).unwrap();
    append(&mut spool, [10], 10);
    append(&mut spool, [11], 10);
    assert_eq!(spool.status().dropped.of(Reason::Corrupt), Count { records: 9, points: points(1..10) });
    spool.done();
    assert_eq!(drain(&mut spool), [10, 11]);
    append(&mut spool, [12], 10);
    drop(spool);
    assert_eq!(drain(&mut open(&state)), [12]);
}

#[test]
fn without_a_cursor_the_oldest_segment_is_sent_from_its_beginning() {
    for cursor in [None, Some(&b""[..]), Some(b"garbage"), Some(&[0; 20])] {
        let state = tempfile::tempdir().unwrap();
        let mut spool = open(&state);
        append(&mut spool, 0..30, 20_000);
        for _ in 0..10 {
            spool.front();
            spool.done();
        }
        drop(spool);
        let path = directory(&state).join("cursor");
        fs::remove_file(&path).unwrap();
        if let Some(bytes) = cursor {
            fs::write(&path, bytes).unwrap();
        }
        let sent = drain(&mut open(&state));
        let first = sent[0];
        assert!((7..=10).contains(&first), "{first}");
        assert_eq!(sent, (first..30).collect::<Vec<_>>());
    }
}

#[test]
fn a_cursor_to_what_is_gone_points_to_the_oldest_that_is_there() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(&state);
    append(&mut spool, 0..30, 20_000);
    spool.front();
    spool.done();
    drop(spool);
    fs::remove_file(&files(&state, ".seg")[0]).unwrap();
    assert_eq!(drain(&mut open(&state)), (3..30).collect::<Vec<_>>());

    let mut spool = open(&state);
    append(&mut spool, 30..40, 20_000);
    drain(&mut spool);
    drop(spool);
    files(&state, ".seg").iter().for_each(|path| fs::remove_file(path).unwrap());
    let mut spool = open(&state);
    append(&mut spool, [40], 10);
    drop(spool);
    let mut spool = open(&state);
    assert_eq!(drain(&mut spool), [40]);
    assert_eq!(spool.status().dropped, Dropped::default());
}
