//! What no single value of `[[probe.KIND]]` shows.

use std::collections::HashSet;
use std::time::Duration;

use super::mistake::{Fault, Kind, list, nearest};
use super::quantity::{Human, parse_duration};
use super::tree::{Node, Value};
use crate::probes::Common;

/// Whether a path leads to the tables of one kind.
pub(super) fn is_kind(path: &[&str]) -> bool {
    matches!(path, ["probe", _])
}

/// What to do about a key that neither all probes nor this kind, which has `own`, have.
pub(super) fn unknown(key: &str, own: &[&str]) -> String {
    let known = || Common::KEYS.iter().chain(own).copied();
    match nearest(key, known()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", list(known())),
    }
}

/// Notes what contradicts itself.
pub(super) fn check(tree: &Node, faults: &mut Vec<Fault>) {
    let Some(Value::Table(kinds)) = tree.at(&["probe"]).map(|node| &node.value) else { return };
    for (kind, (_, probes)) in kinds {
        let path = ["probe", kind.as_str()];
        let mut names = HashSet::new();
        // Those too that lack something: what else is wrong with them is told at once.
        let Value::List(probes) = &probes.value else { continue };
        for probe in probes {
            check_name(probe, &path, &mut names, faults);
            check_timeout(probe, &path, faults);
            check_tls(probe, &path, faults);
            if kind == "http" {
                check_http(probe, faults);
            }
        }
    }
}

fn check_name<'a>(probe: &'a Node, path: &[&str; 2], names: &mut HashSet<&'a str>, faults: &mut Vec<Fault>) {
    let Some((node, name)) = probe.at(&["name"]).and_then(|node| Some((node, node.text()?))) else { return };
    let (complaint, remedy) = if name.trim().is_empty() {
        ("expected a name".to_owned(), "such as \"shop\": it is the label `probe`")
    } else if !names.insert(name) {
        (format!("two probes of this kind are called {name:?}"), "give each a name of its own")
    } else {
        return;
    };
    let [probe, kind] = *path;
    faults.push(Fault::at(&node.place, &[probe, kind, "name"], complaint, Some(remedy.to_owned())));
}

fn check_timeout(probe: &Node, path: &[&str; 2], faults: &mut Vec<Fault>) {
    let written = |key| probe.at(&[key]).and_then(Node::text).and_then(parse_duration);
    let interval = written("interval").unwrap_or(Common::named("").interval);
    let too_long = |timeout: &Duration| *timeout > interval;
    let (Some(node), Some(timeout)) = (probe.at(&["timeout"]), written("timeout").filter(too_long)) else { return };
    let complaint = format!("{} is longer than the interval of {}", Human(timeout), Human(interval));
    let remedy = "no check begins before the last one is over: shorten it, or raise `interval`".to_owned();
    let [probe, kind] = *path;
    faults.push(Fault::at(&node.place, &[probe, kind, "timeout"], complaint, Some(remedy)));
}

fn check_tls(probe: &Node, path: &[&str; 2], faults: &mut Vec<Fault>) {
    let [probes, kind] = *path;
    let mut lacks = |node: &Node, key| {
        let path = [probes, kind, "tls"].map(str::to_owned).into();
        let remedy = Some("a certificate is shown with its private key".to_owned());
        faults.push(Fault { place: Some(node.place.clone()), path, remedy, ..Fault::new(Kind::Missing(key)) });
    };
    let part = |key| probe.at(&["tls", key]);
    match (part("cert"), part("key")) {
        (Some(cert), None) if probe.lacks(&["tls", "key"]) => lacks(cert, "key"),
        (None, Some(key)) if probe.lacks(&["tls", "cert"]) => lacks(key, "cert"),
        _ => {}
    }
}

/// Says who asks, once: each of these writes the header `authorization`.
fn check_http(probe: &Node, faults: &mut Vec<Fault>) {
    let mut fault = |node: &Node, path: &[&str], complaint: &str, remedy: &str| {
        let path: Vec<&str> = ["probe", "http"].iter().chain(path).copied().collect();
        faults.push(Fault::at(&node.place, &path, complaint.to_owned(), Some(remedy.to_owned())));
    };
    let header = || match &probe.at(&["headers"])?.value {
        Value::Table(headers) => headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")),
        _ => None,
    };
    let written = [probe.at(&["basic_auth"]), probe.at(&["bearer_token"]), header().map(|(_, (_, node))| node)];
    let mut written = written.into_iter().flatten();
    if let (Some(_), Some(second)) = (written.next(), written.next()) {
        let remedy = "leave one of `basic_auth`, `bearer_token` and the header authorization";
        fault(second, &[], "who asks is said twice", remedy);
    }
    if let Some(user) = probe.at(&["basic_auth", "user"])
        && user.text().is_some_and(|text| text.contains(':'))
    {
        fault(
            user,
            &["basic_auth", "user"],
            "expected a user without a colon",
            "the password comes after the first one",
        );
    }
}
