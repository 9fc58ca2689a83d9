//! State and identity of network interfaces, from `/sys/class/net`.

use super::born::Born;
use super::interfaces::Options;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::Reading;
use interface::Interface;

pub mod interface;

const DEVICE: &[Label] = &[Label::new("device")];

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::One, help).labels(DEVICE)
}

const fn changes(name: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::Of("{change}"), help).labels(DEVICE)
}

static UP: Metric = gauge("node_network_up", "Whether the interface is operational (its operstate is up).");
static INFO: Metric = Metric::gauge(
    "node_network_info",
    Unit::One,
    "Always 1; the labels tell the addresses, the states and the alias of the interface.",
)
.labels(&[
    Label::new("address"),
    Label::new("adminstate"),
    Label::new("broadcast"),
    Label::new("device"),
    Label::new("duplex"),
    Label::new("ifalias"),
    Label::new("operstate"),
]);
static CARRIER: Metric = gauge("node_network_carrier", "Whether the interface has a physical link.");
static CARRIER_CHANGES: Metric =
    changes("node_network_carrier_changes_total", "Times that the physical link came or went.");
static CARRIER_UP: Metric = changes("node_network_carrier_up_changes_total", "Times that the physical link came.");
static CARRIER_DOWN: Metric = changes("node_network_carrier_down_changes_total", "Times that the physical link went.");
static DORMANT: Metric =
    gauge("node_network_dormant", "Whether the interface waits for something outside, such as 802.1X.");
static FLAGS: Metric =
    gauge("node_network_flags", "The IFF_ bits of the interface, bit 0 of them: set up by the admin.");
static MTU: Metric = Metric::gauge(
    "node_network_mtu_bytes",
    Unit::Bytes,
    "The largest packet that the interface takes without fragmenting it.",
)
.labels(DEVICE);
static SPEED: Metric = Metric::gauge(
    "node_network_speed_bytes",
    Unit::Bytes,
    "Bytes a second of the link as it was negotiated; absent where the driver knows none.",
)
.labels(DEVICE);
static QUEUE: Metric = Metric::gauge(
    "node_network_transmit_queue_length",
    Unit::Of("{packet}"),
    "The most packets that wait in the interface's transmit queue.",
)
.labels(DEVICE);
static ADDRESS_ASSIGN: Metric = gauge(
    "node_network_address_assign_type",
    "How the interface got its address: 0 from the hardware, 1 at random, 2 from another interface, 3 by hand.",
);
static DEVICE_ID: Metric = gauge("node_network_device_id", "Tells apart the interfaces that share one address.");
static IFACE_ID: Metric = gauge("node_network_iface_id", "The kernel's number of the interface.");
static IFACE_LINK: Metric =
    gauge("node_network_iface_link", "The kernel's number of the interface below this one, or its own.");
static LINK_MODE: Metric =
    gauge("node_network_iface_link_mode", "1 where a link that comes up is dormant first, 0 where it works at once.");
static NAME_ASSIGN: Metric = gauge(
    "node_network_name_assign_type",
    "Who named the interface: 1 the kernel by counting, 2 the kernel predictably, 3 and 4 a program.",
);
static GROUP: Metric = gauge("node_network_net_dev_group", "The group that the admin put the interface into.");
static PROTOCOL: Metric =
    gauge("node_network_protocol_type", "What the link speaks, as an ARP hardware type: 1 Ethernet, 772 loopback.");

/// The declaration of `netclass`.
pub static SAMPLER: Declaration = Declaration {
    name: "netclass",
    tier: Tier::Standard,
    metrics: &[
        &UP,
        &INFO,
        &CARRIER,
        &CARRIER_CHANGES,
        &CARRIER_UP,
        &CARRIER_DOWN,
        &DORMANT,
        &FLAGS,
        &MTU,
        &SPEED,
        &QUEUE,
        &ADDRESS_ASSIGN,
        &DEVICE_ID,
        &IFACE_ID,
        &IFACE_LINK,
        &LINK_MODE,
        &NAME_ASSIGN,
        &GROUP,
        &PROTOCOL,
    ],
    build: |options| Box::new(Netclass { options: options.netclass.clone(), ..Netclass::default() }),
};

/// What may change between any two passes.
static MOVING: [(&str, &Metric); 5] =
    [("carrier", &CARRIER), ("dormant", &DORMANT), ("mtu", &MTU), ("speed", &SPEED), ("tx_queue_len", &QUEUE)];

