//! What a capture must not tell: addresses, serial numbers, host names, secrets in mount options.

use std::path::{Path, PathBuf};

use regex_lite::Regex;

use pseudonyms::Pseudonyms;

mod cgroups;
mod pseudonyms;

/// What every captured host is called.
pub(super) const HOSTNAME: &str = "captured-host";

/// What every captured NIS domain is called.
pub(super) const DOMAIN: &str = "captured-domain";

/// Hostnames that name a kind of machine rather than one machine.
const NO_NAMES: &[&str] = &["localhost", "host", "linux", "ubuntu", "debian", "vm"];

/// Files of the host's `/` that hold nothing of anybody's; everything else there can hold anything.
const HOST_FILES: &[&str] = &["etc/os-release", "usr/lib/os-release", "etc/localtime", "etc/selinux/config"];

const UDEV_DATA: &str = "run/udev/data";

/// Where the names of directories say who runs what.
const CGROUPS: &str = "sys/fs/cgroup";

/// Properties of udev's database that describe a product. All others are dropped, unless [`UDEV_SECRETS`] has them.
const UDEV_FACTS: &[&str] = &[
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_VG_NAME",
    "ID_ATA",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_SATA",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_BUS",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_TYPE",
    "ID_VENDOR",
    "MD_LEVEL",
    "MD_METADATA",
];

/// Properties that tell one thing from all others.
const UDEV_SECRETS: &[&str] = &[
    "DM_UUID",
    "ID_FS_LABEL",
    "ID_FS_LABEL_ENC",
    "ID_FS_UUID",
    "ID_FS_UUID_ENC",
    "ID_FS_UUID_SUB",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "ID_WWN_WITH_EXTENSION",
    "SCSI_IDENT_SERIAL",
];

/// Attributes of sysfs that do, by the name of the file.
const UNIQUE_ATTRIBUTES: &[&str] = &[
    "asset_tag",
    "board_asset_tag",
    "board_serial",
    "chassis_asset_tag",
    "chassis_serial",
    "eui",
    "hostname",
    "nguid",
    "phys_port_id",
    "phys_switch_id",
    "product_serial",
    "product_uuid",
    "serial",
    "serial_number",
    "unique_id",
    "uuid",
    "vpd_pg80",
    "vpd_pg83",
    "wwid",
    "wwn",
];

/// Filesystems that a server gives, by type; their sources name it.
const NETWORK_TYPES: &[&str] = &["9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"];

/// Scrubs one host.
pub(super) struct Scrubber {
    nodename: Option<Regex>,
    pseudonyms: Pseudonyms,
}

impl Scrubber {
    pub(super) fn new(nodename: &str) -> Scrubber {
        let telling = nodename.len() > 1 && !NO_NAMES.contains(&nodename);
        let pattern = telling.then(|| Regex::new(&format!(r"\b{}\b", regex_lite::escape(nodename))).ok()).flatten();
        Scrubber { nodename: pattern, pseudonyms: Pseudonyms::default() }
    }

