//! Why a probe failed: a reason from a closed list, and a sentence for a person.

use std::io;

use crate::samplers::SampleError;

/// Why a check failed. The list is closed: each reason is a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The name has no address, or nobody answers for it.
    Dns,
    /// The target cannot be connected to.
    Connect,
    /// The connection is not safe, or not as safe as it must be.
    Tls,
    /// It took too long.
    Timeout,
    /// The target wants to know who asks.
    Auth,
    /// The target takes no more connections.
    Full,
    /// The target speaks otherwise than it should.
    Protocol,
    /// The target says that it is not well: a status or a code that is not expected.
    Status,
    /// A header is not as expected.
    Header,
    /// The content of the answer is not as expected.
    Body,
    /// Redirected too often, or to where nobody should go.
    Redirect,
    /// What is looked for is not there.
    Absent,
    /// It is older than it may be.
    Age,
    /// It is smaller or larger than it may be.
    Size,
    /// There are fewer or more than there may be.
    Count,
    /// It is there, and not in the state it should be in.
    State,
    /// This host does not let us ask.
    Permission,
    /// The probe itself is at fault.
    Internal,
}

impl Reason {
    /// The word for it: the label `reason`.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::Dns => "dns",
            Reason::Connect => "connect",
            Reason::Tls => "tls",
            Reason::Timeout => "timeout",
            Reason::Auth => "auth",
            Reason::Full => "full",
            Reason::Protocol => "protocol",
            Reason::Status => "status",
            Reason::Header => "header",
            Reason::Body => "body",
            Reason::Redirect => "redirect",
            Reason::Absent => "absent",
            Reason::Age => "age",
            Reason::Size => "size",
            Reason::Count => "count",
            Reason::State => "state",
            Reason::Permission => "permission",
            Reason::Internal => "internal",
        }
    }

    /// What to look at, where the probe knows nothing better.
    const fn remedy(self) -> &'static str {
        match self {
            Reason::Dns => "check the name, and the servers in /etc/resolv.conf",
            Reason::Connect => "check that the service runs, where it listens, and the firewall between",
            Reason::Tls => "check the certificate, its names and dates, and the authority",
            Reason::Timeout => "check the load of the target and the way to it, or raise `timeout`",
            Reason::Auth => "check the name, the password or the token",
            Reason::Full => "find who holds the connections, or raise the limit of the target",
            Reason::Protocol => "check that the right service listens there",
            Reason::Status => "check the target's log",
            Reason::Header | Reason::Body => "check what the target sends, or what is expected of it",
            Reason::Redirect => "check where the target redirects to",
            Reason::Absent => "check that it was made, and how it is called",
            Reason::Age | Reason::Size => "check what should have written it",
            Reason::Count | Reason::State => "check why it is so, or what is expected",
            Reason::Permission => "check what this user may do",
            Reason::Internal => "tell vigie's authors",
        }
    }
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProbeError {
    /// Which of the reasons.
    pub reason: Reason,
    /// The sentence for a person: the thing, and what was expected of it.
    pub message: String,
    remedy: Option<String>,
}

impl ProbeError {
    /// A failure for this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> ProbeError {
        ProbeError { reason, message: message.into(), remedy: None }
    }

    /// The same, where it is known what mends it.
    pub fn mend(mut self, remedy: impl Into<String>) -> ProbeError {
        self.remedy = Some(remedy.into());
        self
    }

    /// What mends it, or what to look at.
    pub fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or(self.reason.remedy())
    }

    /// A socket that cannot be opened, or that cannot be connected to `target`.
    pub fn connect(target: &str, error: &io::Error) -> ProbeError {
        match error.kind() {
            // The kernel's own patience ended before ours.
            io::ErrorKind::TimedOut => ProbeError::new(Reason::Timeout, format!("cannot connect to {target}: {error}")),
            io::ErrorKind::PermissionDenied => {
                ProbeError::new(Reason::Permission, format!("may not connect to {target}: {error}"))
            }
            _ => ProbeError::new(Reason::Connect, format!("cannot connect to {target}: {error}")),
        }
    }
}

impl From<SampleError> for ProbeError {
    fn from(error: SampleError) -> ProbeError {
        let reason = match &error {
            SampleError::Absent(_) => Reason::Absent,
            SampleError::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Reason::Permission,
            SampleError::Read { .. } | SampleError::Call { .. } => Reason::State,
            SampleError::Parse { .. } | SampleError::Other(_) => Reason::Internal,
        };
        ProbeError::new(reason, error.to_string())
    }
}
