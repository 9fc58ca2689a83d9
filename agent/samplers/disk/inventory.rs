//! What udev knows of a block device, from `/run/udev/data` and `/sys/block`.

use super::Line;
use crate::metric::{Label, Metric, Unit};
use crate::samplers::SampleError;
use crate::samplers::root::{Buffer, Root};
use crate::snapshot::{Labels, Reading};

pub(super) static INFO: Metric =
    Metric::gauge("node_disk_info", Unit::One, "1, with the make of the device: what to order when it fails.").labels(
        &[
            Label::new("device").otel("system.device"),
            Label::new("major"),
            Label::new("minor"),
            Label::new("model"),
            Label::new("path"),
            Label::new("revision"),
            Label::new("rotational"),
            Label::new("serial"),
            Label::new("wwn"),
        ],
    );
pub(super) static FILESYSTEM: Metric =
    Metric::gauge("node_disk_filesystem_info", Unit::One, "1, with the filesystem that udev found on the device.")
        .labels(&[
            Label::new("device").otel("system.device"),
            Label::new("type"),
            Label::new("usage"),
            Label::new("uuid"),
            Label::new("version"),
        ]);
pub(super) static MAPPER: Metric = Metric::gauge(
    "node_disk_device_mapper_info",
    Unit::One,
    "1, with the logical volume or mapping behind a dm device.",
)
.labels(&[
    Label::new("device").otel("system.device"),
    Label::new("lv_layer"),
    Label::new("lv_name"),
    Label::new("name"),
    Label::new("uuid"),
    Label::new("vg_name"),
]);
pub(super) static ATA_WRITE_CACHE: Metric =
    Metric::gauge("node_disk_ata_write_cache", Unit::One, "1 if the ATA disk has a write cache.").labels(super::DEVICE);
pub(super) static ATA_WRITE_CACHE_ENABLED: Metric = Metric::gauge(
    "node_disk_ata_write_cache_enabled",
    Unit::One,
    "1 if the ATA disk uses its write cache, which a power cut empties.",
)
.labels(super::DEVICE);
pub(super) static ATA_ROTATION_RATE: Metric = Metric::gauge(
    "node_disk_ata_rotation_rate_rpm",
    Unit::Of("{revolution}/min"),
    "Revolutions a minute of the ATA disk; 0 for an SSD.",
)
.labels(super::DEVICE);

static ATA: [(&str, &Metric); 3] = [
    ("ID_ATA_WRITE_CACHE", &ATA_WRITE_CACHE),
    ("ID_ATA_WRITE_CACHE_ENABLED", &ATA_WRITE_CACHE_ENABLED),
    ("ID_ATA_ROTATION_RATE_RPM", &ATA_ROTATION_RATE),
];

/// Where udev keeps a file for each device.
pub(super) const UDEV: &str = "run/udev/data";

/// A device's make and content.
#[derive(Debug)]
pub(super) struct Inventory {
    /// The device's file, while udev has not written it.
    awaited: Option<String>,
    info: Labels,
    filesystem: Option<Labels>,
    mapper: Option<Labels>,
    ata: [Option<f64>; 3],
}

impl Inventory {
    /// Reads it; what is not there stays empty, as on a host without udev.
    pub(super) fn read(root: &Root, line: &Line<'_>, buffer: &mut Buffer) -> Inventory {
        let rotational = rotational(root, line.device, buffer);
        let path = format!("{UDEV}/b{}:{}", line.major, line.minor);
        let text = root.host.read(&path, buffer);
        let awaited = matches!(text, Err(SampleError::Absent(_))).then_some(path);
        Inventory { awaited, ..Inventory::of(line, rotational, &Properties::of(text.unwrap_or_default())) }
    }

    /// The device's file, while udev has not written it.
    pub(super) fn awaited(&self) -> Option<&str> {
        self.awaited.as_deref()
    }

