//! What the machine's environment must not do to a test.

use std::process::Command;

/// Set by systemd for a unit.
const UNIT: [&str; 6] =
    ["NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "STATE_DIRECTORY"];

/// Takes from a command what vigie might listen to: systemd's variables, OpenTelemetry's, and those of a proxy.
pub(crate) fn forget_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if UNIT.contains(&&*text) || text.starts_with("OTEL_") || text.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(&name);
        }
    }
}
