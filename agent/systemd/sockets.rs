//! Listening sockets that outlive the process: those of a socket unit, and our own in systemd's store (`sd_listen_fds(3)`).

use std::iter;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::config::Listen;
use crate::page::listener::{BindError, Listener};

/// Under which our sockets stand in the store; those of a socket unit bear another name, its own unless it says so.
const NAME: &str = "page";
/// How long systemd may take to let go of a socket.
const LETTING_GO: Duration = Duration::from_secs(2);

/// The sockets that we listen on.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Of a socket unit, which says where we listen.
    activated: Vec<Listener>,
    /// Bound by us, or by the process before us.
    bound: Vec<Listener>,
    /// Whether [`Sockets::listen`] was called.
    serving: bool,
    /// Whether systemd keeps them for the process after us.
    kept: bool,
}

impl Sockets {
    /// Takes over what systemd passes to us. Call it once, before any thread is started: it takes them out of the
    /// environment too.
    pub fn inherited() -> Sockets {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        let mut sockets = Sockets { kept: std::env::var_os("NOTIFY_SOCKET").is_some(), ..Sockets::default() };
        for (index, name) in (0..passed.len()).zip(names.split(':').chain(iter::repeat(""))) {
            let tcp = passed.take_tcp_listener(index).ok().flatten().map(Listener::Tcp);
            let ours = name == NAME;
            let socket = tcp.or_else(|| {
                let unix = passed.take_unix_listener(index).ok().flatten()?;
                Some(if ours { Listener::unix(unix) } else { Listener::Unix(unix, None) })
            });
            match socket.map(Listener::nonblocking) {
                Some(Ok(listener)) if ours => sockets.bound.push(listener),
                Some(Ok(listener)) => sockets.activated.push(listener),
                _ => tracing::warn!(name, "systemd passed something that is no stream socket; it is left alone"),
            }
        }
        sockets
    }

    /// Listens at these addresses and nowhere else, or changes nothing. Where a socket unit says where to listen, there.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub fn listen(&mut self, addresses: &[Listen]) -> Result<Vec<Listener>, BindError> {
        let addresses = if self.activated.is_empty() { addresses } else { &[] };
        let made_room = !self.serving && self.make_room(addresses);
        let found = self.find(addresses, if made_room { LETTING_GO } else { Duration::ZERO });
        if found.is_err() && made_room {
            self.keep();
        }
        let (bound, served) = found?;
        if self.bound.iter().any(|bound| !is_wanted(bound, addresses)) {
            self.tell(sd_notify::notify(&FORGET));
        }
        self.bound = bound;
        self.serving = true;
        self.keep();
        Ok(served)
    }

    /// Closes what the process before us listened on and we do not. Says whether there was such a socket.
    fn make_room(&mut self, addresses: &[Listen]) -> bool {
        let held = self.bound.len();
        self.bound.retain(|bound| is_wanted(bound, addresses));
        let made_room = self.bound.len() < held;
        if made_room {
            self.tell(sd_notify::notify(&FORGET));
        }
        made_room
    }

    /// A socket for every address, and the same once more to serve. It changes nothing here.
    fn find(&self, addresses: &[Listen], patience: Duration) -> Result<(Vec<Listener>, Vec<Listener>), BindError> {
        let bound = addresses.iter().map(|address| match self.bound.iter().find(|bound| is_for(bound, address)) {
            Some(bound) => another(bound, address),
            None => bind(address, patience).map_err(|error| self.explain(error, addresses)),
        });
        let bound = bound.collect::<Result<Vec<_>, _>>()?;
        let served = addresses.iter().zip(&bound).map(|(address, bound)| another(bound, address));
        let mut served = served.collect::<Result<Vec<_>, _>>()?;
        for activated in &self.activated {
            let address = activated.address().unwrap_or_else(|| Listen::Unix("socket".into()));
            served.push(another(activated, &address)?);
        }
        Ok((bound, served))
    }

    /// Tells our own sockets from another process's, where they stand in the way of an address and are not wanted any more.
    fn explain(&self, error: BindError, addresses: &[Listen]) -> BindError {
        let BindError::PortInUse(wanted) = error else { return error };
        let held = self.bound.iter().filter(|bound| !is_wanted(bound, addresses)).filter_map(Listener::address);
        let in_the_way = |held| match held {
            Listen::Tcp(held) if overlap(held, wanted) => Some(held),
            _ => None,
        };
        held.filter_map(in_the_way).next().map_or(error, |held| BindError::OwnPort { wanted, held })
    }

    /// Asks systemd to keep what is bound.
    fn keep(&self) {
        if !self.bound.is_empty() {
            let sockets: Vec<BorrowedFd<'_>> = self.bound.iter().map(AsFd::as_fd).collect();
            self.tell(sd_notify::notify_with_fds(&KEEP, &sockets));
        }
    }

    /// Where they listen.
    pub fn addresses(&self) -> impl Iterator<Item = Listen> {
        self.activated.iter().chain(&self.bound).filter_map(Listener::address)
    }

    /// Ends with the process, and leaves to the next one what systemd keeps for it: the files of unix sockets too.
    pub fn leave(self) {
        if self.kept {
            std::mem::forget(self.bound);
        }
    }

    fn tell(&self, done: std::io::Result<()>) {
        if let Err(error) = done
            && self.kept
        {
            tracing::warn!(%error, "systemd does not take care of the sockets: a restart may refuse connections");
        }
    }
}