    fn of(line: &Line<'_>, rotational: bool, udev: &Properties<'_>) -> Inventory {
        let device = ("device", line.device);
        let (major, minor) = (line.major.to_string(), line.minor.to_string());
        // What is printed on the disk, else what SCSI or virtio tells.
        let serial = udev.first_of(&["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]);
        let info = Labels::new(&[
            device,
            ("major", &major),
            ("minor", &minor),
            ("model", udev.get("ID_MODEL")),
            ("path", udev.get("ID_PATH")),
            ("revision", udev.get("ID_REVISION")),
            ("rotational", if rotational { "1" } else { "0" }),
            ("serial", serial),
            ("wwn", udev.get("ID_WWN")),
        ]);
        let filesystem = udev.has("ID_FS_TYPE").then(|| {
            Labels::new(&[
                device,
                ("type", udev.get("ID_FS_TYPE")),
                ("usage", udev.get("ID_FS_USAGE")),
                ("uuid", udev.get("ID_FS_UUID")),
                ("version", udev.get("ID_FS_VERSION")),
            ])
        });
        let mapper = udev.has("DM_NAME").then(|| {
            Labels::new(&[
                device,
                ("lv_layer", udev.get("DM_LV_LAYER")),
                ("lv_name", udev.get("DM_LV_NAME")),
                ("name", udev.get("DM_NAME")),
                ("uuid", udev.get("DM_UUID")),
                ("vg_name", udev.get("DM_VG_NAME")),
            ])
        });
        let told = |(property, _)| udev.has("ID_ATA").then(|| udev.get(property).parse().ok()).flatten();
        Inventory { awaited: None, info, filesystem, mapper, ata: ATA.map(told) }
    }

    /// Takes what is new, and keeps the labels that say the same.
    pub(super) fn renew(&mut self, new: Inventory) {
        let same = |old: &Option<Labels>, new: &Option<Labels>| {
            old.as_ref().map(Labels::page) == new.as_ref().map(Labels::page)
        };
        if self.info.page() != new.info.page() {
            self.info = new.info;
        }
        if !same(&self.filesystem, &new.filesystem) {
            self.filesystem = new.filesystem;
        }
        if !same(&self.mapper, &new.mapper) {
            self.mapper = new.mapper;
        }
        (self.awaited, self.ata) = (new.awaited, new.ata);
    }

    pub(super) fn put_info(&self, reading: &mut Reading) {
        reading.put_with(&INFO, &self.info, true);
    }

    pub(super) fn put_further(&self, device: &Labels, reading: &mut Reading) {
        if let Some(filesystem) = &self.filesystem {
            reading.put_with(&FILESYSTEM, filesystem, true);
        }
        if let Some(mapper) = &self.mapper {
            reading.put_with(&MAPPER, mapper, true);
        }
        for ((_, metric), value) in ATA.iter().zip(self.ata) {
            if let Some(value) = value {
                reading.put_with(metric, device, value);
            }
        }
    }
}

/// Whether it turns. sysfs writes `!` where a device's name has a slash (`cciss/c0d0`).
fn rotational(root: &Root, device: &str, buffer: &mut Buffer) -> bool {
    root.sys.attribute(&format!("block/{}/queue/rotational", device.replace('/', "!")), buffer) == Some("1")
}

/// The properties of a device in udev's database: lines such as `E:ID_MODEL=Samsung_SSD`.
pub(super) struct Properties<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Properties<'a> {
    pub(super) fn of(text: &'a str) -> Properties<'a> {
        let property = |line: &'a str| line.strip_prefix("E:")?.split_once('=');
        Properties(text.lines().filter_map(property).collect())
    }

    fn get(&self, name: &str) -> &'a str {
        self.0.iter().rev().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    fn first_of(&self, names: &[&str]) -> &'a str {
        names.iter().map(|name| self.get(name)).find(|value| !value.is_empty()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use crate::samplers::disk::SAMPLER;
    use crate::samplers::trial::{only, sampled};

    fn page(udev: &str) -> Vec<String> {
        let files = [
            ("proc/diskstats", "8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n"),
            ("sys/block/sdb/queue/rotational", "1\n"),
            ("run/udev/data/b8:16", udev),
        ];
        sampled(&SAMPLER, &files).unwrap()
    }

    #[test]
    fn the_make_of_a_disk_is_told() {
        let page =
            page("S:disk/by-id/x\nE:ID_MODEL=ST4000\nE:ID_SERIAL=ST4000_Z1\nE:ID_SERIAL_SHORT=Z1\nE:ID_WWN=0x5\n");
        let expected = r#"node_disk_info{device="sdb",major="8",minor="16",model="ST4000",path="",revision="",rotational="1",serial="Z1",wwn="0x5"} 1"#;
        assert_eq!(only(&page, "node_disk_info"), [expected]);
    }

    #[test]
    fn a_host_without_udev_tells_empty_values() {
        let page = sampled(&SAMPLER, &[("proc/diskstats", "8 0 sda 0 0 0 0 0 0 0 0 0 0 0\n")]).unwrap();
        let expected = r#"node_disk_info{device="sda",major="8",minor="0",model="",path="",revision="",rotational="0",serial="",wwn=""} 1"#;
        assert_eq!(only(&page, "node_disk_info"), [expected]);
    }

    #[test]
    fn filesystem_and_mapping_are_told_where_there_are_some() {
        let page = page("E:ID_FS_TYPE=ext4\nE:ID_FS_USAGE=filesystem\nE:DM_NAME=vg-root\nE:DM_VG_NAME=vg\n");
        let filesystem =
            r#"node_disk_filesystem_info{device="sdb",type="ext4",usage="filesystem",uuid="",version=""} 1"#;
        assert_eq!(only(&page, "node_disk_filesystem_info"), [filesystem]);
        let mapper = r#"node_disk_device_mapper_info{device="sdb",lv_layer="",lv_name="",name="vg-root",uuid="",vg_name="vg"} 1"#;
        assert_eq!(only(&page, "node_disk_device_mapper_info"), [mapper]);
    }

    #[test]
    fn only_an_ata_disk_has_ata_properties() {
        let rate = |udev: &str| only(&page(udev), "node_disk_ata_rotation_rate_rpm").concat();
        let told = "E:ID_ATA=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\n";
        assert_eq!(rate(told), r#"node_disk_ata_rotation_rate_rpm{device="sdb"} 7200"#);
        assert_eq!(rate(&told.replace("E:ID_ATA=1", "")), "");
        assert_eq!(rate(&told.replace("7200", "fast")), "");
    }
}
