//! From the words to the configuration: reading, checking, and finding out what was meant.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::listen::Listen;
use super::mistake::{ConfigErrors, Fault, Kind, TOLD, list, nearest};
use super::source::{Origin, Place, Source};
use super::tree::{Node, Table, Value};
use super::{Config, Host, environment, module, otlp, probe};
use crate::samplers;

/// The most that is read of a file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// The bits of a file's mode that let others than its owner read it.
const READABLE_BY_OTHERS: u32 = 0o044;

/// Not a key: it provokes the list of those that are.
const NO_KEY: &str = "?";

/// See [`Config::load_in`].
pub(super) fn load(
    variable: &dyn Fn(&str) -> Option<OsString>,
    file: Option<&Path>,
    sets: &[String],
) -> Result<Config, ConfigErrors> {
    let mut tree = match file {
        Some(path) => Node::parse(&Arc::new(read(path)?)).map_err(|mut fault| {
            advise(&mut fault);
            ConfigErrors::tell(vec![*fault], &[])
        })?,
        None => Node::empty(),
    };
    let mut faults = Vec::new();
    for (rank, set) in sets.iter().enumerate() {
        let source = Source { origin: Origin::Argument, text: set.clone(), order: 1 + rank, private: false };
        faults.extend(tree.set(&Arc::new(source)).err().map(|fault| *fault));
    }
    let variables = environment::lay(&mut tree, variable, sets.len(), &mut faults);
    let config = deserialize(&tree, &mut faults);
    check(&tree, &mut faults);
    match config {
        Some(config) if faults.is_empty() => Ok(Config { variables, ..config }),
        _ => {
            faults.retain(|fault| !fault.follows);
            faults.iter_mut().for_each(advise);
            Err(ConfigErrors::tell(faults, &tree.hidden()))
        }
    }
}

/// Reads the text of a file that is TOML, and no configuration.
///
/// # Errors
/// For what is wrong first, with its place.
pub(crate) fn parse_file<T: DeserializeOwned>(file: &Path, text: String) -> Result<T, ConfigErrors> {
    let source = Source { origin: Origin::File(file.to_owned()), text, order: 0, private: true };
    let parsed = Node::parse(&Arc::new(source)).and_then(|tree| T::deserialize(&tree));
    parsed.map_err(|fault| ConfigErrors::tell(vec![*fault], &[]))
}

fn read(path: &Path) -> Result<Source, ConfigErrors> {
    let about = |complaint: String| ConfigErrors::about(path, complaint);
    let cannot = |error: std::io::Error| about(format!("cannot read it: {error}"));
    let file = File::open(path).map_err(cannot)?;
    let facts = file.metadata().map_err(cannot)?;
    if facts.is_dir() {
        return Err(about("expected a file, found a directory".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(about("expected a configuration of at most 1 MiB".to_owned()));
    }
    let private = facts.permissions().mode() & READABLE_BY_OTHERS == 0;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { origin: Origin::File(path.to_owned()), text, order: 0, private }),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..good).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(about(format!("expected UTF-8, found another byte on line {line}")))
        }
    }
}

/// Tries until nothing is refused any more: each attempt passes over what the one before refused.
fn deserialize(tree: &Node, faults: &mut Vec<Fault>) -> Option<Config> {
    loop {
        match Config::deserialize(tree) {
            Ok(config) => return Some(config),
            Err(fault) if fault.place.is_some() && faults.len() < TOLD => faults.push(*fault),
            Err(fault) => {
                faults.push(*fault);
                return None;
            }
        }
    }
}

/// What no single value shows.
fn check(tree: &Node, faults: &mut Vec<Fault>) {
    check_disabled(tree, faults);
    check_listen(tree, faults);
    check_host(tree, faults);
    otlp::check(tree, faults);
    probe::check(tree, faults);
    module::check(tree, faults);
}

fn check_disabled(tree: &Node, faults: &mut Vec<Fault>) {
    let path = ["samplers", "disabled"];
    for node in tree.at(&path).into_iter().flat_map(Node::elements) {
        let Some(name) = node.text() else { continue };
        if samplers::ALL.iter().any(|sampler| sampler.name == name) {
            continue;
        }
        let names = || samplers::ALL.iter().map(|sampler| sampler.name);
        let remedy = match nearest(name, names()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("samplers are {}", list(names())),
        };
        faults.push(Fault::at(&node.place, &path, format!("no sampler is called {name:?}"), Some(remedy)));
    }
}

fn check_listen(tree: &Node, faults: &mut Vec<Fault>) {
    let path = ["http", "listen"];
    let Some(node) = tree.at(&path) else { return };
    if matches!(&node.value, Value::List(list) if list.is_empty()) {
        let remedy = r#"such as "127.0.0.1:9844""#.to_owned();
        faults.push(Fault::at(&node.place, &path, "expected at least one address".to_owned(), Some(remedy)));
    }
    let mut before: Vec<Listen> = Vec::new();
    for node in node.elements() {
        let Some(Ok(listen)) = node.text().map(str::parse::<Listen>) else { continue };
        match before.iter().find(|other| other.overlaps(&listen)) {
            Some(other) if *other == listen => {
                faults.push(Fault::at(&node.place, &path, format!("{listen} is listed twice"), None));
            }
            Some(other) => {
                let complaint = format!("{listen} and {other} cannot be listened on at once: one covers the other");
                faults.push(Fault::at(&node.place, &path, complaint, None));
            }
            None => before.push(listen),
        }
    }
}

