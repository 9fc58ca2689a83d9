//! One mount on the page: its labels, its space, or why it does not tell it.

use std::path::PathBuf;
use std::sync::Arc;

use super::lane::{Answer, Asked};
use super::mountinfo;
use crate::metric::{Kind, Label, Metric, Unit};
use crate::samplers::root::calls::Space;
use crate::snapshot::{Labels, Reading};

const MOUNT: &[Label] = &[
    Label::new("device").otel("system.device"),
    Label::new("mountpoint").otel("system.filesystem.mountpoint"),
    Label::new("fstype").otel("system.filesystem.type"),
    Label::new("device_error").page_only(),
];

static SIZE: Metric = Metric::gauge("node_filesystem_size_bytes", Unit::Bytes, "Size of the filesystem.")
    .labels(MOUNT)
    .otel_up_down("system.filesystem.limit");
static FREE: Metric =
    Metric::gauge("node_filesystem_free_bytes", Unit::Bytes, "Free space, with what is reserved for root.")
        .labels(MOUNT);
static AVAILABLE: Metric =
    Metric::gauge("node_filesystem_avail_bytes", Unit::Bytes, "Space that users other than root can still fill.")
        .labels(MOUNT)
        .otel_up_down("system.filesystem.usage")
        .otel_fixed(&[("system.filesystem.state", "free")]);
static USED: Metric = Metric::otel_only(Kind::Gauge, "system.filesystem.usage", Unit::Bytes, "Space in use.")
    .labels(MOUNT)
    .otel_up_down("system.filesystem.usage")
    .otel_fixed(&[("system.filesystem.state", "used")]);
static RESERVED: Metric =
    Metric::otel_only(Kind::Gauge, "system.filesystem.usage", Unit::Bytes, "Free space that only root can fill.")
        .labels(MOUNT)
        .otel_up_down("system.filesystem.usage")
        .otel_fixed(&[("system.filesystem.state", "reserved")]);
static PURGEABLE: Metric = Metric::gauge(
    "node_filesystem_purgeable_bytes",
    Unit::Bytes,
    "Space that the system can free by itself; 0 on Linux.",
)
.labels(MOUNT);
static FILES: Metric = Metric::gauge(
    "node_filesystem_files",
    Unit::Of("{inode}"),
    "Inodes of the filesystem; 0 where it makes them as needed.",
)
.labels(MOUNT);
static FILES_FREE: Metric = Metric::gauge("node_filesystem_files_free", Unit::Of("{inode}"), "Free inodes.")
    .labels(MOUNT)
    .otel_up_down("system.filesystem.inodes.usage")
    .otel_fixed(&[("system.filesystem.state", "free")]);
static FILES_USED: Metric =
    Metric::otel_only(Kind::Gauge, "system.filesystem.inodes.usage", Unit::Of("{inode}"), "Inodes in use.")
        .labels(MOUNT)
        .otel_up_down("system.filesystem.inodes.usage")
        .otel_fixed(&[("system.filesystem.state", "used")]);
static READ_ONLY: Metric =
    Metric::gauge("node_filesystem_readonly", Unit::One, "Whether nothing can be written there.").labels(MOUNT);
static DEVICE_ERROR: Metric = Metric::gauge(
    "node_filesystem_device_error",
    Unit::One,
    "Whether the filesystem does not tell its space; the label says why.",
)
.labels(MOUNT);
static MOUNT_INFO: Metric =
    Metric::gauge("node_filesystem_mount_info", Unit::One, "The device numbers of the mount; always 1.").labels(&[
        Label::new("device").otel("system.device"),
        Label::new("major"),
        Label::new("minor"),
        Label::new("mountpoint").otel("system.filesystem.mountpoint"),
    ]);

/// Everything that is told of a mount.
pub(super) const METRICS: &[&Metric] = &[
    &SIZE,
    &FREE,
    &AVAILABLE,
    &USED,
    &RESERVED,
    &PURGEABLE,
    &FILES,
    &FILES_FREE,
    &FILES_USED,
    &READ_ONLY,
    &DEVICE_ERROR,
    &MOUNT_INFO,
];

/// A shown mount.
pub(super) struct Mount {
    pub(super) asked: Arc<Asked>,
    pub(super) remote: bool,
    read_only: bool,
    pub(super) labels: Labels,
    info: Labels,
    /// The labels while it gives no numbers, with the answer that they tell.
    failed: Option<(Answer, Labels)>,
    /// A mount before it has the same labels.
    pub(super) again: bool,
}

