//! The rules that put processes into groups: `[samplers.processes] rules`, as process-exporter's `process_names`.

use serde::Deserialize;

use crate::samplers::pattern::Pattern;

use super::identity::Facts;
use super::template::Template;

/// One rule. Every list that is there must match; a rule without lists matches everything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, try_from = "Unchecked")]
pub struct Rule {
    name: Template,
    comm: Vec<String>,
    exe: Vec<String>,
    cmdline: Vec<Pattern>,
    user: Vec<String>,
    unit: Vec<Pattern>,
}

/// A rule as it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Unchecked {
    /// What the group is called.
    name: Template,
    /// Names of processes, of which one must be equal.
    comm: Vec<String>,
    /// Programs as they were called, of which one must be equal: without a folder where there is no slash.
    exe: Vec<String>,
    /// Expressions that must all occur in the command line; their groups are `{{.Matches.NAME}}`.
    cmdline: Vec<Pattern>,
    /// Users, of which one must be equal.
    user: Vec<String>,
    /// Expressions of which one must occur in the name of the systemd unit.
    unit: Vec<Pattern>,
}

/// A template that wants what no expression captures.
#[derive(Debug, thiserror::Error)]
#[error("{{{{.Matches.{0}}}}} is never filled: expected a group (?P<{0}>…) in cmdline")]
pub struct NoCapture(String);

impl TryFrom<Unchecked> for Rule {
    type Error = NoCapture;

    fn try_from(rule: Unchecked) -> Result<Rule, NoCapture> {
        let Unchecked { name, comm, exe, cmdline, user, unit } = rule;
        let unfilled = name.captures().find(|capture| !cmdline.iter().any(|pattern| pattern.names(capture)));
        match unfilled {
            Some(capture) => Err(NoCapture(capture.to_owned())),
            None => Ok(Rule { name, comm, exe, cmdline, user, unit }),
        }
    }
}

impl Rule {
    /// The name of the group, where it matches and gives one.
    fn name(&self, facts: &Facts<'_>) -> Option<String> {
        let any = |list: &[String], is: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|item| is(item));
        let program = |wanted: &str| {
            let exe = if wanted.contains('/') { facts.exe() } else { facts.exe_base() };
            exe == wanted
        };
        let unit = facts.place.user_unit.or(facts.place.unit).unwrap_or_default();
        let matches = any(&self.comm, &|comm| comm == facts.comm)
            && any(&self.exe, &program)
            && any(&self.user, &|user| user == facts.user)
            && (self.unit.is_empty() || self.unit.iter().any(|pattern| pattern.is_match(unit)));
        if !matches {
            return None;
        }
        let mut captures = Vec::new();
        for pattern in &self.cmdline {
            captures.extend(pattern.captures(&facts.cmdline)?);
        }
        Some(self.name.fill(facts, &captures)).filter(|name| !name.is_empty())
    }
}