    /// What may be told of a file, nothing where that is unknown. `path` is below the captured folder.
    pub(super) fn file(&mut self, path: &Path, content: &[u8]) -> Option<Vec<u8>> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let host_file = HOST_FILES.iter().any(|file| path == Path::new(file));
        if host_file {
            return Some(content.to_vec());
        }
        let text = String::from_utf8_lossy(content);
        let below = |place: &str| path.starts_with(place);
        let text = match name {
            "cmdline" | "environ" => return None,
            _ if below(UDEV_DATA) => self.udev(&text),
            _ if !below("proc") && !below("sys") => return None,
            "mounts" | "mountinfo" => self.mounts(&text, name == "mountinfo"),
            "ifalias" if text.trim_ascii().is_empty() => text.into_owned(),
            "ifalias" => "captured alias\n".to_owned(),
            "domainname" if below("proc/sys/kernel") => format!("{DOMAIN}\n"),
            "hostname" if below("proc/sys/kernel") => format!("{HOSTNAME}\n"),
            _ if below("sys") && UNIQUE_ATTRIBUTES.contains(&name) => self.pseudonyms.attribute(&text),
            _ if below("proc/net") || below("proc/self/net") => self.pseudonyms.sockets(&text),
            _ => text.into_owned(),
        };
        Some(self.everywhere(&text).into_bytes())
    }

    /// Where a file is, below the captured folder.
    pub(super) fn path(&mut self, path: &Path) -> PathBuf {
        let Ok(cgroup) = path.strip_prefix(CGROUPS) else { return path.to_owned() };
        let mut told = PathBuf::from(CGROUPS);
        for name in cgroup {
            let name = cgroups::name(&name.to_string_lossy(), &mut self.pseudonyms);
            told.push(self.everywhere(&name));
        }
        told
    }

    pub(super) fn mount_point(&mut self, path: &str) -> String {
        self.everywhere(path)
    }

    /// What no file may tell.
    fn everywhere(&mut self, text: &str) -> String {
        let text = self.pseudonyms.of_addresses(text);
        match &self.nodename {
            Some(nodename) => nodename.replace_all(&text, HOSTNAME).into_owned(),
            None => text,
        }
    }

    fn udev(&mut self, text: &str) -> String {
        let mut kept = String::new();
        for line in text.lines() {
            let Some((key, value)) = line.strip_prefix("E:").and_then(|property| property.split_once('=')) else {
                continue;
            };
            let told = if UDEV_SECRETS.contains(&key) {
                self.pseudonyms.attribute(value).trim_end().to_owned()
            } else if key == "ID_PATH" {
                device_path(value)
            } else if UDEV_FACTS.contains(&key) {
                value.to_owned()
            } else {
                continue;
            };
            kept.push_str(&format!("E:{key}={told}\n"));
        }
        kept
    }

    fn mounts(&mut self, text: &str, info: bool) -> String {
        text.lines().map(|line| self.mount(line, info) + "\n").collect()
    }

    /// One line of `mountinfo` (proc(5)) or of `mounts`.
    fn mount(&mut self, line: &str, info: bool) -> String {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (options, kind, source) = if info {
            let dash = words.iter().position(|word| word == "-").unwrap_or(words.len());
            (vec![5, dash + 3], dash + 1, dash + 2)
        } else {
            (vec![3], 2, 0)
        };
        for place in options {
            if let Some(word) = words.get_mut(place) {
                *word = without_values(word);
            }
        }
        let kind = words.get(kind).cloned().unwrap_or_default();
        if let Some(word) = words.get_mut(source).filter(|source| names_a_server(&kind, source)) {
            let told = self.pseudonyms.pseudonym("mount", word, |number| format!("server:/export{number}"));
            *word = if kind.starts_with("cifs") || kind.starts_with("smb") {
                told.replace("server:", "//server")
            } else {
                told
            };
        }
        words.join(" ")
    }
}

fn names_a_server(kind: &str, source: &str) -> bool {
    NETWORK_TYPES.contains(&kind)
        || source.starts_with("//")
        || (!source.starts_with('/') && source.contains([':', '@']))
}

/// Mount options without those that have a value: credentials, addresses and uids are among them.
fn without_values(options: &str) -> String {
    let kept: Vec<&str> = options.split(',').filter(|option| !option.contains('=')).collect();
    kept.join(",")
}

