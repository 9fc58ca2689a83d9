//! No bytes at all make a parser or a sampler panic: mutations of good input, some seconds of them.
//!
//! `VIGIE_FUZZ_SEED` repeats a run; `VIGIE_LONG=1` makes it long. `make fuzz` goes on from here with coverage.

// Tests fail by panicking; only the product must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "fuzz/parsers.rs"]
mod parsers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use parsers::PARSERS;

use vigie::samplers::root::{Buffer, Root};
use vigie::samplers::{self, ALL};
use vigie::snapshot::Reading;

/// Marsaglia's xorshift: the same numbers for the same seed, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

fn seed() -> u64 {
    let seed = std::env::var("VIGIE_FUZZ_SEED").ok().map(|text| text.parse().expect("VIGIE_FUZZ_SEED is a number"));
    seed.unwrap_or(0x5eed_0000_0000_0001)
}

fn long() -> bool {
    std::env::var_os("VIGIE_LONG").is_some()
}

/// What breaks numbers, words, lines and quotes.
const TOKENS: &[&[u8]] = &[
    b"",
    b" ",
    b"\t",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\0",
    b"\xff",
    b"\xf0\x9f",
    "\u{fffd}".as_bytes(),
    "µ\u{301}".as_bytes(),
    b"0",
    b"-0",
    b"-1",
    b"+1",
    b"00012",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"1e308",
    b"1e400",
    b"-1e400",
    b"NaN",
    b"inf",
    b"-inf",
    b"0x",
    b"0xffffffffffffffffff",
    b"4294967295",
    b"4294967296",
    b"65536",
    b"0-4294967295",
    b"7-3",
    b",,",
    b":",
    b"::",
    b"=",
    b"\"",
    b"'",
    b"\\",
    b"\\x",
    b"\\040",
    b"{",
    b"}",
    b"[",
    b"]",
    b"#",
    b"# TYPE ",
    b"# HELP ",
    b"(",
    b")",
    b" - ",
    b" kB",
    b"cpu",
    b"cpu4294967296",
    b"some",
    b"full",
    b"avg10=",
    b"total=",
    b"%",
    b"/",
    b"..",
    b"\x1b[31m",
];

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let to = at + random.below(bytes.len() - at + 1).min(1 + random.below(200));
        match random.below(9) {
            0 if at < bytes.len() => bytes[at] = random.next() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.drain(at..to)),
            3 => drop(bytes.splice(at..at, random.one_of(TOKENS).iter().copied())),
            4 => drop(bytes.splice(at..to, random.one_of(TOKENS).iter().copied())),
            5 => bytes.truncate(at),
            6 => {
                let piece = bytes[at..to].repeat(1 + random.below(20));
                bytes.splice(at..at, piece);
            }
            7 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.splice(at..to, other[from..].iter().copied().take(300));
            }
            // A word becomes a token: numbers stay numbers, more or less.
            _ => {
                let blank = |byte: &u8| byte.is_ascii_whitespace();
                let start = bytes[..at].iter().rposition(blank).map_or(0, |index| index + 1);
                let end = bytes[at..].iter().position(blank).map_or(bytes.len(), |index| at + index);
                bytes.splice(start..end, random.one_of(TOKENS).iter().copied());
            }
        }
    }
    bytes.truncate(1 << 20);
    bytes
}

/// This machine, the folders that stand for hosts, and the project's own files.
fn roots() -> Vec<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let hosts =
        std::fs::read_dir(project.join("tests/hosts")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut roots: Vec<PathBuf> = hosts.filter(|path| path.is_dir()).collect();
    roots.sort();
    roots.extend([PathBuf::from("/"), project.to_owned()]);
    roots
}

fn seeds(files: &[&str]) -> Vec<Vec<u8>> {
    let paths = roots().into_iter().flat_map(|root| files.iter().map(move |file| root.join(file)));
    let mut seeds: Vec<Vec<u8>> = paths.filter_map(|path| std::fs::read(path).ok()).collect();
    // What a file that this machine lacks may look like, roughly.
    seeds.push(
        b"a_total{b=\"c\",d=\"e\"} 1.5 1700000000000\n# TYPE x gauge\n# HELP x y.\nx 1\nkey: 12 kB\nname=\"value\"\n"
            .to_vec(),
    );
    seeds.push(b"http.listen = \"127.0.0.1:9844\"\n[otlp]\nheaders = { a = { env = \"X\" } }\n".to_vec());
    seeds.push(b"unix:/run/vigie/page.sock".to_vec());
    seeds
}

