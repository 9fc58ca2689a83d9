//! The units and containers among all control groups.
//!
//! Slices are listed in every pass, for a unit is born by a `mkdir` there that nothing else tells of: a directory of
//! cgroupfs has no time of its last change, and one that went and one that came leave the count of its links as it was.
//! Units and containers are not looked into, so that this is a handful of directories.

use crate::samplers::SampleError;
use crate::samplers::root::Dir;
use crate::samplers::unit;

/// The most cgroups that are looked at.
const LIMIT: usize = 4_096;

/// How deep below the root they are looked at.
const DEPTH: usize = 16;

/// What was found in a pass. The memory of the pass before is used again.
#[derive(Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    count: usize,
    beyond: usize,
    /// Whether some cgroup could not be listed.
    blind: bool,
    /// Of the node that is being listed.
    above: String,
}

#[derive(Default)]
struct Node {
    /// Below the root of the hierarchy, without a slash at its beginning.
    path: String,
    look: Look,
    /// Of this very cgroup: kernfs never gives the number of one that went to another.
    inode: u64,
}

/// What a cgroup is to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    /// Whether it is a unit or a container.
    shown: bool,
    /// Whether there may be units or containers in it that are not its own.
    open: bool,
}

impl Tree {
    /// Walks from the root downwards: whatever stands above comes first.
    ///
    /// # Errors
    /// When the root cannot be listed. Anything else may go at any time.
    pub(super) fn walk(&mut self, dir: &Dir, user_units: bool) -> Result<(), SampleError> {
        (self.count, self.beyond, self.blind) = (0, 0, false);
        self.above.clear();
        self.list(dir, user_units)?;
        let mut next = 0;
        while let Some(node) = self.nodes.get(next).filter(|_| next < self.count) {
            if node.look.open {
                self.above.clear();
                self.above.push_str(&node.path);
                // It may have gone since it was listed itself, which is not told from other reasons.
                self.blind |= self.list(dir, user_units).is_err();
            }
            next += 1;
        }
        Ok(())
    }

    /// The paths of units and containers, each with the inode of its cgroup.
    pub(super) fn found(&self) -> impl Iterator<Item = (&str, u64)> {
        self.nodes.iter().take(self.count).filter(|node| node.look.shown).map(|node| (&*node.path, node.inode))
    }

    /// How many cgroups were not looked at, because there are too many.
    pub(super) fn beyond(&self) -> usize {
        self.beyond
    }

    /// Whether everything was seen: what was not found is not there.
    pub(super) fn complete(&self) -> bool {
        self.beyond == 0 && !self.blind
    }

    /// Adds what is in the cgroup `above`, in the order of its names.
    fn list(&mut self, dir: &Dir, user_units: bool) -> Result<(), SampleError> {
        let Tree { nodes, count, beyond, above, .. } = self;
        let first = *count;
        let listed = dir.each_directory(if above.is_empty() { "." } else { above }, |name, inode| {
            if *count == LIMIT {
                *beyond += 1;
                return;
            }
            if nodes.len() == *count {
                nodes.push(Node::default());
            }
            let Some(node) = nodes.get_mut(*count) else { return };
            node.path.clear();
            if !above.is_empty() {
                node.path.push_str(above);
                node.path.push('/');
            }
            node.path.push_str(name);
            (node.look, node.inode) = (look(&node.path, user_units), inode);
            *count += 1;
        });
        if let Some(new) = nodes.get_mut(first..*count) {
            new.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        }
        listed
    }
}

fn look(path: &str, user_units: bool) -> Look {
    let place = unit::place(path);
    let name = last(path);
    let shallow = path.bytes().filter(|byte| *byte == b'/').count() < DEPTH;
    if place.container.is_some() || place.user_unit.is_some() {
        Look { shown: true, open: false }
    } else if is_slice(path) {
        Look { shown: true, open: shallow }
    } else if place.unit == Some(name) {
        Look { shown: true, open: user_units && name.starts_with("user@") }
    } else {
        Look { shown: false, open: shallow }
    }
}

