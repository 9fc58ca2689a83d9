//! What no single value of `[module.KIND.NAME]` shows.

use std::collections::BTreeMap;

use super::mistake::{Fault, list, nearest};
use super::tree::{Node, Value};
use crate::probes::module::{KEYS, TARGETS};

/// What to do about a key that no module knows, or that is no kind of them.
pub(super) fn unknown(key: &str, known: &[&'static str], path: &[&str]) -> String {
    let known: Vec<&str> = match path {
        [_] => return format!("write [module.KIND.NAME], where the kind is one of {}", list(known.iter().copied())),
        [_, kind, _] => {
            let is_target = |key: &&&str| TARGETS.contains(&(*kind, **key));
            KEYS.iter().chain(known.iter().filter(|key| !is_target(key))).copied().collect()
        }
        _ => known.to_vec(),
    };
    match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", list(known)),
    }
}

/// Notes the modules that are called as one of another kind: a request names no kind.
pub(super) fn check(tree: &Node, faults: &mut Vec<Fault>) {
    let Some(Value::Table(kinds)) = tree.at(&["module"]).map(|node| &node.value) else { return };
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    for (kind, (_, modules)) in kinds {
        let Value::Table(modules) = &modules.value else { continue };
        for (name, (place, _)) in modules {
            match before.get(name.as_str()) {
                Some(other) => {
                    let complaint = format!("a module of the kind {other} is called {name:?} too");
                    let remedy = "a request names the module and no kind: give each a name of its own".to_owned();
                    faults.push(Fault::at(place, &["module", kind, name], complaint, Some(remedy)));
                }
                None => drop(before.insert(name, kind)),
            }
        }
    }
}
