//! config.example.toml: every line is true, and no key is missing.

use super::*;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// Its lines with those that begin with `mark` uncommented.
fn uncommented(mark: &str) -> String {
    EXAMPLE.lines().map(|line| line.strip_prefix(mark).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Lines of `#key = value`, without the prose, which begins with `# `.
fn with_defaults() -> String {
    let is_option = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
    let line = |line| if is_option(line) { line.strip_prefix('#').unwrap_or(line) } else { line };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_as_it_stands_is_the_default() {
    assert!(loaded(EXAMPLE) == Config::default());
}

#[test]
fn every_commented_line_of_the_example_is_the_default() {
    let text = with_defaults();
    assert!(text.contains("\nlisten = "), "{text}");
    let config = loaded(&text);
    assert!(config == Config::default());
    assert_eq!(config.hash(), Config::default().hash());
}

#[test]
fn every_example_of_the_example_is_accepted() {
    let text = uncommented("#   ");
    assert!(text.contains("\ntls = "), "{text}");
    assert!(loaded(&text) != Config::default());
}

#[test]
fn what_excludes_another_example_is_accepted_too() {
    let line = EXAMPLE.lines().find_map(|line| line.strip_prefix("# metrics_endpoint = ")).unwrap();
    assert!(loaded(&format!("otlp.protocol = 'http'\notlp.metrics_endpoint = {line}\n")).otlp.collector().is_some());
}

/// Its lines without the marks of comments, and with tables of a list written as one.
fn legible() -> String {
    let bare = |line: &str| line.strip_prefix('#').map_or(line, |line| line.trim_start_matches(' ')).to_owned();
    let lines =
        EXAMPLE.lines().map(bare).map(|line| match line.strip_prefix("[[").and_then(|l| l.strip_suffix("]]")) {
            Some(table) => format!("[{table}]"),
            None => line,
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_known_key_is_in_the_example() {
    fn visit(path: &mut Vec<&'static str>, example: &str, missing: &mut Vec<String>) {
        let known = super::super::load::known_below(path);
        if let Some((key, section)) = path.split_last() {
            let header = format!("\n[{}]\n", section.join("."));
            let below = example.split_once(&header).map_or(example, |(_, below)| below);
            let below = below.split("\n[").next().unwrap_or_default();
            let (table, tables) = (format!("\n[{}]\n", path.join(".")), format!("\n[{}.", path.join(".")));
            let table = example.contains(&table) || example.contains(&tables);
            let written = below.lines().any(|line| line.starts_with(&format!("{key} = ")));
            let inline = section.last().is_some_and(|table| {
                let of_table =
                    |line: &str| [" = {", " = [{"].iter().any(|open| line.contains(&format!("{table}{open}")));
                example.lines().any(|line| of_table(line) && line.contains(&format!("{key} = ")))
            });
            if !(table || written || inline) {
                missing.push(path.join("."));
            }
        }
        for key in known.unwrap_or_default() {
            path.push(key);
            visit(path, example, missing);
            path.pop();
        }
    }
    let (example, mut missing) = (legible(), Vec::new());
    visit(&mut Vec::new(), &example, &mut missing);
    for key in crate::probes::Common::KEYS {
        if !example.lines().any(|line| line.starts_with(&format!("{key} = "))) {
            missing.push((*key).to_owned());
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn no_cut_or_bent_configuration_panics() {
    let text = with_defaults();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = b"=\"[]{}.\n\0\xc3"[at % 10];
        let sets = [String::from_utf8_lossy(&text.as_bytes()[at..]).into_owned()];
        if at % 61 == 0 {
            let _ = in_file(&bytes, 0o600, |path| load(Some(path), &sets).map_err(|errors| errors.to_string()));
            let _ = in_file(&bytes[..at], 0o600, |path| load(Some(path), &[]).map_err(|errors| errors.to_string()));
        }
    }
}
