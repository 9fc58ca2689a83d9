//! tls: certificates that servers show, over each protocol that begins TLS, and those that lie in files.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::unistd::User;

use super::papers::Papers;
use super::secure::server;
use super::support::{Connection, Nginx, PATIENCE, find, now_seconds, privileged, skipped, spare_port, until};
use super::{Said, agent, one, until_probe};

const DAY: u64 = 86_400;

fn tls(more: &str) -> Said {
    one(&format!("[[probe.tls]]\nname = 'x'\ntimeout = '2s'\n{more}\n"))
}

/// Writes a certificate that ends in so many days, and some minutes.
fn ends_in(papers: &Papers, name: &str, days: u64) {
    let end = std::time::SystemTime::now() + std::time::Duration::from_secs(days * DAY + 1_800);
    papers.issue(name, "localhost", |params| params.not_after = end.into());
}

#[test]
fn a_certificate_that_ends_soon_is_told_before_it_does() {
    let papers = Papers::new();
    ends_in(&papers, "soon", 10);
    let Some(nginx) = Nginx::start(&[server(&papers, "soon", "")]) else { return skipped("nginx is not installed") };
    let ca = papers.path("ca.pem");
    let asked = format!("address = 'localhost:{}'\ntls = {{ ca = '{}' }}\n", nginx.ports[0], ca.display());
    let said = tls(&asked);
    assert_eq!(said.result, "age", "{said:?}");
    assert!(said.why.contains("expires in 10d, on") && said.why.contains("expected at least 14d before"), "{said:?}");
    assert_eq!(tls(&format!("{asked}expires_in = '7d'")).result, "good");
}

/// A program that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &mut Command, port: u16) -> Running {
    let running = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("it listens", PATIENCE, || Connection::tcp(port).ok());
    running
}

fn starttls(port: u16, protocol: &str, papers: &Papers) -> Said {
    let ca = papers.path("ca.pem");
    tls(&format!("address = 'localhost:{port}'\nstarttls = '{protocol}'\ntls = {{ ca = '{}' }}\n", ca.display()))
}

#[test]
fn mail_servers_are_asked_for_tls_in_their_own_words() {
    let papers = Papers::new();
    let (cert, key) = (papers.path("server.pem"), papers.path("server.key"));
    let (cert, key) = (cert.display(), key.display());
    let protocols = ["smtp", "imap", "pop3"];
    let mut servers: Vec<String> = protocols
        .iter()
        .map(|protocol| format!("listen 127.0.0.1:PORT; protocol {protocol}; starttls on; ssl_certificate {cert}; ssl_certificate_key {key};"))
        .collect();
    servers.push("listen 127.0.0.1:PORT; protocol smtp;".to_owned());
    let Some(nginx) = Nginx::mail(&servers) else { return skipped("nginx has no module for mail") };
    for (protocol, port) in protocols.iter().zip(&nginx.ports) {
        let said = starttls(*port, protocol, &papers);
        assert_eq!(said.result, "good", "{protocol}: {said:?}");
    }
    let said = starttls(nginx.ports[3], "smtp", &papers);
    assert!(said.result == "tls" && said.why.contains("offers no STARTTLS"), "{said:?}");
    let said = starttls(nginx.ports[1], "smtp", &papers);
    assert!(said.result == "protocol" && said.why.contains("\"220\" before TLS, found \"* OK"), "{said:?}");
}

#[test]
fn a_script_may_begin_tls_as_well() {
    let papers = Papers::new();
    let (cert, key) = (papers.path("server.pem"), papers.path("server.key"));
    let server = format!(
        "listen 127.0.0.1:PORT; protocol smtp; starttls on; ssl_certificate {}; ssl_certificate_key {};",
        cert.display(),
        key.display()
    );
    let Some(nginx) = Nginx::mail(&[server]) else { return skipped("nginx has no module for mail") };
    let said = one(&format!(
        r#"
[[probe.tcp]]
name = "smtp"
address = "localhost:{}"
tls = {{ ca = "{}" }}
script = [
    {{ expect = "^220 " }},
    {{ send = "EHLO vigie\r\n", expect = "^250[ -]STARTTLS" }},
    {{ send = "STARTTLS\r\n", expect = "^220 ", starttls = true }},
    {{ send = "EHLO vigie\r\n", expect = "^250 " }},
    {{ send = "QUIT\r\n", expect = "^221 " }},
]"#,
        nginx.ports[0],
        papers.path("ca.pem").display()
    ));
    assert_eq!(said.result, "good", "{said:?}");
}

