//! Control groups of this machine that a test may fill.

use std::fs;
use std::path::{Path, PathBuf};

/// A slice with units, in every hierarchy there is; gone with this.
pub(crate) struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    /// `Err` says why it cannot be made here.
    pub(crate) fn new(slice: &str, units: &[&str]) -> Result<Cgroups, String> {
        let mount = Path::new("/sys/fs/cgroup");
        let unified = mount.join("cgroup.controllers").exists();
        let names = ["systemd", "unified", "cpu", "cpuacct", "memory", "blkio", "pids"];
        let hierarchies = if unified { vec![mount.to_owned()] } else { names.map(|name| mount.join(name)).to_vec() };
        let mut made = Cgroups(Vec::new());
        for hierarchy in hierarchies.iter().filter(|hierarchy| hierarchy.exists()) {
            let slice = hierarchy.join(slice);
            fs::create_dir(&slice).map_err(|error| format!("no cgroup can be made: {}: {error}", slice.display()))?;
            made.0.push(slice.clone());
            if unified {
                // Without this a unit has no memory and no tasks of its own; what the root lacks stays away.
                for controller in ["+memory", "+pids", "+io", "+cpu"] {
                    let _ = fs::write(hierarchy.join("cgroup.subtree_control"), controller);
                    let _ = fs::write(slice.join("cgroup.subtree_control"), controller);
                }
            }
            for unit in units {
                fs::create_dir(slice.join(unit)).expect("a cgroup in a cgroup");
                made.0.push(slice.join(unit));
            }
        }
        if made.0.is_empty() { Err("there are no cgroups".to_owned()) } else { Ok(made) }
    }

    /// What the slice is called.
    pub(crate) fn slice(&self) -> &str {
        self.0.first().and_then(|path| path.file_name()?.to_str()).expect("it has a name")
    }

    /// The unit's directory in each hierarchy.
    pub(crate) fn of<'a>(&'a self, unit: &'a str) -> impl Iterator<Item = &'a PathBuf> {
        self.0.iter().filter(move |path| path.ends_with(unit))
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            let _ = fs::remove_dir(path);
        }
    }
}
