//! A question goes there and its answer comes back: as a datagram, or over a stream after its length (RFC 1035, section
//! 4.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::message::{self, Answer, Question};
use crate::probes::{ProbeError, Reason};

/// A socket that only `server` can send to.
pub(super) async fn open(server: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Only the server's datagrams come through, and its host says when nobody listens there.
    socket.connect(server).await?;
    Ok(socket)
}

fn no_message() -> ProbeError {
    ProbeError::new(Reason::Protocol, "what came is no message of DNS")
}

/// Asks over UDP.
pub(super) async fn over_udp(
    socket: &UdpSocket,
    server: SocketAddr,
    question: &Question,
) -> Result<Answer, ProbeError> {
    let broken = |error| ProbeError::connect(&server.to_string(), &error);
    socket.send(&question.encode()).await.map_err(broken)?;
    // Without EDNS no answer is larger (RFC 1035, section 4.2.1); a server that does not care is read too.
    let mut datagram = vec![0; 4096];
    loop {
        let length = socket.recv(&mut datagram).await.map_err(broken)?;
        let answer = message::parse(datagram.get(..length).unwrap_or_default(), question).ok_or_else(no_message)?;
        // Another may be late, or forged.
        if answer.ours {
            return Ok(answer);
        }
    }
}

/// Asks over TCP.
pub(super) async fn over_tcp<S>(stream: &mut S, question: &Question) -> Result<Answer, ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error| ProbeError::new(Reason::Protocol, format!("the connection broke: {error}"));
    let query = question.encode();
    let length = u16::try_from(query.len()).unwrap_or_default();
    stream.write_all(&[&length.to_be_bytes(), query.as_slice()].concat()).await.map_err(broken)?;
    let length = stream.read_u16().await.map_err(broken)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(broken)?;
    let answer = message::parse(&answer, question).ok_or_else(no_message)?;
    if answer.ours { Ok(answer) } else { Err(ProbeError::new(Reason::Protocol, "the answer is to another question")) }
}
