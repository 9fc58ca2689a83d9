//! Processes that must run, found by what they are called, as `/proc/PID` has it (proc(5)).

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::aside::Aside;
use super::{Ask, Checking, Kind, LABELS, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::config::quantity;
use crate::metric::{Metric, Since, Unit};
use crate::samplers::pattern::Pattern;
use crate::samplers::root::{Buffer, Dir, Root};

static PROCESSES: Metric =
    Metric::gauge("vigie_probe_process_count", Unit::Of("{process}"), "Processes that the patterns match.")
        .labels(LABELS)
        .otel_up_down("vigie.probe.process.count")
        .since(Since::Agent);

/// This kind.
pub static KIND: Kind =
    Kind { name: "process", metrics: &[&PROCESSES], plans: |options| Plan::each(KIND.name, &options.process) };

/// `[[probe.process]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// What matches the short name, of at most 15 characters.
    pub comm: Option<Pattern>,
    /// What matches the path of the program.
    pub exe: Option<Pattern>,
    /// What matches the arguments, with blanks between.
    pub cmdline: Option<Pattern>,
    /// The fewest that must run.
    pub min_count: usize,
    /// The most that may run.
    pub max_count: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    comm: Option<Pattern>,
    exe: Option<Pattern>,
    cmdline: Option<Pattern>,
    #[serde(default = "one", deserialize_with = "quantity::count::<_, 0, 100_000>")]
    min_count: usize,
    max_count: Option<Most>,
}

#[derive(Deserialize)]
struct Most(#[serde(deserialize_with = "quantity::count::<_, 0, 100_000>")] usize);

fn one() -> usize {
    1
}

impl<'de> Deserialize<'de> for Process {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Process, D::Error> {
        let Written { comm, exe, cmdline, min_count, max_count } = Written::deserialize(d)?;
        let max_count = max_count.map(|Most(most)| most);
        if comm.is_none() && exe.is_none() && cmdline.is_none() {
            return Err(serde::de::Error::custom("expected `comm`, `exe` or `cmdline`: a pattern of the processes"));
        }
        if max_count.is_some_and(|most| most < min_count) {
            return Err(serde::de::Error::custom("`max_count` is less than `min_count`"));
        }
        Ok(Process { comm, exe, cmdline, min_count, max_count })
    }
}

impl Ask for Process {
    fn target(&self) -> String {
        let said = [("comm", &self.comm), ("exe", &self.exe), ("cmdline", &self.cmdline)];
        let said = said.iter().filter_map(|(key, pattern)| Some(format!("{key}={}", pattern.as_ref()?.as_str())));
        said.collect::<Vec<_>>().join(" ")
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Box::new(Looking { process: self.clone(), root: Arc::clone(&setting.root), aside: Aside::default() })
    }
}

struct Looking {
    process: Process,
    root: Arc<Root>,
    aside: Aside,
}

/// How many processes match, and of how many the kernel does not tell us enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    count: usize,
    untold: usize,
}

