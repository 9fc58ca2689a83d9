//! Where the page is, or would be.

use std::io::{self, Write};

use crate::config::{Config, Listen, Paths, Tls};
use crate::page::listener::{BindError, Listener};
use crate::probes::port::{Port, Protocol};
use crate::samplers::root::Root;
use crate::systemd::socket_unit;
use crate::wait::is_vigie;

/// Says where the page is served, and with `connect` whether it can be; says how many addresses cannot be had.
///
/// # Errors
/// When the system gives no event queue, or `out` is closed.
pub(super) fn check(config: &Config, connect: bool, out: &mut impl Write) -> io::Result<usize> {
    let of_the_unit = socket_unit::addresses(&config.paths.root);
    if !of_the_unit.is_empty() {
        return of_a_socket_unit(&config.paths, &of_the_unit, connect, out);
    }
    let mut taken = 0;
    for listen in &config.http.listen {
        match connect.then(|| Listener::bind(listen)) {
            None => writeln!(out, "address: {listen}")?,
            Some(Ok(_)) => writeln!(out, "address: {listen} is free")?,
            Some(Err(error)) if is_ours(listen, config.http.tls.as_ref(), &error)? => {
                writeln!(out, "address: {listen} is served by the vigie that runs")?;
            }
            Some(Err(error)) => {
                taken += 1;
                writeln!(out, "address: {error}")?;
            }
        }
    }
    Ok(taken)
}

/// Whether who stands in the way is vigie.
fn is_ours(listen: &Listen, tls: Option<&Tls>, error: &BindError) -> io::Result<bool> {
    if !matches!(error, BindError::PortInUse(_) | BindError::SocketInUse(_)) {
        return Ok(false);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(is_vigie(listen, tls)))
}

/// It is systemd that listens. Nobody connects to it: that would start vigie.
fn of_a_socket_unit(paths: &Paths, addresses: &[Listen], connect: bool, out: &mut impl Write) -> io::Result<usize> {
    let root = Root::open(&paths.proc, &paths.sys, &paths.root).ok().filter(|_| connect);
    let mut taken = 0;
    for address in addresses {
        let silent = match address {
            Listen::Tcp(tcp) => root.as_ref().map(|root| !listens(root, tcp.port())),
            Listen::Unix(path) => connect.then(|| !path.exists()),
        };
        match silent {
            None | Some(false) => writeln!(out, "address: {address}, of vigie.socket; http.listen is not used")?,
            Some(true) => {
                taken += 1;
                writeln!(out, "address: {address}, of vigie.socket, and nobody listens: systemctl start vigie.socket")?;
            }
        }
    }
    Ok(taken)
}

/// Whether somebody listens on that port of TCP.
pub(super) fn listens(root: &Root, port: u16) -> bool {
    let port = Port { port: port.into(), protocol: Protocol::Tcp, address: None };
    port.count(root).is_ok_and(|listeners| listeners > 0)
}
