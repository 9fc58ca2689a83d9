//! Space and inodes of mounted filesystems, from `/proc/1/mountinfo` and statvfs(3).

use std::collections::HashSet;

use serde::Deserialize;

use super::born::Born;
use super::fields::Malformed;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::samplers;
use crate::samplers::pattern::Pattern;
use crate::snapshot::Reading;
use lane::Lane;
use mount::Mount;

mod lane;
mod mount;
pub mod mountinfo;

/// The declaration of `filesystem`.
pub static SAMPLER: Declaration = Declaration {
    name: "filesystem",
    tier: Tier::Standard,
    metrics: mount::METRICS,
    build: |samplers: &samplers::Options| Box::new(Filesystem::new(samplers.filesystem.clone())),
};

/// `[samplers.filesystem]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Filesystem types that are not shown.
    pub exclude_types: Pattern,
    /// Mount points that are not shown.
    pub exclude_mounts: Pattern,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            exclude_types: Pattern::fixed(
                "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
            ),
            exclude_mounts: Pattern::fixed(
                "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
            ),
        }
    }
}

struct Filesystem {
    options: Options,
    /// By line of mountinfo.
    mounts: Born<Known>,
    local: Lane,
    remote: Lane,
}

/// What a line of mountinfo turned out to be.
enum Known {
    Shown(Box<Mount>),
    Excluded,
    Odd(Malformed),
}

impl Known {
    fn of(options: &Options, line: &[u8], text: &str) -> Known {
        match mountinfo::parse(text) {
            Ok(mount) if shown(options, &mount) => Known::Shown(Box::new(Mount::new(&mount, mountinfo::path(line)))),
            Ok(_) => Known::Excluded,
            Err(malformed) => {
                tracing::warn!(%malformed, "a mount is left out");
                Known::Odd(malformed)
            }
        }
    }

    fn mount(&self) -> Option<&Mount> {
        if let Known::Shown(mount) = self { Some(mount) } else { None }
    }

    fn mount_mut(&mut self) -> Option<&mut Mount> {
        if let Known::Shown(mount) = self { Some(mount) } else { None }
    }
}

impl Filesystem {
    fn new(options: Options) -> Filesystem {
        let (local, remote) = (Lane::new("statvfs"), Lane::new("statvfs-remote"));
        Filesystem { options, mounts: Born::default(), local, remote }
    }

    /// What is wrong, where no line is that of a mount.
    fn nothing_but_odd(&self) -> Option<Malformed> {
        let mut odd = None;
        for known in self.mounts.met() {
            match known {
                Known::Odd(malformed) => odd = odd.or_else(|| Some(malformed.clone())),
                _ => return None,
            }
        }
        odd.or_else(|| Some(Malformed::new("a mount", "")))
    }

    /// Of mounts that look the same, such as one over the other, the first is shown.
    fn show_each_once(&mut self) {
        let mut met = HashSet::new();
        for mount in self.mounts.met_mut().filter_map(Known::mount_mut) {
            mount.again = !met.insert(mount.labels.page().into_owned());
        }
    }
}

impl Sampler for Filesystem {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let path = if root.proc.has("1/mountinfo") { "1/mountinfo" } else { "self/mountinfo" };
        let content = root.proc.read_bytes(path, buffer)?;
        self.mounts.start();
        for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line);
            self.mounts.meet(&text, || Known::of(&self.options, line, &text));
        }
        if let Some(malformed) = self.nothing_but_odd() {
            return Err(SampleError::parse(&root.proc.at(path), malformed));
        }
        if self.mounts.changed() {
            self.show_each_once();
        }
        for (lane, remote) in [(&self.local, false), (&self.remote, true)] {
            let mounts = self.mounts.met().filter_map(Known::mount);
            lane.ask(mounts.filter(|mount| mount.remote == remote && !mount.again).map(|mount| &mount.asked));
        }
        self.local.wait(&root.calls);
        self.remote.wait(&root.calls);
        for mount in self.mounts.met_mut().filter_map(Known::mount_mut).filter(|mount| !mount.again) {
            mount.write(reading);
        }
        Ok(())
    }
}

fn shown(options: &Options, mount: &mountinfo::Mount<'_>) -> bool {
    !options.exclude_mounts.is_match(&mount.mount_point) && !options.exclude_types.is_match(mount.fstype)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shown(mount_point: &str, fstype: &str) -> bool {
        let line = format!("1 2 8:1 / {mount_point} rw - {fstype} /dev/sda1 rw");
        shown(&Options::default(), &mountinfo::parse(&line).unwrap())
    }

    #[test]
    fn what_the_kernel_mounts_for_itself_is_not_shown() {
        assert!(is_shown("/", "ext4") && is_shown("/run", "tmpfs") && is_shown("/developers", "xfs"));
        assert!(!is_shown("/dev/shm", "tmpfs") && !is_shown("/sys", "ext4") && !is_shown("/x", "cgroup2"));
        assert!(!is_shown("/var/lib/docker/overlay2/1", "ext4") && is_shown("/var/lib/docker", "ext4"));
    }
}
