//! For those who come from an exporter: what its flags are here. Its files are read, and nothing else is done.

use std::io::{self, Write};
use std::path::Path;

use super::addresses::listens;
use crate::config::Config;
use crate::samplers::{self, root::Root};
use crate::systemd::socket_unit::{is_enabled, read, texts};

mod flags;

use flags::{ALL, Peer};

/// An exporter that is installed.
struct Found {
    peer: &'static Peer,
    unit: &'static str,
    enabled: bool,
    /// As they are given, with their values.
    flags: Vec<String>,
}

/// Tells what stands in the place of what the exporters of this host are told.
///
/// # Errors
/// When `out` is closed.
pub(super) fn tell(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let paths = &config.paths;
    let found: Vec<Found> = ALL.iter().filter_map(|peer| find(peer, &paths.root)).collect();
    if found.is_empty() {
        return Ok(());
    }
    let root = Root::open(&paths.proc, &paths.sys, &paths.root).ok();
    for Found { peer, unit, enabled, flags } in found {
        let port = flags.iter().find_map(|flag| port_of(flag)).unwrap_or(peer.port);
        let enabled = if enabled { "enabled" } else { "installed, and not enabled" };
        let listening = root.as_ref().is_some_and(|root| listens(root, port));
        let listening = if listening { "somebody listens" } else { "nobody listens" };
        writeln!(out, "{}: {unit}.service is {enabled}; on its port {port} {listening}", peer.name)?;
        for flag in &flags {
            writeln!(out, "  {}", counterpart(peer, flag))?;
        }
        match peer.port {
            9100 => writeln!(out, "  → systemctl disable --now {unit}, and http.listen = \":{port}\" takes its place")?,
            _ => writeln!(out, "  → once vigie's page has its series: systemctl disable --now {unit}")?,
        }
    }
    writeln!(out, "  docs/migrate.md has the rest")
}

fn find(peer: &'static Peer, root: &Path) -> Option<Found> {
    peer.units.iter().find_map(|unit| {
        let service = format!("{unit}.service");
        let texts = texts(root, &service);
        if texts.is_empty() {
            return None;
        }
        let defaults = read(&root.join("etc/default").join(unit));
        let flags = texts.iter().chain(&defaults).flat_map(|text| parse_flags(text)).collect();
        Some(Found { peer, unit, enabled: is_enabled(root, &service), flags })
    })
}

/// The flags in a unit's `ExecStart=`, or in the `ARGS=` that Debian's units pass on (`EnvironmentFile=` of
/// systemd.exec(5)), each with its value after `=` where it has one.
pub fn parse_flags(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let mut flags: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let words = match key.trim_end() {
            "ExecStart" => words(value),
            "ARGS" | "OPTIONS" => words(&words(value).join(" ")),
            _ => continue,
        };
        let mut values = words.into_iter().peekable();
        while let Some(word) = values.next() {
            if !word.starts_with('-') {
                continue;
            }
            let takes_the_next = !word.contains('=') && values.peek().is_some_and(|next| !next.starts_with(['-', '$']));
            match values.next_if(|_| takes_the_next) {
                Some(value) => flags.push(format!("{word}={value}")),
                None => flags.push(word),
            }
        }
    }
    flags
}

