//! A real filesystem that is full, and one that is read-only.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::*;

/// Says on the terminal that a test did not test, and why, as the tests of the binary do.
fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("VIGIE_NO_SKIPS").is_none(), "{name} would be skipped: {why}");
    let line = format!("skipped: {name}: {why}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    if let Some(path) = std::env::var_os("VIGIE_SKIPPED") {
        let file = fs::File::options().create(true).append(true).open(path);
        file.and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes())).unwrap();
    }
}

/// Runs `test` with a filesystem of its own of this size, which nobody else sees.
fn with_filesystem(size: &str, test: impl FnOnce(TempDir) + Send) {
    let name = std::thread::current().name().map(str::to_owned);
    let run = || {
        let state = tempfile::tempdir().unwrap();
        let none = None::<&str>;
        let mounted = unshare(CloneFlags::CLONE_NEWNS)
            .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
            .and_then(|()| mount(none, state.path(), Some("tmpfs"), MsFlags::empty(), Some(size)));
        match mounted {
            Ok(()) => test(state),
            Err(errno) => skipped(&format!("no filesystem of its own: {errno}")),
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.unwrap_or_default());
        thread.spawn_scoped(scope, run).unwrap().join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// More than the filesystems have.
const ROOMY: config::Spool = config::Spool { max_bytes: 16 << 20, ..LIMITS };

#[test]
fn a_full_disk_costs_only_what_fits_neither_there_nor_in_memory() {
    with_filesystem("size=512k", |state| {
        let mut spool = open_with(&state, ROOMY);
        append(&mut spool, 0..10, 20_000);
        let ballast = state.path().join("ballast");
        let written = std::io::copy(&mut std::io::repeat(7), &mut fs::File::create(&ballast).unwrap());
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        append(&mut spool, 10..12, 20_000);
        let trouble = spool.status().trouble.unwrap();
        for number in 12..100 {
            append(&mut spool, [number], 20_000);
        }
        let status = spool.status();
        assert_eq!(status.trouble.as_ref(), Some(&trouble), "what is the same is told once");
        assert!(trouble.contains("No space left on device (os error 28): make room on its filesystem"), "{trouble}");
        assert_eq!((status.in_memory, status.on_disk), (status.records - 10, false));
        let lost = status.dropped.of(Reason::Memory);
        assert!(lost.records > 30 && status.records + lost.records == 100, "{lost:?}");
        // It is sent from memory, behind what is on the disk.
        for number in 0..10 {
            assert_eq!(spool.front().map(|record| self::number(&record)), Some(number));
            spool.done();
        }
        // So far it is sent for good.
        assert_eq!(cursor::load(&directory(&state)), Some(10));
        let first = spool.front().map(|record| self::number(&record)).unwrap();
        let dropped: Vec<u64> = (10..first).collect();
        assert_eq!(spool.status().dropped.of(Reason::Memory).points, points(dropped.iter().copied()));
        assert_eq!(spool.status().dropped.of(Reason::Memory).records, dropped.len() as u64);

        // With room again, all that waits is on the disk with the next record.
        fs::remove_file(ballast).unwrap();
        mount(None::<&str>, state.path(), None::<&str>, MsFlags::MS_REMOUNT, Some("size=8m")).unwrap();
        append(&mut spool, [100], 10);
        let status = spool.status();
        assert_eq!((status.in_memory, status.on_disk, status.trouble), (0, true, None));
        drop(spool);
        let mut spool = open_with(&state, ROOMY);
        let sent = drain(&mut spool);
        assert_eq!(*sent.last().unwrap(), 100);
        assert_eq!(sent, (first..=100).collect::<Vec<_>>());
        assert_eq!(spool.status().dropped, Dropped::default());
    });
}

#[test]
fn a_disk_that_is_full_from_the_start_is_said_and_got_over() {
    with_filesystem("size=64k,nr_inodes=3", |state| {
        let mut spool = open(&state);
        append(&mut spool, 0..3, 100);
        let trouble = spool.status().trouble.unwrap();
        assert!(trouble.contains("No space left on device"), "{trouble}");
        assert_eq!(drain(&mut spool), [0, 1, 2]);
        mount(None::<&str>, state.path(), None::<&str>, MsFlags::MS_REMOUNT, Some("size=1m,nr_inodes=100")).unwrap();
        append(&mut spool, 3..5, 100);
        assert_eq!(spool.status().trouble, None);
        drop(spool);
        assert_eq!(drain(&mut open(&state)), [3, 4]);
    });
}

#[test]
fn a_read_only_disk_means_memory_until_it_is_writable() {
    with_filesystem("size=1m", |state| {
        append(&mut open(&state), 0..2, 100);
        let remount =
            |flags| mount(None::<&str>, state.path(), None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>);
        remount(MsFlags::MS_RDONLY).unwrap();
        let mut spool = open(&state);
        append(&mut spool, 2..4, 100);
        let trouble = spool.status().trouble.unwrap();
        assert!(trouble.ends_with("mount its filesystem writable, or choose another directory with paths.state"));
        let status = spool.status();
        assert!(status.in_memory > 0 && !status.on_disk);
        remount(MsFlags::empty()).unwrap();
        append(&mut spool, [4], 100);
        assert_eq!(spool.status().trouble, None);
        assert_eq!(drain(&mut spool), [0, 1, 2, 3, 4]);
    });
}
