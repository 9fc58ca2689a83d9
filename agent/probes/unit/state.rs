//! The states that a unit is in, in systemd's own words (org.freedesktop.systemd1(5), "ActiveState").

use serde::Deserialize;

/// Whether a unit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs, also while it reads its configuration again.
    Active,
    /// It is about to run.
    Activating,
    /// It is about to end.
    Deactivating,
    /// It does not run, as nobody wants it to.
    Inactive,
    /// It does not run, as it could not.
    Failed,
}

impl State {
    /// All of them, in the order in which node_exporter has them.
    pub const ALL: [State; 5] = [State::Active, State::Activating, State::Deactivating, State::Inactive, State::Failed];

    /// systemd's word.
    pub const fn word(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Activating => "activating",
            State::Deactivating => "deactivating",
            State::Inactive => "inactive",
            State::Failed => "failed",
        }
    }

    /// Whether what systemd says is this state.
    pub fn includes(self, said: &str) -> bool {
        said == self.word() || (self == State::Active && matches!(said, "reloading" | "refreshing"))
    }
}
