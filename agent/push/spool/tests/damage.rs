//! Bytes that are missing, and bytes that are others.

use super::model::Random;
use super::*;

/// A spool of five records in one segment; gives the segment.
fn five(state: &TempDir) -> PathBuf {
    append(&mut open(state), 0..5, 60);
    let segments = files(state, ".seg");
    assert_eq!(segments.len(), 1);
    segments[0].clone()
}

fn copy(bytes: &[u8], name: &Path) -> TempDir {
    let state = in_memory();
    fs::create_dir(directory(&state)).unwrap();
    fs::write(directory(&state).join(name.file_name().unwrap()), bytes).unwrap();
    state
}

#[test]
fn one_flipped_byte_costs_one_record_at_most() {
    let state = in_memory();
    let path = five(&state);
    let whole = fs::read(&path).unwrap();
    let bounds: Vec<usize> = (0..=5).map(|number| 36 + number * 108).collect();
    assert_eq!(*bounds.last().unwrap(), whole.len());
    for (place, sealed) in (0..whole.len()).flat_map(|place| [(place, false), (place, true)]) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        let hit = bounds.windows(2).position(|bounds| (bounds[0]..bounds[1]).contains(&place)).map(|hit| hit as u64);
        let state = copy(&bytes, &path);
        if sealed {
            // Another segment behind it.
            let last = frame::Mark { number: 5, points: points(0..5) };
            fs::write(directory(&state).join("0000000000000009.seg"), frame::segment(last)).unwrap();
        }
        let mut spool = open(&state);
        append(&mut spool, [5], 60);
        let sent = drain(&mut spool);
        let expected: Vec<u64> = (0..=5).filter(|number| Some(*number) != hit).collect();
        assert_eq!(sent, expected, "byte {place}");
        let dropped = spool.status().dropped.of(Reason::Corrupt);
        assert_eq!(dropped.records, u64::from(hit.is_some()), "byte {place}");
        assert_eq!(spool.status().bad_segments, 1, "byte {place}");
        // How many points a last record held whose header is gone, nothing tells.
        if sealed || hit != Some(4) || place - bounds[4] >= 48 {
            assert_eq!(dropped.points, points(hit), "byte {place}");
        }
        // Whatever came behind it, the damaged one is set aside once it is read to its end.
        append(&mut spool, [6], 70_000);
        assert_eq!(drain(&mut spool), [6]);
        assert_eq!(files(&state, ".bad").len(), 1, "byte {place}");
        drop(spool);
        let mut spool = open(&state);
        assert_eq!((spool.front(), spool.status().bad_segments), (None, 0));
    }
}

