//! The one session that a probe has of a server, from check to check.
//!
//! It is kept, and made anew each hour, as the memory of a server's process grows with what it has seen. A check that is
//! dropped half way leaves a statement on the server: that is cancelled, and until the server is done with it nothing
//! else is asked. However the server hangs, it has this one session of ours to carry, never a second.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::door::Door;
use super::session::Session;
use crate::config::quantity::Human;
use crate::probes::connect::Connector;
use crate::probes::secure::Secure;
use crate::probes::{ProbeError, Reason};
use crate::snapshot::Labels;

/// So long a session is kept.
const LIFE: Duration = Duration::from_secs(3_600);

/// The first wait after a server had no room or let a login hang, and the longest: it has `authentication_timeout`, a
/// minute, for those that hang.
const WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// So long the task of a probe that is gone has to cancel what it asked.
const FAREWELL: Duration = Duration::from_secs(3);

/// A session, or what has become of it.
pub(super) struct Line {
    state: State,
    connector: Connector,
    secure: Secure,
    patience: Patience,
}

#[derive(Default)]
enum State {
    #[default]
    Closed,
    /// Somebody logs in; still so at the next check, that was dropped.
    LoggingIn,
    Open(Box<Session>),
    /// The check before was dropped, and the server is not done with its statement.
    Hangs {
        recovering: Recovering,
        since: Instant,
        pid: String,
    },
}

/// When a server that had no room is asked again.
#[derive(Default)]
struct Patience {
    wait: Duration,
    until: Option<Instant>,
    why: Option<ProbeError>,
}

impl Line {
    /// Connects to nothing yet.
    pub(super) fn new(door: &Door) -> Line {
        let secure = Secure::new(&door.trusted());
        Line { state: State::default(), connector: Connector::default(), secure, patience: Patience::default() }
    }

    /// The session, for as long as it is held. What holds it and is dropped leaves it to be recovered.
    ///
    /// # Errors
    /// Where there is none, or it hangs.
    pub(super) async fn hold(
        &mut self,
        door: &Door,
        database: &str,
        statement_timeout: Duration,
        labels: &Labels,
    ) -> Result<Held<'_>, ProbeError> {
        let session = match self.kept().await? {
            Some(session) => session,
            None => self.begin(door, database, statement_timeout, labels).await?,
        };
        Ok(Held { line: self, session: Some(session) })
    }

    /// The session that is there, if it can be asked.
    async fn kept(&mut self) -> Result<Option<Box<Session>>, ProbeError> {
        match std::mem::take(&mut self.state) {
            State::Closed => Ok(None),
            State::LoggingIn => {
                self.patience.lose(ProbeError::new(Reason::Timeout, "the server let the last login hang"));
                Ok(None)
            }
            State::Open(session) if session.is_over() => Ok(None),
            State::Open(session) => Ok(Some(session)),
            State::Hangs { recovering, since, pid } if !recovering.0.is_finished() => {
                let for_so_long = Human(Duration::from_secs(since.elapsed().as_secs()));
                let message = format!("the statement before this one still hangs on the server, for {for_so_long}");
                self.state = State::Hangs { recovering, since, pid: pid.clone() };
                Err(ProbeError::new(Reason::Timeout, message)
                    .mend(format!("look at the server's process {pid}: it answers neither the statement nor its end")))
            }
            State::Hangs { mut recovering, .. } => {
                let session = (&mut recovering.0).await.ok().flatten();
                Ok(session.filter(|session| !session.is_over()))
            }
        }
    }

    async fn begin(
        &mut self,
        door: &Door,
        database: &str,
        statement_timeout: Duration,
        labels: &Labels,
    ) -> Result<Box<Session>, ProbeError> {
        self.patience.ask()?;
        let Line { state, connector, secure, .. } = self;
        let begun = Session::begin(door, database, statement_timeout, (connector, secure), labels, || {
            *state = State::LoggingIn;
        })
        .await;
        self.state = State::Closed;
        match &begun {
            Err(error) if error.reason == Reason::Full => self.patience.lose(error.clone()),
            _ => self.patience = Patience::default(),
        }
        begun.map(Box::new)
    }
}

impl Patience {
    /// # Errors
    /// Where it is too early to ask again: why, and for how long.
    fn ask(&self) -> Result<(), ProbeError> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        match (left, &self.why) {
            (Some(left), Some(why)) if !left.is_zero() => {
                let left = Human(Duration::from_secs((left + Duration::from_millis(999)).as_secs()));
                let mut error = why.clone();
                error.message = format!("{}; it is left alone for {left}", why.message);
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn lose(&mut self, why: ProbeError) {
        let (first, longest) = WAITS;
        self.wait = (self.wait * 2).clamp(first, longest);
        self.until = Some(Instant::now() + self.wait);
        self.why = Some(why);
    }
}

/// The session while somebody asks.
pub(super) struct Held<'a> {
    line: &'a mut Line,
    session: Option<Box<Session>>,
}

impl Held<'_> {
    /// The session; there is one until it is kept, ended or lost.
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// Keeps it for the next time, unless it is too old.
    pub(super) fn keep(mut self) {
        match self.session.take() {
            Some(session) if session.born.elapsed() >= LIFE => session.end(),
            Some(session) => self.line.state = State::Open(session),
            None => {}
        }
    }

    /// Ends it.
    pub(super) fn end(mut self) {
        if let Some(session) = self.session.take() {
            session.end();
        }
    }

    /// Drops what is gone.
    pub(super) fn lose(mut self) {
        self.session = None;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let pid = session.facts.pid.clone();
        // There is no runtime where all ends.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let recovering = Recovering(runtime.spawn(session.recover()));
        self.line.state = State::Hangs { recovering, since: Instant::now(), pid };
    }
}

/// The task that waits for a server to be done. Where nobody waits for it any more, it has time to cancel, and no more.
struct Recovering(JoinHandle<Option<Box<Session>>>);

impl Drop for Recovering {
    fn drop(&mut self) {
        let task = self.0.abort_handle();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !task.is_finished() {
            runtime.spawn(async move {
                tokio::time::sleep(FAREWELL).await;
                task.abort();
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_without_room_is_asked_less_and_less_often() {
        let mut patience = Patience::default();
        let mut asked = Vec::new();
        let start = Instant::now();
        for _ in 0..200 {
            if patience.ask().is_ok() {
                asked.push(start.elapsed().as_secs());
                patience.lose(ProbeError::new(Reason::Full, "no room"));
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(asked, [0, 5, 15, 35, 75, 135, 195]);
        assert_eq!(patience.ask().unwrap_err().to_string(), "no room; it is left alone for 55s");
    }
}
