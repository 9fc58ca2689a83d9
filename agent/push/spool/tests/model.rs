//! The spool against a queue, through random lives.

use super::*;

/// Marsaglia's xorshift.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn of(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn it_is_a_queue() {
    for seed in 1..=20 {
        live(seed);
    }
}

fn live(seed: u64) {
    let mut random = Random::of(seed);
    let state = in_memory();
    let mut spool = open(&state);
    let mut queue = VecDeque::new();
    let mut next = 0;
    for step in 0..400 {
        match random.below(10) {
            0..=3 => {
                let batch: Vec<u64> = (next..next + random.below(4)).collect();
                next += batch.len() as u64;
                // As much as always fits: bounds have tests of their own.
                let room = queue.len() + batch.len() <= 40;
                let records = batch.iter().map(|number| record(*number, random.below(20_000) as usize));
                let records = records.collect();
                if room {
                    spool.append(records);
                    queue.extend(batch);
                }
            }
            4..=7 => {
                let given = spool.front().map(|record| number(&record));
                assert_eq!(given, queue.front().copied(), "seed {seed}, step {step}");
                if random.below(4) > 0 {
                    spool.done();
                    queue.pop_front();
                }
            }
            8 => {
                drop(spool);
                if random.below(2) == 0 {
                    tear(&state, &mut random);
                }
                spool = open(&state);
            }
            _ => {
                let status = spool.status();
                assert_eq!(status.records, queue.len() as u64, "seed {seed}, step {step}");
                assert_eq!(status.points, points(queue.iter().copied()), "seed {seed}, step {step}");
                assert_eq!(status.dropped, Dropped::default());
                assert_eq!(status.bytes, bytes_on_disk(&state) + if has_cursor(&state) { 20 } else { 40 });
            }
        }
    }
    assert_eq!(drain(&mut spool), queue.make_contiguous(), "seed {seed}");
}

fn has_cursor(state: &TempDir) -> bool {
    directory(state).join("cursor").exists()
}

/// Leaves behind the last segment what a crash does: the beginning of a record.
fn tear(state: &TempDir, random: &mut Random) {
    let Some(last) = files(state, ".seg").pop() else { return };
    let record = record(999, 500);
    let mut torn = frame::Frame::of(&record, frame::Mark { number: 1 << 40, points: 1 << 50 }).bytes();
    torn.extend(&record.body);
    torn.truncate(random.below(torn.len() as u64) as usize);
    let mut bytes = fs::read(&last).unwrap();
    bytes.extend(torn);
    fs::write(last, bytes).unwrap();
}
