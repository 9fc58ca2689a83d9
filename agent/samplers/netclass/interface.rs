//! One network interface: what of it moves, what stays, and whether it is still the same one.

use super::{CARRIER_CHANGES, CHANGES, FLAGS, IDENTITY, INFO, MOVING, SPEED, UP};
use crate::samplers::SampleError;
use crate::samplers::fields::{Malformed, number};
use crate::samplers::root::{Buffer, Dir, Root};
use crate::snapshot::{Labels, Reading};

/// After so many passes the identity is read again.
const IDENTITY_PASSES: u64 = 30;

/// An interface that was seen before.
pub(super) struct Interface {
    labels: Labels,
    info: Labels,
    dir: Option<Dir>,
    /// Passes until the identity is read again.
    rest: u64,
    identity: [Option<i64>; IDENTITY.len()],
    changes: [Option<i64>; CHANGES.len()],
    /// Which of `MOVING` answered last time.
    told: [bool; MOVING.len()],
    duplex_told: bool,
    flags: Option<i64>,
    words: Words,
}

/// Whether an interface is there.
#[derive(PartialEq, Eq)]
enum State {
    /// The directory is a dead one.
    Gone,
    /// It is there, and perhaps in another state than in the pass before.
    Read { changed: bool },
}

/// The labels of `node_network_info`.
#[derive(Default)]
struct Words {
    address: String,
    broadcast: String,
    duplex: String,
    ifalias: String,
    operstate: String,
    /// Whether one of them differs from what is interned.
    changed: bool,
}

impl Interface {
    pub(super) fn born(name: &str) -> Interface {
        Interface {
            labels: Labels::new(&[("device", name)]),
            info: Labels::none(),
            dir: None,
            rest: 0,
            identity: [None; IDENTITY.len()],
            changes: [None; CHANGES.len()],
            told: [true; MOVING.len()],
            duplex_told: true,
            flags: None,
            words: Words::default(),
        }
    }

    /// Reads it and writes its points; no points where it went meanwhile.
    ///
    /// # Errors
    /// When its directory cannot be opened.
    pub(super) fn sample(
        &mut self,
        name: &str,
        root: &Root,
        buffer: &mut Buffer,
        reading: &mut Reading,
    ) -> Result<(), SampleError> {
        let stirred = self.rest == 0;
        self.rest = self.rest.saturating_sub(1);
        if stirred && !self.identify(name, root, buffer)? {
            return Ok(());
        }
        match self.read_state(buffer) {
            State::Read { changed } => self.put(name, stirred || changed, buffer, reading),
            // The directory is of an interface that went; another one may have its name by now.
            State::Gone if self.identify(name, root, buffer)? && self.read_state(buffer) != State::Gone => {
                self.put(name, true, buffer, reading);
            }
            State::Gone => {}
        }
        Ok(())
    }

    /// Makes the next pass open the directory anew where another interface has the name now: a directory that is held
    /// open follows its interface to the new name.
    pub(super) fn check_name(&mut self, name: &str, root: &Root, buffer: &mut Buffer) {
        let [_, _, known, ..] = self.identity;
        let index = root.sys.attribute(&format!("class/net/{name}/ifindex"), buffer).and_then(|text| parse(text).ok());
        if index != known {
            self.rest = 0;
        }
    }