/// The name of a cgroup, as systemd has it (`cg_unescape`).
pub(super) fn last(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_prefix('_').unwrap_or(name)
}

/// Whether it is a slice, of the system or of a user's own systemd.
pub(super) fn is_slice(path: &str) -> bool {
    let place = unit::place(path);
    let user = place.unit.is_some_and(|unit| unit.starts_with("user@"));
    let name = last(path);
    name.ends_with(".slice") && (user || place.slice == Some(name) && place.unit.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn found(paths: &[&str], user_units: bool) -> Vec<String> {
        let files: Vec<String> = paths.iter().map(|path| format!("sys/{path}/cgroup.procs")).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|path| (&**path, "")).collect();
        let (host, mut tree) = (Host::new(&files), Tree::default());
        tree.walk(&host.root.sys, user_units).unwrap();
        let first: Vec<String> = tree.found().map(|(path, _)| path.to_owned()).collect();
        tree.walk(&host.root.sys, user_units).unwrap();
        assert_eq!(tree.found().map(|(path, _)| path).collect::<Vec<_>>(), first, "the second walk");
        first
    }

    #[test]
    fn slices_come_before_their_units() {
        let paths = ["system.slice/a.service/sub", "init.scope", "system.slice/system-x.slice/x@1.service"];
        let expected = [
            "init.scope",
            "system.slice",
            "system.slice/a.service",
            "system.slice/system-x.slice",
            "system.slice/system-x.slice/x@1.service",
        ];
        assert_eq!(found(&paths, false), expected);
    }

    #[test]
    fn what_a_unit_was_delegated_is_not_looked_at() {
        let nested = format!("system.slice/docker-{ID}.scope/system.slice/nginx.service");
        assert_eq!(found(&[&nested], false), ["system.slice".to_owned(), format!("system.slice/docker-{ID}.scope")]);
    }

    #[test]
    fn a_users_own_units_are_there_for_who_asks() {
        let user = "user.slice/user-1000.slice/user@1000.service";
        let paths = [format!("{user}/app.slice/a.service"), format!("{user}/init.scope")];
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(found(&paths, false), ["user.slice", "user.slice/user-1000.slice", user]);
        let own = [format!("{user}/app.slice"), format!("{user}/init.scope"), format!("{user}/app.slice/a.service")];
        assert_eq!(found(&paths, true)[3..], own);
    }

    #[test]
    fn containers_need_no_systemd() {
        let (docker, pod) = (format!("docker/{ID}"), format!("kubepods/burstable/pod1/{ID}"));
        let paths = [&*docker, &*pod, "lxc.payload.web/init", "lxc.monitor.web", "dev-x.mount"];
        assert_eq!(found(&paths, false), ["dev-x.mount", "lxc.payload.web", &*docker, &*pod]);
    }

    #[test]
    fn what_is_beyond_the_bound_or_went_is_not_all_there_is() {
        let (host, mut tree) = (Host::new(&[("sys/system.slice/a.service/cgroup.procs", "")]), Tree::default());
        tree.walk(&host.root.sys, false).unwrap();
        assert!(tree.complete());
        (tree.beyond, tree.blind) = (0, true);
        assert!(!tree.complete());
        (tree.beyond, tree.blind) = (1, false);
        assert!(!tree.complete());
    }

    #[test]
    fn depth_and_number_have_a_bound() {
        let deep = "a.slice/".repeat(DEPTH + 4);
        assert_eq!(found(&[&deep], false).len(), DEPTH + 1);
        let (host, mut tree) = (Host::new(&[]), Tree::default());
        for index in 0..LIMIT + 3 {
            std::fs::create_dir(host.root.sys.at(&format!("a{index:05}.service"))).unwrap();
        }
        tree.walk(&host.root.sys, false).unwrap();
        assert_eq!((tree.found().count(), tree.beyond()), (LIMIT, 3));
    }
}
