//! dns: against BIND, and against servers that answer as none should.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::{PATIENCE, find, skipped, spare_port, until};
use super::{Said, agent, one, until_probe};

const ZONE: &str = "$TTL 60
@ IN SOA ns.example.test. host.example.test. 2026112101 3600 600 86400 60
@ IN NS ns.example.test.
@ IN MX 10 mail.example.test.
@ IN TXT \"v=spf1 -all\"
ns IN A 192.0.2.53
mail IN A 192.0.2.25
mail IN AAAA 2001:db8::25
www IN CNAME mail.example.test.
_xmpp._tcp IN SRV 1 2 5222 mail.example.test.
";

/// BIND with one zone, on a port of its own.
pub(super) struct Bind {
    child: Child,
    pub(super) port: u16,
    _directory: tempfile::TempDir,
}

impl Bind {
    pub(super) fn start() -> Option<Bind> {
        let named = find("named")?;
        let directory = tempfile::tempdir().unwrap();
        let (place, port) = (directory.path(), spare_port());
        let large: String = (0..60).map(|at| format!("large IN TXT \"{at} {}\"\n", "x".repeat(200))).collect();
        std::fs::write(place.join("zone"), format!("{ZONE}{large}")).unwrap();
        let text = format!(
            "options {{ directory \"{}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no;
             allow-query {{ any; }}; pid-file none; session-keyfile none; dnssec-validation no;
             minimal-responses no; }};
             controls {{}};
             zone \"example.test\" {{ type primary; file \"zone\"; }};",
            place.display()
        );
        std::fs::write(place.join("named.conf"), text).unwrap();
        Some(Bind { child: run(&named, place), port, _directory: directory })
    }

    fn ask(&self, keys: &str) -> Said {
        dns(self.port, keys)
    }
}

fn run(named: &Path, place: &Path) -> Child {
    let mut command = Command::new(named);
    command.args(["-f", "-n", "1", "-c"]).arg(place.join("named.conf"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn dns(port: u16, keys: &str) -> Said {
    one(&format!("[[probe.dns]]\nname = 'x'\nserver = '127.0.0.1:{port}'\ntimeout = '1s'\n{keys}\n"))
}

#[test]
fn bind_is_asked_for_every_type_and_its_refusals_are_told_apart() {
    let Some(bind) = Bind::start() else { return skipped("no named (bind9)") };
    let soa = "query = 'example.test'\ntype = 'SOA'";
    until("BIND answers", PATIENCE, || (bind.ask(soa).result == "good").then_some(()));
    for (name, kind, record) in [
        ("mail.example.test", "A", r"^192\.0\.2\.25$"),
        ("mail.example.test.", "AAAA", "^2001:db8::25$"),
        ("www.example.test", "A", r"^192\.0\.2\.25$"),
        ("www.example.test", "CNAME", r"^mail\.example\.test\.$"),
        ("example.test", "MX", r"^10 mail\.example\.test\.$"),
        ("example.test", "NS", r"^ns\.example\.test\.$"),
        ("example.test", "TXT", "^\"v=spf1 -all\"$"),
        ("example.test", "SOA", r"^ns\.example\.test\. host\.example\.test\. 2026112101 3600 600 86400 60$"),
        ("_xmpp._tcp.example.test", "SRV", r"^1 2 5222 mail\.example\.test\.$"),
        ("large.example.test", "TXT", "^\"59 x+\"$"),
    ] {
        for transport in ["udp", "tcp"] {
            let keys = format!("query = '{name}'\ntype = '{kind}'\nexpect = '{record}'\ntransport = '{transport}'");
            let said = bind.ask(&keys);
            assert_eq!(said.result, "good", "{keys}: {said:?}");
        }
    }
    for (keys, result, words) in [
        ("query = 'none.example.test'", "status", "NXDOMAIN"),
        ("query = 'other.test'", "status", "REFUSED"),
        ("query = 'ns.example.test'\ntype = 'AAAA'", "absent", "no such record"),
        ("query = 'ns.example.test'\nexpect = '^10'", "body", "192.0.2.53"),
        ("query = 'ns.example.test'\nexpect_not = '^192'", "body", "192.0.2.53"),
        ("query = 'none.example.test'\nrcodes = ['NXDOMAIN']", "good", ""),
    ] {
        let said = bind.ask(keys);
        assert_eq!(said.result, result, "{keys}: {said:?}");
        assert!(said.why.contains(words), "{keys}: {said:?}");
    }
    let zone = format!("server = '127.0.0.1:{}'\ninterval = '1s'\n{soa}", bind.port);
    let agent = agent(&format!(
        "[[probe.dns]]\nname = 'zone'\n{zone}\n[[probe.dns]]\nname = 'over-tcp'\ntransport = 'tcp'\n{zone}"
    ));
    for name in ["zone", "over-tcp"] {
        until_probe(&agent, name, "up", |probe| probe["up"] == true);
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let page = agent.page();
    let value = |name: &str| page.of(name).next().unwrap_or_else(|| panic!("no {name}")).1;
    assert_eq!((value("probe_dns_serial"), value("probe_dns_query_succeeded")), (2_026_112_101.0, 1.0));
    assert_eq!((value("probe_dns_answer_rrs"), value("probe_dns_authority_rrs")), (1.0, 1.0));
    assert_eq!(page.of("probe_dns_duration_seconds").count(), 6);
    // One of each, whatever it is asked over.
    for name in ["probe_dns_lookup_time_seconds", "probe_ip_protocol", "probe_ip_addr_hash"] {
        assert_eq!(page.of(name).count(), 2, "{name}");
    }
}

/// A server of one port that answers each query with what `answer` makes of it.
fn misbehaving(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    port
}

#[test]
fn servers_that_answer_as_none_should_each_have_their_reason() {
    let query = "query = 'example.test'";
    let with_flags = |query: &[u8], flags: [u8; 2]| {
        let mut answer = query.to_vec();
        answer[2..4].copy_from_slice(&flags);
        Some(answer)
    };
    let another = |query: &[u8]| {
        let mut answer = query.to_vec();
        answer[0] ^= 0xff;
        answer[2] |= 0x80;
        Some(answer)
    };
    for (port, result, words) in [
        (misbehaving(|_| None), "timeout", "waiting for the answer"),
        (misbehaving(|_| Some(b"garbage".to_vec())), "protocol", "no message of DNS"),
        (misbehaving(another), "timeout", "waiting for the answer"),
        (misbehaving(move |query| with_flags(query, [0x80, 2])), "status", "SERVFAIL"),
        // Truncated, and nobody listens over TCP.
        (misbehaving(move |query| with_flags(query, [0x82, 0])), "connect", "refused"),
        (spare_port(), "connect", "refused"),
    ] {
        let said = dns(port, query);
        assert_eq!(said.result, result, "{said:?}");
        assert!(said.why.contains(words) && said.milliseconds < 2_000.0, "{said:?}");
    }
}
