//! The `vigie` command: arguments → configuration → command → exit code.

use std::io::Write;
use std::process::ExitCode;

use vigie::cli::{Cli, Command};
use vigie::config::secret;
use vigie::{commands, daemon, wait};

/// Bad configuration (`EX_CONFIG` of sysexits.h).
const BAD_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let cli = match Cli::of(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody reads: there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    match cli.command {
        Command::Version => finish(commands::version()),
        Command::Metrics { format } => finish(commands::metrics(format)),
        _ => configured(&cli),
    }
}

fn configured(cli: &Cli) -> ExitCode {
    secret::keep_from_cores();
    let config = match cli.load() {
        Ok(config) => config,
        Err(errors) => {
            say(&errors);
            return ExitCode::from(BAD_CONFIG);
        }
    };
    finish(match &cli.command {
        Command::Run => daemon::run(cli, config).map_err(anyhow::Error::from),
        Command::Check { connect } => commands::check(cli, &config, *connect),
        Command::Sample { format } => commands::sample(&config, *format),
        Command::Capture { directory } => commands::capture(&config, directory),
        Command::Wait { timeout, .. } => wait::until_ready(&config, *timeout).map_err(anyhow::Error::from),
        Command::Version | Command::Metrics { .. } => Ok(()),
    })
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // It names its cause itself.
            say(&format_args!("vigie: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// `vigie sample | head` is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn say(message: &dyn std::fmt::Display) {
    // Nobody reads: there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{message}");
}
