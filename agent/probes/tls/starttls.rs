//! How a server that begins in plain text is asked for TLS.

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::probes::{ProbeError, Reason};

/// The most that is read before TLS begins, in bytes.
const LIMIT: u64 = 16 << 10;

/// The most of an answer that a message shows, in characters.
const SHOWN: usize = 80;

/// PostgreSQL's `SSLRequest`: its length, and 80877103 (Frontend/Backend Protocol, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// LDAP's request to begin TLS: number 1, an extended request for 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14.1).
const LDAP_REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Starttls {
    /// Mail, RFC 3207.
    Smtp,
    /// Mailboxes, RFC 9051, 6.2.1.
    Imap,
    /// Mailboxes, RFC 2595, section 4.
    Pop3,
    /// Directories, RFC 4511.
    Ldap,
    /// PostgreSQL.
    Postgres,
}

impl Starttls {
    /// Asks for TLS: what comes next on the stream is the handshake.
    ///
    /// # Errors
    /// [`Reason::Tls`] where the server speaks this and has no TLS, [`Reason::Protocol`] where it speaks something else.
    pub(super) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(self, stream: &mut S) -> Result<(), ProbeError> {
        let mut talk = Talk { stream: BufReader::new(stream.take(LIMIT)) };
        match self {
            Starttls::Smtp => {
                talk.smtp("220").await?;
                talk.say(b"EHLO vigie\r\n").await?;
                let offers = talk.smtp("250").await?;
                if !offers.iter().any(|line| line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case("STARTTLS"))) {
                    return Err(no_tls("the server offers no STARTTLS".to_owned()));
                }
                talk.say(b"STARTTLS\r\n").await?;
                talk.smtp("220").await?;
            }
            Starttls::Imap => {
                talk.begins("* OK").await?;
                talk.say(b"a STARTTLS\r\n").await?;
                let mut line = talk.line().await?;
                while line.starts_with("* ") {
                    line = talk.line().await?;
                }
                if !line.starts_with("a OK") {
                    return Err(refused("a OK", &line));
                }
            }
            Starttls::Pop3 => {
                talk.begins("+OK").await?;
                talk.say(b"STLS\r\n").await?;
                talk.begins("+OK").await?;
            }
            Starttls::Ldap => {
                talk.say(LDAP_REQUEST).await?;
                talk.ldap().await?;
            }
            Starttls::Postgres => {
                talk.say(&SSL_REQUEST).await?;
                match talk.byte().await? {
                    b'S' => {}
                    b'N' => return Err(no_tls("PostgreSQL has no TLS here (ssl = off)".to_owned())),
                    byte => return Err(odd(format!("expected S or N of PostgreSQL, found {:?}", char::from(byte)))),
                }
            }
        }
        talk.end()
    }
}

fn no_tls(message: String) -> ProbeError {
    ProbeError::new(Reason::Tls, message).mend("switch TLS on there, and check its certificate and key")
}

fn odd(message: String) -> ProbeError {
    ProbeError::new(Reason::Protocol, message)
}

fn broken(error: &std::io::Error) -> ProbeError {
    odd(format!("the connection broke before TLS began: {error}"))
}

/// The conversation in plain text.
struct Talk<R> {
    stream: BufReader<R>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<tokio::io::Take<&mut S>> {
    async fn say(&mut self, text: &[u8]) -> Result<(), ProbeError> {
        let stream = self.stream.get_mut().get_mut();
        stream.write_all(text).await.map_err(|error| broken(&error))?;
        stream.flush().await.map_err(|error| broken(&error))
    }

    async fn line(&mut self) -> Result<String, ProbeError> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.map_err(|error| broken(&error))?;
        match line.strip_suffix(b"\n") {
            Some(line) => Ok(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()),
            None => Err(odd(match line.is_empty() {
                true => "the connection was closed before TLS began".to_owned(),
                false => format!("a line without an end before TLS began: {}", shown(&String::from_utf8_lossy(&line))),
            })),
        }
    }

    async fn byte(&mut self) -> Result<u8, ProbeError> {
        self.stream.read_u8().await.map_err(|error| broken(&error))
    }

    async fn begins(&mut self, with: &str) -> Result<(), ProbeError> {
        let line = self.line().await?;
        if line.starts_with(with) { Ok(()) } else { Err(refused(with, &line)) }
    }

