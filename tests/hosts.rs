//! Every folder below `tests/hosts/` stands for a host: the real binary shows it, and the page is the expected one.
//!
//! `BLESS=1` writes the expected pages anew; read the difference before it is committed.

// The test runs the real binary, which itself runs no other program; helpers may panic as a test may.
#![allow(clippy::disallowed_types, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/declared.rs"]
mod declared;
#[path = "support/environment.rs"]
mod environment;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use declared::is_called;
use environment::forget_environment;
use vigie::catalog;
use vigie::metric::Metric;

/// What a page says of this run rather than of the host: the value is masked.
const VALUES_OF_THE_RUN: &[&str] = &[
    "node_scrape_collector_duration_seconds",
    "vigie_config_hash",
    "vigie_config_last_reload_success_timestamp_seconds",
    "vigie_source_age_seconds",
];

/// What a page says of this build: the labels are masked.
const LABELS_OF_THE_BUILD: &[&str] = &["vigie_build_info", "vigie_host_info"];

/// Metrics whose labels are the user's: the catalog does not list them.
const LABELS_OF_THE_USER: &[&str] = &["vigie_host_info"];

/// The most differing lines that a failure shows.
const SHOWN: usize = 60;

fn hosts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut hosts: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    hosts.sort();
    assert!(hosts.len() >= 4, "hosts are missing: {hosts:?}");
    hosts
}

fn vigie(arguments: &[&str], host: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    forget_environment(&mut command);
    command.args(arguments).args(["--config", "/dev/null"]);
    for (key, path) in [("proc", host.join("proc")), ("sys", host.join("sys")), ("root", host.to_owned())] {
        command.arg("--set").arg(format!("paths.{key}='{}'", path.display()));
    }
    command
}

/// The page of `host`, by the real binary.
fn page(host: &Path) -> String {
    let output = vigie(&["sample", "--format", "prometheus"], host).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{told}", host.display(), output.status);
    assert!(!output.stdout.is_empty(), "{}: an empty page\n{told}", host.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_host_has_its_expected_page() {
    let mut failures = String::new();
    for host in hosts() {
        let now = masked(&page(&host));
        let path = host.join("expected.prom");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if now != expected {
            failures.push_str(&format!("\n{} differs:\n{}", path.display(), difference(&expected, &now)));
        }
    }
    assert!(failures.is_empty(), "{failures}\nBLESS=1 writes the expected pages anew.");
}

#[test]
fn every_page_is_good_text_format() {
    for host in hosts() {
        let findings = Checker::default().check(&page(&host));
        assert!(findings.is_empty(), "{}:\n  {}", host.display(), findings.join("\n  "));
    }
}

#[test]
fn what_is_shown_is_declared() {
    let declared = catalog::all();
    let mut found = BTreeSet::new();
    for host in hosts() {
        let text = page(&host);
        let types: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, labels) = series(line).unwrap();
            let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
            let is =
                |metric: &&&Metric| types.get(name) == Some(&metric.type_on_page()) && is_called(&metric.name, name);
            let metrics: Vec<&&Metric> = declared.iter().filter(is).collect();
            let same = |metric: &&Metric| metric.labels.iter().map(|label| label.name).eq(names.iter().copied());
            if !metrics.into_iter().any(same) && !LABELS_OF_THE_USER.contains(&name) {
                found.insert(format!("{name}{names:?} is a {:?}", types.get(name)));
            }
        }
    }
    assert!(found.is_empty(), "shown and not so declared:\n  {}", found.into_iter().collect::<Vec<_>>().join("\n  "));
}

#[test]
fn no_page_tells_where_the_folder_is() {
    for host in hosts() {
        let text = page(&host);
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{} tells a path of this machine", host.display());
    }
}

#[test]
fn a_captured_host_shows_the_same_page() {
    let folder = std::env::temp_dir().join(format!("vigie-captured-{}", std::process::id()));
    for host in hosts() {
        let copy = folder.join(host.file_name().unwrap());
        let output = vigie(&["capture", copy.to_str().unwrap()], &host).output().unwrap();
        assert!(output.status.success(), "{}: {}", host.display(), String::from_utf8_lossy(&output.stderr));
        let (expected, now) = (masked(&page(&host)), masked(&page(&copy)));
        assert!(expected == now, "{} captured:\n{}", host.display(), difference(&expected, &now));
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn masked(page: &str) -> String {
    page.lines().map(|line| mask(line) + "\n").collect()
}

fn mask(line: &str) -> String {
    let name = line.split(['{', ' ']).next().unwrap_or_default();
    match line.rsplit_once(' ') {
        Some((series, _)) if VALUES_OF_THE_RUN.contains(&name) => format!("{series} <of this run>"),
        Some((_, value)) if LABELS_OF_THE_BUILD.contains(&name) => format!("{name}{{<of this build>}} {value}"),
        _ => line.to_owned(),
    }
}

/// The lines that only one side has, in the order of the page.
fn difference(expected: &str, now: &str) -> String {
    let (held, shown): (HashSet<&str>, HashSet<&str>) = (expected.lines().collect(), now.lines().collect());
    let gone = expected.lines().filter(|line| !shown.contains(line)).map(|line| format!("- {line}\n"));
    let come = now.lines().filter(|line| !held.contains(line)).map(|line| format!("+ {line}\n"));
    let mut lines: Vec<String> = gone.chain(come).collect();
    // A changed value: the old line, then the new one.
    lines
        .sort_by(|one, other| key(one).cmp(key(other)).then_with(|| other.starts_with('-').cmp(&one.starts_with('-'))));
    if lines.is_empty() {
        let first = expected.lines().zip(now.lines()).find(|(held, shown)| held != shown);
        return format!("the same lines in another order, first {first:?}\n");
    }
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("… and {more} lines more\n"));
    }
    lines.concat()
}