fn check_host(tree: &Node, faults: &mut Vec<Fault>) {
    if let Some(node) = tree.at(&["host", "name"]).filter(|node| node.text() == Some("")) {
        let remedy = Some("leave it out to use the hostname".to_owned());
        faults.push(Fault::at(&node.place, &["host", "name"], "expected a name".to_owned(), remedy));
    }
    let Some(Value::Table(attributes)) = tree.at(&["host", "attributes"]).map(|node| &node.value) else { return };
    // The name is the label `host`.
    let mut labels: Vec<(String, &str)> =
        tree.at(&["host", "name"]).map(|_| ("host".to_owned(), "name")).into_iter().collect();
    for (name, (place, _)) in attributes {
        let label = Host::label(name);
        let complaint = match labels.iter().find(|(other, _)| *other == label) {
            Some((_, other)) => format!("{other:?} and {name:?} are the same label on the page"),
            None if label.is_empty() => "an attribute has a name".to_owned(),
            None => {
                labels.push((label, name));
                continue;
            }
        };
        faults.push(Fault::at(place, &["host", "attributes"], complaint, None));
    }
}

/// Finds out what was meant.
fn advise(fault: &mut Fault) {
    let path: Vec<&str> = fault.path.iter().map(String::as_str).collect();
    let remedy = match &fault.kind {
        Kind::Unknown { key, .. } if path == ["samplers"] && is_sampler(key) => {
            format!("the sampler `{key}` has no options")
        }
        Kind::Unknown { key, known } if probe::is_kind(&path) => probe::unknown(key, known),
        Kind::Unknown { key, known } if path.first() == Some(&"module") => module::unknown(key, known, &path),
        Kind::Unknown { key, known } => match (section_of(key), nearest(key, known.iter().copied())) {
            (Some(section), _) if path != [section] => format!("`{key}` belongs in [{section}]"),
            (_, Some(meant)) => format!("did you mean `{meant}`?"),
            _ if known.is_empty() => "no key is known here".to_owned(),
            _ => format!("known here: {}", list(known.iter().copied())),
        },
        Kind::ReadableSecret => {
            let instead = match fault.place.as_ref().map(|place| &place.source.origin) {
                Some(Origin::File(file)) => format!(", or chmod 600 {}", file.display()),
                _ => String::new(),
            };
            format!(r#"write {{ file = "…" }}, {{ env = "…" }} or {{ credential = "…" }}{instead}"#)
        }
        Kind::Syntax(message) if message == "duplicate key" => "a key or a table stands once".to_owned(),
        Kind::Syntax(_) => match fault.place.as_ref() {
            Some(place) if place.lacks_quotes() => r#"a text is written in quotes, such as "info""#.to_owned(),
            _ => return,
        },
        Kind::Unlike { .. } if path == ["otlp", "endpoint"] || path == ["otlp", "metrics_endpoint"] => {
            let written = fault.place.as_ref().and_then(|place| place.source.text.get(place.span.clone()));
            match written.and_then(|text| otlp::remedy(text.trim_matches(['"', '\'']))) {
                Some(remedy) => remedy,
                None => return,
            }
        }
        Kind::Unlike { expected, .. } if expected == "a list" && probe::is_kind(&path) => {
            format!("write [[{}]]: there may be several", path.join("."))
        }
        Kind::Unlike { expected, .. } if expected.starts_with("a duration") && of_a_variable(fault) => {
            "the variable counts milliseconds".to_owned()
        }
        _ => return,
    };
    fault.remedy.get_or_insert(remedy);
}

fn of_a_variable(fault: &Fault) -> bool {
    fault.place.as_ref().is_some_and(|place| matches!(place.source.origin, Origin::Variable(_)))
}

fn is_sampler(name: &str) -> bool {
    samplers::ALL.iter().any(|sampler| sampler.name == name)
}

/// The section that has a key of this name.
fn section_of(key: &str) -> Option<&'static str> {
    // The kinds of probes are no keys.
    let kinds = |section: &&str| ["module", "probe"].contains(section);
    let mut sections = known_below(&[])?.iter().copied().filter(|section| !kinds(section));
    sections.find(|section| known_below(&[section]).is_some_and(|known| known.contains(&key)))
}

/// The keys that a table at `path` may have; none, where no table with fixed keys may stand.
pub(super) fn known_below(path: &[&str]) -> Option<&'static [&'static str]> {
    let source = Arc::new(Source { origin: Origin::Argument, text: String::new(), order: 0, private: true });
    let place = Place { source, span: 0..0 };
    let table = |key: &str, node| {
        Node::new(place.clone(), Value::Table(Table::from([(key.to_owned(), (place.clone(), node))])))
    };
    let inner = table(NO_KEY, Node::new(place.clone(), Value::Integer(0)));
    let inner = if probe::is_kind(path) { Node::new(place.clone(), Value::List(vec![inner])) } else { inner };
    let tree = path.iter().rev().fold(inner, |node, key| table(key, node));
    let Err(fault) = Config::deserialize(&tree) else { return None };
    match fault.kind {
        Kind::Unknown { key, known } if key == NO_KEY && fault.path == path => Some(known),
        _ => None,
    }
}
