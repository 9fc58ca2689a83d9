//! The one connection to a server: it is kept from check to check, and what is asked goes out at once.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::resp::{self, Malformed, Reply, Scan};
use crate::probes::{ProbeError, Reason};
use crate::stream::Stream;

/// The most that all answers to one round of questions may be, in bytes: many times what a server with every command in
/// use says.
pub(super) const LIMIT: usize = 4 << 20;

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// The most that a message shows of what is no answer, in bytes.
const SHOWN: usize = 60;

/// A connection on which every answer so far was to a question.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    /// Since when it is there.
    pub(super) since: Instant,
}

/// Why there are no answers.
#[derive(Debug)]
pub(super) enum Failure {
    /// The other side closed it, or it broke, before there was any answer.
    Closed(Option<io::Error>),
    /// Anything else.
    Failed(ProbeError),
}

/// The answers to one round of questions.
pub(super) struct Answers {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Link {
    pub(super) fn new(stream: impl Stream + 'static) -> Link {
        Link { stream: Box::new(stream), since: Instant::now() }
    }

    /// Sends `questions`, of which there are `count`, and waits for as many answers. Afterwards, and only if all came, the
    /// connection may be used again.
    pub(super) async fn ask(&mut self, questions: &[u8], count: usize) -> Result<Answers, Failure> {
        // What the server had to say before it closed is still read.
        let sent = match self.stream.write_all(questions).await {
            Ok(()) => self.stream.flush().await,
            broken => broken,
        };
        let mut answers = Answers { bytes: Vec::new(), ends: Vec::with_capacity(count) };
        let (mut at, mut scan) = (0, Scan::default());
        while answers.ends.len() < count {
            let rest = answers.bytes.get(at..).unwrap_or_default();
            match scan.end(rest, LIMIT.saturating_sub(at)) {
                Ok(Some(length)) => {
                    at += length;
                    answers.ends.push(at);
                    scan = Scan::default();
                    if sent.is_err() && rest.first() == Some(&b'-') {
                        break;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(malformed) => return Err(Failure::Failed(otherwise(malformed, rest))),
            }
            answers.bytes.reserve(CHUNK);
            match self.stream.read_buf(&mut answers.bytes).await {
                Ok(0) if answers.ends.is_empty() && answers.bytes.is_empty() => {
                    return Err(Failure::Closed(sent.err()));
                }
                Ok(0) if answers.ends.is_empty() => {
                    return Err(broken_off("the server closed the connection in the middle of an answer"));
                }
                // It said why, and closed.
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if answers.bytes.is_empty() => return Err(Failure::Closed(Some(error))),
                Err(error) => {
                    return Err(broken_off(&format!("the connection broke in the middle of an answer: {error}")));
                }
            }
        }
        match answers.bytes.get(at..) {
            None | Some([]) => Ok(answers),
            Some(_) => Err(broken_off("the server says more than it was asked")),
        }
    }
}

fn broken_off(how: &str) -> Failure {
    Failure::Failed(ProbeError::new(Reason::Protocol, how))
}

/// What to say of bytes that are no answer.
fn otherwise(malformed: Malformed, bytes: &[u8]) -> ProbeError {
    match malformed {
        Malformed::TooLong(length) => {
            let message = format!("an answer of {length} bytes or elements, where {LIMIT} bytes at most are read");
            ProbeError::new(Reason::Size, message)
                .mend("check that a server of Redis listens there, and what it is asked")
        }
        // Alert and handshake, of any version (RFC 8446, section 5.1).
        Malformed::Other if matches!(bytes, [0x15 | 0x16, 3, ..]) => {
            ProbeError::new(Reason::Protocol, "the server speaks TLS").mend("write rediss:// in place of redis://")
        }
        Malformed::Other => {
            let shown = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii();
            ProbeError::new(Reason::Protocol, format!("no answer of Redis, but \"{shown}\""))
                .mend("check that a server of Redis listens there")
        }
    }
}

impl Answers {
    /// Each of them, in the order of the questions; fewer where the server closed the connection after an error.
    pub(super) fn iter(&self) -> impl Iterator<Item = Reply<'_>> {
        let begins = std::iter::once(&0).chain(&self.ends);
        begins.zip(&self.ends).map(|(begin, end)| {
            let bytes = self.bytes.get(*begin..*end).unwrap_or_default();
            match resp::parse(bytes, LIMIT) {
                Ok(Some((reply, _))) => reply,
                _ => Reply::Null,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `count` questions to a server that says `said` and closes.
    async fn asked(said: &[u8], count: usize) -> Result<Vec<String>, String> {
        let (here, mut there) = tokio::io::duplex(1 << 20);
        there.write_all(said).await.unwrap();
        there.shutdown().await.unwrap();
        match Link::new(here).ask(b"x", count).await {
            Ok(answers) => Ok(answers.iter().map(|reply| format!("{reply:?}")).collect()),
            Err(Failure::Failed(error)) => Err(format!("{}: {error} → {}", error.reason.word(), error.remedy())),
            Err(Failure::Closed(_)) => Err("closed".to_owned()),
        }
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_questions() {
        assert_eq!(asked(b"+PONG\r\n:7\r\n", 2).await.unwrap(), ["Status(\"PONG\")", "Number(7)"]);
    }

    #[tokio::test]
    async fn who_answers_otherwise_is_told_apart() {
        assert_eq!(asked(b"", 1).await.unwrap_err(), "closed");
        let told = asked(b"HTTP/1.1 400 Bad Request\r\n\r\n", 1).await.unwrap_err();
        assert!(told.starts_with("protocol: no answer of Redis, but \"HTTP/1.1 400"), "{told}");
        let told = asked(b"\x15\x03\x01\x00\x02\x02\x46", 1).await.unwrap_err();
        assert_eq!(told, "protocol: the server speaks TLS → write rediss:// in place of redis://");
        assert_eq!(
            asked(b"+A\r\n+B\r\n", 1).await.unwrap_err(),
            "protocol: the server says more than it was asked → check that the right service listens there"
        );
        assert!(asked(b"$100\r\nabc", 1).await.unwrap_err().contains("in the middle of an answer"));
        assert!(asked(b"$100000000\r\nabc", 1).await.unwrap_err().starts_with("size: an answer of 100000000 bytes"));
    }

    #[tokio::test]
    async fn what_a_server_says_before_it_closes_is_its_answer() {
        assert_eq!(asked(b"-ERR max number of clients reached\r\n", 3).await.unwrap().len(), 1);
    }
}
