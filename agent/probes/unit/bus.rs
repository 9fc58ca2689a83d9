//! The system's bus, as far as asking systemd goes: one connection for all probes, kept from check to check.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::message::{Call, FIXED, Message, parse, parse_length};
use crate::probes::{ProbeError, Reason};

/// Where the bus listens, below the host's root (D-Bus specification, "Well-known Message Bus Instances").
const SOCKET: &str = "run/dbus/system_bus_socket";

/// Who we are is what the socket says: no identity is claimed. All that follows is said without waiting.
const GREETING: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// The longest that the bus says before messages begin, in bytes.
const GREETED: usize = 512;

/// What is kept of the memory for a long message, in bytes.
const KEPT: usize = 64 << 10;

const HELLO: Call<'_> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    signature: "",
};

/// The way to one bus. A bus lets one user have a few hundred connections only, so that probes share theirs.
#[derive(Debug)]
pub(super) struct Bus {
    path: PathBuf,
    line: Mutex<Option<Line>>,
}

/// A connection on which the last answer has come.
#[derive(Debug)]
struct Line {
    stream: UnixStream,
    serial: u32,
    bytes: Vec<u8>,
}

/// Why a call gave nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The bus cannot be reached, or hung up.
    Line(io::Error),
    /// The bus hung up when it had heard who we are.
    HungUp,
    /// What was said is no D-Bus.
    Odd,
    /// The bus, or who was asked, says no: the name of the error.
    Refused(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Line(error)
    }
}

static KNOWN: std::sync::Mutex<Vec<Weak<Bus>>> = std::sync::Mutex::new(Vec::new());

impl Bus {
    /// The bus of the host whose root is there.
    pub(super) fn of(host: &Path) -> Arc<Bus> {
        let path = host.join(SOCKET);
        let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bus) = known.iter().filter_map(Weak::upgrade).find(|bus| bus.path == path) {
            return bus;
        }
        let bus = Arc::new(Bus { path, line: Mutex::default() });
        known.retain(|bus| bus.strong_count() > 0);
        known.push(Arc::downgrade(&bus));
        bus
    }

    /// Asks, and reads the answer by `read`. A connection that was kept and turns out to be dead is made anew, once.
    pub(super) async fn call<T>(
        &self,
        call: Call<'_>,
        arguments: &[u8],
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<T, Trouble> {
        let mut place = self.line.lock().await;
        // Taken out: where nobody waits any more for an answer, it would be taken for that of the next call.
        if let Some(mut line) = place.take() {
            match line.call(call, arguments, &read).await {
                Err(Trouble::Line(_)) => {}
                Err(Trouble::Odd) => return Err(Trouble::Odd),
                answer => {
                    *place = Some(line);
                    return answer;
                }
            }
        }
        let mut line = Line::open(&self.path).await?;
        let answer = line.call(call, arguments, &read).await;
        if matches!(answer, Ok(_) | Err(Trouble::Refused(_))) {
            *place = Some(line);
        }
        answer
    }

    /// What trouble means to a person.
    pub(super) fn explain(&self, trouble: &Trouble) -> ProbeError {
        let path = self.path.display();
        match trouble {
            Trouble::Line(error) => ProbeError::connect(&format!("the system's bus at {path}"), error)
                .mend("check that dbus runs; in a container, mount the host's /run/dbus, and let AppArmor pass it"),
            // dbus-daemon looks its clients up in the list of users, and since version 250.4 of systemd it does not find
            // the dynamic ones. systemd takes a user that is called like the unit where there is one, as our package makes it.
            Trouble::HungUp => ProbeError::new(
                Reason::Permission,
                format!("the system's bus at {path} hangs up on this user, whom it does not know or does not let in"),
            )
            .mend(
                "let vigie run as a user that lasts: systemctl stop vigie; systemd-sysusers vigie.conf; systemctl start vigie",
            ),
            Trouble::Odd => {
                ProbeError::new(Reason::Protocol, format!("what is said at {path} is not what systemd says"))
                    .mend("check that it is the system's bus that listens there")
            }
            Trouble::Refused(error) if error.ends_with(".AccessDenied") => {
                ProbeError::new(Reason::Permission, format!("the bus does not let us ask systemd: {error}"))
                    .mend("check /usr/share/dbus-1/system.d/org.freedesktop.systemd1.conf, and what is in /etc/dbus-1")
            }
            Trouble::Refused(error) if error.ends_with(".ServiceUnknown") || error.ends_with(".NameHasNoOwner") => {
                ProbeError::new(Reason::Connect, "systemd is not on the system's bus".to_owned())
                    .mend("check that systemd is this system's process 1, and restart dbus")
            }
            Trouble::Refused(error) => {
                ProbeError::new(Reason::Protocol, format!("systemd does not answer the question: {error}"))
                    .mend("check its version: it takes 230 or newer")
            }
        }
    }
}

impl Line {
    async fn open(path: &Path) -> Result<Line, Trouble> {
        let stream = UnixStream::connect(path).await?;
        let mut line = Line { stream, serial: 0, bytes: Vec::new() };
        line.stream.write_all(GREETING).await?;
        for expected in ["DATA", "OK "] {
            if !line.greeting().await?.starts_with(expected.as_bytes()) {
                return Err(Trouble::Odd);
            }
        }
        match line.call(HELLO, &[], |_| Some(())).await {
            Ok(()) => Ok(line),
            Err(Trouble::Line(_)) => Err(Trouble::HungUp),
            Err(trouble) => Err(trouble),
        }
    }

    /// A line of the greeting, byte by byte: what comes after it is a message's.
    async fn greeting(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n") {
            if said.len() == GREETED {
                return Err(Trouble::Odd);
            }
            said.push(self.stream.read_u8().await?);
        }
        Ok(said)
    }

    async fn call<T>(
        &mut self,
        call: Call<'_>,
        arguments: &[u8],
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<T, Trouble> {
        self.serial = self.serial.wrapping_add(1).max(1);
        let asked = call.encode(self.serial, arguments).map_err(|_| Trouble::Odd)?;
        self.stream.write_all(&asked).await?;
        loop {
            self.receive().await?;
            let message = parse(&self.bytes).ok_or(Trouble::Odd)?;
            if message.answers != self.serial {
                continue;
            }
            return match message.error {
                Some(error) => Err(Trouble::Refused(error.to_owned())),
                None => read(&message).ok_or(Trouble::Odd),
            };
        }
    }

    async fn receive(&mut self) -> Result<(), Trouble> {
        let mut fixed = [0; FIXED];
        self.stream.read_exact(&mut fixed).await?;
        let length = parse_length(&fixed).ok_or(Trouble::Odd)?;
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.extend(fixed);
        self.bytes.resize(length, 0);
        self.stream.read_exact(self.bytes.get_mut(FIXED..).unwrap_or_default()).await?;
        Ok(())
    }
}