    /// Opens the directory and reads what seldom changes; `false` where there is no such interface (any more).
    fn identify(&mut self, name: &str, root: &Root, buffer: &mut Buffer) -> Result<bool, SampleError> {
        self.dir = None;
        let dir = match root.sys.dir(&format!("class/net/{name}")) {
            Ok(dir) => dir,
            Err(SampleError::Absent(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        for ((file, _), value) in IDENTITY.iter().zip(&mut self.identity) {
            *value = attribute(&dir, file, buffer);
        }
        self.words.changed |= told(&dir, "address", buffer, &mut self.words.address);
        self.words.changed |= told(&dir, "broadcast", buffer, &mut self.words.broadcast);
        self.changes = [None; CHANGES.len()];
        // Interfaces take turns, so that no pass reads everything of all.
        let [_, _, index, ..] = self.identity;
        self.rest = IDENTITY_PASSES + index.unwrap_or_default().unsigned_abs() % IDENTITY_PASSES;
        self.dir = Some(dir);
        Ok(true)
    }

    /// Reads what every interface tells.
    fn read_state(&mut self, buffer: &mut Buffer) -> State {
        let Some(dir) = &self.dir else { return State::Gone };
        let flags = attribute(dir, "flags", buffer);
        let mut changed = flags != self.flags;
        self.flags = flags;
        changed |= told(dir, "operstate", buffer, &mut self.words.operstate);
        self.words.changed |= changed;
        let gone = flags.is_none() && self.words.operstate.is_empty();
        if gone { State::Gone } else { State::Read { changed } }
    }

    fn put(&mut self, name: &str, stirred: bool, buffer: &mut Buffer, reading: &mut Reading) {
        let Some(dir) = &self.dir else { return };
        if !self.words.operstate.is_empty() {
            reading.put_with(&UP, &self.labels, self.words.operstate == "up");
        }
        if let Some(flags) = self.flags {
            reading.put_with(&FLAGS, &self.labels, flags);
        }
        // What an interface does not tell (a loopback has no speed, one that is down no carrier) it tells after its
        // state changed, if ever.
        for ((file, metric), told) in MOVING.iter().zip(&mut self.told).filter(|(_, told)| **told || stirred) {
            let value = attribute(dir, file, buffer);
            *told = value.is_some();
            let value = if std::ptr::eq(*metric, &SPEED) { value.and_then(bytes_per_second) } else { value };
            if let Some(value) = value {
                reading.put_with(metric, &self.labels, value);
            }
        }
        let mut moved = stirred;
        for ((file, metric), known) in CHANGES.iter().zip(&mut self.changes) {
            let total = std::ptr::eq(*metric, &CARRIER_CHANGES);
            if total || moved {
                let value = attribute(dir, file, buffer);
                moved |= value.is_none() || value != *known;
                *known = value;
            }
            if let Some(value) = *known {
                reading.put_with(metric, &self.labels, value);
            }
        }
        for ((_, metric), value) in IDENTITY.iter().zip(self.identity) {
            if let Some(value) = value {
                reading.put_with(metric, &self.labels, value);
            }
        }
        if self.duplex_told || stirred {
            self.words.changed |= told(dir, "duplex", buffer, &mut self.words.duplex);
            self.duplex_told = !self.words.duplex.is_empty();
        }
        self.words.changed |= told(dir, "ifalias", buffer, &mut self.words.ifalias);
        if std::mem::take(&mut self.words.changed) {
            self.info = self.words.labels(name, self.flags);
        }
        reading.put_with(&INFO, &self.info, 1_i64);
    }
}

impl Words {
    fn labels(&self, device: &str, flags: Option<i64>) -> Labels {
        Labels::new(&[
            ("address", &self.address),
            ("adminstate", flags.map_or("unknown", |flags| if flags & 1 == 1 { "up" } else { "down" })),
            ("broadcast", &self.broadcast),
            ("device", device),
            ("duplex", &self.duplex),
            ("ifalias", &self.ifalias),
            ("operstate", &self.operstate),
        ])
    }
}

/// Nothing where a driver tells no such number: that is the matter of one interface, not of the others.
fn attribute(dir: &Dir, file: &str, buffer: &mut Buffer) -> Option<i64> {
    parse(dir.attribute(file, buffer)?).ok()
}

/// Keeps the word that an attribute tells, nothing where it tells none; whether it is another than before.
fn told(dir: &Dir, file: &str, buffer: &mut Buffer, word: &mut String) -> bool {
    let text = dir.attribute(file, buffer).unwrap_or_default();
    let changed = text != word;
    if changed {
        text.clone_into(word);
    }
    changed
}

/// Parses an attribute of an interface: a decimal number, or a hexadecimal one with `0x`.
pub fn parse(text: &str) -> Result<i64, Malformed> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).map_err(|_| Malformed::new("a hexadecimal number", text)),
        None => number(text, "a whole number"),
    }
}

/// What drivers say when they do not know the speed, besides negative numbers: -1 as 16 and as 32 bits.
const UNKNOWN_SPEEDS: [i64; 2] = [0xffff, 0xffff_ffff];

fn bytes_per_second(megabits: i64) -> Option<i64> {
    let known = megabits >= 0 && !UNKNOWN_SPEEDS.contains(&megabits);
    known.then(|| megabits.saturating_mul(1_000_000 / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(parse("0x1003"), Ok(0x1003));
        assert_eq!(parse("-1"), Ok(-1));
        assert_eq!(parse("0xzz").unwrap_err().to_string(), r#"expected a hexadecimal number in "0xzz""#);
    }

    #[test]
    fn megabits_become_bytes_unless_unknown() {
        assert_eq!([1000, 0].map(bytes_per_second), [Some(125_000_000), Some(0)]);
        assert_eq!([-1, 65_535, 4_294_967_295].map(bytes_per_second), [None; 3]);
        assert_eq!(bytes_per_second(i64::MAX), Some(i64::MAX));
    }
}
