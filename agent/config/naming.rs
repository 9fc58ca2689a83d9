//! `otlp.naming`.

use serde::Deserialize;

/// Whose names are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Naming {
    /// The semantic conventions 1.44, as the metrics are declared.
    #[default]
    Semconv,
    /// The Collector's receiver `hostmetrics` of version 0, where it has another name.
    Collector,
}
