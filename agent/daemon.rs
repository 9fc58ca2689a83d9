//! `vigie run`: configuration → sockets → supervisor → page and push, until a signal says otherwise.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::Cli;
use crate::config::Config;
use crate::inventory::Inventory;
use crate::log::{self, LogHandle};
use crate::page::Lookout;
use crate::page::listener::BindError;
use crate::page::probe::Prober;
use crate::page::server::{Options, OptionsError, Server};
use crate::push::start::Starts;
use crate::push::status::{self, Status};
use crate::push::{Push, PushError};
use crate::samplers::SampleError;
use crate::snapshot::Snapshot;
use crate::supervisor::{Handle, Health};
use crate::systemd::{self, sockets::Sockets};

/// How long the first pass may take before vigie serves without it.
const FIRST_PASS: Duration = Duration::from_secs(5);

/// Why vigie does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The page cannot be served as configured.
    #[error(transparent)]
    Page(#[from] OptionsError),
    /// An address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Nothing can be pushed as configured.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The host cannot be read.
    #[error(transparent)]
    Host(#[from] SampleError),
    /// The system gives no thread, signal or event queue.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub fn run(cli: &Cli, config: Config) -> Result<(), RunError> {
    // Before any thread is started.
    let sockets = Sockets::inherited();
    let log = log::start(&config.log);
    // One thread for the network: the kernel has its own. The others only check passwords and resolve names.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    let done = runtime.block_on(async {
        let mut signals = Signals::install()?;
        let daemon = tokio::select! {
            daemon = Daemon::start(cli, config, log, sockets) => daemon?,
            () = signals.end() => return Ok(()),
        };
        daemon.until(signals).await;
        Ok(())
    });
    // To drop it would wait for what its threads are at: a password's hash, for seconds.
    runtime.shutdown_background();
    done.inspect_err(|error: &RunError| systemd::failed(&error.to_string()))
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits until somebody wants the end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

struct Daemon<'a> {
    cli: &'a Cli,
    config: Config,
    log: LogHandle,
    handle: Handle,
    sockets: Sockets,
    serving: Serving,
    push: Push,
}

/// Whom the page of a running agent asks.
pub struct Watch {
    /// What is seen, and how that goes.
    pub handle: Handle,
    /// How the push is.
    pub push: Arc<Status>,
}

/// A server at work, with what stops it.
struct Serving {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Daemon<'_> {
    async fn start(cli: &Cli, config: Config, log: LogHandle, mut sockets: Sockets) -> Result<Daemon<'_>, RunError> {
        tracing::info!(version = env!("CARGO_PKG_VERSION"), host = %Inventory::take(), "starting");
        let server = Server::over(sockets.listen(&config.http.listen)?, Options::of(&config.http)?);
        let handle = Handle::open(&config)?;
        let prober = Prober::new(handle.root(), &config);
        let server = server.measured(handle.instruments().clone()).asking(prober);
        let starts = Starts::kept(handle.root(), handle.root().calls.now(), &config.paths.state);
        let mut push = Push::new(handle.clone(), starts);
        let prepared = push.prepare(&config).await?;
        handle.start()?;
        tokio::spawn(handle.clone().monitor());
        if tokio::time::timeout(FIRST_PASS, handle.first_pass()).await.is_err() {
            tracing::warn!("the first sampling pass takes long; serving without it");
        }
        handle.probe(&config);
        push.adopt(prepared, &config).await;
        let serving = Serving::start(server, Watch { handle: handle.clone(), push: push.status() });
        for address in sockets.addresses() {
            tracing::info!(%address, "serving /metrics");
        }
        systemd::ready("watching this host");
        Ok(Daemon { cli, config, log, handle, sockets, serving, push })
    }

    async fn until(mut self, mut signals: Signals) {
        loop {
            let Signals { hangup, terminate, interrupt } = &mut signals;
            tokio::select! {
                _ = hangup.recv() => self.reload().await,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        tracing::info!("ending");
        systemd::stopping();
        tokio::join!(self.push.end(), self.serving.end());
        self.handle.stop();
        self.sockets.leave();
    }

    /// Takes the configuration over as it is now, whole, or keeps the one in force and says why.
    async fn reload(&mut self) {
        systemd::reloading();
        match self.replace().await {
            Ok(()) => tracing::info!("the new configuration is in force"),
            Err(reason) => {
                tracing::error!(%reason, "the new configuration is refused, the old one stays in force");
                self.handle.reload_refused();
            }
        }
        systemd::ready("watching this host");
    }

    async fn replace(&mut self) -> Result<(), String> {
        let config = self.cli.load().map_err(|errors| errors.briefly().collect::<Vec<_>>().join("; "))?;
        if config.paths != self.config.paths {
            return Err("[paths] cannot change while vigie runs; restart it".to_owned());
        }
        let prepared = self.push.prepare(&config).await.map_err(|error| error.to_string())?;
        self.replace_server(&config).map_err(|error| error.to_string())?;
        self.push.adopt(prepared, &config).await;
        self.log.set(&config.log);
        self.handle.reload(&config);
        self.config = config;
        Ok(())
    }

    /// Starts a server as newly configured over the sockets that stay and those that come, then ends the old one: no
    /// connection is refused in between. The files that the configuration names may say something else than before.
    fn replace_server(&mut self, config: &Config) -> Result<(), RunError> {
        let options = Options::of(&config.http)?;
        let server = Server::over(self.sockets.listen(&config.http.listen)?, options);
        let prober = Prober::new(self.handle.root(), config);
        let server = server.measured(self.handle.instruments().clone()).asking(prober);
        let watch = Watch { handle: self.handle.clone(), push: self.push.status() };
        let old = std::mem::replace(&mut self.serving, Serving::start(server, watch));
        drop(tokio::spawn(old.end()));
        Ok(())
    }
}

impl Serving {
    fn start(server: Server, watched: Watch) -> Serving {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            // It fails when the sender is gone, which is a reason to stop too.
            let shutdown = async move { drop(stopped.wait_for(|stop| *stop).await) };
            if let Err(error) = server.serve(watched, shutdown).await {
                tracing::error!(%error, "the page is not served any more");
            }
        });
        Serving { stop, task }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        // It fails when the server panicked, which the log has told.
        let _ = self.task.await;
    }
}

impl Lookout for Watch {
    fn snapshot(&self, max_age: Duration, deadline: Duration) -> impl Future<Output = Arc<Snapshot>> + Send {
        self.handle.snapshot(max_age, deadline)
    }

    fn health(&self) -> Health {
        self.handle.health()
    }

    fn push(&self) -> Option<status::Health> {
        self.push.health()
    }
}
