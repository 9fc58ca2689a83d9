//! A conversation: lines that are sent, and lines that are expected.

use std::fmt::Write as _;
use std::io;

use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::probes::{ProbeError, Reason, Report};
use crate::samplers::pattern::Pattern;

/// The most that is read of an answer, in bytes.
const ANSWER_LIMIT: usize = 64 << 10;

/// The most of a line that is looked at, in bytes: one without an end is looked at with each read.
const LINE_LIMIT: usize = 4 << 10;

/// The most of a line that a message shows, in characters.
const SHOWN: usize = 80;

/// One turn: something is sent, then something is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is sent, as it stands.
    pub send: Option<String>,
    /// A line like this is waited for.
    pub expect: Option<Pattern>,
    /// What comes after it is said over TLS.
    pub starttls: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    send: Option<String>,
    expect: Option<Pattern>,
    #[serde(default)]
    starttls: bool,
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Step, D::Error> {
        let WrittenStep { send, expect, starttls } = WrittenStep::deserialize(d)?;
        if send.is_none() && expect.is_none() && !starttls {
            return Err(serde::de::Error::custom("expected `send`, `expect` or both, found nothing"));
        }
        Ok(Step { send, expect, starttls })
    }
}

/// Why a script was not gone through.
#[derive(Debug)]
pub(super) enum Stopped {
    /// What was said is not what is expected.
    Unexpected(ProbeError),
    /// The stream broke.
    Broken(io::Error),
}

impl From<Stopped> for ProbeError {
    fn from(stopped: Stopped) -> ProbeError {
        match stopped {
            Stopped::Unexpected(error) => error,
            Stopped::Broken(error) => ProbeError::new(Reason::Protocol, format!("the connection broke: {error}")),
        }
    }
}

/// Goes through the script, up to where TLS begins.
///
/// # Errors
/// Where the other side says something else, says too much, or ends before it is done.
pub(super) async fn talk<S>(stream: &mut S, script: &[Step], report: &mut Report) -> Result<(), Stopped>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut heard = Heard::default();
    for step in script {
        if let Some(send) = &step.send {
            report.doing("sending");
            stream.write_all(send.as_bytes()).await.map_err(Stopped::Broken)?;
            stream.flush().await.map_err(Stopped::Broken)?;
        }
        if let Some(expect) = &step.expect {
            report.doing("waiting for the line that is expected");
            heard.wait_for(expect, stream).await?;
        }
        if step.starttls {
            return heard.end();
        }
    }
    Ok(())
}

/// What the other side has said and nobody has looked at yet.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// How much of it was looked at.
    seen: usize,
    /// How much was read in all.
    read: usize,
    last_line: String,
}

impl Heard {
    async fn wait_for(&mut self, expect: &Pattern, stream: &mut (impl AsyncRead + Unpin)) -> Result<(), Stopped> {
        loop {
            if self.find(expect) {
                return Ok(());
            }
            if self.read >= ANSWER_LIMIT {
                return Err(self.unexpected(expect, Reason::Body, "in the first 64 KiB"));
            }
            let mut chunk = [0; 1024];
            match stream.read(&mut chunk).await {
                Ok(0) => {
                    let reason = if self.read == 0 { Reason::Protocol } else { Reason::Body };
                    return Err(self.unexpected(expect, reason, "before the connection was closed"));
                }
                Ok(count) => {
                    self.bytes.drain(..self.seen);
                    self.seen = 0;
                    self.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
                    self.read += count;
                }
                Err(error) => return Err(Stopped::Broken(error)),
            }
        }
    }

    /// Looks through the lines that are there; the last one may go on, as a prompt does not.
    fn find(&mut self, expect: &Pattern) -> bool {
        loop {
            let rest = self.bytes.get(self.seen..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let shown = line.strip_suffix(b"\r").unwrap_or(line);
            let text = String::from_utf8_lossy(shown.get(..LINE_LIMIT).unwrap_or(shown));
            let (length, found) = (line.len(), !line.is_empty() && expect.is_match(&text));
            if !line.is_empty() {
                self.last_line = text.chars().take(SHOWN).collect();
            }
            match end {
                Some(_) => self.seen += length + 1,
                None if found => self.seen += length,
                None => return false,
            }
            if found {
                return true;
            }
        }
    }

    /// What was said in plain text and not asked for would be taken for what is said over TLS.
    fn end(self) -> Result<(), Stopped> {
        match self.bytes.get(self.seen..) {
            None | Some([] | b"\n" | b"\r\n") => Ok(()),
            Some(_) => {
                let message = "the target says more in plain text where TLS should begin";
                let error = ProbeError::new(Reason::Protocol, message);
                Err(Stopped::Unexpected(error.mend("let `expect` match the last line before TLS begins")))
            }
        }
    }

    fn unexpected(&self, expect: &Pattern, reason: Reason, until: &str) -> Stopped {
        let mut message = format!("no line like {:?} {until}", expect.as_str());
        if !self.last_line.is_empty() {
            // A String takes every write.
            let _ = write!(message, "; the last was {:?}", self.last_line);
        }
        Stopped::Unexpected(ProbeError::new(reason, message))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::{Labels, Reading};

    async fn said(bytes: &[u8], expected: &[&str]) -> Result<(), ProbeError> {
        let script: Vec<Step> =
            expected.iter().map(|text| toml::from_str(&format!("expect = '{text}'")).unwrap()).collect();
        let (mut here, mut there) = tokio::io::duplex(1 << 20);
        there.write_all(bytes).await.unwrap();
        drop(there);
        let mut report = Report::new(Arc::new(Reading::default()), &Labels::none());
        talk(&mut here, &script, &mut report).await.map_err(ProbeError::from)
    }

    #[tokio::test]
    async fn lines_are_looked_at_in_turn() {
        assert_eq!(said(b"220 mail\r\n250-a\r\n250 b\r\n", &["^220 mail$", "^250 "]).await, Ok(()));
        let error = said(b"250 b\n220 mail\n", &["^220", "^250"]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no line like \"^250\" before the connection was closed; the last was \"220 mail\""
        );
    }

    #[tokio::test]
    async fn a_prompt_without_an_end_is_a_line() {
        assert_eq!(said(b"Welcome\nlogin: ", &["login: $"]).await, Ok(()));
    }

    #[tokio::test]
    async fn who_says_nothing_or_never_ends_is_told_apart() {
        assert_eq!(said(b"", &["x"]).await.unwrap_err().reason, Reason::Protocol);
        let endless = vec![b'a'; 100_000];
        let error = said(&endless, &["x"]).await.unwrap_err();
        assert_eq!(error.reason, Reason::Body);
        assert!(error.message.len() < 200 && error.message.contains("64 KiB"), "{error}");
    }
}
