//! The commands that do one thing and end.

use std::io::{Write, stdout};
use std::path::Path;

use anyhow::bail;

use crate::capture::capture as save;
use crate::catalog;
use crate::cli::{Cli, ReferenceFormat, SampleFormat};
use crate::config::{Config, Otlp};
use crate::log::is_journal;
use crate::page::prometheus::{Format, render};
use crate::page::server::Options;
use crate::push::client::{Client, Reason};
use crate::push::encode::{Encoder, REQUEST_LIMIT};
use crate::push::json;
use crate::push::resource::Resource;
use crate::push::start::Starts;
use crate::samplers::{self, root::Record, root::Root};
use crate::supervisor::Handle;

mod addresses;
pub mod peers;
mod trial;

/// Prints the version, and what it was built for.
///
/// # Errors
/// When standard output is closed.
pub fn version() -> anyhow::Result<()> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    Ok(writeln!(stdout(), "vigie {} {os} {arch}", env!("CARGO_PKG_VERSION"))?)
}

/// Prints the reference of every metric.
///
/// # Errors
/// When standard output is closed.
pub fn metrics(format: ReferenceFormat) -> anyhow::Result<()> {
    let reference = match format {
        ReferenceFormat::Markdown => catalog::reference_markdown(),
        ReferenceFormat::Json => catalog::reference_json()?,
    };
    Ok(write!(stdout(), "{reference}")?)
}

/// Samples once and prints the page, or what is pushed.
///
/// # Errors
/// When the host cannot be read at all, or standard output is closed.
pub fn sample(config: &Config, format: SampleFormat) -> anyhow::Result<()> {
    let handle = Handle::open(config)?;
    let started = handle.root().calls.now();
    handle.sample();
    let snapshot = handle.newest();
    let mut text = Vec::new();
    match format {
        SampleFormat::Prometheus => render(&snapshot, Format::Text, &mut text),
        SampleFormat::OpenMetrics => render(&snapshot, Format::OpenMetrics, &mut text),
        SampleFormat::OtlpJson => {
            let root = handle.root();
            let mut encoder =
                Encoder::new(&Resource::of(root, &config.host), config.otlp.naming, Starts::of(root, started));
            let mut rendered = Ok(());
            encoder.encode(&snapshot, REQUEST_LIMIT, |request, _| {
                rendered = rendered.and_then(|()| json::render(request, &mut text));
            });
            rendered?;
        }
    }
    Ok(stdout().write_all(&text)?)
}

/// Samples once and saves what was read.
///
/// # Errors
/// When the host cannot be read at all, or the folder is not empty or cannot be written.
pub fn capture(config: &Config, directory: &Path) -> anyhow::Result<()> {
    let record = Record::default();
    let paths = &config.paths;
    let root = Root::open(&paths.proc, &paths.sys, &paths.root)?.recording(&record);
    let handle = Handle::of(root, config, samplers::ALL);
    handle.sample();
    let captured = save(&record, handle.root(), directory)?;
    let mut out = stdout();
    writeln!(out, "{} files of this host are in {}", captured.files, directory.display())?;
    writeln!(out, "Addresses, serial numbers and host names are replaced; README.txt there says how.")?;
    for path in &captured.left_out {
        writeln!(out, "left out, as nobody can tell what it holds: {}", path.display())?;
    }
    Ok(())
}

/// Says that the configuration is good (a bad one did not come this far), and with `connect` tries the addresses and
/// asks every probe once.
///
/// # Errors
/// When a file that the configuration names cannot be used, an address cannot be had, or a probe fails.
pub fn check(cli: &Cli, config: &Config, connect: bool) -> anyhow::Result<()> {
    let mut out = stdout();
    let source = cli.config_file().map_or("built-in defaults".to_owned(), |file| file.display().to_string());
    writeln!(out, "configuration: {source}, {} --set", cli.set.len())?;
    if !config.variables.is_empty() {
        writeln!(out, "environment: {}", config.variables.join(", "))?;
    }
    let mut http = config.http.clone();
    let unread = http.users.extract_if(.., |_, secret| secret.is_credential() && secret.load().is_err());
    for (user, _) in unread {
        writeln!(out, "http.users.{user}: a credential, which only the running unit can read")?;
    }
    Options::of(&http)?;
    let disabled = config.samplers.disabled.len();
    writeln!(out, "samplers: {} of {}", samplers::ALL.len() - disabled, samplers::ALL.len())?;
    // Not each time that the unit is reloaded.
    if !is_journal(&out) {
        peers::tell(config, &mut out)?;
    }
    let taken = addresses::check(config, connect, &mut out)?;
    let pushes = check_push(&config.otlp, connect)?;
    let plans = config.probe.plans();
    for plan in &plans {
        if let Some(warning) = plan.warning {
            writeln!(out, "warning: probe.{} {:?}: {warning}", plan.kind, plan.common.name)?;
        }
    }
    let mut failed = 0;
    if connect {
        let paths = &config.paths;
        failed = trial::run(Root::open(&paths.proc, &paths.sys, &paths.root)?, &plans, &mut out)?;
    } else if !plans.is_empty() {
        writeln!(out, "probes: {}", plans.len())?;
    }
    if taken > 0 {
        bail!("{taken} of {} addresses cannot be had", config.http.listen.len());
    }
    if !pushes {
        bail!("the collector cannot be pushed to");
    }
    if failed > 0 {
        bail!("{failed} of {} probes fail", plans.len());
    }
    Ok(writeln!(out, "good")?)
}

/// Says whether the push can be configured so, and with `connect` whether the collector takes it.
fn check_push(otlp: &Otlp, connect: bool) -> anyhow::Result<bool> {
    let mut out = stdout();
    let Some(endpoint) = otlp.collector() else { return Ok(true) };
    let mut otlp = otlp.clone();
    let unread = otlp.headers.extract_if(.., |_, secret| secret.is_credential() && secret.load().is_err());
    let unread: Vec<String> = unread.map(|(header, _)| header).collect();
    for header in &unread {
        writeln!(out, "otlp.headers.{header}: a credential, which only the running unit can read")?;
    }
    let mut client = Client::new(&otlp)?;
    if !connect {
        writeln!(out, "otlp: {endpoint}")?;
        return Ok(true);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tried = runtime.block_on(client.try_once());
    // A name that is still looked up would be waited for.
    runtime.shutdown_background();
    match tried {
        Ok(accepted) if accepted.message.is_empty() => writeln!(out, "otlp: {endpoint} answers")?,
        Ok(accepted) => writeln!(out, "otlp: {endpoint} answers, and says: {}", accepted.message)?,
        Err(error) if error.reason() == Reason::Auth.as_str() && !unread.is_empty() => {
            writeln!(out, "otlp: {endpoint} answers, and asks for what only the running unit can read")?;
        }
        Err(error) => {
            writeln!(out, "otlp: {error}")?;
            return Ok(false);
        }
    }
    Ok(true)
}
