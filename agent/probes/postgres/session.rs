//! One session of a server: statements that can hurt nobody.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream as _;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_postgres::{CancelToken, Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::door::Door;
use super::refusal::{self, Refusal};
use super::way::{self, Likewise, Way};
use super::wire::{Allowance, Wire, watch};
use crate::metric::MetricRef;
use crate::probes::address::Address;
use crate::probes::connect::{Connector, Stream};
use crate::probes::secure::Secure;
use crate::probes::{ProbeError, Reason, Report};
use crate::snapshot::{Labels, Reading};

/// A statement waits so long for a lock, in milliseconds: whoever holds or wants an exclusive one goes first.
const LOCK_TIMEOUT: u32 = 100;

/// So long the request to cancel may take.
const CANCEL: Duration = Duration::from_secs(2);

/// So long the server has to find the statement that it shall cancel.
const SETTLING: Duration = Duration::from_millis(100);

/// What is asked of each new session.
const FACTS: &str = "SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.version(), \
    pg_catalog.quote_ident(current_user), pg_catalog.pg_backend_pid(), \
    (pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AND pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE'))::int, \
    e.extversion, pg_catalog.quote_ident(n.nspname) \
    FROM (SELECT) one LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'pg_stat_statements' \
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace";

/// What was told of a session when it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `server_version_num`: 150004 is 15.4.
    pub(super) version: u32,
    /// `version()`.
    pub(super) about: String,
    /// Who asks, as SQL writes it.
    pub(super) user: String,
    /// The server's process.
    pub(super) pid: String,
    /// Whether who asks may read all statistics and settings.
    pub(super) monitor: bool,
    /// The version of pg_stat_statements (major, minor) and its schema as SQL writes it, where it is created here.
    pub(super) statements: Option<((u32, u32), String)>,
}

/// A session, and what it takes to end it.
pub(super) struct Session {
    client: Client,
    connection: Connection,
    cancel: CancelToken,
    /// Where the server is, to cancel there, and how that is encrypted.
    peer: Address,
    likewise: Likewise,
    allowance: Allowance,
    /// What stands before every statement.
    limits: String,
    pub(super) facts: Facts,
    pub(super) born: Instant,
    /// What was seen when it was begun.
    beginning: Arc<Reading>,
}

impl Session {
    /// Connects to where `door` leads. `reached` is called when there is a connection, before somebody logs in.
    pub(super) async fn begin(
        door: &Door,
        database: &str,
        statement_timeout: Duration,
        (connector, secure): (&Connector, &mut Secure),
        labels: &Labels,
        reached: impl FnOnce(),
    ) -> Result<Session, ProbeError> {
        let mut config = door.login(database)?;
        let mut report = Report::new(Arc::default(), labels);
        let stream = connector.connect(&door.url.address, &mut report).await?;
        watch(&stream);
        let peer = match &stream {
            Stream::Tcp(tcp) => match tcp.peer_addr() {
                Ok(peer) => Address::Port { host: peer.ip().to_string(), port: peer.port() },
                Err(_) => door.url.address.clone(),
            },
            Stream::Unix(_) => door.url.address.clone(),
        };
        reached();
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (way, likewise) = way::encrypted(stream, door, secure, &mut report).await?;
        let mut session = Session::over(way, &config, (peer, likewise), statement_timeout)
            .await
            .map_err(|error| refusal::login(&error, door, database))?;
        session.learn().await?;
        session.beginning = report.into_reading();
        Ok(session)
    }

    async fn over(
        way: Way,
        config: &Config,
        (peer, likewise): (Address, Likewise),
        statement_timeout: Duration,
    ) -> Result<Session, tokio_postgres::Error> {
        let (wire, allowance) = Wire::new(way);
        let (client, connection) = config.connect_raw(wire, NoTls).await?;
        // The end of a connection is seen by the next statement.
        let connection = Connection(tokio::spawn(async move { drop(connection.await) }).abort_handle());
        let cancel = client.cancel_token();
        let limits = limits(statement_timeout);
        let (facts, beginning) = (Facts::default(), Arc::default());
        Ok(Session {
            client,
            connection,
            cancel,
            peer,
            likewise,
            allowance,
            limits,
            facts,
            born: Instant::now(),
            beginning,
        })
    }