/// The path to a device, up to where it names a peer.
fn device_path(path: &str) -> String {
    let peer = ["ip-", "fc-", "sas-", "iscsi-", "nvmf-"].iter().filter_map(|kind| path.find(kind)).min();
    match peer.and_then(|at| path.get(..at)) {
        Some(head) => format!("{head}captured"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(path: &str, content: &str) -> String {
        let mut scrubber = Scrubber::new("db-7");
        String::from_utf8(scrubber.file(Path::new(path), content.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn hardware_addresses_lose_their_maker_and_stay_distinct() {
        let arp = "10.1.2.3  0x1  0x2  3c:ec:ef:12:34:56  *  eth0\n10.1.2.4  0x1  0x2  3C:EC:EF:12:34:56  *  eth0\n\
                   10.1.2.3  0x1  0x0  00:00:00:00:00:00  *  eth0\n";
        let expected = "198.18.0.1  0x1  0x2  02:00:00:00:00:01  *  eth0\n198.18.0.2  0x1  0x2  02:00:00:00:00:01  *  eth0\n\
                        198.18.0.1  0x1  0x0  00:00:00:00:00:00  *  eth0\n";
        assert_eq!(scrubbed("proc/net/arp", arp), expected);
        let infiniband = "80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1\n";
        let expected = "02:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01\n";
        assert_eq!(scrubbed("sys/class/net/ib0/address", infiniband), expected);
    }

    #[test]
    fn udev_keeps_the_product_and_drops_the_piece() {
        let data = "S:disk/by-id/ata-ST4000_Z1F2\nE:ID_MODEL=ST4000\nE:ID_SERIAL_SHORT=Z1F2\nE:ID_SERIAL=Z1F2\n\
                    E:ID_FS_LABEL=payroll\nE:ID_PATH=pci-0000:00:1f.2-ata-1\nE:SECRET=x\nG:systemd\n";
        let expected = "E:ID_MODEL=ST4000\nE:ID_SERIAL_SHORT=captured-1\nE:ID_SERIAL=captured-1\n\
                        E:ID_FS_LABEL=captured-2\nE:ID_PATH=pci-0000:00:1f.2-ata-1\n";
        assert_eq!(scrubbed("run/udev/data/b8:0", data), expected);
        assert_eq!(device_path("ip-10.0.0.1:3260-iscsi-iqn.x"), "captured");
        assert_eq!(device_path("pci-0000:03:00.0-sas-0x5000c5-lun-0"), "pci-0000:03:00.0-captured");
    }

    #[test]
    fn mounts_keep_no_server_and_no_credentials() {
        let info = "40 1 0:5 / /mnt/db-7/data rw,relatime shared:1 - cifs //files/pay rw,username=bob,password=x,addr=10.0.0.1\n";
        assert_eq!(
            scrubbed("proc/1/mountinfo", info),
            "40 1 0:5 / /mnt/captured-host/data rw,relatime shared:1 - cifs //server/export1 rw\n"
        );
        let info = "41 1 0:6 / /mnt ro - nfs4 nas.example.com:/vol ro,vers=4.2\n42 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        assert_eq!(
            scrubbed("proc/1/mountinfo", info),
            "41 1 0:6 / /mnt ro - nfs4 server:/export1 ro\n42 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        );
        assert!(names_a_server("fuse.sshfs", "bob@build:/srv") && !names_a_server("overlay", "overlay"));
    }

    #[test]
    fn a_uuid_in_a_mount_point_is_the_same_everywhere() {
        let mut scrubber = Scrubber::new("db-7");
        let pod = "/var/lib/kubelet/pods/6fa459ea-ee8a-3ca4-894e-db77e160355e/volume";
        let told = "/var/lib/kubelet/pods/00000000-0000-4000-8000-000000000001/volume";
        assert_eq!(scrubber.mount_point(pod), told);
        let info = scrubber.file(Path::new("proc/1/mountinfo"), pod.as_bytes()).unwrap();
        assert_eq!(info, format!("{told}\n").as_bytes());
    }

    #[test]
    fn paths_of_units_keep_no_hostname_and_others_stay() {
        let mut scrubber = Scrubber::new("db-7");
        let mut told = |path: &str| scrubber.path(Path::new(path)).to_string_lossy().into_owned();
        let path = "sys/fs/cgroup/system.slice/backup-db-7.service/memory.stat";
        assert_eq!(told(path), "sys/fs/cgroup/system.slice/backup-captured-host.service/memory.stat");
        assert_eq!(
            told("sys/fs/cgroup/system.slice/vpn@acme.service"),
            "sys/fs/cgroup/system.slice/vpn@captured-1.service"
        );
        let swap = |uuid: &str| format!("sys/fs/cgroup/system.slice/dev-disk-by\\x2duuid-{uuid}.swap");
        let uuid = r"6fa459ea\x2dee8a\x2d3ca4\x2d894e\x2ddb77e160355e";
        assert_eq!(told(&swap(uuid)), swap("00000000-0000-4000-8000-000000000001"));
        assert_eq!(told("sys/block/sda@1/size"), "sys/block/sda@1/size");
    }

    #[test]
    fn what_can_hold_anything_is_left_out() {
        let mut scrubber = Scrubber::new("db-7");
        for path in ["var/lib/textfile/x.prom", "etc/shadow", "proc/1/cmdline", "proc/self/environ"] {
            assert_eq!(scrubber.file(Path::new(path), b"x"), None, "{path}");
        }
        assert_eq!(scrubber.file(Path::new("etc/localtime"), b"TZif\0\xff"), Some(b"TZif\0\xff".to_vec()));
    }

    #[test]
    fn serial_numbers_and_names_in_sysfs_are_replaced() {
        assert_eq!(scrubbed("sys/block/nvme0n1/device/serial", "S4EVNX0R\n"), "captured-1\n");
        assert_eq!(scrubbed("sys/class/net/eth0/ifalias", "to db-7\n"), "captured alias\n");
        assert_eq!(scrubbed("sys/class/net/eth0/ifalias", "\n"), "\n");
        assert_eq!(scrubbed("proc/sys/kernel/hostname", "x\n"), "captured-host\n");
        assert_eq!(scrubbed("proc/stat", "cpu  1 2 3 4\n"), "cpu  1 2 3 4\n");
    }
}
