//! A mount that must be there, and be writable where that is wanted, as the kernel's table of mounts has it. Nothing is
//! written to find out, and no filesystem is touched: one that is dead does not hang its probe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::aside::Aside;
use super::{Ask, Checking, Kind, LABELS, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::metric::{Metric, Unit};
use crate::samplers::filesystem::mountinfo;
use crate::samplers::root::{Buffer, Root};

static READ_ONLY: Metric =
    Metric::gauge("vigie_probe_mount_read_only", Unit::One, "Whether what is mounted there is read-only.")
        .labels(LABELS)
        .otel("vigie.probe.mount.read_only");

/// This kind.
pub static KIND: Kind =
    Kind { name: "mount", metrics: &[&READ_ONLY], plans: |options| Plan::each(KIND.name, &options.mount) };

/// `[[probe.mount]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where something must be mounted.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
    /// Whether it must be mounted for writing.
    #[serde(default)]
    pub writable: bool,
}

/// A path without a slash at its end, as the kernel writes it.
fn absolute<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(d)?;
    if path.is_absolute() {
        Ok(path.components().collect())
    } else {
        Err(serde::de::Error::custom("expected an absolute path such as \"/srv/data\""))
    }
}

impl Ask for Mount {
    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Box::new(Looking { mount: self.clone(), root: Arc::clone(&setting.root), aside: Aside::default() })
    }
}

struct Looking {
    mount: Mount,
    root: Arc<Root>,
    aside: Aside,
}

/// What is mounted at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// Something will be, when somebody goes there (autofs).
    Promised,
    Mounted {
        read_only: bool,
    },
}

fn read(root: &Root, place: &Path) -> Result<Found, ProbeError> {
    // Our own table may be that of a unit for which the whole system is read-only.
    let table = if root.proc.has("1/mountinfo") { "1/mountinfo" } else { "self/mountinfo" };
    Ok(find(root.proc.read(table, &mut Buffer::default())?, place))
}

/// What is mounted last at a place hides what was mounted there before.
fn find(table: &str, place: &Path) -> Found {
    let mounts = table.lines().filter_map(|line| mountinfo::parse(line).ok());
    let mut here = mounts.filter(|mount| Path::new(&*mount.mount_point) == place);
    here.next_back().map_or(Found::Nothing, |mount| match mount.fstype {
        "autofs" => Found::Promised,
        _ => Found::Mounted { read_only: mount.read_only },
    })
}

impl Probe for Looking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            report.doing("reading the table of mounts");
            let (root, path) = (Arc::clone(&self.root), self.mount.path.clone());
            let found = self.aside.run(move || read(&root, &path)).await??;
            if let Found::Mounted { read_only } = found {
                report.put(&READ_ONLY, read_only);
            }
            self.mount.judge(found)
        })
    }
}

impl Mount {
    fn judge(&self, found: Found) -> Result<(), ProbeError> {
        let place = self.path.display();
        match found {
            Found::Nothing => Err(ProbeError::new(Reason::Absent, format!("nothing is mounted at {place}"))
                .mend(format!("mount it: mount {place}, and see /etc/fstab"))),
            Found::Promised => {
                Err(ProbeError::new(Reason::Absent, format!("nothing is mounted at {place} yet: it is an automount"))
                    .mend("it is mounted when somebody goes there"))
            }
            Found::Mounted { read_only: true } if self.writable => {
                Err(ProbeError::new(Reason::State, format!("{place} is mounted read-only")).mend(format!(
                    "the kernel does so after errors of a disk: see the kernel's log; then mount -o remount,rw {place}"
                )))
            }
            Found::Mounted { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw
30 22 8:1 / /data rw,noatime - xfs /dev/sda1 ro
31 22 8:2 / /my\\040disk rw - xfs /dev/sdb1 rw
32 22 0:40 / /net ro - autofs systemd-1 rw,fd=60
33 22 0:41 / /home ro - nfs server:/home rw
34 33 0:42 / /home rw - tmpfs tmpfs rw
odd line
";

    #[test]
    fn the_last_mount_of_a_place_is_what_is_there() {
        let found = |place| find(TABLE, Path::new(place));
        assert_eq!(found("/data"), Found::Mounted { read_only: true });
        assert_eq!(found("/my disk"), Found::Mounted { read_only: false });
        assert_eq!(found("/home"), Found::Mounted { read_only: false });
        assert_eq!(found("/net"), Found::Promised);
        assert_eq!(found("/data/below"), Found::Nothing);
    }

    #[test]
    fn only_who_wants_to_write_minds_what_is_read_only() {
        let mount = |text: &str| toml::from_str::<Mount>(text).unwrap();
        let reads = mount("path = '/data/'");
        assert_eq!(reads.path.display().to_string(), "/data");
        assert_eq!(reads.judge(find(TABLE, &reads.path)), Ok(()));
        let writes = mount("path = '/data'\nwritable = true");
        assert_eq!(writes.judge(find(TABLE, &writes.path)).unwrap_err().reason, Reason::State);
        assert!(toml::from_str::<Mount>("path = 'data'").is_err());
    }
}