fn key(line: &str) -> &str {
    let line = line.get(2..).unwrap_or_default();
    line.rsplit_once(' ').map_or(line, |(series, _)| series)
}

type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The name and the labels, raw, of a sample line; why it is none otherwise.
fn series(line: &str) -> Result<(&str, Pairs<'_>), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            let end = closing_quote(after).ok_or("a value without an end")?;
            labels.push((label, &after[..end]));
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(next) if !next.starts_with('}') => rest = next,
                _ if rest.starts_with('}') => {}
                _ => return Err(format!("{rest:?} after a label")),
            }
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let number = !value.is_empty() && (value.parse::<f64>().is_ok() || ["+Inf", "-Inf", "NaN"].contains(&value));
    if number { Ok((name, labels)) } else { Err(format!("{value:?} is no value")) }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some(at),
            // Only these three escapes are legal.
            '\\' if !matches!(letters.next(), Some((_, '\\' | '"' | 'n'))) => return None,
            _ => {}
        }
    }
    None
}

/// A reader of the text format 0.0.4 that forgives nothing.
#[derive(Default)]
struct Checker {
    findings: Vec<String>,
    helped: HashSet<String>,
    typed: BTreeMap<String, String>,
    seen: HashSet<String>,
    current: String,
}

impl Checker {
    fn check(mut self, page: &str) -> Vec<String> {
        if !page.is_empty() && !page.ends_with('\n') {
            self.findings.push("the last line has no end".to_owned());
        }
        if page.is_empty() {
            self.findings.push("the page is empty".to_owned());
        }
        for (number, line) in page.lines().enumerate() {
            if let Err(finding) = self.line(line) {
                self.findings.push(format!("line {}: {finding}: {line}", number + 1));
            }
        }
        self.findings
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').ok_or("help without a text")?;
            if name <= &*self.current {
                return Err(format!("out of order, after {}", self.current));
            }
            self.current = name.to_owned();
            let escapes = text.split('\\').skip(1).all(|tail| tail.is_empty() || tail.starts_with('n'));
            return if self.helped.insert(name.to_owned()) && escapes { Ok(()) } else { Err("bad help".to_owned()) };
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or("a type without a word")?;
            let known = ["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind);
            let first = self.typed.insert(name.to_owned(), kind.to_owned()).is_none();
            return if known && first && name == self.current { Ok(()) } else { Err("bad type".to_owned()) };
        }
        self.sample(line)
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let (name, labels) = series(line)?;
        let family = self.family(name);
        if family != self.current || !self.typed.contains_key(&family) {
            return Err(format!("outside of its family, in {}", self.current));
        }
        let mut names = BTreeSet::new();
        for (label, _) in &labels {
            let legal = label.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            if !legal || !names.insert(*label) {
                return Err(format!("label {label}"));
            }
        }
        let legal = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == ':')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':');
        let mut sorted = labels;
        sorted.sort_unstable();
        if legal && self.seen.insert(format!("{name}{sorted:?}")) {
            Ok(())
        } else {
            Err("twice, or no name".to_owned())
        }
    }

    fn family(&self, name: &str) -> String {
        for suffix in ["_bucket", "_sum", "_count"] {
            if let Some(head) = name.strip_suffix(suffix)
                && self.typed.get(head).is_some_and(|kind| kind == "histogram" || kind == "summary")
            {
                return head.to_owned();
            }
        }
        name.to_owned()
    }
}

#[test]
fn the_checker_forgives_nothing() {
    let good = "# HELP a A.\n# TYPE a counter\na{x=\"\\\\ \\\" \\n\"} 1\na{x=\"2\"} 1e+09\n";
    assert_eq!(Checker::default().check(good), [""; 0]);
    for bad in [
        "",
        "a 1\n",
        "# HELP a A.\na 1\n",
        "# HELP a A.\n# TYPE a counter\na 1",
        "# HELP a A.\n# TYPE a counter\na 1\na 2\n",
        "# HELP a A.\n# TYPE a counter\na{x=\"\\t\"} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x=\"1\",x=\"2\"} 1\n",
        "# HELP a A.\n# TYPE a counter\na{x=\"1\",} 1\n",
        "# HELP a A.\n# TYPE a counter\na one\n",
        "# HELP a A.\n# TYPE a counter\na 1 1700000000\n",
        "# HELP a A.\n# TYPE a number\na 1\n",
        "# HELP b B.\n# TYPE b gauge\nb 1\n# HELP a A.\n# TYPE a gauge\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na{b=\"1\"} 1\n",
        "# HELP a A\\x.\n# TYPE a gauge\na 1\n",
    ] {
        assert!(!Checker::default().check(bad).is_empty(), "{bad:?} passed");
    }
}
