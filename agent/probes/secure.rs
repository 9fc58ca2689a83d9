//! TLS of probes.

pub mod certificate;
mod der;
mod name;
