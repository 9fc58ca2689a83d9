//! The push: what a snapshot holds, in OpenTelemetry's words.
//!
//! [`encode`] writes a snapshot as the bytes of OTLP requests, [`compress`] makes records of them that can wait and be
//! sent, [`json`] shows such bytes. Like the page they are functions of what they are given: who this host is
//! ([`resource`]) and from when on things have counted ([`start`]) is read once, before. [`client`] brings records to the
//! collector.

pub mod client;
pub mod compress;
pub mod encode;
pub mod json;
pub mod naming;
pub mod record;
pub mod resource;
pub mod spool;
pub mod start;
mod wire;
