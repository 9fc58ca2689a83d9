//! Small servers for one port each, which do what a test says with every connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Starts a server; what it does with a connection is done on a thread of its own.
pub(crate) fn serve(with: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let with = with.clone();
            std::thread::spawn(move || with(stream));
        }
    });
    address
}

/// Accepts and says nothing.
pub(crate) fn silent() -> SocketAddr {
    serve(|mut stream| drop(stream.read(&mut [0; 64])))
}

/// Says `text` one byte a second.
pub(crate) fn dripping(text: &'static str) -> SocketAddr {
    serve(move |mut stream| {
        for byte in text.bytes() {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    })
}

/// Says the same for ever, without an end of the line.
pub(crate) fn endless() -> SocketAddr {
    serve(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {})
}

/// Says `text` and closes.
pub(crate) fn saying(text: &'static str) -> SocketAddr {
    serve(move |mut stream| drop(stream.write_all(text.as_bytes())))
}

/// A mail server, as far as a greeting goes.
pub(crate) fn mail() -> SocketAddr {
    serve(|mut stream| {
        let mut heard = [0; 256];
        let _ = stream.write_all(b"220-a mail server\r\n220 mail.example ESMTP\r\n");
        while let Ok(count @ 1..) = stream.read(&mut heard) {
            let answer: &[u8] = if heard[..count].starts_with(b"QUIT\r\n") { b"221 bye\r\n" } else { b"500 what?\r\n" };
            let _ = stream.write_all(answer);
        }
    })
}

/// A port of this host where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    ([127, 0, 0, 1], crate::support::spare_port()).into()
}
