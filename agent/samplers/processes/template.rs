//! How a group is called: a text with places for what is known of a process, as process-exporter has them.

use serde::Deserialize;

use super::identity::Facts;

/// The longest name of a group, in characters.
const NAME_LIMIT: usize = 200;

/// A name with places such as `{{.Comm}}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Comm,
    ExeBase,
    ExeFull,
    Username,
    Cmdline,
    Unit,
    Slice,
    Container,
    Cgroups,
    Matches,
    Match(String),
}

/// What a place may be called, and what it is.
const PLACES: &[(&str, Part)] = &[
    ("Comm", Part::Comm),
    ("ExeBase", Part::ExeBase),
    ("ExeFull", Part::ExeFull),
    ("Username", Part::Username),
    ("Cmdline", Part::Cmdline),
    ("Unit", Part::Unit),
    ("Slice", Part::Slice),
    ("Container", Part::Container),
    ("Cgroups", Part::Cgroups),
    ("Matches", Part::Matches),
];

/// Why a text is no template.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// A place that is not closed.
    #[error("expected }}}} after {{{{ in {0:?}")]
    Open(String),
    /// A place that is not known.
    #[error(
        "{{{{{0}}}}} is not known: expected {{{{.Comm}}}}, .ExeBase, .ExeFull, .Username, .Cmdline, .Unit, .Slice, .Container, .Cgroups or .Matches.NAME"
    )]
    Unknown(String),
    /// A place that would name each process.
    #[error(
        "{{{{.{0}}}}} would make a group of each process, without end: name a group by what its processes share, such as {{{{.Comm}}}}"
    )]
    EachProcess(&'static str),
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest: &str = &text;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (place, after) = after.split_once("}}").ok_or_else(|| TemplateError::Open(text.clone()))?;
            parts.push(place_of(place.trim())?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template { parts })
    }
}

fn place_of(place: &str) -> Result<Part, TemplateError> {
    let unknown = || TemplateError::Unknown(place.to_owned());
    let name = place.strip_prefix('.').ok_or_else(unknown)?;
    if let Some(each) = ["PID", "StartTime"].into_iter().find(|each| *each == name) {
        return Err(TemplateError::EachProcess(each));
    }
    if let Some(capture) = name.strip_prefix("Matches.").filter(|capture| !capture.is_empty()) {
        return Ok(Part::Match(capture.to_owned()));
    }
    PLACES.iter().find(|(known, _)| *known == name).map(|(_, part)| part.clone()).ok_or_else(unknown)
}

impl Default for Template {
    /// process-exporter's.
    fn default() -> Template {
        Template { parts: vec![Part::ExeBase] }
    }
}

impl Template {
    /// The names of the captures that it wants.
    pub(super) fn captures(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Match(name) = part { Some(&**name) } else { None })
    }

    /// Whether it wants the command line.
    pub(super) fn wants_arguments(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::ExeBase | Part::ExeFull | Part::Cmdline))
    }

    /// Whether it wants the user.
    pub(super) fn wants_user(&self) -> bool {
        self.parts.contains(&Part::Username)
    }

    /// The name of the group that a process belongs to. `matches` are the captures.
    pub(super) fn fill(&self, facts: &Facts<'_>, matches: &[(&str, &str)]) -> String {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Comm => name.push_str(&facts.comm),
                Part::ExeBase => name.push_str(facts.exe_base()),
                Part::ExeFull => name.push_str(facts.exe()),
                Part::Username => name.push_str(facts.user),
                Part::Cmdline => name.push_str(&facts.cmdline),
                Part::Unit => name.push_str(facts.place.user_unit.or(facts.place.unit).unwrap_or_default()),
                Part::Slice => name.push_str(facts.place.slice.unwrap_or_default()),
                Part::Container => name.push_str(facts.place.container.map_or("", |container| container.id)),
                Part::Cgroups => name.push_str(facts.cgroup),
                Part::Match(wanted) => {
                    let found = matches.iter().rev().find(|(name, _)| name == wanted);
                    name.push_str(found.map_or("", |(_, text)| *text));
                }
                Part::Matches => push_map(&mut name, matches),
            }
        }
        cut(name)
    }
}

/// The captures as process-exporter writes them, which are a map of Go's.
fn push_map(name: &mut String, matches: &[(&str, &str)]) {
    let last: std::collections::BTreeMap<&str, &str> = matches.iter().copied().collect();
    name.push_str("map[");
    for (index, (capture, text)) in last.into_iter().enumerate() {
        if index > 0 {
            name.push(' ');
        }
        name.push_str(capture);
        name.push(':');
        name.push_str(text);
    }
    name.push(']');
}

/// The name within its limit, without letters that no terminal shows.
pub(super) fn cut(mut name: String) -> String {
    if let Some((end, _)) = name.char_indices().nth(NAME_LIMIT) {
        name.truncate(end);
    }
    if name.contains(char::is_control) { name.replace(char::is_control, "?") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::unit;

    fn filled(template: &str, facts: &Facts<'_>, matches: &[(&str, &str)]) -> String {
        Template::try_from(template.to_owned()).unwrap().fill(facts, matches)
    }

    #[test]
    fn places_are_filled_with_what_is_known() {
        let cgroup = "/system.slice/web.service";
        let facts = Facts {
            comm: "python3".into(),
            arguments: vec!["/usr/bin/python3".into(), "app.py".into()],
            cmdline: "/usr/bin/python3 app.py".into(),
            user: "www",
            cgroup,
            place: unit::place(cgroup),
        };
        for (template, expected) in [
            ("{{.Comm}}", "python3"),
            ("{{ .ExeBase }}:{{.Username}}", "python3:www"),
            ("{{.ExeFull}}", "/usr/bin/python3"),
            ("{{.Unit}} in {{.Slice}}", "web.service in system.slice"),
            ("{{.Container}}", ""),
            ("{{.Cgroups}}", cgroup),
            ("{{.Cmdline}}", "/usr/bin/python3 app.py"),
            ("app {{.Matches.Script}}{{.Matches.None}}", "app app"),
            ("{{.Matches}}", "map[:app.py Script:app]"),
            ("plain", "plain"),
        ] {
            assert_eq!(filled(template, &facts, &[("", "app.py"), ("Script", "app")]), expected, "{template}");
        }
    }

    #[test]
    fn a_process_without_arguments_is_called_by_its_name() {
        let facts = Facts { comm: "kworker".into(), ..Facts::default() };
        assert_eq!(filled("{{.ExeBase}} {{.ExeFull}}", &facts, &[]), "kworker kworker");
    }

    #[test]
    fn a_place_that_would_name_each_process_is_refused_with_the_remedy() {
        let refused = |text: &str| Template::try_from(text.to_owned()).unwrap_err().to_string();
        assert!(
            refused("{{.PID}}").starts_with("{{.PID}} would make a group of each process"),
            "{}",
            refused("{{.PID}}")
        );
        assert!(refused("{{.StartTime}}").contains("such as {{.Comm}}"));
        assert!(refused("{{.Com}}").starts_with("{{.Com}} is not known: expected {{.Comm}}, "));
        assert!(refused("{{Comm}}").starts_with("{{Comm}} is not known"));
        assert_eq!(refused("a {{.Comm"), "expected }} after {{ in \"a {{.Comm\"");
    }

    #[test]
    fn a_name_is_short_and_can_be_shown() {
        assert_eq!(cut("a\nb\u{7}".to_owned()), "a?b?");
        assert_eq!(cut("ü".repeat(500)).chars().count(), NAME_LIMIT);
    }
}