const KEEP: [NotifyState<'_>; 2] = [NotifyState::FdStore, NotifyState::FdName(NAME)];
const FORGET: [NotifyState<'_>; 2] = [NotifyState::FdStoreRemove, NotifyState::FdName(NAME)];

fn is_wanted(bound: &Listener, addresses: &[Listen]) -> bool {
    addresses.iter().any(|address| is_for(bound, address))
}

fn is_for(bound: &Listener, address: &Listen) -> bool {
    bound.can_be_found() && bound.address().as_ref() == Some(address)
}

/// Whether one of them is the other's port at every address.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn another(bound: &Listener, address: &Listen) -> Result<Listener, BindError> {
    bound.another().map_err(|source| BindError::Other { address: address.clone(), source })
}

/// Binds; for a while again and again, since systemd lets go of a socket some time after it was asked to.
fn bind(address: &Listen, patience: Duration) -> Result<Listener, BindError> {
    let begun = Instant::now();
    loop {
        match Listener::bind(address) {
            Err(BindError::PortInUse(_) | BindError::SocketInUse(_)) if begun.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port() -> Listener {
        Listener::bind(&Listen::Tcp(([127, 0, 0, 1], 0).into())).unwrap()
    }

    fn free() -> [Listen; 1] {
        [any_port().address().unwrap()]
    }

    fn addresses(listeners: &[Listener]) -> Vec<Listen> {
        listeners.iter().filter_map(Listener::address).collect()
    }

    fn stored(bound: Vec<Listener>) -> Sockets {
        Sockets { bound, ..Sockets::default() }
    }

    #[test]
    fn what_was_bound_before_is_used_again() {
        let (one, two) = (any_port(), any_port());
        let wanted = addresses(&[one.another().unwrap(), two.another().unwrap()]);
        let mut sockets = stored(vec![two, one]);
        assert_eq!(addresses(&sockets.listen(&wanted).unwrap()), wanted);
    }

    #[test]
    fn what_the_process_before_listened_on_makes_room() {
        let narrow = any_port();
        let Some(Listen::Tcp(address)) = narrow.address() else { panic!("a TCP address") };
        let wide = [Listen::Tcp(([0, 0, 0, 0], address.port()).into())];
        assert_eq!(addresses(&stored(vec![narrow]).listen(&wide).unwrap()), wide);
    }

    #[test]
    fn a_reload_that_cannot_have_an_address_changes_nothing() {
        let taken = any_port();
        let mut sockets = Sockets::default();
        let before = sockets.listen(&free()).unwrap();
        let error = sockets.listen(&addresses(std::slice::from_ref(&taken))).unwrap_err();
        assert!(matches!(error, BindError::PortInUse(_)), "{error}");
        assert_eq!(sockets.addresses().collect::<Vec<_>>(), addresses(&before));
    }

    #[test]
    fn a_port_that_is_our_own_is_not_said_to_be_anothers() {
        let Listen::Tcp(narrow) = any_port().address().unwrap() else { panic!("a TCP address") };
        let port = narrow.port();
        let mut sockets = Sockets::default();
        let _served = sockets.listen(&[Listen::Tcp(narrow)]).unwrap();
        let error = sockets.listen(&[Listen::Tcp(([0, 0, 0, 0], port).into())]).unwrap_err().to_string();
        let expected = "vigie itself listens on 127.0.0.1:";
        assert_eq!(
            error,
            format!("cannot listen on 0.0.0.0:{port}: {expected}{port}; to move from there, restart vigie")
        );
    }

    #[test]
    fn a_refused_reload_gives_up_no_socket_and_waits_for_nothing() {
        let path = std::env::temp_dir().join(format!("vigie-refused-{}.sock", std::process::id()));
        let (taken, unix) = (any_port(), Listen::Unix(path.clone()));
        let mut sockets = Sockets::default();
        let _served = sockets.listen(std::slice::from_ref(&unix)).unwrap();
        std::fs::remove_file(&path).unwrap();
        let begun = Instant::now();
        assert!(sockets.listen(&[unix.clone(), taken.address().unwrap()]).is_err());
        assert!(begun.elapsed() < LETTING_GO / 2);
        assert_eq!(sockets.addresses().collect::<Vec<_>>(), [unix]);
    }

    #[test]
    fn a_socket_unit_says_where_we_listen() {
        let activated = vec![any_port()];
        let expected = addresses(&activated);
        let mut sockets = Sockets { activated, bound: vec![any_port()], ..Sockets::default() };
        let listeners = sockets.listen(&free()).unwrap();
        assert_eq!(addresses(&listeners), expected);
        assert_eq!(sockets.addresses().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_socket_whose_file_is_gone_is_bound_anew_and_its_file_goes_with_us() {
        let path = std::env::temp_dir().join(format!("vigie-sockets-{}.sock", std::process::id()));
        let wanted = [Listen::Unix(path.clone())];
        let before = Listener::bind(&wanted[0]).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut sockets = stored(vec![before]);
        let served = sockets.listen(&wanted).unwrap();
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        drop(served);
        sockets.leave();
        assert!(!path.exists());
    }

    #[test]
    fn the_old_server_leaves_the_file_that_was_bound_anew() {
        let path = std::env::temp_dir().join(format!("vigie-anew-{}.sock", std::process::id()));
        let wanted = [Listen::Unix(path.clone())];
        let mut sockets = Sockets::default();
        let old = sockets.listen(&wanted).unwrap();
        std::fs::remove_file(&path).unwrap();
        let new = sockets.listen(&wanted).unwrap();
        drop(old);
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        drop((new, sockets));
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_a_socket_that_systemd_keeps_stays() {
        let path = std::env::temp_dir().join(format!("vigie-kept-{}.sock", std::process::id()));
        let mut sockets = Sockets { kept: true, ..Sockets::default() };
        drop(sockets.listen(&[Listen::Unix(path.clone())]).unwrap());
        sockets.leave();
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
    }
}
