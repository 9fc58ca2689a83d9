//! Block device I/O, from `/proc/diskstats`.

use serde::Deserialize;

use super::born::Born;
use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::Label;
use crate::samplers;
use crate::samplers::pattern::Pattern;
use crate::snapshot::{Labels, Reading};
use columns::COLUMNS;
use inventory::Inventory;

mod columns;
mod inventory;

const DEVICE: &[Label] = &[Label::new("device").otel("system.device")];

/// The declaration of `diskstats`.
pub static SAMPLER: Declaration = Declaration {
    name: "diskstats",
    tier: Tier::Standard,
    metrics: &[
        &inventory::INFO,
        &columns::READS,
        &columns::READS_MERGED,
        &columns::READ_BYTES,
        &columns::READ_TIME,
        &columns::WRITES,
        &columns::WRITES_MERGED,
        &columns::WRITTEN_BYTES,
        &columns::WRITE_TIME,
        &columns::IO_NOW,
        &columns::IO_TIME,
        &columns::IO_TIME_WEIGHTED,
        &columns::DISCARDS,
        &columns::DISCARDS_MERGED,
        &columns::DISCARDED,
        &columns::DISCARD_TIME,
        &columns::FLUSHES,
        &columns::FLUSH_TIME,
        &inventory::FILESYSTEM,
        &inventory::MAPPER,
        &inventory::ATA_WRITE_CACHE,
        &inventory::ATA_WRITE_CACHE_ENABLED,
        &inventory::ATA_ROTATION_RATE,
    ],
    build: |config| Box::new(Diskstats::new(config)),
};

/// `[samplers.diskstats]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Devices that are left out: at first partitions, loop devices, RAM disks and floppies.
    pub exclude: Pattern,
}

impl Default for Options {
    fn default() -> Options {
        Options { exclude: Pattern::fixed(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$") }
    }
}

struct Diskstats {
    exclude: Pattern,
    devices: Born<Device>,
    /// What udev's files are read into, while the main buffer holds the lines.
    beside: Buffer,
}

struct Device {
    /// Nothing for a device that is left out.
    kept: Option<(Labels, Inventory)>,
    /// Passes since the inventory was read.
    age: usize,
}

/// After how many passes a device's inventory is read again. Devices start at different ages, so that no pass reads all.
const INVENTORY_PASSES: usize = 60;

impl Diskstats {
    fn new(config: &samplers::Options) -> Diskstats {
        Diskstats { exclude: config.diskstats.exclude.clone(), devices: Born::default(), beside: Buffer::default() }
    }
}

impl Sampler for Diskstats {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let Diskstats { exclude, devices, beside } = self;
        devices.start();
        let mut udev = None;
        let text = root.proc.read("diskstats", buffer)?;
        for (index, line) in parse(text).enumerate() {
            let line = line.map_err(|malformed| SampleError::parse(&root.proc.at("diskstats"), malformed))?;
            let device = devices.meet(line.device, || {
                let excluded = exclude.is_match(line.device);
                let kept = (!excluded)
                    .then(|| (Labels::new(&[("device", line.device)]), Inventory::read(root, &line, beside)));
                Device { kept, age: index % INVENTORY_PASSES }
            });
            let Some((labels, inventory)) = &mut device.kept else { continue };
            // Early at boot a device is there before udev has written about it.
            let told = inventory
                .awaited()
                .is_some_and(|path| *udev.get_or_insert_with(|| root.host.has(inventory::UDEV)) && root.host.has(path));
            if told || device.age == INVENTORY_PASSES {
                device.age = 0;
                inventory.renew(Inventory::read(root, &line, beside));
            }
            device.age += 1;
            inventory.put_info(reading);
            for ((metric, scale), number) in COLUMNS.iter().zip(line.numbers.into_iter().take(line.count)) {
                reading.put_with(metric, labels, scale.value(number));
            }
            inventory.put_further(labels, reading);
        }
        Ok(())
    }
}

/// One device's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    major: u32,
    minor: u32,
    device: &'a str,
    numbers: [u64; 17],
    /// How many of `numbers` this kernel tells.
    count: usize,
}

