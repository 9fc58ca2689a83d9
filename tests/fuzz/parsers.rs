//! Every parser that meets text from outside, with the files that are its good input. One line each; the fuzz target
//! below `fuzz/` reads the same list.

use std::hint::black_box;
use std::time::SystemTime;

use vigie::commands::peers;
use vigie::config::{Config, Endpoint, Listen, MetricsEndpoint, quantity};
use vigie::probes::{address, admission, dns, glob, http, port, postgres, redis, secure, unit as unit_probe};
use vigie::push::client::answer;
use vigie::push::spool;
use vigie::samplers::{
    agent, arp, conntrack, cpu, disk, filefd, filesystem, loadavg, memory, netclass, netdev, netstat, os, pressure,
    processes, schedstat, selinux, services, sockstat, softnet, stat, textfile, udp_queues, unit, vmstat,
};
use vigie::systemd::socket_unit;

/// A parser: its name, good input below `/` of a host, and how it is called.
pub(crate) type Parser = (&'static str, &'static [&'static str], fn(&str));

/// All of them.
pub(crate) const PARSERS: &[Parser] = &[
    ("agent: boot time", &["proc/stat"], |text| seen(agent::parse_boot_time(text))),
    ("agent: limits", &["proc/self/limits"], |text| seen(agent::parse_limits(text))),
    ("agent: stat", &["proc/self/stat"], |text| seen(agent::parse_stat(text))),
    ("arp", &["proc/net/arp"], |text| seen(arp::parse(text, |device| seen(device)))),
    ("config: duration", &[], |text| seen(quantity::parse_duration(text))),
    ("config: endpoint", &[], |text| seen((text.parse::<Endpoint>(), text.parse::<MetricsEndpoint>()))),
    ("config: environment", &[], |text| seen(Config::load_in(&|_| Some(text.into()), None, &[]))),
    ("config: file", &["config.example.toml"], config_file),
    ("config: listen", &[], |text| seen(text.parse::<Listen>())),
    ("config: size", &[], |text| seen(quantity::parse_size(text))),
    ("config: set", &[], |text| seen(Config::load_in(&|_| None, None, &[text.to_owned()]))),
    ("conntrack", &["proc/net/stat/nf_conntrack"], |text| seen(conntrack::parse(text))),
    ("cpu", &["proc/stat"], |text| seen(cpu::parse(text, |name, ticks| seen((name, ticks))))),
    ("cpu: list", &["sys/devices/system/cpu/isolated", "sys/devices/system/cpu/online"], |text| {
        seen(cpu::sysfs::parse_list(text));
    }),
    ("diskstats", &["proc/diskstats"], |text| disk::parse(text).for_each(seen)),
    ("filefd", &["proc/sys/fs/file-nr"], |text| seen(filefd::parse(text))),
    ("filesystem: mountinfo", &["proc/self/mountinfo", "proc/1/mountinfo"], |text| {
        text.lines().for_each(|line| seen(filesystem::mountinfo::parse(line)));
    }),
    ("loadavg", &["proc/loadavg"], |text| seen(loadavg::parse(text))),
    ("meminfo", &["proc/meminfo"], |text| memory::parse(text).for_each(seen)),
    ("netclass", &["sys/class/net/lo/flags", "sys/class/net/lo/mtu"], |text| {
        seen(netclass::interface::parse(text));
    }),
    ("netdev", &["proc/net/dev"], |text| seen(netdev::parse(text, |name, row| seen((name, row))))),
    ("netstat: list", &["proc/net/snmp6"], |text| {
        let (mut choice, mut layout) = netstat_state();
        for text in [text, halved(text), text] {
            seen(netstat::layout::parse_list(text, &mut choice, &mut layout, |metric, value| seen((metric, value))));
        }
    }),
    ("netstat: pairs", &["proc/net/netstat", "proc/net/snmp"], |text| {
        let (mut choice, mut layout) = netstat_state();
        for text in [text, halved(text), text] {
            seen(netstat::layout::parse_pairs(text, &mut choice, &mut layout, |metric, value| seen((metric, value))));
        }
    }),
    ("otlp request", &[], |text| seen(vigie::push::json::render(text.as_bytes(), &mut Vec::new()))),
    ("otlp answer: connect", &[], |text| seen(answer::parse_connect(text.as_bytes()))),
    ("otlp answer: details", &[], |text| seen(answer::parse_details(text.as_bytes()))),
    ("otlp answer: frame", &[], |text| {
        seen(answer::parse_frame(text.as_bytes()).map(|message| message.map(<[u8]>::len)));
    }),
    ("otlp answer: message", &[], |text| seen(answer::parse_message(text.as_bytes()))),
    ("otlp answer: response", &[], |text| seen(answer::parse_response(text.as_bytes()))),
    ("otlp answer: retry after", &[], |text| seen(answer::parse_retry_after(text, SystemTime::UNIX_EPOCH))),
    ("otlp answer: status", &[], |text| seen(answer::parse_status(text.as_bytes()))),
    ("os", &["etc/os-release", "usr/lib/os-release"], |text| seen(os::parse(text))),
    ("peers: flags", &[], |text| seen(peers::parse_flags(text))),
    ("pressure", &["proc/pressure/cpu", "proc/pressure/io"], |text| seen(pressure::parse(text))),
    ("processes: io", &["proc/self/io"], |text| seen(processes::stat::parse_io(text.as_bytes()))),
    ("processes: limits", &["proc/self/limits"], |text| seen(processes::stat::parse_open_limit(text.as_bytes()))),
    ("processes: proportional", &["proc/self/smaps_rollup"], |text| {
        seen(processes::stat::parse_proportional(text.as_bytes()));
    }),
    ("processes: stat", &["proc/self/stat"], |text| seen(processes::stat::parse_stat(text.as_bytes()))),
    ("processes: status", &["proc/self/status"], |text| seen(processes::stat::parse_status(text.as_bytes()))),
    ("processes: threads", &["proc/loadavg"], |text| seen(processes::stat::parse_thread_count(text.as_bytes()))),
    ("processes: users", &["etc/passwd"], |text| processes::users::parse_passwd(text).for_each(seen)),
    ("probes: address", &[], |text| seen(text.parse::<address::Address>())),
    ("probes: certificate", &[], |text| {
        // Good input is a certificate, bent: nothing that is written as text is one.
        let mut bytes = *include_bytes!("certificate.der");
        bytes.iter_mut().zip(text.bytes()).for_each(|(byte, other)| *byte ^= other);
        for bytes in [&bytes[..], text.as_bytes()] {
            if let Some(certificate) = secure::certificate::parse(bytes) {
                seen((certificate.subject(), certificate.issuer(), certificate.serial()));
                certificate.dns_names().for_each(seen);
            }
        }
    }),
    ("probes: admission", &[], |text| seen(text.parse::<admission::Admission>())),
    ("probes: dns message", &[], |text| {
        let name = dns::name::encode("example.org").unwrap_or_default();
        let question = dns::message::Question { id: 0, name, kind: dns::message::Type::A, recursion: true };
        // Good input is the question itself, bent: nothing that is written as text is a message.
        let mut bytes = question.encode();
        bytes.iter_mut().zip(text.bytes()).for_each(|(byte, other)| *byte ^= other);
        bytes.extend(text.bytes());
        seen(dns::message::parse(&bytes, &question));
        seen(dns::message::parse(text.as_bytes(), &question));
    }),
    ("probes: dns servers", &["etc/resolv.conf"], |text| dns::server::parse_servers(text).for_each(seen)),
    ("probes: glob", &[], |text| seen(text.parse::<glob::Glob>())),
    ("probes: http statuses", &[], |text| seen(text.parse::<http::expect::Codes>())),
    ("probes: http url", &[], |text| {
        let base: http::url::Url = "https://shop.example:8443/a/b?c".parse().expect("a URL");
        seen((text.parse::<http::url::Url>(), base.join(text)));
    }),
    ("probes: port", &["proc/net/udp", "proc/net/udp6"], |text| text.lines().for_each(|line| seen(port::parse(line)))),
    ("probes: redis answer", &[], |text| {
        // Good input is written by nobody: an answer that holds the text, and the text itself.
        let mut answer = Vec::new();
        redis::resp::command(&[b"get", text.as_bytes()], &mut answer);
        for bytes in [text.as_bytes(), &answer] {
            if let Ok(Some((reply, _))) = redis::resp::parse(bytes, 1 << 20) {
                reply.items().for_each(|item| seen((item.text().map(str::len), item.number(), item.items().count())));
            }
        }
    }),
    ("probes: redis info", &[], |text| {
        redis::info::parse(text, |section, key, value| seen((section, key, redis::info::part(value, "keys"))));
    }),
    ("probes: redis url", &[], |text| seen(text.parse::<redis::url::Url>())),
    ("probes: unit message", &[], |text| {
        // Good input is a message that systemd could send, bent: nothing that is written as text is one.
        let mut bytes = unit_message();
        bytes.iter_mut().zip(text.bytes()).for_each(|(byte, other)| *byte ^= other);
        for bytes in [&bytes[..], text.as_bytes()] {
            seen(unit_probe::message::parse_length(bytes));
            if let Some(message) = unit_probe::message::parse(bytes) {
                seen((unit_probe::message::parse_number(&message), message.error));
                seen(unit_probe::message::parse_units(&message, 100).map(|units| units.len()));
            }
        }
    }),
    ("probes: postgres number", &["proc/loadavg"], |text| seen(postgres::asker::parse(text))),
    ("probes: postgres passfile", &["etc/passwd"], |text| {
        seen(postgres::passfile::parse_for(text, "root", "x", "0", "0"));
    }),
    ("probes: postgres setting", &["proc/loadavg"], |text| {
        seen(postgres::settings::normal(text, "8kB").map(|(value, _)| value));
        seen(postgres::settings::normal("1", text).map(|(value, _)| value));
    }),
    ("probes: postgres url", &[], |text| seen(text.parse::<postgres::url::Url>())),
    ("schedstat", &["proc/schedstat"], |text| seen(schedstat::parse(text, |name, row| seen((name, row))))),
    ("selinux: cache", &["sys/fs/selinux/avc/cache_stats"], |text| seen(selinux::parse_cache(text))),
    ("selinux: hash", &["sys/fs/selinux/avc/hash_stats"], |text| seen(selinux::parse_hash(text))),
    ("services: blkio", &[], |text| {
        services::files::parse_blkio(text, |device, key, value| seen((device, key, value)))
    }),
    ("services: flat", &["sys/fs/cgroup/system.slice/cpu.stat"], |text| {
        services::files::parse_flat(text, |key, value| seen((key, value)));
    }),
    ("services: io", &["sys/fs/cgroup/system.slice/io.stat"], |text| {
        services::files::parse_io(text, |device, key, value| seen((device, key, value)));
    }),
    ("services: limit", &["sys/fs/cgroup/system.slice/memory.max"], |text| seen(services::files::parse_limit(text))),
    ("socket unit", &[], |text| socket_unit::parse_listen_streams(text, &mut Vec::new())),
    ("sockstat", &["proc/net/sockstat", "proc/net/sockstat6"], |text| {
        seen(sockstat::parse(text, |protocol, key, value| seen((protocol, key, value))));
    }),
    ("softnet", &["proc/net/softnet_stat"], |text| seen(softnet::parse(text, |cpu, row| seen((cpu, row))))),
    ("spool: cursor", &[], |text| seen(spool::cursor::parse(text.as_bytes()))),
    ("spool: record", &[], |text| seen(spool::frame::parse_record(text.as_bytes()))),
    ("spool: segment", &[], |text| seen(spool::frame::parse_segment(text.as_bytes()))),
    ("stat", &["proc/stat"], |text| seen(stat::parse(text))),
    ("stat: uptime", &["proc/uptime"], |text| seen(stat::parse_uptime(text))),
    ("textfile", &[], |text| seen(textfile::format::parse(text, 1000))),
    ("udp queues", &["proc/net/udp", "proc/net/udp6"], |text| seen(udp_queues::parse(text))),
    ("unit", &["proc/self/cgroup"], |text| {
        seen(unit::parse_cgroup(text).map(unit::place));
        text.lines().for_each(|path| seen(unit::place(path)));
    }),
    ("vmstat", &["proc/vmstat"], |text| {
        seen(vmstat::parse(text, |key, rest| rest.number("a number").map(|value: i64| seen((key, value)))))
    }),
];

/// Keeps the compiler from leaving out what nobody looks at.
fn seen<T>(value: T) {
    black_box(value);
}

/// A list with one unit.
fn unit_message() -> Vec<u8> {
    let mut list = unit_probe::wire::Writer::default();
    let listed = list.array(8, |list| {
        for text in ["a.service", "what it is", "loaded", "active", "running", "", "/org/freedesktop/systemd1/unit/a"] {
            list.text(text)?;
        }
        list.number(0);
        list.text("")?;
        list.text("/")
    });
    seen(listed);
    let signature = "a(ssssssouso)";
    let call = unit_probe::message::Call { destination: "a.b", path: "/", interface: "c.d", member: "E", signature };
    call.encode(1, &list.into_bytes()).unwrap_or_default()
}

/// It shows every field, and remembers how the text before was laid out.
fn netstat_state() -> (netstat::layout::Choice, netstat::layout::Layout) {
    let options = netstat::Options { fields: ".".parse().ok() };
    (netstat::layout::Choice::of(&options), netstat::layout::Layout::default())
}

fn halved(text: &str) -> &str {
    text.get(..text.len() / 2).unwrap_or_default()
}

/// What reads a configuration wants a file, to name it.
fn config_file(text: &str) {
    let path = std::env::temp_dir().join(format!("vigie-fuzz-{}.toml", std::process::id()));
    std::fs::write(&path, text).expect("a temporary file");
    if let Err(mistakes) = Config::load_in(&|_| None, Some(&path), &[]) {
        seen(mistakes.to_string());
    }
    let _ = std::fs::remove_file(path);
}
