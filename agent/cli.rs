//! The command line.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::quantity::parse_duration;
use crate::config::{Config, ConfigErrors};

/// The configuration that is used where none is named.
pub const DEFAULT_CONFIG: &str = "/etc/vigie/config.toml";

const ABOUT: &str = "The lookout of one server: host metrics for Prometheus from one small daemon.";

const AFTER_HELP: &str = "\
Examples:
  vigie run                                    serve http://127.0.0.1:9844/metrics
  vigie run --set http.listen=:9844            the same, to every address of this host
  vigie check --config new.toml --connect      what would stop `vigie run`?
  vigie sample | grep node_load                one look at this host, no daemon
  vigie sample --format otlp-json | jq .       the same in OpenTelemetry's words
  vigie wait --ready && echo up                for deploy scripts

Exit codes:
   0  good
   1  failed at run time (a port in use, no answer in time)
   2  bad arguments
  78  bad configuration; nothing was started

Environment:
  NOTIFY_SOCKET, WATCHDOG_USEC   set by systemd: readiness, reloads and the watchdog
  LISTEN_FDS, LISTEN_FDNAMES     set by systemd: sockets to listen on
  JOURNAL_STREAM                 set by systemd: log lines carry the journal's levels
  CREDENTIALS_DIRECTORY          set by systemd: where { credential = \"…\" } is read
  Variables named by { env = \"…\" } in the configuration
  OpenTelemetry's, where neither the configuration nor --set says anything; `vigie check` tells which were taken:
    OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _TIMEOUT, _COMPRESSION, _HEADERS,
    _CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY    [otlp]; OTEL_EXPORTER_OTLP_METRICS_… of each wins
    OTEL_METRIC_EXPORT_INTERVAL                       otlp.interval, in milliseconds
    OTEL_METRICS_EXPORTER, OTEL_SDK_DISABLED          without otlp, or true: no push to an endpoint of these variables
    OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME       host.attributes, one by one

Signals, to `vigie run`:
  SIGHUP            load the configuration again, whole or not at all
  SIGTERM, SIGINT   finish what is being served, then end";

/// The arguments of the process.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(name = "vigie", version, about = ABOUT, after_help = AFTER_HELP)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    /// The configuration [default: /etc/vigie/config.toml where it exists, else built-in defaults]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// One option, over the configuration: TOML or a bare word, such as sampling.interval=5s (repeatable)
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Watch this host and serve the page, until told to end
    Run,

    /// Tell everything that is wrong with the configuration, without starting anything
    Check {
        /// Also try each address of http.listen and ask each probe once, and tell what is in the way
        #[arg(long)]
        connect: bool,
    },

    /// Read this host once and print the page, or what is pushed
    Sample {
        /// How it is written
        #[arg(long, value_enum, default_value_t = SampleFormat::Prometheus)]
        format: SampleFormat,
    },

    /// Print the reference of every metric: names, labels, units, meaning
    Metrics {
        /// How it is written
        #[arg(long, value_enum, default_value_t = ReferenceFormat::Markdown)]
        format: ReferenceFormat,
    },

    /// Save what is read of this host, scrubbed, as a folder that can stand for it: for a bug report
    Capture {
        /// Where to: a folder that is empty or does not exist yet
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },

    /// Print the version, and what it was built for
    Version,

    /// Wait for a running agent, on the first address of http.listen or of an enabled vigie.socket
    Wait {
        /// Until it has read the host once and serves the page
        #[arg(long, required = true)]
        ready: bool,

        /// The longest to wait; then the exit code is 1
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
        timeout: Duration,
    },
}

/// How `vigie sample` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SampleFormat {
    /// Prometheus' text format 0.0.4
    Prometheus,
    /// `OpenMetrics` 1.0
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// OTLP requests, in OpenTelemetry's words, each as one line of OTLP/JSON; nearly always one
    #[value(name = "otlp-json")]
    OtlpJson,
}

/// How `vigie metrics` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReferenceFormat {
    /// Tables for people
    Markdown,
    /// One JSON document for programs
    Json,
}