impl Process {
    fn find(&self, root: &Root) -> Result<Found, ProbeError> {
        let (mut found, mut pids) = (Found::default(), Vec::new());
        root.proc.list(".", &mut pids)?;
        let own = std::process::id().to_string();
        let mut buffer = Buffer::default();
        for pid in pids.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && **name != own) {
            // One that went since it was listed counts as little as one that does not match.
            let Ok(dir) = root.proc.dir(pid) else { continue };
            match self.is_like(&dir, &mut buffer) {
                Ok(like) => found.count += usize::from(like),
                Err(Untold) => found.untold += 1,
            }
        }
        Ok(found)
    }

    fn is_like(&self, dir: &Dir, buffer: &mut Buffer) -> Result<bool, Untold> {
        if let Some(comm) = &self.comm
            && !dir.read("comm", buffer).is_ok_and(|name| comm.is_match(name.trim_end()))
        {
            return Ok(false);
        }
        if let Some(cmdline) = &self.cmdline {
            let Ok(arguments) = dir.read("cmdline", buffer) else { return Ok(false) };
            if !cmdline.is_match(arguments.replace('\0', " ").trim_end()) {
                return Ok(false);
            }
        }
        let Some(exe) = &self.exe else { return Ok(true) };
        match dir.link("exe").map_err(ProbeError::from) {
            // A program that was replaced while it runs is called so.
            Ok(path) => Ok(exe.is_match(path.strip_suffix(" (deleted)").unwrap_or(&path))),
            Err(error) if error.reason == Reason::Permission => Err(Untold),
            Err(_) => Ok(false),
        }
    }

    fn judge(&self, found: Found) -> Result<(), ProbeError> {
        let Found { count, untold } = found;
        let of = self.target();
        if count < self.min_count && untold > 0 {
            let message =
                format!("{count} processes match {of}, and of {untold} more the kernel does not tell the program");
            return Err(ProbeError::new(Reason::Permission, message)
                .mend("give vigie CAP_SYS_PTRACE, or match `comm` or `cmdline` instead of `exe`"));
        }
        if count == 0 && self.min_count > 0 {
            return Err(ProbeError::new(Reason::Absent, format!("no process matches {of}"))
                .mend("start it, or look with ps -eo comm,args how it is called"));
        }
        let (least, most) = (self.min_count, self.max_count);
        match most {
            _ if count < least => {
                Err(ProbeError::new(Reason::Count, format!("{count} processes match {of}, expected at least {least}")))
            }
            Some(most) if count > most => {
                Err(ProbeError::new(Reason::Count, format!("{count} processes match {of}, expected at most {most}")))
            }
            _ => Ok(()),
        }
    }
}

/// The kernel does not let us know.
struct Untold;

impl Probe for Looking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            report.doing("looking through the processes");
            let (process, root) = (self.process.clone(), Arc::clone(&self.root));
            let found = self.aside.run(move || process.find(&root)).await??;
            report.put(&PROCESSES, found.count as u64);
            self.process.judge(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    fn process(text: &str) -> Process {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn all_patterns_that_are_given_must_match() {
        let host = Host::new(&[
            ("proc/1/comm", "systemd\n"),
            ("proc/1/cmdline", "/sbin/init\0splash\0"),
            ("proc/20/comm", "nginx\n"),
            ("proc/20/cmdline", "nginx: worker process"),
            ("proc/21/comm", "nginx\n"),
            ("proc/21/cmdline", "nginx: master process /usr/sbin/nginx\0"),
            ("proc/meminfo", ""),
        ]);
        let count = |text| process(text).find(&host.root).unwrap().count;
        assert_eq!(count("comm = '^nginx$'"), 2);
        assert_eq!(count("comm = '^nginx$'\ncmdline = 'worker'"), 1);
        assert_eq!(count("cmdline = '^/sbin/init splash$'"), 1);
        assert_eq!(count("exe = 'nginx'"), 0);
    }

    #[test]
    fn too_few_and_too_many_are_told() {
        let said = |text: &str, count, untold| {
            process(text).judge(Found { count, untold }).map_err(|error| format!("{}: {error}", error.reason.word()))
        };
        assert_eq!(said("comm = 'x'", 1, 0), Ok(()));
        assert_eq!(said("comm = 'x'", 0, 0), Err("absent: no process matches comm=x".into()));
        assert_eq!(
            said("comm = 'x'\nmin_count = 3", 2, 0),
            Err("count: 2 processes match comm=x, expected at least 3".into())
        );
        assert_eq!(
            said("comm = 'x'\nmin_count = 0\nmax_count = 0", 1, 0),
            Err("count: 1 processes match comm=x, expected at most 0".into())
        );
        assert!(said("exe = 'x'", 0, 9).unwrap_err().starts_with("permission: "));
        assert_eq!(said("exe = 'x'", 1, 9), Ok(()));
    }

    #[test]
    fn a_process_without_a_pattern_is_refused() {
        assert!(toml::from_str::<Process>("min_count = 1").is_err());
        assert!(toml::from_str::<Process>("comm = 'x'\nmax_count = 0").is_err());
    }
}
