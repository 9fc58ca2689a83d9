//! One request, ready to be sent: what waits in the spool and goes over the wire.

use std::time::SystemTime;

use hyper::body::Bytes;

/// One ExportMetricsServiceRequest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its bytes as they go over the wire.
    pub body: Bytes,
    /// How they are compressed.
    pub encoding: Encoding,
    /// When what it tells was measured.
    pub taken: SystemTime,
    /// How many data points it holds.
    pub points: u32,
}

/// How a request is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
}
