//! What systemd is told: ready, reloading, stopping, alive (sd_notify(3)). Without systemd nothing happens.

use sd_notify::NotifyState;

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

/// The sampling loop is alive (`WatchdogSec=`).
pub fn watchdog() {
    notify(&[NotifyState::Watchdog]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd does not listen");
    }
}
