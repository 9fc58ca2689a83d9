//! Which group a process belongs to: by the rules of the configuration, or by its unit.

use crate::samplers::root::{Buffer, Dir, Root};
use crate::samplers::unit::{self, Place};

use super::mask;
use super::path::ProcessPath;
use super::rules::Rules;
use super::template::cut;
use super::users::Users;

/// The group of everything that has no group of its own.
pub(super) const OTHER: &str = "other";

/// The group of the kernel's threads.
pub(super) const KERNEL: &str = "kernel";

/// The most that is read of a command line, in bytes.
const CMDLINE_LIMIT: usize = 4096;

/// What is known of a process when its group is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'a> {
    /// Its name, as the kernel cut it.
    pub(super) comm: String,
    /// Its command line, argument by argument.
    pub(super) arguments: Vec<String>,
    /// The same in one line, without secrets.
    pub(super) cmdline: String,
    /// The name of the user that it acts as.
    pub(super) user: &'a str,
    /// The path of its cgroup.
    pub(super) cgroup: &'a str,
    /// Where that stands.
    pub(super) place: Place<'a>,
}

impl Facts<'_> {
    /// The program as it was called; by its name where it has no command line.
    pub(super) fn exe(&self) -> &str {
        self.arguments.first().filter(|first| !first.is_empty()).unwrap_or(&self.comm)
    }

    /// The same without folders.
    pub(super) fn exe_base(&self) -> &str {
        let exe = self.exe();
        exe.rsplit('/').next().filter(|base| !base.is_empty()).unwrap_or(exe)
    }
}

/// Finds the groups of processes.
#[derive(Debug)]
pub(super) struct Namer {
    rules: Rules,
    users: Users,
    cgroup: String,
}

/// What a process is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A group of that name.
    Group(String),
    /// No rule matches: it goes with its parent, or with the others.
    Unmatched,
}

/// What `stat` and `status` told.
pub(super) struct Seen<'a> {
    pub(super) pid: u32,
    pub(super) comm: &'a [u8],
    pub(super) user: Option<u32>,
    pub(super) kernel: bool,
}

impl Namer {
    pub(super) fn new(rules: Rules) -> Namer {
        Namer { rules, users: Users::default(), cgroup: String::new() }
    }

    /// The name of the group of a process.
    pub(super) fn name(&mut self, root: &Root, buffer: &mut Buffer, path: &mut ProcessPath, seen: &Seen<'_>) -> Name {
        let comm = String::from_utf8_lossy(seen.comm).into_owned();
        if seen.kernel {
            let facts = Facts { comm, ..Facts::default() };
            let named = self.rules.of_kernel_thread(&facts);
            return Name::Group(named.unwrap_or_else(|| KERNEL.to_owned()));
        }
        let mut facts = Facts { comm, ..Facts::default() };
        self.cgroup.clear();
        // A kernel without cgroups has no such file.
        if let Ok(text) = root.proc.glance(path.of(seen.pid, "cgroup"), buffer) {
            let text = String::from_utf8_lossy(text);
            self.cgroup.push_str(unit::parse_cgroup(&text).unwrap_or_default());
        }
        facts.cgroup = &self.cgroup;
        facts.place = unit::place(&self.cgroup);
        if self.rules.is_empty() {
            return Name::Group(by_unit(&facts));
        }
        if self.rules.want_arguments() {
            facts.arguments = arguments(&root.proc, buffer, path.of(seen.pid, "cmdline"));
            facts.cmdline = mask::masked(&facts.arguments);
        }
        if self.rules.want_user()
            && let Some(user) = seen.user
        {
            facts.user = self.users.name(&root.host, buffer, user);
        }
        self.rules.name(&facts).map_or(Name::Unmatched, Name::Group)
    }
}

/// The unit, where there is one, else the name. Logins come and go under ever new numbers: those are their user's.
fn by_unit(facts: &Facts<'_>) -> String {
    let place = &facts.place;
    let unit = match place.unit {
        Some(session) if session.starts_with("session-") && session.ends_with(".scope") => place.slice,
        unit => unit,
    };
    cut(unit.map_or_else(|| facts.comm.clone(), str::to_owned))
}

fn arguments(proc: &Dir, buffer: &mut Buffer, path: &str) -> Vec<String> {
    let line = proc.glance(path, buffer).unwrap_or_default();
    let line = line.get(..CMDLINE_LIMIT).unwrap_or(line);
    let line = line.strip_suffix(b"\0").unwrap_or(line);
    if line.is_empty() {
        return Vec::new();
    }
    line.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(comm: &str, cgroup: &str) -> String {
        by_unit(&Facts { comm: comm.into(), place: unit::place(cgroup), ..Facts::default() })
    }

    #[test]
    fn without_rules_a_group_is_a_unit_or_a_name() {
        assert_eq!(group("nginx", "/system.slice/nginx.service"), "nginx.service");
        assert_eq!(group("app", "/docker/0123"), "app");
        assert_eq!(group("systemd", "/init.scope"), "init.scope");
        assert_eq!(group("a\nb", "/"), "a?b");
    }

    #[test]
    fn logins_are_their_users() {
        assert_eq!(group("bash", "/user.slice/user-1000.slice/session-12.scope"), "user-1000.slice");
        assert_eq!(
            group("a", "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service"),
            "user@1000.service"
        );
    }
}
