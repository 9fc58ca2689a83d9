//! Where the control groups are mounted.

use crate::samplers::SampleError;
use crate::samplers::root::{Dir, Root};

const MOUNT: &str = "fs/cgroup";

/// Whose files are below a mount of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// All controllers of version 2.
    Unified,
    /// One controller of version 1 each.
    Cpu,
    Cpuacct,
    Memory,
    Blkio,
    Pids,
}

/// The mounts, each open.
///
/// cgroups(7): version 2 has one hierarchy with all controllers. Version 1 has one for each, and systemd another one of
/// its own for names. A host may have both (systemd's "hybrid"): then version 2 has no controllers, yet accounts for CPU
/// time and pressure.
pub(super) struct Hierarchies {
    names: Dir,
    unified: Option<Dir>,
    legacy: [(Owner, Option<Dir>); 5],
}

impl Hierarchies {
    /// # Errors
    /// [`SampleError::Absent`] where there is none.
    pub(super) fn open(root: &Root) -> Result<Hierarchies, SampleError> {
        let mount = root.sys.dir(MOUNT)?;
        let legacy = [Owner::Cpu, Owner::Cpuacct, Owner::Memory, Owner::Blkio, Owner::Pids];
        if mount.has("cgroup.controllers") {
            let unified = root.sys.dir(MOUNT)?;
            return Ok(Hierarchies { names: mount, unified: Some(unified), legacy: legacy.map(|owner| (owner, None)) });
        }
        let wanted = ["systemd", "unified", "memory", "pids", "cpuacct"];
        let names = wanted.iter().find_map(|name| mount.dir(name).ok());
        Ok(Hierarchies {
            names: names.ok_or_else(|| SampleError::Absent(mount.at("systemd")))?,
            unified: mount.dir("unified").ok(),
            legacy: legacy.map(|owner| (owner, mount.dir(controller(owner)).ok())),
        })
    }

    /// The one that has a directory for every unit.
    pub(super) fn names(&self) -> &Dir {
        &self.names
    }

    /// The one where that owner's files are.
    pub(super) fn of(&self, owner: Owner) -> Option<&Dir> {
        match owner {
            Owner::Unified => self.unified.as_ref(),
            _ => self.legacy.iter().find(|(known, _)| *known == owner)?.1.as_ref(),
        }
    }
}

/// Controllers that are mounted together have a link of each one's name.
fn controller(owner: Owner) -> &'static str {
    match owner {
        Owner::Unified => "unified",
        Owner::Cpu => "cpu",
        Owner::Cpuacct => "cpuacct",
        Owner::Memory => "memory",
        Owner::Blkio => "blkio",
        Owner::Pids => "pids",
    }
}
