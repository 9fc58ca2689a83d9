//! A stream of whatever kind: what speaks over one is compiled once, and not for each kind again.

use tokio::io::{AsyncRead, AsyncWrite};

/// Read and written to, wherever it leads.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}