    async fn learn(&mut self) -> Result<(), ProbeError> {
        let mut facts = Facts::default();
        let answer = self.ask(FACTS, |row| {
            let text = |index| text(row, index).unwrap_or_default().to_owned();
            facts.version = text(0).parse().unwrap_or(0);
            (facts.about, facts.user, facts.pid) = (text(1), text(2), text(3));
            facts.monitor = text(4) == "1";
            let (major, minor) = text(5)
                .split_once('.')
                .map_or((0, 0), |(major, minor)| (major.parse().unwrap_or(0), minor.parse().unwrap_or(0)));
            facts.statements = (major > 0).then(|| ((major, minor), text(6)));
        });
        answer.await.map_err(|refusal| match refusal {
            Refusal::Lost(error) => error,
            Refusal::Statement { message, .. } => {
                ProbeError::new(Reason::Status, format!("the server does not say what it is: {message}"))
            }
        })?;
        self.facts = facts;
        if self.facts.version < 120_000 {
            let message = format!("expected PostgreSQL 12 or newer, found {}", self.facts.about);
            return Err(
                ProbeError::new(Reason::Protocol, message).mend("upgrade the server: it gets no fixes any more")
            );
        }
        Ok(())
    }

    /// Asks one statement, with its limits before it. The two are one transaction without a BEGIN, which ends with its
    /// answer or with its error: none can stay open, and behind a pooler nothing of it is left for others.
    ///
    /// # Errors
    /// Also after rows were given.
    pub(super) async fn ask(&self, statement: &str, mut row: impl FnMut(&SimpleQueryRow)) -> Result<(), Refusal> {
        self.allowance.renew();
        let answer = self.client.simple_query_raw(&format!("{};{statement}", self.limits)).await;
        let mut answer = pin!(answer.map_err(|error| Refusal::of(&error))?);
        while let Some(message) = poll_fn(|context| answer.as_mut().poll_next(context)).await {
            if let SimpleQueryMessage::Row(found) = message.map_err(|error| Refusal::of(&error))? {
                row(&found);
            }
        }
        Ok(())
    }

    /// Writes what was seen when it was begun, of the way there.
    pub(super) fn write(&self, reading: &mut Reading) {
        for family in self.beginning.families() {
            if let MetricRef::Static(metric) = family.metric {
                family.points().iter().for_each(|point| reading.put_with(metric, &point.labels, point.value));
            }
        }
    }

    /// Whether the server, or what is between, ended it.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_closed()
    }

    /// Takes back what nobody waits for any more, and waits until the server is done with it: the session is then as
    /// good as before. Nothing if it ended. Until then, it hangs, and must be the only one that does.
    pub(super) async fn recover(self: Box<Session>) -> Option<Box<Session>> {
        let cancelled = async {
            let stream = match &self.peer {
                Address::Port { host, port } => {
                    Stream::Tcp(tokio::net::TcpStream::connect((&**host, *port)).await.ok()?)
                }
                Address::Unix(path) => Stream::Unix(tokio::net::UnixStream::connect(path).await.ok()?),
            };
            let way = way::again(stream, &self.likewise).await.ok()?;
            self.cancel.cancel_query_raw(way, NoTls).await.ok()
        };
        // What did not get there is cancelled by its own timeout.
        if tokio::time::timeout(CANCEL, cancelled).await.is_ok_and(|sent| sent.is_some()) {
            // The server does not answer to it: what is asked next must not be what it ends.
            tokio::time::sleep(SETTLING).await;
        }
        self.allowance.renew();
        self.client.simple_query("").await.ok()?;
        Some(self)
    }

    /// Says goodbye.
    pub(super) fn end(self: Box<Session>) {
        let Session { client, connection, .. } = *self;
        // With nobody left to ask through it, the connection ends by itself, unless the server hangs.
        drop(client);
        tokio::spawn(async move {
            tokio::time::sleep(CANCEL).await;
            drop(connection);
        });
    }
}

/// The task of a connection, which ends with this.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A column of a row; nothing where it is NULL.
pub(super) fn text(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    row.try_get(index).ok().flatten()
}

/// What holds for one statement, as SET LOCAL sets it until the end of its transaction: it changes nothing,
/// takes little time and no lock that anybody waits for, finds nothing but what it names, and runs in one process.
/// `reset_val` of pg_settings still tells what holds for others.
fn limits(statement_timeout: Duration) -> String {
    let statement_timeout = statement_timeout.as_millis().to_string();
    let lock_timeout = LOCK_TIMEOUT.to_string();
    let settings = [
        ("transaction_read_only", "on"),
        ("statement_timeout", &statement_timeout),
        ("lock_timeout", &lock_timeout),
        ("search_path", ""),
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
        // The shortest text that is the number itself.
        ("extra_float_digits", "1"),
    ];
    settings.map(|(name, value)| format!("SET LOCAL {name} = '{value}'")).join(";")
}