    /// A reply of SMTP, which may have several lines: `250-…`, and `250 …` at the end (RFC 5321, 4.2.1).
    async fn smtp(&mut self, code: &str) -> Result<Vec<String>, ProbeError> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            if !line.starts_with(code) {
                return Err(refused(code, &line));
            }
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                return Ok(lines);
            }
        }
    }

    /// LDAP's answer, of which the result code is wanted: `30 length 02 01 01 78 length 0a 01 CODE …` (RFC 4511, 4.12).
    async fn ldap(&mut self) -> Result<(), ProbeError> {
        let length = match (self.byte().await?, self.byte().await?) {
            (0x30, length @ 0..=0x7f) => usize::from(length),
            (0x30, 0x81) => usize::from(self.byte().await?),
            (0x30, 0x82) => usize::from(self.byte().await?) << 8 | usize::from(self.byte().await?),
            (tag, _) => return Err(odd(format!("expected an answer of LDAP, found a byte {tag:#04x}"))),
        };
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await.map_err(|error| broken(&error))?;
        let response = answer.get(3..).filter(|_| answer.starts_with(&[2, 1, 1]));
        let result = response.and_then(|response| match response {
            [0x78, 0x82, _, _, result @ ..] | [0x78, 0x81, _, result @ ..] | [0x78, _, result @ ..] => Some(result),
            _ => None,
        });
        match result {
            Some([0x0a, 1, 0, ..]) => Ok(()),
            Some([0x0a, 1, code, ..]) => Err(no_tls(format!("the directory refuses StartTLS with code {code}"))),
            _ => Err(odd("expected an extended response of LDAP, found another".to_owned())),
        }
    }

    /// What was said in plain text and not asked for would be taken for what is said over TLS.
    fn end(self) -> Result<(), ProbeError> {
        match self.stream.buffer() {
            [] => Ok(()),
            _ => Err(odd("the server says more in plain text where TLS should begin".to_owned())),
        }
    }
}

fn refused(expected: &str, line: &str) -> ProbeError {
    let message = format!("expected {expected:?} before TLS, found {}", shown(line));
    odd(message).mend("check that this is what the server speaks, and its log")
}

fn shown(line: &str) -> String {
    format!("{:?}", line.chars().take(SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(starttls: Starttls, said: &[u8]) -> Result<(), ProbeError> {
        let (mut here, mut there) = tokio::io::duplex(64 << 10);
        there.write_all(said).await.unwrap();
        there.shutdown().await.unwrap();
        starttls.begin(&mut here).await
    }

    #[tokio::test]
    async fn each_protocol_is_asked_in_its_own_words() {
        for (starttls, said) in [
            (Starttls::Smtp, &b"220-a\r\n220 mail\r\n250-mail\r\n250-STARTTLS\r\n250 8BITMIME\r\n220 go\r\n"[..]),
            (Starttls::Imap, b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n* CAPABILITY x\r\na OK begin\r\n"),
            (Starttls::Pop3, b"+OK ready\r\n+OK begin\r\n"),
            (Starttls::Ldap, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
            (Starttls::Postgres, b"S"),
        ] {
            assert_eq!(asked(starttls, said).await, Ok(()), "{starttls:?}");
            let more = [said, b"x\r\n"].concat();
            assert_eq!(asked(starttls, &more).await.unwrap_err().reason, Reason::Protocol, "{starttls:?}");
            for cut in 0..said.len() {
                assert!(asked(starttls, &said[..cut]).await.is_err(), "{starttls:?} {cut}");
            }
        }
    }

    #[tokio::test]
    async fn who_refuses_is_told_from_who_speaks_otherwise() {
        for (starttls, said, reason, message) in [
            (Starttls::Smtp, &b"220 mail\r\n250 mail\r\n"[..], Reason::Tls, "offers no STARTTLS"),
            (Starttls::Smtp, b"554 go away\r\n", Reason::Protocol, "found \"554 go away\""),
            (Starttls::Imap, b"* OK x\r\na BAD what\r\n", Reason::Protocol, "found \"a BAD what\""),
            (Starttls::Pop3, b"+OK\r\n-ERR no\r\n", Reason::Protocol, "found \"-ERR no\""),
            (Starttls::Ldap, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00", Reason::Tls, "with code 2"),
            (Starttls::Ldap, b"HTTP/1.1 400", Reason::Protocol, "a byte 0x48"),
            (Starttls::Postgres, b"N", Reason::Tls, "ssl = off"),
            (Starttls::Postgres, b"E", Reason::Protocol, "found 'E'"),
        ] {
            let error = asked(starttls, said).await.unwrap_err();
            assert!(error.reason == reason && error.message.contains(message), "{starttls:?} {error}");
        }
        let endless = vec![b'x'; 60_000];
        assert!(asked(Starttls::Smtp, &endless).await.unwrap_err().message.len() < 200);
    }
}
