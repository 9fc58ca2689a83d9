//! Neighbours on the local network, from `/proc/net/arp`.

use super::fields::{Fields, Malformed};
use super::interfaces::Options;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

static ENTRIES: Metric = Metric::gauge(
    "node_arp_entries",
    Unit::Of("{entry}"),
    "IPv4 neighbours that the kernel knows or looks for on the interface.",
)
.labels(&[Label::new("device").otel("network.interface.name")]);

/// The declaration of `arp`.
pub static SAMPLER: Declaration = Declaration {
    name: "arp",
    tier: Tier::Standard,
    metrics: &[&ENTRIES],
    build: |options| Box::new(Arp { options: options.arp.clone(), devices: Vec::new() }),
};

struct Arp {
    options: Options,
    devices: Vec<Device>,
}

struct Device {
    name: Box<str>,
    shown: bool,
    labels: Labels,
    entries: u64,
}

impl Sampler for Arp {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        root.proc.parse("net/arp", buffer, |text| parse(text, |name| self.count(name)))?;
        self.devices.retain(|device| device.entries > 0);
        for device in &mut self.devices {
            let entries = std::mem::take(&mut device.entries);
            if device.shown {
                reading.put_with(&ENTRIES, &device.labels, entries);
            }
        }
        Ok(())
    }
}

impl Arp {
    fn count(&mut self, name: &str) {
        match self.devices.iter_mut().find(|device| &*device.name == name) {
            Some(device) => device.entries += 1,
            None => self.devices.push(Device {
                name: name.into(),
                shown: self.options.admit(name),
                labels: Labels::new(&[("device", name)]),
                entries: 1,
            }),
        }
    }
}

/// The flag of an address that this host answers for on behalf of another (`ATF_PUBL` of `linux/if_arp.h`). Such a
/// line is no neighbour: `ip neighbour` and node_exporter, which ask by netlink, do not see it either.
const PUBLISHED: u32 = 0x8;

/// Parses `/proc/net/arp` (proc(5)) and gives the device of each neighbour.
pub fn parse(text: &str, mut each: impl FnMut(&str)) -> Result<(), Malformed> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    if !header.starts_with("IP address") {
        return Err(Malformed::new("the header of the columns", header));
    }
    for line in lines {
        let mut fields = Fields::of(line);
        fields.skip(2);
        let flags = fields.word("the flags of a neighbour")?;
        let flags = flags.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let flags = flags.ok_or_else(|| Malformed::new("the flags of a neighbour", line))?;
        fields.skip(2);
        let device = fields.word("the device of a neighbour")?;
        if flags & PUBLISHED == 0 {
            each(device);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "IP address       HW type     Flags       HW address            Mask     Device\n";

    fn devices(lines: &str) -> Result<Vec<String>, String> {
        let mut devices = Vec::new();
        let parsed = parse(&format!("{HEADER}{lines}"), |device| devices.push(device.to_owned()));
        parsed.map(|()| devices).map_err(|error| error.to_string())
    }

    #[test]
    fn neighbours_being_looked_for_count_too() {
        let lines = "192.0.2.1        0x1         0x2         02:00:00:00:00:05     *        eth0\n\
                     192.0.2.9        0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        assert_eq!(devices(lines), Ok(vec!["eth0".into(), "eth0".into()]));
    }

    #[test]
    fn addresses_answered_for_others_do_not_count() {
        let line = "192.0.2.7        0x1         0xc         00:00:00:00:00:00     *        eth0\n";
        assert_eq!(devices(line), Ok(vec![]));
    }

    #[test]
    fn odd_lines_are_errors() {
        assert_eq!(devices("192.0.2.1 0x1 0x2 02:00").unwrap_err(), {
            r#"expected the device of a neighbour in "192.0.2.1 0x1 0x2 02:00""#
        });
        assert!(devices("192.0.2.1 0x1 2 02:00 * eth0").is_err());
        assert!(parse("", |_| ()).is_err());
    }

    #[test]
    fn a_device_is_shown_while_it_has_neighbours() {
        let mut arp = Arp { options: Options::default(), devices: Vec::new() };
        ["eth0", "eth1", "eth0"].iter().for_each(|name| arp.count(name));
        assert_eq!(arp.devices.iter().map(|device| device.entries).collect::<Vec<_>>(), [2, 1]);
    }
}
