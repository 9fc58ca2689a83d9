//! The way in: a connection is made, over TLS or not, and whoever asks says who they are.

use std::io;
use std::sync::Arc;

use super::Redis;
use super::link::{Failure, Link};
use super::refusal::refusal;
use super::resp::{Reply, command};
use crate::metric::MetricRef;
use crate::probes::connect::Connector;
use crate::probes::secure::Secure;
use crate::probes::{ProbeError, Reason, Report, Setting};
use crate::snapshot::{Labels, Reading};

/// What the connection is called in CLIENT LIST.
const NAME: &[u8] = b"vigie";

/// Who connects for one probe.
pub(super) struct Door {
    redis: Redis,
    connector: Connector,
    secure: Secure,
    /// The labels that all probes have.
    labels: Labels,
    /// What was seen when the connection was made, of the address and of TLS: true for as long as it is kept.
    seen: Option<Arc<Reading>>,
}

impl Door {
    pub(super) fn new(redis: &Redis, setting: &Setting) -> Door {
        Door {
            redis: redis.clone(),
            connector: Connector::default(),
            secure: Secure::new(&redis.tls),
            labels: setting.labels(&[]),
            seen: None,
        }
    }

    /// As whom the server is asked.
    pub(super) fn user(&self) -> &str {
        self.redis.user()
    }

    /// Makes a connection, and gives it a name.
    pub(super) async fn open(&mut self, report: &mut Report) -> Result<Link, ProbeError> {
        let mut seen = Report::new(Arc::default(), &self.labels);
        report.doing("connecting");
        let opened = self.enter(&mut seen, report).await;
        self.seen = Some(seen.into_reading());
        if opened.is_err() {
            self.tell(report);
        }
        opened
    }

    async fn enter(&mut self, seen: &mut Report, report: &mut Report) -> Result<Link, ProbeError> {
        let url = &self.redis.url;
        let stream = self.connector.connect(&url.address, seen).await?;
        let mut link = if url.tls {
            report.doing("shaking hands");
            Link::new(self.secure.handshake(stream, url.host(), &[], seen).await?)
        } else {
            Link::new(stream)
        };
        let mut out = Vec::new();
        let mut count = 1;
        if let Some(secret) = &self.redis.password {
            let password = secret.load().map_err(|error| {
                ProbeError::new(Reason::Auth, error.to_string()).mend("put it there, where this user can read it")
            })?;
            // Before version 6 there are no users.
            match self.redis.user() {
                "default" => command(&[b"AUTH", password.expose().as_bytes()], &mut out),
                user => command(&[b"AUTH", user.as_bytes(), password.expose().as_bytes()], &mut out),
            }
            count += 1;
        }
        command(&[b"CLIENT", b"SETNAME", NAME], &mut out);
        report.doing("waiting to be let in");
        let answers = match link.ask(&out, count).await {
            Ok(answers) => answers,
            Err(Failure::Failed(error)) => return Err(error),
            Err(Failure::Closed(why)) => {
                // With TLS 1.3, who is refused for their certificate learns it here.
                let refused = url.tls.then(|| self.secure.tell(url.host(), why.as_ref(), seen)).flatten();
                return Err(refused.unwrap_or_else(|| closed(why.as_ref())));
            }
        };
        // A connection may go by no name: without the right to give it one, or in a server that knows none.
        let harmless = |error: &str| error.starts_with("NOPERM") || error.starts_with("ERR unknown");
        let cut = answers.iter().count() < count;
        for (index, reply) in answers.iter().enumerate() {
            if let Reply::Error(error) = reply
                && (cut || index + 1 < count || !harmless(error))
            {
                return Err(refusal(error, "AUTH", self.redis.user()));
            }
        }
        Ok(link)
    }

    /// Writes what was seen when the connection was made.
    pub(super) fn tell(&self, report: &mut Report) {
        for family in self.seen.iter().flat_map(|seen| seen.families()) {
            if let MetricRef::Static(metric) = family.metric {
                family.points().iter().for_each(|point| report.put_with(metric, &point.labels, point.value));
            }
        }
    }
}

/// The failure of a server that closes the connection and says nothing.
pub(super) fn closed(why: Option<&io::Error>) -> ProbeError {
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    ProbeError::new(Reason::Protocol, format!("the server closed the connection without an answer{why}"))
        .mend("check that Redis listens there, and whether it wants TLS: rediss://")
}
