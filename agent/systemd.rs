//! What systemd is told: ready, reloading, stopping, alive (sd_notify(3)). Without systemd nothing happens.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

pub mod socket_unit;
pub mod sockets;

/// The agent serves.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A new configuration is being loaded; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// The agent ends.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The agent does not start, for this reason. `systemctl status` goes on showing it after the last attempt, when the log's
/// lines are further up than it looks.
pub fn failed(reason: &str) {
    notify(&[NotifyState::Status(reason.lines().next().unwrap_or_default())]);
}

/// Tells systemd that the agent is alive (`WatchdogSec=`), three times in the span after which it would kill it.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Watchdog {
    /// The watchdog that systemd asks for; without systemd one that says nothing.
    pub fn of_unit() -> Watchdog {
        Watchdog { every: sd_notify::watchdog_enabled().map(|span| span / 3), last: None }
    }

    /// The sampling loop has turned.
    pub fn turned(&mut self) {
        let Some(every) = self.every else { return };
        if self.last.is_none_or(|last| last.elapsed() >= every) {
            notify(&[NotifyState::Watchdog]);
            self.last = Some(Instant::now());
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd does not listen");
    }
}
