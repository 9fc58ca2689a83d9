//! A port that answers, and what is said there when lines are sent to it.

use std::fmt::Write as _;

use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::address::Address;
use super::connect::Connector;
use super::{Ask, Checking, Kind, LABELS, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::metric::{Metric, Unit};
use crate::samplers::pattern::Pattern;

/// What every probe that looks at an answer says of it.
pub static FAILED_DUE_TO_REGEX: Metric = Metric::gauge(
    "probe_failed_due_to_regex",
    Unit::One,
    "Whether the check failed as the target said something else than expected.",
)
.labels(LABELS);

/// This kind.
pub static KIND: Kind =
    Kind { name: "tcp", metrics: &[&FAILED_DUE_TO_REGEX], plans: |options| Plan::each(KIND.name, &options.tcp) };

/// The most that is read of an answer, in bytes.
const ANSWER_LIMIT: usize = 64 << 10;

/// The most of a line that is looked at, in bytes: one without an end is looked at with each read.
const LINE_LIMIT: usize = 4 << 10;

/// The most of a line that a message shows, in characters.
const SHOWN: usize = 80;

/// `[[probe.tcp]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Where it listens.
    pub address: Address,
    /// What is said, in turn. Without it, a connection is enough.
    #[serde(default)]
    pub script: Vec<Step>,
}

/// One turn: something is sent, then something is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is sent, as it stands.
    pub send: Option<String>,
    /// A line like this is waited for.
    pub expect: Option<Pattern>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    send: Option<String>,
    expect: Option<Pattern>,
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Step, D::Error> {
        let WrittenStep { send, expect } = WrittenStep::deserialize(d)?;
        if send.is_none() && expect.is_none() {
            return Err(serde::de::Error::custom("expected `send`, `expect` or both, found nothing"));
        }
        Ok(Step { send, expect })
    }
}

impl Ask for Tcp {
    fn target(&self) -> String {
        self.address.to_string()
    }

    fn probe(&self, _: &Setting) -> Box<dyn Probe> {
        Box::new(Asking { tcp: self.clone(), connector: Connector::default() })
    }
}

struct Asking {
    tcp: Tcp,
    connector: Connector,
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            let mut stream = self.connector.connect(&self.tcp.address, report).await?;
            // Whoever adds TLS wraps the stream here.
            let said = talk(&mut stream, &self.tcp.script, report).await;
            if !self.tcp.script.is_empty() {
                let unexpected = said.as_ref().is_err_and(|error| error.reason == Reason::Body);
                report.put(&FAILED_DUE_TO_REGEX, unexpected);
            }
            said
        })
    }
}

/// Goes through the script.
///
/// # Errors
/// Where the other side says something else, says too much, or ends before it is done.
pub async fn talk<S>(stream: &mut S, script: &[Step], report: &mut Report) -> Result<(), ProbeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut heard = Heard::default();
    for step in script {
        if let Some(send) = &step.send {
            report.doing("sending");
            let broken = |error| ProbeError::new(Reason::Protocol, format!("the connection broke on sending: {error}"));
            stream.write_all(send.as_bytes()).await.map_err(broken)?;
            stream.flush().await.map_err(broken)?;
        }
        if let Some(expect) = &step.expect {
            report.doing("waiting for the line that is expected");
            heard.wait_for(expect, stream).await?;
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
    async fn wait_for(&mut self, expect: &Pattern, stream: &mut (impl AsyncRead + Unpin)) -> Result<(), ProbeError> {
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
                Err(error) => {
                    return Err(ProbeError::new(Reason::Protocol, format!("the connection broke: {error}")));
                }
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

    fn unexpected(&self, expect: &Pattern, reason: Reason, until: &str) -> ProbeError {
        let mut message = format!("no line like {:?} {until}", expect.as_str());
        if !self.last_line.is_empty() {
            // A String takes every write.
            let _ = write!(message, "; the last was {:?}", self.last_line);
        }
        ProbeError::new(reason, message)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::{Labels, Reading};

    async fn said(bytes: &[u8], expected: &[&str]) -> Result<(), ProbeError> {
        let script: Vec<Step> =
            expected.iter().map(|text| Step { send: None, expect: Some(text.parse().unwrap()) }).collect();
        let (mut here, mut there) = tokio::io::duplex(1 << 20);
        there.write_all(bytes).await.unwrap();
        drop(there);
        talk(&mut here, &script, &mut Report::new(Arc::new(Reading::default()), &Labels::none())).await
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