/// Words as systemd splits them: at blanks that no quotes are around.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut characters) = (Vec::new(), None::<String>, None, text.chars().peekable());
    while let Some(character) = characters.next() {
        match (character, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            ('\\', Some('"')) if characters.peek().is_some_and(|next| matches!(next, '"' | '\\')) => {
                word.get_or_insert_default().extend(characters.next());
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What a flag is here. Its value is shown only where it is known to be no secret.
fn counterpart(peer: &Peer, given: &str) -> String {
    let (flag, value) = given.split_once('=').map_or((given, None), |(flag, value)| (flag, Some(value)));
    let bare = |flag: &str| flag.trim_start_matches('-').to_owned();
    let is = |known: &str| match known.strip_suffix("NAME") {
        Some(prefix) => bare(flag).strip_prefix(&bare(prefix)).is_some_and(|name| !name.contains('.')),
        None => bare(flag) == bare(known),
    };
    let Some((known, here)) = peer.flags.iter().find(|(known, _)| is(known)) else {
        return format!("{flag}: nothing here does that");
    };
    if let (Some(key), Some(value)) = (option(here), value) {
        let value = if value.contains(['\'', '\n']) { format!("{value:?}") } else { format!("'{value}'") };
        return format!("{flag} → {key} = {value}");
    }
    let name = known.strip_suffix("NAME").and_then(|prefix| flag.rsplit_once('.').filter(|_| !prefix.is_empty()));
    let here = match name {
        Some((_, name)) if samplers::ALL.iter().any(|sampler| sampler.name == name) => here.replace("NAME", name),
        Some((_, name)) => format!("there is no sampler {name} here"),
        None => (*here).to_owned(),
    };
    format!("{flag} → {}", here.replace('`', ""))
}

/// The option, where that is all that stands there.
fn option(here: &'static str) -> Option<&'static str> {
    let key = here.strip_prefix('`')?.strip_suffix('`')?;
    key.contains('.').then_some(key).filter(|key| !key.contains(['`', ' ', '/']) && *key != "vigie.socket")
}

fn port_of(flag: &str) -> Option<u16> {
    let (flag, address) = flag.split_once('=')?;
    if flag.trim_start_matches('-') != "web.listen-address" {
        return None;
    }
    address.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_in_units_and_in_what_debian_passes_on() {
        let debian = "# ARGS=\"--no\"\nARGS=\"--collector.diskstats.device-exclude=^(ram|loop)\\\\d+$ \\\n --web.listen-address \
                      ':9100' --collector.wifi\"\n";
        assert_eq!(
            parse_flags(debian),
            ["--collector.diskstats.device-exclude=^(ram|loop)\\d+$", "--web.listen-address=:9100", "--collector.wifi"]
        );
        let unit =
            "[Service]\nExecStart=/usr/local/bin/node_exporter --path.rootfs='/a b' \\\n  --no-collector.arp $ARGS\n";
        assert_eq!(parse_flags(unit), ["--path.rootfs=/a b", "--no-collector.arp"]);
    }

    #[test]
    fn each_flag_is_told_in_our_words() {
        let told = |flag| counterpart(&ALL[0], flag);
        let expected = "--collector.textfile.directory → samplers.textfile.directory = '/srv/it'";
        assert_eq!(told("--collector.textfile.directory=/srv/it"), expected);
        assert_eq!(
            told("--no-collector.arp"),
            "--no-collector.arp → samplers.disabled = [\"arp\"], where there is one"
        );
        assert_eq!(told("--no-collector.zfs"), "--no-collector.zfs → there is no sampler zfs here");
        assert_eq!(told("--collector.perf.cpus=1"), "--collector.perf.cpus: nothing here does that");
        assert_eq!(told("--web.telemetry-path=/m"), "--web.telemetry-path → always /metrics");
    }

    #[test]
    fn a_value_that_may_be_secret_is_not_shown() {
        for flag in ["--redis.password=hunter2", "-redis.addr=redis://u:hunter2@h", "--unknown=hunter2"] {
            assert!(!counterpart(&ALL[3], flag).contains("hunter2"), "{flag}");
        }
    }

    #[test]
    fn what_is_installed_is_told_and_what_is_not_is_not() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("lib/systemd/system/prometheus-node-exporter.service", "[Service]\nExecStart=/bin/x $ARGS\n");
        put("etc/systemd/system/multi-user.target.wants/prometheus-node-exporter.service", "");
        put("etc/default/prometheus-node-exporter", "ARGS=\"--web.listen-address=127.0.0.1:9\"\n");
        let mut config = Config::default();
        config.paths.root = root.path().into();
        let mut out = Vec::new();
        tell(&config, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "node_exporter: prometheus-node-exporter.service is enabled; on its port 9 nobody listens\n  \
             --web.listen-address → http.listen = '127.0.0.1:9'\n  \
             → systemctl disable --now prometheus-node-exporter, and http.listen = \":9\" takes its place\n  \
             docs/migrate.md has the rest\n"
        );
    }
}
