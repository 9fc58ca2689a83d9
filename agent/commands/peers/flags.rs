//! What the flags of the exporters are here. docs/migrate.md has the same tables, which a test compares.

/// An exporter that vigie can take the place of.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its own name.
    pub(super) name: &'static str,
    /// The units that people run it as, without `.service`: Debian's first.
    pub(super) units: &'static [&'static str],
    /// Where it listens unless it is told otherwise.
    pub(super) port: u16,
    /// Its flags, and what is there in place of each: a key in backticks and nothing else is an option that takes the
    /// same value. `NAME` at the end of a flag is any; what is more precise stands before it.
    pub(super) flags: &'static [(&'static str, &'static str)],
}

pub(super) static ALL: &[Peer] = &[
    Peer {
        name: "node_exporter",
        units: &["prometheus-node-exporter", "node_exporter", "node-exporter"],
        port: 9100,
        flags: &[
            ("--web.listen-address", "`http.listen`"),
            (
                "--web.config.file",
                "`http.users` for its `basic_auth_users`, the same hashes; `http.tls` for its `tls_server_config`",
            ),
            ("--web.systemd-socket", "`vigie.socket`, docs/deploy.md"),
            ("--web.max-requests", "`http.max_connections`; requests of one moment share one pass over the host"),
            ("--web.telemetry-path", "always `/metrics`"),
            ("--web.disable-exporter-metrics", "`samplers.disabled = [\"agent\"]`"),
            ("--path.procfs", "`paths.proc`"),
            ("--path.sysfs", "`paths.sys`"),
            ("--path.rootfs", "`paths.root`"),
            ("--path.udev.data", "nothing is read of it"),
            ("--collector.disable-defaults", "`samplers.disabled` with all others; `vigie metrics` lists them"),
            ("--collector.filesystem.mount-points-exclude", "`samplers.filesystem.exclude_mounts`"),
            ("--collector.filesystem.fs-types-exclude", "`samplers.filesystem.exclude_types`"),
            ("--collector.diskstats.device-exclude", "`samplers.diskstats.exclude`"),
            ("--collector.netdev.device-include", "`samplers.netdev.include`"),
            ("--collector.netdev.device-exclude", "`samplers.netdev.exclude`"),
            ("--collector.netclass.ignored-devices", "`samplers.netclass.exclude`"),
            ("--collector.arp.device-include", "`samplers.arp.include`"),
            ("--collector.arp.device-exclude", "`samplers.arp.exclude`"),
            ("--collector.netstat.fields", "`samplers.netstat.fields`, which adds to the usual ones"),
            ("--collector.vmstat.fields", "`samplers.vmstat.fields`"),
            ("--collector.textfile.directory", "`samplers.textfile.directory`"),
            ("--log.level", "`log.level`"),
            ("--log.format", "`log.format`: `text` or `json`"),
            ("--no-collector.NAME", "`samplers.disabled = [\"NAME\"]`, where there is one"),
            ("--collector.NAME", "nothing to do where `vigie metrics` lists it: whatever this host has is measured"),
        ],
    },
    Peer {
        name: "process-exporter",
        units: &["prometheus-process-exporter", "process-exporter"],
        port: 9256,
        flags: &[
            ("-config.path", "its `process_names` are `samplers.processes.rules`"),
            ("-procnames", "`samplers.processes.rules`: one rule with `comm`"),
            ("-namemapping", "`samplers.processes.rules`: one rule with `exe` and `cmdline` each"),
            ("-children", "`children` of `samplers.processes`, true like there"),
            ("-recheck", "always: a process that execs another program changes its group"),
            ("-recheck-with-time-limit", "always, without a limit"),
            ("-gather-smaps", "`proportional` of `samplers.processes`, false here"),
            ("-threads", "there are no series of threads"),
            ("-remove-empty-groups", "always: a group without members goes after five minutes"),
            ("-procfs", "`paths.proc`"),
            ("-web.listen-address", "`http.listen`"),
            ("-web.config.file", "`http.users` and `http.tls`"),
            ("-web.telemetry-path", "always `/metrics`"),
            ("-debug", "`log.level = \"debug\"`"),
        ],
    },
    Peer {
        name: "postgres_exporter",
        units: &["prometheus-postgres-exporter", "postgres_exporter", "postgres-exporter"],
        port: 9187,
        flags: &[
            ("--web.listen-address", "`http.listen`"),
            ("--web.config.file", "`http.users` and `http.tls`"),
            ("--web.telemetry-path", "always `/metrics`"),
            ("--config.file", "a `[[probe.postgres]]` for each server"),
            ("--auto-discover-databases", "one `[[probe.postgres]]` sees the databases of its server"),
            ("--include-databases", "the databases that `[[probe.postgres]]` names"),
            ("--exclude-databases", "the databases that `[[probe.postgres]]` leaves out"),
            ("--extend.query-path", "there are no queries of one's own"),
            ("--constantLabels", "`host.attributes`, on each push and on `vigie_host_info`"),
            ("--log.level", "`log.level`"),
            ("--log.format", "`log.format`: `text` or `json`"),
        ],
    },
    Peer {
        name: "redis_exporter",
        units: &["prometheus-redis-exporter", "redis_exporter", "redis-exporter"],
        port: 9121,
        flags: &[
            ("-redis.addr", "`url` of a `[[probe.redis]]`"),
            ("-redis.user", "the user in `url` of `[[probe.redis]]`"),
            ("-redis.password", "`password = { file = … }` of `[[probe.redis]]`"),
            ("-redis.password-file", "a `[[probe.redis]]` for each server, with its `password`"),
            ("-tls-ca-cert-file", "`tls = { ca = … }` of `[[probe.redis]]`"),
            ("-tls-client-cert-file", "`tls = { cert = … }` of `[[probe.redis]]`"),
            ("-tls-client-key-file", "`tls = { key = … }` of `[[probe.redis]]`"),
            ("-skip-tls-verification", "`tls = { insecure_skip_verify = true }` of `[[probe.redis]]`"),
            ("-connection-timeout", "`timeout` of `[[probe.redis]]`"),
            ("-check-keys", "keys are not looked through"),
            ("-check-single-keys", "keys are not looked through"),
            ("-script", "there are no scripts of one's own"),
            ("-web.listen-address", "`http.listen`"),
            ("-web.telemetry-path", "always `/metrics`"),
            ("-debug", "`log.level = \"debug\"`"),
            ("-log-format", "`log.format`: `text` or `json`"),
        ],
    },
    Peer {
        name: "blackbox_exporter",
        units: &["prometheus-blackbox-exporter", "blackbox_exporter", "blackbox-exporter"],
        port: 9115,
        flags: &[
            ("--config.file", "each of its modules, with each target, is a `[[probe.http]]`, `tcp`, `dns` or `icmp`"),
            ("--timeout-offset", "`timeout` of each probe: Prometheus does not wait for it"),
            ("--history.limit", "`/health` has the last check of each probe"),
            ("--web.listen-address", "`http.listen`"),
            ("--web.config.file", "`http.users` and `http.tls`"),
            ("--log.level", "`log.level`"),
            ("--log.format", "`log.format`: `text` or `json`"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const MIGRATE: &str = include_str!("../../../docs/migrate.md");

    #[test]
    fn the_manual_has_the_same_tables() {
        for Peer { name, flags, .. } in ALL {
            let head = format!("| flag of {name} | vigie |\n| --- | --- |\n");
            let rows: String = flags.iter().map(|(flag, here)| format!("| `{flag}` | {here} |\n")).collect();
            let (_, rest) = MIGRATE.split_once(&head).unwrap_or_else(|| panic!("no table of {name}"));
            let written = rest.split("\n\n").next().unwrap();
            assert_eq!(written.trim_end(), rows.trim_end(), "{name}");
        }
    }

    #[test]
    fn an_option_that_takes_the_same_value_is_an_option() {
        for (flag, here) in ALL.iter().flat_map(|peer| peer.flags) {
            let Some(key) = super::super::option(here) else { continue };
            let sets = ["\":1\"", "\"info\"", "\"/x\""].map(|value| Config::load(None, &[format!("{key}={value}")]));
            assert!(sets.iter().any(Result::is_ok), "{flag}: {key}");
        }
    }

    #[test]
    fn nothing_behind_a_pattern_is_out_of_its_reach() {
        for Peer { name, flags, .. } in ALL {
            for (index, (pattern, _)) in flags.iter().enumerate() {
                let Some(prefix) = pattern.strip_suffix("NAME") else { continue };
                assert!(!flags[index + 1..].iter().any(|(flag, _)| flag.starts_with(prefix)), "{name}: {pattern}");
            }
        }
    }
}
