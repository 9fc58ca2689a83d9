//! Where the page listens: TCP addresses and unix sockets.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Listen;

/// Why the page cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens on that port.
    #[error("cannot listen on {0}: another process does; see which with: ss -ltnp 'sport = :{port}'", port = .0.port())]
    PortInUse(SocketAddr),
    /// We listen on that port ourselves, at another address that only our end gives up.
    #[error("cannot listen on {wanted}: vigie itself listens on {held}; to move from there, restart vigie")]
    OwnPort {
        /// Where it should.
        wanted: SocketAddr,
        /// Where it does.
        held: SocketAddr,
    },
    /// Another process listens on that socket.
    #[error("cannot listen on unix:{path}: another process does; see which with: ss -lxp src {path}", path = .0.display())]
    SocketInUse(PathBuf),
    /// The path is taken by something that is no socket.
    #[error("cannot listen on unix:{}: a file is there that is no socket; move it away or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// No interface has that address.
    #[error("cannot listen on {0}: no interface of this host has that address; see which they have with: ip address")]
    NoSuchAddress(SocketAddr),
    /// The kernel does not allow it.
    #[error(
        "cannot listen on {0}: permission denied; choose a port above 1023, or a folder that this user may write to"
    )]
    Denied(Listen),
    /// Anything else that the kernel says.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where.
        address: Listen,
        /// What the kernel said.
        source: Error,
    },
}

/// A socket that is bound and not yet served.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix socket, and its file if that is ours to remove.
    Unix(UnixListener, Option<Arc<SocketFile>>),
}

/// The file of a unix socket that we bound: gone with us.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: somebody may remove our file and put another in its place.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn at(path: PathBuf) -> SocketFile {
        let identity = identity(&path);
        SocketFile { path, identity }
    }

    fn is_there(&self) -> bool {
        self.identity.is_some() && identity(&self.path) == self.identity
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    metadata.file_type().is_socket().then(|| (metadata.dev(), metadata.ino()))
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When it cannot be had, with what to do about it.
    pub fn bind(listen: &Listen) -> Result<Listener, BindError> {
        let listener = match listen {
            Listen::Tcp(address) => std::net::TcpListener::bind(address).map(Listener::Tcp),
            Listen::Unix(path) => {
                remove_stale(path)?;
                let file = || Some(Arc::new(SocketFile::at(path.clone())));
                UnixListener::bind(path).map(|listener| Listener::Unix(listener, file()))
            }
        };
        listener.and_then(Listener::nonblocking).map_err(|source| match (source.kind(), listen) {
            (ErrorKind::AddrInUse, Listen::Tcp(address)) => BindError::PortInUse(*address),
            (ErrorKind::AddrNotAvailable, Listen::Tcp(address)) => BindError::NoSuchAddress(*address),
            (ErrorKind::AddrInUse, Listen::Unix(path)) => BindError::SocketInUse(path.clone()),
            (ErrorKind::PermissionDenied, listen) => BindError::Denied(listen.clone()),
            (_, listen) => BindError::Other { address: listen.clone(), source },
        })
    }

    /// The same socket once more; its file goes with the last of them.
    ///
    /// # Errors
    /// When this process has no file descriptor left.
    pub fn another(&self) -> Result<Listener, Error> {
        match self {
            Listener::Tcp(listener) => listener.try_clone().map(Listener::Tcp),
            Listener::Unix(listener, file) => Ok(Listener::Unix(listener.try_clone()?, file.clone())),
        }
    }

    /// A unix socket that an earlier process of ours bound, with its file.
    pub(crate) fn unix(listener: UnixListener) -> Listener {
        let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
        Listener::Unix(listener, path.map(|path| Arc::new(SocketFile::at(path))))
    }

    /// Whether clients find it: the file of a unix socket may be gone, or be another socket's by now.
    pub(crate) fn can_be_found(&self) -> bool {
        match self {
            Listener::Unix(_, Some(file)) => file.is_there(),
            Listener::Unix(..) | Listener::Tcp(_) => true,
        }
    }

    /// As the event loop wants it.
    pub(crate) fn nonblocking(self) -> Result<Listener, Error> {
        match &self {
            Listener::Tcp(listener) => listener.set_nonblocking(true)?,
            Listener::Unix(listener, _) => listener.set_nonblocking(true)?,
        }
        Ok(self)
    }

    /// Where it really listens: the port that the kernel chose for port 0.
    pub fn address(&self) -> Option<Listen> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(Listen::Tcp),
            Listener::Unix(listener, _) => {
                let address = listener.local_addr().ok()?;
                address.as_pathname().map(|path| Listen::Unix(path.to_owned()))
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener, _) => listener.as_fd(),
        }
    }
}

/// Removes the file of a socket on which nobody listens any more, as a crash leaves it.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path)
            .map_err(|source| BindError::Other { address: Listen::Unix(path.to_owned()), source }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        _ => Err(BindError::SocketInUse(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("vigie-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_port_in_use_is_named_with_the_remedy() {
        let first = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = first.address().unwrap();
        let error = Listener::bind(&address).unwrap_err().to_string();
        let Listen::Tcp(tcp) = address else { panic!("{address}") };
        let port = tcp.port();
        assert_eq!(
            error,
            format!(
                "cannot listen on 127.0.0.1:{port}: another process does; see which with: ss -ltnp 'sport = :{port}'"
            )
        );
    }

    #[test]
    fn an_address_of_another_host_is_named() {
        let error = Listener::bind(&Listen::Tcp("192.0.2.1:0".parse().unwrap())).unwrap_err().to_string();
        assert!(error.contains("no interface of this host has that address"), "{error}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let listen = Listen::Unix(folder("stale").join("page.sock"));
        let Listen::Unix(path) = &listen else { return };
        drop(UnixListener::bind(path).unwrap());
        let first = Listener::bind(&listen).unwrap();
        assert_eq!(first.address(), Some(listen.clone()));
        assert!(matches!(Listener::bind(&listen), Err(BindError::SocketInUse(_))));
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let path = folder("file").join("page.sock");
        std::fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&Listen::Unix(path.clone())).unwrap_err();
        assert!(matches!(error, BindError::NotASocket(_)), "{error}");
        assert!(path.exists());
    }
}