impl Cli {
    /// Parses the arguments of a process, its own name first.
    ///
    /// # Errors
    /// For arguments that are none, and for `--help` and `--version`: `error.print()` says it on the right stream,
    /// `error.exit_code()` is 0 or 2.
    pub fn of<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(arguments)
    }

    /// The file that is loaded: the one that was named, else the default where it exists.
    pub fn config_file(&self) -> Option<&Path> {
        self.config_or(Path::new(DEFAULT_CONFIG))
    }

    /// A default that is there and cannot be read is a mistake to be told, not a reason to go on without it.
    fn config_or<'a>(&'a self, default: &'a Path) -> Option<&'a Path> {
        let gone = |error: io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        match &self.config {
            Some(file) => Some(file),
            None if default.symlink_metadata().is_err_and(gone) => None,
            None => Some(default),
        }
    }

    /// Loads the configuration that these arguments name.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load(self.config_file(), &self.set)
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or(r#"expected a duration with its unit, such as "60s""#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Cli, clap::Error> {
        Cli::of(line.split_whitespace())
    }

    fn refused(line: &str) -> (i32, String) {
        let error = of(line).unwrap_err();
        (error.exit_code(), error.to_string())
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        let expected = Cli {
            config: Some("a.toml".into()),
            set: vec!["log.level=debug".into(), "http.listen=:1".into()],
            command: Command::Run,
        };
        assert_eq!(of("vigie run --config a.toml --set log.level=debug --set http.listen=:1").unwrap(), expected);
        assert_eq!(of("vigie --config a.toml --set log.level=debug --set http.listen=:1 run").unwrap(), expected);
    }

    #[test]
    fn every_command_has_its_defaults() {
        let command = |line| of(line).unwrap().command;
        assert_eq!(command("vigie check --connect"), Command::Check { connect: true });
        assert_eq!(command("vigie sample"), Command::Sample { format: SampleFormat::Prometheus });
        assert_eq!(command("vigie sample --format openmetrics"), Command::Sample { format: SampleFormat::OpenMetrics });
        assert_eq!(command("vigie sample --format otlp-json"), Command::Sample { format: SampleFormat::OtlpJson });
        assert_eq!(command("vigie metrics --format json"), Command::Metrics { format: ReferenceFormat::Json });
        assert_eq!(command("vigie capture /tmp/x"), Command::Capture { directory: "/tmp/x".into() });
        assert_eq!(command("vigie version"), Command::Version);
        let timeout = Duration::from_secs(60);
        assert_eq!(command("vigie wait --ready"), Command::Wait { ready: true, timeout });
    }

    #[test]
    fn bad_arguments_exit_2_and_name_the_remedy() {
        for (line, words) in [
            ("vigie", "Usage: vigie"),
            ("vigie chekc", "'check'"),
            ("vigie run --confg x", "--config"),
            ("vigie sample --format otlp", "[possible values: prometheus, openmetrics, otlp-json]"),
            ("vigie wait", "--ready"),
            ("vigie wait --ready --timeout 60", "such as \"60s\""),
            ("vigie capture", "<DIR>"),
        ] {
            let (code, told) = refused(line);
            assert_eq!(code, 2, "{line}");
            assert!(told.contains(words), "{line}: {told}");
        }
    }

    #[test]
    fn help_and_version_exit_0() {
        let (code, help) = refused("vigie --help");
        assert_eq!(code, 0);
        for word in
            ["run", "check", "sample", "metrics", "capture", "version", "wait", "  78  ", "SIGHUP", DEFAULT_CONFIG]
        {
            assert!(help.contains(word), "{word}");
        }
        assert_eq!(refused("vigie --version"), (0, format!("vigie {}\n", env!("CARGO_PKG_VERSION"))));
    }

    #[test]
    fn the_default_file_is_loaded_only_where_there_is_one() {
        let named = of("vigie run --config /nowhere").unwrap();
        assert_eq!(named.config_file(), Some(Path::new("/nowhere")));
        let unnamed = of("vigie run").unwrap();
        assert_eq!(unnamed.config_or(Path::new("/nowhere/config.toml")), None);
        assert_eq!(unnamed.config_or(Path::new("/etc/passwd")), Some(Path::new("/etc/passwd")));
    }
}