/// The three of the carrier. `carrier_changes` is the sum of the other two (`net/core/net-sysfs.c`), which are
/// therefore read only when it moved.
static CHANGES: [(&str, &Metric); 3] =
    [("carrier_changes", &CARRIER_CHANGES), ("carrier_up_count", &CARRIER_UP), ("carrier_down_count", &CARRIER_DOWN)];

/// What an admin changes once in a year, if ever.
static IDENTITY: [(&str, &Metric); 8] = [
    ("addr_assign_type", &ADDRESS_ASSIGN),
    ("dev_id", &DEVICE_ID),
    ("ifindex", &IFACE_ID),
    ("iflink", &IFACE_LINK),
    ("link_mode", &LINK_MODE),
    ("name_assign_type", &NAME_ASSIGN),
    ("netdev_group", &GROUP),
    ("type", &PROTOCOL),
];

#[derive(Default)]
struct Netclass {
    options: Options,
    names: Vec<String>,
    names_before: Vec<String>,
    interfaces: Born<Option<Interface>>,
}

impl Sampler for Netclass {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        std::mem::swap(&mut self.names, &mut self.names_before);
        root.sys.list("class/net", &mut self.names)?;
        let renamed = self.names != self.names_before;
        self.interfaces.start();
        let (mut read, mut refused) = (false, None);
        // The bonding driver's file of its masters is the one entry that is no interface.
        for name in self.names.iter().filter(|name| *name != "bonding_masters") {
            let bear = || self.options.admit(name).then(|| Interface::born(name));
            if let Some(interface) = self.interfaces.meet(name, bear) {
                if renamed {
                    interface.check_name(name, root, buffer);
                }
                match interface.sample(name, root, buffer, reading) {
                    Ok(()) => read = true,
                    Err(error) => refused = Some(error),
                }
            }
        }
        match refused {
            Some(error) if !read => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::{Instant, SystemTime};

    use super::*;

    struct Host {
        folder: PathBuf,
        sampler: Netclass,
        reading: Reading,
    }

    impl Host {
        fn new(name: &str) -> Host {
            let folder = std::env::temp_dir().join(format!("vigie-netclass-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(folder.join("class/net")).unwrap();
            Host { folder, sampler: Netclass::default(), reading: Reading::default() }
        }

        fn interface(&self, name: &str, attributes: &[(&str, &str)]) {
            let dir = self.folder.join("class/net").join(name);
            fs::create_dir_all(&dir).unwrap();
            for (file, text) in attributes {
                fs::write(dir.join(file), format!("{text}\n")).unwrap();
            }
        }

        fn pass(&mut self) -> Result<Vec<String>, String> {
            let root = Root::open(&self.folder, &self.folder, &self.folder).unwrap();
            self.reading.start(Instant::now(), SystemTime::now());
            let result = self.sampler.sample(&root, &mut Buffer::default(), &mut self.reading);
            result.map_err(|error| error.to_string().replace(self.folder.to_str().unwrap(), "…"))?;
            let lines = self.reading.families().flat_map(|family| {
                let name = family.metric.name.trim_start_matches("node_network_");
                family.points().iter().map(move |point| format!("{name} {} {:?}", point.labels.page(), point.value))
            });
            Ok(lines.filter(|line| !line.starts_with("info")).collect())
        }

        fn info(&self) -> Vec<String> {
            let info = self.reading.families().find(|family| std::ptr::eq(&*family.metric, &INFO));
            info.into_iter().flat_map(|info| info.points()).map(|point| point.labels.page().into_owned()).collect()
        }
    }

    impl Drop for Host {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn what_an_interface_lacks_gives_no_point() {
        let mut host = Host::new("lacks");
        host.interface("eth0", &[("operstate", "up"), ("flags", "0x1003"), ("mtu", "1500"), ("ifindex", "2")]);
        fs::write(host.folder.join("class/net/bonding_masters"), "bond0\n").unwrap();
        let device = r#"device="eth0""#;
        let expected = ["up", "flags", "mtu_bytes", "iface_id"].iter().zip([1, 0x1003, 1500, 2]);
        let expected = expected.map(|(name, value)| format!("{name} {device} Int({value})")).collect();
        assert_eq!(host.pass(), Ok(expected));
    }

    #[test]
    fn moving_numbers_are_read_each_pass_and_labels_follow() {
        let mut host = Host::new("moves");
        host.interface("eth0", &[("operstate", "down"), ("flags", "0x1002"), ("mtu", "1500"), ("ifalias", "")]);
        host.pass().unwrap();
        host.interface(
            "eth0",
            &[("operstate", "up"), ("flags", "0x1003"), ("mtu", "9000"), ("carrier", "1"), ("ifalias", "up \"link\"")],
        );
        let page = host.pass().unwrap();
        assert!(page.contains(&r#"mtu_bytes device="eth0" Int(9000)"#.to_owned()), "{page:?}");
        assert!(page.contains(&r#"carrier device="eth0" Int(1)"#.to_owned()), "{page:?}");
        let labels =
            r#"address="",adminstate="up",broadcast="",device="eth0",duplex="",ifalias="up \"link\"",operstate="up""#;
        assert_eq!(host.info(), [labels]);
    }

    #[test]
    fn changes_of_the_carrier_are_read_again_once_their_sum_moved() {
        let mut host = Host::new("carrier");
        let counts = |changes, up| [("flags", "1"), ("carrier_changes", changes), ("carrier_up_count", up)];
        host.interface("eth0", &counts("2", "1"));
        host.pass().unwrap();
        host.interface("eth0", &counts("3", "2"));
        assert!(host.pass().unwrap().contains(&r#"carrier_up_changes_total device="eth0" Int(2)"#.to_owned()));
    }

    #[test]
    fn an_interface_that_came_back_is_another_one() {
        let mut host = Host::new("back");
        host.interface("veth0", &[("flags", "0x1"), ("ifindex", "7")]);
        host.pass().unwrap();
        fs::remove_dir_all(host.folder.join("class/net/veth0")).unwrap();
        host.interface("veth0", &[("flags", "0x1"), ("ifindex", "8")]);
        let device = r#"device="veth0""#;
        assert_eq!(host.pass(), Ok(vec![format!("flags {device} Int(1)"), format!("iface_id {device} Int(8)")]));
        fs::remove_dir_all(host.folder.join("class/net/veth0")).unwrap();
        assert_eq!(host.pass(), Ok(vec![]));
    }

    #[test]
    fn a_name_that_went_to_another_interface_is_noticed() {
        let mut host = Host::new("renamed");
        host.interface("a", &[("flags", "0x1"), ("ifindex", "1")]);
        host.interface("b", &[("flags", "0x1"), ("ifindex", "2")]);
        host.pass().unwrap();
        let dir = host.folder.join("class/net");
        fs::rename(dir.join("a"), dir.join("c")).unwrap();
        fs::rename(dir.join("b"), dir.join("a")).unwrap();
        let page = host.pass().unwrap();
        assert_eq!(
            page[2..],
            ["a", "c"].map(|name| format!(r#"iface_id device="{name}" Int({})"#, if name == "a" { 2 } else { 1 }))
        );
    }

    #[test]
    fn identity_is_read_again_in_the_end() {
        let mut host = Host::new("identity");
        host.interface("eth0", &[("flags", "0x1"), ("netdev_group", "0")]);
        host.pass().unwrap();
        host.interface("eth0", &[("netdev_group", "5")]);
        let regrouped = |page: Vec<String>| page.contains(&r#"net_dev_group device="eth0" Int(5)"#.to_owned());
        assert!(!regrouped(host.pass().unwrap()));
        assert!((0..60).any(|_| regrouped(host.pass().unwrap())));
    }

    #[test]
    fn what_an_interface_tells_oddly_gives_no_point() {
        let mut host = Host::new("odd");
        host.interface("eth0", &[("flags", "0x1"), ("tx_queue_len", ""), ("mtu", "large"), ("ifindex", "x")]);
        host.interface("eth1", &[("flags", "rubbish"), ("operstate", "up"), ("mtu", "1500")]);
        let expected = [("up", "eth1", 1), ("flags", "eth0", 1), ("mtu_bytes", "eth1", 1500)];
        let mut page = host.pass().unwrap();
        page.sort_unstable();
        let mut expected = expected.map(|(name, device, value)| format!(r#"{name} device="{device}" Int({value})"#));
        expected.sort_unstable();
        assert_eq!(page, expected);
    }

    #[test]
    fn an_interface_that_cannot_be_opened_hides_no_other() {
        let mut host = Host::new("refused");
        // A link that leads to itself cannot be opened, by anybody.
        std::os::unix::fs::symlink("eth0", host.folder.join("class/net/eth0")).unwrap();
        assert!(host.pass().unwrap_err().contains("cannot read …/class/net/eth0"));
        host.interface("eth1", &[("flags", "0x1")]);
        assert_eq!(host.pass(), Ok(vec![r#"flags device="eth1" Int(1)"#.to_owned()]));
    }
}