/// Parses `/proc/diskstats`, line by line.
pub fn parse(text: &str) -> impl Iterator<Item = Result<Line<'_>, Malformed>> {
    text.lines().map(|text| {
        let mut fields = Fields::of(text);
        let (major, minor) = (fields.number("the major number")?, fields.number("the minor number")?);
        let mut line = Line { major, minor, device: fields.word("the device")?, numbers: [0; 17], count: 0 };
        for slot in &mut line.numbers {
            let Some(number) = fields.further("a count of requests, sectors or milliseconds")? else { break };
            *slot = number;
            line.count += 1;
        }
        match line.count {
            11 | 15 | 17 => Ok(line),
            _ => Err(Malformed::new("11, 15 or at least 17 numbers after the device", text)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::trial::{Trial, only, sampled};

    const VDA: &str = " 254 0 vda 1 2 3 4000 5 6 7 8000 9 10000 11000 12 13 14 15000 16 17000\n";

    #[test]
    fn a_sector_is_512_bytes_and_a_tick_a_millisecond() {
        let page = sampled(&SAMPLER, &[("proc/diskstats", VDA)]).unwrap();
        assert_eq!(only(&page, "node_disk_read_bytes_total"), [r#"node_disk_read_bytes_total{device="vda"} 1536"#]);
        assert_eq!(only(&page, "node_disk_discarded_sectors_total").len(), 1);
        let flushes = r#"node_disk_flush_requests_time_seconds_total{device="vda"} 17"#;
        assert_eq!(only(&page, "node_disk_flush_requests_time_seconds_total"), [flushes]);
        assert_eq!(page.len(), 18);
    }

    #[test]
    fn an_old_kernel_counts_neither_discards_nor_flushes() {
        let old = sampled(&SAMPLER, &[("proc/diskstats", " 8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n")]).unwrap();
        assert_eq!(old.len(), 12);
        let newer = sampled(&SAMPLER, &[("proc/diskstats", " 8 0 sda 1 2 3 4 5 6 7 8 9 10 11 1 2 3 4\n")]).unwrap();
        assert_eq!(newer.len(), 16);
    }

    #[test]
    fn what_a_newer_kernel_appends_is_left_alone() {
        assert!(parse(" 8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19").all(|line| line.is_ok()));
    }

    #[test]
    fn partitions_and_loops_are_left_out_unless_asked_for() {
        let lines: String = ["vda", "vda1", "loop0", "zram0", "nvme0n1", "nvme0n1p2", "md0", "sda10", "fd0"]
            .map(|device| VDA.replace("vda", device))
            .concat();
        let devices = |page: &[String]| -> Vec<String> {
            let lines = only(page, "node_disk_io_now");
            lines.iter().map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
        };
        let page = sampled(&SAMPLER, &[("proc/diskstats", &lines)]).unwrap();
        assert_eq!(devices(&page), ["vda", "nvme0n1", "md0"]);
        let options = Options { exclude: Pattern::fixed("^v") };
        let config = samplers::Options { diskstats: options, ..samplers::Options::default() };
        let page = Trial::of(&SAMPLER, &config, &[("proc/diskstats", &lines)]).pass().unwrap();
        assert_eq!(devices(&page), ["loop0", "zram0", "nvme0n1", "nvme0n1p2", "md0", "sda10", "fd0"]);
    }

    #[test]
    fn a_short_line_is_named() {
        let error = sampled(&SAMPLER, &[("proc/diskstats", " 8 0 sda 1 2\n")]).unwrap_err().to_string();
        assert!(
            error.ends_with(r#"diskstats: expected 11, 15 or at least 17 numbers after the device in " 8 0 sda 1 2""#)
        );
        let error = parse(" 8 0 sda 1 x").find_map(Result::err).unwrap();
        assert_eq!(error.expected, "a count of requests, sectors or milliseconds");
    }

    #[test]
    fn the_inventory_is_read_at_birth_and_once_in_sixty_passes() {
        let mut trial = Trial::of(&SAMPLER, &samplers::Options::default(), &[("proc/diskstats", VDA)]);
        trial.write("run/udev/data/b254:0", "E:ID_MODEL=Slow\n");
        trial.pass().unwrap();
        trial.write("run/udev/data/b254:0", "E:ID_MODEL=Fast\n");
        let told = |page: Vec<String>| only(&page, "node_disk_info").concat().contains("Fast");
        assert_eq!((0..INVENTORY_PASSES).filter(|_| told(trial.pass().unwrap())).count(), 1);
    }

    #[test]
    fn what_udev_writes_later_is_told_in_the_next_pass() {
        let mut trial = Trial::of(&SAMPLER, &samplers::Options::default(), &[("proc/diskstats", VDA)]);
        trial.write("run/udev/data/b8:0", "E:ID_MODEL=Other\n");
        assert!(only(&trial.pass().unwrap(), "node_disk_info").concat().contains(r#"model="""#));
        trial.write("run/udev/data/b254:0", "E:ID_MODEL=Fast\n");
        assert!(only(&trial.pass().unwrap(), "node_disk_info").concat().contains(r#"model="Fast""#));
    }

    #[test]
    fn the_queue_has_the_unit_of_the_collector() {
        let unit = columns::IO_NOW.otel.and_then(|otel| otel.unit);
        assert_eq!(unit, Some(crate::metric::Unit::Of("{operations}")));
    }
}