/// All rules, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn new(rules: Vec<Rule>) -> Rules {
        Rules(rules)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn want_arguments(&self) -> bool {
        self.0.iter().any(|rule| !rule.exe.is_empty() || !rule.cmdline.is_empty() || rule.name.wants_arguments())
    }

    pub(super) fn want_user(&self) -> bool {
        self.0.iter().any(|rule| !rule.user.is_empty() || rule.name.wants_user())
    }

    /// The name that the first rule gives that matches and gives one.
    pub(super) fn name(&self, facts: &Facts<'_>) -> Option<String> {
        self.0.iter().find_map(|rule| rule.name(facts))
    }

    /// The same for a thread of the kernel, which only rules by comm are meant for.
    pub(super) fn of_kernel_thread(&self, facts: &Facts<'_>) -> Option<String> {
        self.0.iter().filter(|rule| !rule.comm.is_empty()).find_map(|rule| rule.name(facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::processes::mask;
    use crate::samplers::unit;

    fn rules(text: &str) -> Rules {
        #[derive(Deserialize)]
        struct Section {
            rules: Vec<Rule>,
        }
        Rules::new(toml::from_str::<Section>(text).unwrap().rules)
    }

    fn named(rules: &Rules, comm: &str, cmdline: &str) -> Option<String> {
        let arguments: Vec<String> = cmdline.split(' ').map(str::to_owned).collect();
        let cgroup = "/system.slice/web@1.service";
        let cmdline = mask::masked(&arguments);
        rules.name(&Facts { comm: comm.into(), arguments, cmdline, user: "www", cgroup, place: unit::place(cgroup) })
    }

    #[test]
    fn the_first_rule_that_matches_names_the_group() {
        let rules = rules(
            "rules = [{ comm = ['bash', 'sh'], name = 'shells' }, { exe = ['postgres', '/opt/x/run'] }, { name = 'rest:{{.Comm}}' }]",
        );
        assert_eq!(named(&rules, "sh", "-sh").as_deref(), Some("shells"));
        assert_eq!(named(&rules, "p", "/usr/lib/postgres -D x").as_deref(), Some("postgres"));
        assert_eq!(named(&rules, "p", "/opt/x/run").as_deref(), Some("run"));
        assert_eq!(named(&rules, "p", "/opt/y/run").as_deref(), Some("rest:p"));
    }

    #[test]
    fn every_expression_must_occur_and_their_groups_are_places() {
        let rules = rules(
            r"rules = [{ name = 'java {{.Matches.Jar}}', exe = ['java'], cmdline = ['-jar \S*?(?P<Jar>[^/ ]+)\.jar', 'prod'] }]",
        );
        assert_eq!(named(&rules, "java", "java -jar /srv/shop.jar prod").as_deref(), Some("java shop"));
        assert_eq!(named(&rules, "java", "java -jar /srv/shop.jar test"), None);
        assert_eq!(named(&rules, "sh", "sh -jar /srv/shop.jar prod"), None);
    }

    #[test]
    fn a_secret_is_no_capture() {
        let rules = rules(r"rules = [{ name = '{{.Matches.X}}', cmdline = ['password=(?P<X>\S+)'] }]");
        assert_eq!(named(&rules, "a", "a --password=hunter2").as_deref(), Some("***"));
    }

    #[test]
    fn users_and_units_select_too() {
        let by_user = rules("rules = [{ name = '{{.Username}}', user = ['www'] }]");
        assert_eq!(named(&by_user, "a", "a").as_deref(), Some("www"));
        let by_unit = rules("rules = [{ name = 'web', unit = ['^web@'] }]");
        assert_eq!(named(&by_unit, "a", "a").as_deref(), Some("web"));
        let neither = rules("rules = [{ user = ['root'] }, { unit = ['^db'] }]");
        assert_eq!(named(&neither, "a", "a"), None);
    }

    #[test]
    fn a_rule_that_gives_no_name_is_passed_over() {
        let rules = rules("rules = [{ name = '{{.Container}}' }, { name = 'host' }]");
        assert_eq!(named(&rules, "a", "a").as_deref(), Some("host"));
    }

    #[test]
    fn a_place_that_nothing_fills_is_refused() {
        let error = toml::from_str::<Rule>("name = '{{.Matches.X}}'\ncmdline = ['(?P<Y>a)']").unwrap_err().to_string();
        assert!(error.contains("{{.Matches.X}} is never filled: expected a group (?P<X>…) in cmdline"), "{error}");
    }

    #[test]
    fn threads_of_the_kernel_want_a_rule_by_name() {
        let rules = rules("rules = [{ name = 'all' }, { comm = ['kswapd0'], name = 'swap' }]");
        let of = |comm: &str| rules.of_kernel_thread(&Facts { comm: comm.into(), ..Facts::default() });
        assert_eq!((of("kswapd0").as_deref(), of("kthreadd")), (Some("swap"), None));
    }
}
