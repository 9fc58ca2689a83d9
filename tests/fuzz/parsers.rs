//! Every parser that meets text from outside, with the files that are its good input. One line each; the fuzz target
//! below `fuzz/` reads the same list.

use std::hint::black_box;

use vigie::config::{Config, Listen};
use vigie::samplers::{
    agent, arp, conntrack, cpu, disk, filefd, filesystem, loadavg, memory, netclass, netdev, os, pressure, schedstat,
    selinux, sockstat, softnet, stat, textfile, udp_queues, vmstat,
};

/// A parser: its name, good input below `/` of a host, and how it is called.
pub(crate) type Parser = (&'static str, &'static [&'static str], fn(&str));

/// All of them.
pub(crate) const PARSERS: &[Parser] = &[
    ("agent: boot time", &["proc/stat"], |text| drop(black_box(agent::parse_boot_time(text)))),
    ("agent: limits", &["proc/self/limits"], |text| drop(black_box(agent::parse_limits(text)))),
    ("agent: netstat", &["proc/net/netstat"], |text| drop(black_box(agent::parse_netstat(text)))),
    ("agent: stat", &["proc/self/stat"], |text| drop(black_box(agent::parse_stat(text)))),
    ("arp", &["proc/net/arp"], |text| drop(arp::parse(text, |device| drop(black_box(device))))),
    ("config: file", &["config.example.toml"], config_file),
    ("config: listen", &[], |text| drop(black_box(text.parse::<Listen>()))),
    ("config: set", &[], |text| drop(black_box(Config::load(None, &[text.to_owned()])))),
    ("conntrack", &["proc/net/stat/nf_conntrack"], |text| drop(black_box(conntrack::parse(text)))),
    ("cpu", &["proc/stat"], |text| drop(cpu::parse(text, |name, ticks| drop(black_box((name, ticks)))))),
    ("cpu: list", &["sys/devices/system/cpu/isolated", "sys/devices/system/cpu/online"], |text| {
        drop(black_box(cpu::sysfs::parse_list(text)));
    }),
    ("diskstats", &["proc/diskstats"], |text| disk::parse(text).for_each(|line| drop(black_box(line)))),
    ("filefd", &["proc/sys/fs/file-nr"], |text| drop(black_box(filefd::parse(text)))),
    ("filesystem: mountinfo", &["proc/self/mountinfo", "proc/1/mountinfo"], |text| {
        text.lines().for_each(|line| drop(black_box(filesystem::mountinfo::parse(line))));
    }),
    ("loadavg", &["proc/loadavg"], |text| drop(black_box(loadavg::parse(text)))),
    ("meminfo", &["proc/meminfo"], |text| memory::parse(text).for_each(|line| drop(black_box(line)))),
    ("netclass", &["sys/class/net/lo/flags", "sys/class/net/lo/mtu"], |text| {
        drop(black_box(netclass::interface::parse(text)));
    }),
    ("netdev", &["proc/net/dev"], |text| drop(netdev::parse(text, |name, row| drop(black_box((name, row)))))),
    ("os", &["etc/os-release", "usr/lib/os-release"], |text| drop(black_box(os::parse(text)))),
    ("pressure", &["proc/pressure/cpu", "proc/pressure/io"], |text| drop(black_box(pressure::parse(text)))),
    ("schedstat", &["proc/schedstat"], |text| drop(schedstat::parse(text, |name, row| drop(black_box((name, row)))))),
    ("selinux: cache", &["sys/fs/selinux/avc/cache_stats"], |text| drop(black_box(selinux::parse_cache(text)))),
    ("selinux: hash", &["sys/fs/selinux/avc/hash_stats"], |text| drop(black_box(selinux::parse_hash(text)))),
    ("sockstat", &["proc/net/sockstat", "proc/net/sockstat6"], |text| {
        drop(sockstat::parse(text, |protocol, key, value| drop(black_box((protocol, key, value)))));
    }),
    ("softnet", &["proc/net/softnet_stat"], |text| drop(softnet::parse(text, |cpu, row| drop(black_box((cpu, row)))))),
    ("stat", &["proc/stat"], |text| drop(black_box(stat::parse(text)))),
    ("textfile", &[], |text| drop(black_box(textfile::format::parse(text, 1000)))),
    ("udp queues", &["proc/net/udp", "proc/net/udp6"], |text| drop(black_box(udp_queues::parse(text)))),
    ("vmstat", &["proc/vmstat"], |text| drop(vmstat::parse(text, |key, value| drop(black_box((key, value)))))),
];

/// What reads a configuration wants a file, to name it.
fn config_file(text: &str) {
    let path = std::env::temp_dir().join(format!("vigie-fuzz-{}.toml", std::process::id()));
    std::fs::write(&path, text).expect("a temporary file");
    if let Err(mistakes) = Config::load(Some(&path), &[]) {
        black_box(mistakes.to_string());
    }
    let _ = std::fs::remove_file(path);
}
