//! The push: what a snapshot holds, in OpenTelemetry's words, carried to a collector.
//!
//! ```text
//! Snapshot ─ encode ──┐
//!                     ├─ spool ─ sender ─ client ─► collector
//! events ─ SDK ───────┘
//! ```
//!
//! Whatever is to be sent is on disk first, as it will go over the wire. [`encode`] writes a snapshot as the bytes of an
//! OTLP request, [`json`] shows such bytes. Like the page they are functions of what they are given: who this host is
//! ([`resource`]) and from when on things have counted ([`start`]) is read once, before.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{self, Config};
use crate::supervisor::Handle;

mod lane;
mod sender;
mod wire;

pub mod client;
pub mod compress;
pub mod encode;
pub mod json;
pub mod naming;
pub mod record;
pub mod resource;
pub mod spool;
pub mod start;
pub mod status;

use client::{Client, ClientError};
use compress::Compressor;
use encode::Encoder;
use lane::{Events, Lane};
use resource::Resource;
use sender::Sender;
use spool::keeper::Keeper;
use spool::{Spool, SpoolError};
use start::Starts;
use status::Status;

/// How long the last requests may take when vigie ends; what is not sent by then waits in the spool.
const LAST: Duration = Duration::from_secs(4);

/// How long a request that is under way may take when the push changes; then it is sent again.
const GRACE: Duration = Duration::from_secs(1);

/// How long the spool may take to come to rest.
const CLOSE: Duration = Duration::from_millis(500);

/// Why nothing can be pushed as configured.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The collector cannot be spoken to.
    #[error("otlp: {0}")]
    Client(#[from] ClientError),
    /// What waits for it has no place.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The system gives no thread.
    #[error("otlp: cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// The push of this agent: at work where the configuration names a collector.
pub struct Push {
    handle: Handle,
    starts: Starts,
    events: Events,
    status: Arc<Status>,
    /// Who the host said it was, in whose names, when the encoder was made.
    told: Option<(config::Host, config::Naming)>,
    running: Option<Running>,
}

/// What works while there is a collector.
struct Running {
    keeper: Keeper,
    stop: watch::Sender<bool>,
    lane: JoinHandle<Lane>,
    sender: JoinHandle<Sender>,
}

/// A push that can be taken over: everything that may be wrong with it was found out.
pub struct Prepared(Option<(Client, Keeper)>);

impl Push {
    /// The push of what `handle` sees, which is not at work yet.
    pub fn new(handle: Handle, starts: Starts) -> Push {
        let status = Arc::new(Status::default());
        handle.ask(Arc::clone(&status) as _);
        Push { handle, starts, events: Events::default(), status, told: None, running: None }
    }

    /// How it is.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Reads what the configuration names, and opens the spool where there is none yet.
    ///
    /// # Errors
    /// When a secret or a file of TLS is not what it should be, or another agent has the spool.
    pub async fn prepare(&self, config: &Config) -> Result<Prepared, PushError> {
        if config.otlp.collector().is_none() {
            return Ok(Prepared(None));
        }
        let client = Client::new(&config.otlp)?;
        let keeper = match &self.running {
            Some(running) => running.keeper.clone(),
            None => {
                let (state, limits) = (config.paths.state.clone(), config.otlp.spool);
                let spool = tokio::task::spawn_blocking(move || Spool::open(&state, limits)).await;
                Keeper::start(spool.map_err(std::io::Error::other)??)?
            }
        };
        Ok(Prepared(Some((client, keeper))))
    }

    /// Goes on as `config` says, for which it was prepared.
    pub async fn adopt(&mut self, Prepared(prepared): Prepared, config: &Config) {
        let before = match self.running.take() {
            Some(running) => Some(running.halt(GRACE).await),
            None => None,
        };
        let Some((client, keeper)) = prepared else {
            self.status.aim(None);
            self.told = None;
            self.handle.instruments().stop();
            if let Some((keeper, ..)) = before {
                keeper.close(CLOSE).await;
            }
            return;
        };
        let otlp = &config.otlp;
        let endpoint = otlp.collector().map(ToString::to_string).unwrap_or_default();
        self.status.aim(Some((keeper.clone(), endpoint)));
        keeper.set_limits(otlp.spool).await;
        let told = (config.host.clone(), otlp.naming);
        let resource = Resource::of(self.handle.root(), &config.host);
        // Who the host is and in whose names it speaks make its series: new ones start anew.
        let same = self.told.as_ref() == Some(&told);
        let (encoder, pushed) = match before.and_then(|(_, lane)| lane).filter(|_| same) {
            Some(lane) => (lane.encoder, lane.pushed),
            None => (Encoder::new(&resource, otlp.naming, self.starts), None),
        };
        if !same {
            let events = Arc::clone(&self.events);
            let sink = move |record| events.lock().unwrap_or_else(PoisonError::into_inner).push(record);
            if let Err(error) = self.handle.instruments().start(&resource, sink) {
                tracing::warn!(%error, "the agent's own measurements are not pushed");
            }
        }
        self.told = Some(told);
        let lane = Lane {
            handle: self.handle.clone(),
            keeper: keeper.clone(),
            status: Arc::clone(&self.status),
            events: Arc::clone(&self.events),
            encoder,
            compressor: Compressor::new(otlp.compression),
            interval: otlp.interval,
            pushed,
        };
        let sender = Sender::new(&keeper, client, &self.status, self.handle.instruments(), otlp);
        let (stop, stopped) = watch::channel(false);
        self.running = Some(Running {
            keeper,
            stop,
            lane: tokio::spawn(lane.run(stopped.clone())),
            sender: tokio::spawn(sender.run(stopped)),
        });
    }

    /// Pushes once more and carries what it can in the time that is left; the rest waits in the spool.
    pub async fn end(self) {
        let Some(running) = self.running else { return };
        let deadline = Instant::now() + LAST;
        running.stop.send_replace(true);
        if let Ok(Ok(mut lane)) = timeout_at(deadline, running.lane).await {
            // Where there is no time to send it, the next agent does.
            let _ = timeout_at(deadline, lane.push()).await;
        }
        if let Ok(Ok(mut sender)) = timeout_at(deadline, running.sender).await {
            sender.flush(deadline).await;
        }
        let left = running.keeper.status();
        // What is in memory goes to the disk now, or is lost: the spool tells which.
        let requests = left.records.saturating_sub(left.in_memory);
        if requests > 0 {
            tracing::info!(requests, "what the collector did not take waits for the next start");
        }
        self.handle.instruments().stop();
        if !running.keeper.close(CLOSE).await && left.in_memory > 0 {
            tracing::warn!(
                requests = left.in_memory,
                "what waited in memory is lost: the spool's disk does not answer"
            );
        }
    }
}

impl Running {
    /// Stops it within `grace`, with what is worth keeping.
    async fn halt(mut self, grace: Duration) -> (Keeper, Option<Lane>) {
        self.stop.send_replace(true);
        let lane = timeout(grace, &mut self.lane).await;
        if timeout(grace, &mut self.sender).await.is_err() {
            self.sender.abort();
        }
        if lane.is_err() {
            self.lane.abort();
        }
        (self.keeper, lane.ok().and_then(Result::ok))
    }
}

/// What `future` gives, unless it is stopped before.
async fn until<T>(stop: &mut watch::Receiver<bool>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        given = future => Some(given),
    }
}