/// Runs `work` for `budget` with ever new mutations; a panic ends the test with what it takes to see it again.
fn hammer(name: &str, seeds: &[Vec<u8>], budget: Duration, mut work: impl FnMut(&[u8])) -> u64 {
    let seed = seed();
    let mut random =
        Random(seed ^ name.bytes().fold(1, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into())));
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < budget {
        let bytes = if count == 0 { Vec::new() } else { mutate(&mut random, seeds) };
        if catch_unwind(AssertUnwindSafe(|| work(&bytes))).is_err() {
            let file = std::env::temp_dir().join("vigie-fuzz-panic");
            std::fs::write(&file, &bytes).unwrap();
            panic!("{name} panics at input {count} of VIGIE_FUZZ_SEED={seed}, kept in {}", file.display());
        }
        count += 1;
    }
    count
}

#[test]
fn every_parser_survives_any_text() {
    let budget = Duration::from_millis(if long() { 10_000 } else { 150 });
    println!("VIGIE_FUZZ_SEED={}", seed());
    for (name, files, parse) in PARSERS {
        let seeds = seeds(files);
        let count = hammer(name, &seeds, budget, |bytes| parse(&String::from_utf8_lossy(bytes)));
        println!("{name}: {count} texts");
        assert!(count > 20, "{name} takes too long: {count} texts in {budget:?}");
    }
}

#[test]
#[ignore = "writes what make fuzz starts from"]
fn good_input_is_laid_out_for_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parsers");
    std::fs::create_dir_all(&folder).unwrap();
    for (index, (_, files, _)) in PARSERS.iter().enumerate() {
        for (number, seed) in seeds(files).iter().enumerate() {
            // The target takes the parser from the first byte.
            let input = [&[u8::try_from(index).unwrap()], &seed[..]].concat();
            std::fs::write(folder.join(format!("seed-{index}-{number}")), input).unwrap();
        }
    }
}

#[test]
fn every_parser_is_on_the_list() {
    let listed = include_str!("fuzz/parsers.rs");
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("agent")];
    let mut missing = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let module = path.file_stem().unwrap().to_string_lossy().into_owned();
            let source = std::fs::read_to_string(&path).unwrap();
            // Methods are indented; functions of a module are not.
            let functions = source.lines().filter_map(|line| line.strip_prefix("pub fn parse"));
            let names = functions.map(|rest| rest.split(['(', '<']).next().unwrap_or_default());
            missing.extend(names.map(|name| format!("{module}::parse{name}(")).filter(|call| !listed.contains(call)));
        }
    }
    assert!(missing.is_empty(), "tests/fuzz/parsers.rs does not call {missing:?}");
}

/// Copies a folder that stands for a host, and lists its files.
fn copy(from: &Path, to: &Path, files: &mut Vec<PathBuf>) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, files);
        } else if let Ok(content) = std::fs::read(entry.path()) {
            std::fs::write(&target, content).unwrap();
            files.push(target);
        }
    }
}

#[test]
fn every_sampler_survives_any_tree() {
    let hosts: Vec<PathBuf> = roots().into_iter().filter(|root| root.join("capture.toml").is_file()).collect();
    let budget = Duration::from_millis(if long() { 60_000 } else { 1_000 });
    for host in &hosts {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        copy(host, folder.path(), &mut files);
        files.retain(|file| !file.ends_with("capture.toml"));
        files.sort();
        let root = Root::open(&folder.path().join("proc"), &folder.path().join("sys"), folder.path()).unwrap();
        let options = samplers::Options::default();
        let mut sources: Vec<_> = ALL
            .iter()
            .map(|declaration| (declaration.name, (declaration.build)(&options), Reading::default()))
            .collect();
        let mut buffer = Buffer::default();
        let mut chosen = Random(seed() ^ 7);
        let name = host.file_name().unwrap().to_string_lossy().into_owned();
        let count = hammer(&name, &[b"0\n".to_vec(), b"1 2 3\n".to_vec()], budget, |bytes| {
            // A few files at once, each a mutation of itself or anything at all.
            let broken: Vec<(&PathBuf, Vec<u8>)> = (0..1 + chosen.below(8))
                .map(|_| &files[chosen.below(files.len())])
                .filter_map(|file| Some((file, std::fs::read(file).ok()?)))
                .collect();
            for (file, content) in &broken {
                let content = mutate(&mut chosen, &[content.clone(), bytes.to_vec()]);
                std::fs::write(file, content).unwrap();
            }
            for (_, sampler, reading) in &mut sources {
                reading.start(Instant::now(), SystemTime::now());
                let _ = sampler.sample(&root, &mut buffer, reading);
            }
            for (file, content) in broken.iter().rev() {
                std::fs::write(file, content).unwrap();
            }
        });
        println!("{name}: {count} trees of {} files", files.len());
    }
    assert!(!hosts.is_empty(), "no folder below tests/hosts stands for a host");
}
