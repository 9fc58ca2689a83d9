//! What the server says when it refuses, by SQLSTATE (PostgreSQL's manual, appendix A).

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use super::door::Door;
use crate::probes::{ProbeError, Reason};

/// A statement without an answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The server answered that it will not; the connection is as good as before.
    Statement {
        /// Why: the label `reason`.
        word: &'static str,
        /// In the server's words.
        message: String,
    },
    /// The connection is gone.
    Lost(ProbeError),
}

impl Refusal {
    pub(super) fn of(error: &Error) -> Refusal {
        match error.as_db_error() {
            Some(told) if !fatal(told) => {
                Refusal::Statement { word: word(told.code()), message: told.message().to_owned() }
            }
            Some(told) => {
                let message = format!("the server ended the connection: {}", told.message());
                Refusal::Lost(ProbeError::new(Reason::State, message))
            }
            None => {
                let message = format!("the connection broke: {}", plain(error));
                Refusal::Lost(ProbeError::new(Reason::Protocol, message))
            }
        }
    }
}

fn fatal(told: &DbError) -> bool {
    matches!(told.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

/// Why a statement has no answer, as a word of a closed list.
fn word(code: &SqlState) -> &'static str {
    match code.code() {
        "42501" => "permission",
        "57014" => "timeout",
        "55P03" | "40P01" => "lock",
        // A table, column, function or schema that this version, or this database, does not have.
        "42P01" | "42703" | "42883" | "3F000" | "0A000" => "absent",
        // Such as an extension that is not loaded.
        "55000" => "state",
        "25006" => "read_only",
        _ => "error",
    }
}

/// Why nobody could log in, and what mends it.
pub(super) fn login(error: &Error, door: &Door, database: &str) -> ProbeError {
    let (user, server) = (&door.url.user, &door.url.server);
    let Some(told) = error.as_db_error() else {
        return match plain(error) {
            text if text.contains("password missing") => {
                ProbeError::new(Reason::Auth, format!("{server} wants the password of {user}, and there is none")).mend(
                    "write `password = { file = \"…\" }` or `passfile`, or let pg_hba.conf trust a socket by `peer`",
                )
            }
            text if text.contains("authentication") || text.contains("SASL") || text.contains("SCRAM") => {
                ProbeError::new(Reason::Auth, format!("{server} and this probe do not agree on who asks: {text}"))
                    .mend("use scram-sha-256, md5, peer or a certificate for this user in pg_hba.conf")
            }
            text => ProbeError::new(Reason::Protocol, format!("{server} ended the conversation: {text}")),
        };
    };
    let message = format!("{server} says: {}", told.message());
    let failed = |reason| ProbeError::new(reason, message.clone());
    match told.code().code() {
        "28P01" => failed(Reason::Auth).mend(format!("check the password of {user}, or set it: \\password {user}")),
        "28000" => failed(Reason::Auth).mend(format!(
            "CREATE ROLE \"{user}\" LOGIN; GRANT pg_monitor TO \"{user}\"; and a line for it in pg_hba.conf"
        )),
        "53300" => failed(Reason::Full).mend(
            "find who holds the connections (SELECT * FROM pg_stat_activity), raise max_connections, or give the user \
             one of the reserved ones (PostgreSQL 16: GRANT pg_use_reserved_connections)",
        ),
        "3D000" => failed(Reason::Absent).mend(format!("create {database:?}, or name another database in `url`")),
        "42501" => {
            failed(Reason::Auth).mend(format!("GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\"; as its owner"))
        }
        "57P03" | "57P01" | "57P02" => failed(Reason::State).mend("wait until the server has started or recovered"),
        _ => failed(Reason::Status),
    }
}

/// The innermost cause, which says most.
fn plain(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
