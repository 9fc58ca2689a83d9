//! vigie watches one server and tells what it sees in Prometheus' and OpenTelemetry's words.
//!
//! ```text
//!                     ┌─ samplers ─┐                                    ┌─ the page   GET /metrics  (Prometheus names)
//! config ─ supervisor ┤            ├─ Reading ─ latest ─► Snapshot ─────┤
//!                     └─ probes ───┘            per source              └─ the push   OTLP          (OTel names)
//! ```
//!
//! Data moves once, from left to right. A sampler reads the host, and a probe asks one target; each fills a
//! [`snapshot::Reading`] with the points of the [`metric::Metric`]s that it declares. The supervisor times them, judges
//! the probes' answers, and publishes; exporters are pure functions of a [`snapshot::Snapshot`] and never see `/proc`
//! or a target. Only how long the agent's own work took goes beside this: through [`instruments::Instruments`], to the
//! push.

pub mod capture;
pub mod catalog;
pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod gzip;
pub mod instruments;
pub mod inventory;
mod link;
pub mod log;
pub mod metric;
pub mod page;
pub mod phase;
pub mod probes;
pub mod push;
pub mod samplers;
pub mod snapshot;
mod stream;
pub mod supervisor;
pub mod systemd;
pub mod tls;
pub mod wait;