impl Mount {
    pub(super) fn new(mount: &mountinfo::Mount<'_>, path: PathBuf) -> Mount {
        let (major, minor) = (mount.major.to_string(), mount.minor.to_string());
        Mount {
            asked: Asked::new(path),
            remote: may_hang(mount.fstype),
            read_only: mount.read_only,
            labels: Labels::new(&[
                ("device", &mount.device),
                ("mountpoint", &mount.mount_point),
                ("fstype", mount.fstype),
                ("device_error", ""),
            ]),
            info: Labels::new(&[
                ("device", &mount.device),
                ("major", &major),
                ("minor", &minor),
                ("mountpoint", &mount.mount_point),
            ]),
            failed: None,
            again: false,
        }
    }

    pub(super) fn write(&mut self, reading: &mut Reading) {
        let answer = self.asked.answer();
        if let Answer::Space(space) = answer {
            self.failed = None;
            self.write_space(space, reading);
        } else {
            if self.failed.as_ref().is_none_or(|(told, _)| *told != answer) {
                self.failed = Some((answer.clone(), self.labels_with(&reason(&answer))));
            }
            let labels = self.failed.as_ref().map_or(&self.labels, |(_, labels)| labels);
            reading.put_with(&DEVICE_ERROR, labels, true);
            reading.put_with(&READ_ONLY, labels, self.read_only);
        }
        reading.put_with(&MOUNT_INFO, &self.info, true);
    }

    fn write_space(&self, space: Space, reading: &mut Reading) {
        let labels = &self.labels;
        reading.put_with(&DEVICE_ERROR, labels, false);
        reading.put_with(&READ_ONLY, labels, self.read_only);
        reading.put_with(&SIZE, labels, space.size_bytes);
        reading.put_with(&FREE, labels, space.free_bytes);
        reading.put_with(&AVAILABLE, labels, space.available_bytes);
        reading.put_with(&USED, labels, space.size_bytes.saturating_sub(space.free_bytes));
        reading.put_with(&RESERVED, labels, space.free_bytes.saturating_sub(space.available_bytes));
        reading.put_with(&PURGEABLE, labels, 0_u64);
        reading.put_with(&FILES, labels, space.files);
        reading.put_with(&FILES_FREE, labels, space.files_free);
        reading.put_with(&FILES_USED, labels, space.files.saturating_sub(space.files_free));
    }

    fn labels_with(&self, device_error: &str) -> Labels {
        let mut pairs = self.labels.pairs();
        if let Some((_, value)) = pairs.last_mut() {
            *value = device_error.to_owned();
        }
        Labels::new(&pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
    }
}

/// Whether a mount of this type is answered by somebody else than this kernel.
fn may_hang(fstype: &str) -> bool {
    const ELSEWHERE: &[&str] = &[
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse",
        "fuseblk",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
        "virtiofs",
    ];
    fstype.starts_with("fuse.") || ELSEWHERE.contains(&fstype)
}

/// What the label `device_error` says.
fn reason(answer: &Answer) -> String {
    match answer {
        Answer::Space(_) => String::new(),
        // node_exporter's words, which are Go's.
        Answer::Error(nix::libc::EIO) => "input/output error".to_owned(),
        Answer::Error(nix::libc::ESTALE) => "stale NFS file handle".to_owned(),
        Answer::Error(errno) => nix::errno::Errno::from_raw(*errno).desc().to_lowercase(),
        Answer::Hangs => "mountpoint timeout".to_owned(),
        Answer::NotAsked => "not asked while other mounts hang".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_mount_has_a_lane_of_its_own() {
        assert!(may_hang("nfs4") && may_hang("fuse.sshfs") && !may_hang("ext4") && !may_hang("tmpfs"));
    }

    #[test]
    fn the_reason_is_a_label() {
        let line = r"1 2 0:44 / /mnt/a\040b rw - nfs4 server:/a rw";
        let mount = Mount::new(&mountinfo::parse(line).unwrap(), PathBuf::new());
        let labels = mount.labels_with(&reason(&Answer::Error(nix::libc::ESTALE)));
        let expected = r#"device="server:/a",mountpoint="/mnt/a b",fstype="nfs4",device_error="stale NFS file handle""#;
        assert_eq!(labels.page(), expected);
    }
}
