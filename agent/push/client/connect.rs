//! The way to the collector: names, addresses and sockets.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::failure::{ExportError, Reason};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// A name, or an address; one of IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Place {
    /// Tries each of its addresses in turn. Each gets its share of the time, and one share is left for the rest.
    pub(super) async fn reach(&self, deadline: Instant) -> Result<TcpStream, ExportError> {
        let Place { host, port } = self;
        let unknown = |why: &str| {
            let sentence = format!("the name {host} has no address: {why}; is it written right, and is DNS reachable?");
            ExportError::passing(Reason::Dns, sentence)
        };
        let half = deadline.saturating_duration_since(Instant::now()) / 2;
        let found = match timeout(half, lookup_host((host.as_str(), *port))).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                let error = error.to_string();
                let why = error.strip_prefix("failed to lookup address information: ").unwrap_or(&error);
                return Err(unknown(why));
            }
            Err(_) => return Err(unknown(&format!("DNS does not answer within {half:.1?}"))),
        };
        let mut addresses: Vec<SocketAddr> = found.collect();
        addresses.dedup();
        let mut last = format!("the name {host} has no address");
        for (index, address) in addresses.iter().enumerate() {
            let shares = u32::try_from(addresses.len() - index + 1).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / shares;
            last = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // What we write is whole requests; without it the socket works too.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                    format!("{self} refuses the connection: nobody listens there; is the collector running?")
                }
                Ok(Err(error)) => format!("cannot connect to {self}: {error}"),
                Err(_) => {
                    format!("no answer from {self} within {share:.1?}; is the host up, or a firewall in between?")
                }
            };
        }
        Err(ExportError::passing(Reason::Connect, last))
    }
}

/// Opens the unix socket at `path`.
pub(super) async fn unix(path: &Path) -> Result<UnixStream, ExportError> {
    UnixStream::connect(path).await.map_err(|error| {
        let path = path.display();
        let sentence = match error.kind() {
            ErrorKind::NotFound => format!("there is no socket {path}; is the collector running?"),
            ErrorKind::ConnectionRefused => format!("nobody listens on the socket {path}; is the collector running?"),
            ErrorKind::PermissionDenied => {
                format!(
                    "the socket {path} does not let this user in; allow its group to write to it, and add vigie to that"
                )
            }
            _ => format!("cannot connect to unix:{path}: {error}"),
        };
        ExportError::passing(Reason::Connect, sentence)
    })
}