#[test]
fn openldap_is_asked_for_tls() {
    let Some(slapd) = find("slapd") else { return skipped("slapd is not installed") };
    let papers = Papers::new();
    let (folder, port) = (papers.folder().display().to_string(), spare_port());
    let config = format!("TLSCertificateFile {folder}/server.pem\nTLSCertificateKeyFile {folder}/server.key\n");
    let start = |config: &str, port: u16| {
        papers.write("slapd.conf", config);
        let listen = format!("ldap://127.0.0.1:{port}");
        run(Command::new(&slapd).args(["-d", "0", "-h", &listen, "-f"]).arg(papers.path("slapd.conf")), port)
    };
    let _slapd = start(&config, port);
    let said = starttls(port, "ldap", &papers);
    assert_eq!(said.result, "good", "{said:?}");
    let port = spare_port();
    let _without = start("", port);
    let said = starttls(port, "ldap", &papers);
    assert!(said.result == "tls" && said.why.contains("refuses StartTLS with code"), "{said:?}");
}

#[test]
fn postgresql_is_asked_for_tls() {
    let (Some(postgres), Some(initdb)) = (find("postgres"), find("initdb")) else {
        return skipped("PostgreSQL is not installed");
    };
    let user = User::from_name("postgres").unwrap().filter(|_| privileged());
    let Some(user) = user else { return skipped("PostgreSQL wants a user of its own, whom only root can be") };
    let papers = Papers::new();
    let data = papers.path("data");
    std::fs::set_permissions(papers.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(&data).unwrap();
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    for path in [&data, &papers.path("server.key")] {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        chown(path, Some(uid), Some(gid)).unwrap();
    }
    let made = Command::new(initdb).args(["-N", "-A", "trust", "-D"]).arg(&data).uid(uid).gid(gid).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let start = |port: u16, settings: &[String]| {
        let mut command = Command::new(&postgres);
        command.uid(uid).gid(gid).arg("-D").arg(&data).args(["-p", &port.to_string(), "-k", ""]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        run(command.args(settings.iter().flat_map(|setting| ["-c", setting])), port)
    };
    let folder = papers.folder().display();
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={folder}/server.pem"),
        format!("ssl_key_file={folder}/server.key"),
    ];
    let port = spare_port();
    let running = start(port, &settings);
    let said = starttls(port, "postgres", &papers);
    assert_eq!(said.result, "good", "{said:?}");
    drop(running);
    let port = spare_port();
    let _ = std::fs::remove_file(data.join("postmaster.pid"));
    let _running = start(port, &[]);
    let said = starttls(port, "postgres", &papers);
    assert!(said.result == "tls" && said.why.contains("ssl = off"), "{said:?}");
}

#[test]
fn files_are_judged_together_and_told_one_by_one() {
    let papers = Papers::new();
    let live = |name: &str| {
        let folder = papers.path(&format!("live/{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("fullchain.pem"),
            format!("{}{}", papers.read(&format!("{name}.pem")), papers.read("ca.pem")),
        )
        .unwrap();
    };
    let path = papers.path("live/*/fullchain.pem").display().to_string();
    let files = format!("files = '{path}'\n");
    assert_eq!(tls(&files).result, "absent");
    for (name, days) in [("shop", 60), ("mail", 30)] {
        ends_in(&papers, name, days);
        live(name);
    }
    assert_eq!(tls(&files).result, "good");
    let agent = agent(&format!("[[probe.tls]]\nname = 'x'\ninterval = '1s'\n{files}"));
    until_probe(&agent, "x", "up", |probe| probe["up"] == true);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let page = agent.page();
    let earliest = page.value("probe_ssl_earliest_cert_expiry", &[("probe", "x"), ("kind", "tls"), ("target", &path)]);
    let left = earliest - now_seconds();
    assert!((30.0..30.1).contains(&(left / DAY as f64)), "{left}");
    let told: Vec<_> = page.of("x509_cert_not_after").map(|(series, value)| (series.clone(), value)).collect();
    assert_eq!(told.len(), 4, "two files of two certificates: {told:?}");
    let shop = papers.path("live/shop/fullchain.pem").display().to_string();
    let of_shop: Vec<_> = told.iter().filter(|(series, _)| series.label("filepath") == shop).collect();
    assert_eq!(of_shop.len(), 2);
    assert!(of_shop.iter().all(|(series, _)| series.label("issuer_CN") == "tests"), "{of_shop:?}");
    // It is renewed too late.
    ends_in(&papers, "mail", 5);
    live("mail");
    until_probe(&agent, "x", "down", |probe| probe["up"] == false);
    let said = tls(&files);
    assert!(said.result == "age" && said.why.contains("live/mail/fullchain.pem expires in 5d, on"), "{said:?}");
    assert_eq!(tls(&format!("{files}expires_in = '3d'")).result, "good");
    papers.write("live/shop/fullchain.pem", "nothing");
    let said = tls(&format!("{files}expires_in = '3d'"));
    assert!(said.result == "tls" && said.why.contains("no certificate in"), "{said:?}");
}