#[test]
fn a_torn_tail_is_cut_at_any_length() {
    let state = in_memory();
    let path = five(&state);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        let state = copy(&whole[..length], &path);
        let left = (length.saturating_sub(36) / 108) as u64;
        let mut spool = open(&state);
        append(&mut spool, 10..12, 60);
        drop(spool);
        let mut spool = open(&state);
        assert_eq!(drain(&mut spool), (0..left).chain(10..12).collect::<Vec<_>>(), "{length} bytes");
        let status = spool.status();
        assert_eq!((status.bad_segments, status.dropped), (0, Dropped::default()), "{length} bytes");
        assert_eq!(files(&state, ".bad"), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn many_damaged_places_cost_what_they_hit() {
    let state = in_memory();
    append(&mut open(&state), 0..40, 20_000);
    let segments = files(&state, ".seg");
    // Three records each: the second of the second, the header of the third's first, all of the fourth.
    let flip = |path: &Path, place: usize, length: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[place..place + length].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(path, bytes).unwrap();
    };
    flip(&segments[1], 36 + 20_048 + 100, 5000);
    flip(&segments[2], 36, 10);
    flip(&segments[3], 0, 60_000);
    fs::remove_file(&segments[4]).unwrap();
    fs::write(&segments[5], &fs::read(&segments[5]).unwrap()[..30_000]).unwrap();
    let lost = [4, 6, 9, 10, 11, 12, 13, 14, 16, 17];
    let mut spool = open(&state);
    assert_eq!(drain(&mut spool), (0..40).filter(|number| !lost.contains(number)).collect::<Vec<_>>());
    let status = spool.status();
    assert_eq!(status.dropped.of(Reason::Corrupt), Count { records: 10, points: points(lost) });
    assert_eq!(status.bad_segments, 4);
    assert!(files(&state, ".bad").len() == 2, "an eighth of the spool is kept of them");
    assert!(spool.status().bytes < (1 << 20) / 8 + (64 << 10) + 100);
}

#[test]
fn segments_of_any_bytes_at_all_stop_nothing() {
    let state = in_memory();
    fs::create_dir(directory(&state)).unwrap();
    for (number, bytes) in
        [vec![], vec![0; 5], vec![0xff; 36], vec![0; 50_000], b"\xf7vg\x9e".repeat(20_000)].into_iter().enumerate()
    {
        fs::write(directory(&state).join(format!("{number:016}.seg")), bytes).unwrap();
    }
    fs::write(directory(&state).join(format!("{}.seg", u64::MAX)), "x").unwrap();
    let mut spool = open(&state);
    assert_eq!(spool.front(), None);
    append(&mut spool, 0..3, 60);
    drop(spool);
    let mut spool = open(&state);
    assert_eq!(drain(&mut spool), [0, 1, 2]);
}

#[test]
fn a_segment_that_was_copied_is_set_aside() {
    let state = in_memory();
    append(&mut open(&state), 0..10, 20_000);
    let segments = files(&state, ".seg");
    fs::copy(&segments[0], directory(&state).join("0000000000000077.seg")).unwrap();
    let mut spool = open(&state);
    append(&mut spool, [10], 60);
    assert_eq!(drain(&mut spool), (0..=10).collect::<Vec<_>>());
    assert_eq!(spool.status().bad_segments, 1);
}

#[test]
fn no_damage_at_all_sends_anything_wrong_or_stops_what_comes_after() {
    for seed in 1..=150 {
        let mut random = Random::of(seed);
        let state = in_memory();
        let mut next = 0;
        for _ in 0..3 {
            let mut spool = open(&state);
            for _ in 0..random.below(30) {
                append(&mut spool, [next], random.below(20_000) as usize);
                next += 1;
            }
            for _ in 0..random.below(20) {
                spool.front();
                spool.done();
            }
            drop(spool);
            for path in files(&state, "") {
                ruin(&path, &mut random);
            }
        }
        let mut spool = open(&state);
        append(&mut spool, [next, next + 1], 100);
        drop(spool);
        let sent = drain(&mut open(&state));
        assert!(sent.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {sent:?}");
        assert!(sent.ends_with(&[next, next + 1]), "seed {seed}: {sent:?}");
    }
}

/// Does something to a file, or nothing.
fn ruin(path: &Path, random: &mut Random) {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len() as u64;
    let place = random.below(length + 1) as usize;
    match random.below(12) {
        0 => bytes.truncate(place),
        1 => bytes.extend(vec![random.below(256) as u8; 5000]),
        2 => return fs::remove_file(path).unwrap(),
        3 => drop(bytes.drain(..place)),
        4..=6 => {
            let end = bytes.len().min(place + random.below(3000) as usize);
            bytes[place..end].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        }
        7 => bytes[place..].fill(0),
        _ => return,
    }
    fs::write(path, bytes).unwrap();
}

/// A directory opens like a file, and cannot be read like one: as a disk that fails.
#[test]
fn a_disk_that_cannot_read_is_tried_again_before_anything_is_given_up() {
    let state = in_memory();
    let mut spool = open(&state);
    append(&mut spool, 0..12, 20_000);
    let (segment, away) = (&files(&state, ".seg")[1], state.path().join("away"));
    let fail = || {
        fs::rename(segment, &away).unwrap();
        fs::create_dir(segment).unwrap();
    };
    assert_eq!([(); 3].map(|()| (spool.front().map(|record| number(&record)), spool.done()).0), [0, 1, 2].map(Some));
    fail();
    assert_eq!(spool.front(), None);
    let trouble = spool.status().trouble.unwrap();
    assert!(trouble.starts_with(&format!("cannot read {}: Is a directory", segment.display())), "{trouble}");
    fs::remove_dir(segment).unwrap();
    fs::rename(&away, segment).unwrap();
    assert_eq!(spool.front().map(|record| number(&record)), Some(3));
    assert_eq!(spool.status().trouble, None);
    drop(spool);

    let mut spool = open(&state);
    fail();
    for _ in 0..6 {
        assert_eq!(spool.front(), None);
        go(10);
    }
    assert_eq!(drain(&mut spool), (6..12).collect::<Vec<_>>());
    assert_eq!(spool.status().dropped.of(Reason::Corrupt), Count { records: 3, points: points(3..6) });
    assert_eq!(spool.status().trouble, None);
}
