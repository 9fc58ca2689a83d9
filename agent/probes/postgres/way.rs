//! Whether the way to a server is encrypted: SSLRequest and what follows it (PostgreSQL's manual, 53.2.10).

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::door::Door;
use super::url::SslMode;
use crate::probes::address::Address;
use crate::probes::connect::Stream;
use crate::probes::secure::Secure;
use crate::probes::{ProbeError, Reason, Report};
use crate::stream;

/// Eight bytes, of which the last four are the code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A stream as it is spoken over.
pub(super) type Way = Box<dyn stream::Stream>;

/// What it takes to encrypt a second connection like the first.
pub(super) type Likewise = Option<(Arc<ClientConfig>, ServerName<'static>)>;

/// Encrypts the stream as `sslmode` wants it.
///
/// # Errors
/// Where it must be and cannot, or leads to somebody else.
pub(super) async fn encrypted(
    mut stream: Stream,
    door: &Door,
    secure: &mut Secure,
    report: &mut Report,
) -> Result<(Way, Likewise), ProbeError> {
    let Address::Port { host, .. } = &door.url.address else { return Ok((Box::new(stream), None)) };
    if door.url.ssl_mode == SslMode::Disable {
        return Ok((Box::new(stream), None));
    }
    let broke = |error: io::Error| {
        ProbeError::new(Reason::Protocol, format!("{} does not say whether it speaks TLS: {error}", door.url.server))
    };
    if !asked(&mut stream).await.map_err(broke)? {
        if door.url.ssl_mode == SslMode::Prefer {
            return Ok((Box::new(stream), None));
        }
        let (server, mode) = (&door.url.server, door.url.ssl_mode);
        return Err(ProbeError::new(Reason::Tls, format!("{server} does not speak TLS, and sslmode is {mode}"))
            .mend("set `ssl = on` in postgresql.conf, or `?sslmode=disable` where the network is safe"));
    }
    let stream = secure.handshake(stream, host, &[], report).await?;
    let name = door.tls.server_name.as_deref().unwrap_or(host);
    let likewise = secure.config(&[]).ok().zip(ServerName::try_from(name.to_owned()).ok());
    Ok((Box::new(stream), likewise))
}

/// Asks whether the server speaks TLS. No more than one byte is read: what follows must be encrypted.
async fn asked(stream: &mut Stream) -> io::Result<bool> {
    stream.write_all(&SSL_REQUEST).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    match answer {
        [b'S'] => Ok(true),
        [b'N'] => Ok(false),
        [other] => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it answers {:?}", char::from(other)))),
    }
}

/// Encrypts a second connection like the first.
pub(super) async fn again(mut stream: Stream, likewise: &Likewise) -> io::Result<Way> {
    let Some((config, name)) = likewise else { return Ok(Box::new(stream)) };
    if !asked(&mut stream).await? {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), Box::new(stream) as Way).await?;
    Ok(Box::new(stream))
}
