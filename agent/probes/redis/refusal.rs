//! The errors of a server that end a check: what each means, and what mends it.

use super::questions::GRANTS;
use crate::probes::{ProbeError, Reason};

/// The failure that an error of the server means, which was its answer to `question` from `user`.
pub(super) fn refusal(error: &str, question: &str, user: &str) -> ProbeError {
    let word = error.split(' ').next().unwrap_or_default();
    let told = |reason, message: String, remedy: String| ProbeError::new(reason, message).mend(remedy);
    match word {
        "NOAUTH" => told(
            Reason::Auth,
            "the server wants a password".to_owned(),
            "write password = { file = \"…\" }, and the user in the url: redis://user@host".to_owned(),
        ),
        "WRONGPASS" => told(
            Reason::Auth,
            format!("the server refuses the password of {user}, or knows no such user that is on"),
            format!("check the password, and ACL GETUSER {user} on the server"),
        ),
        "NOPERM" => told(Reason::Auth, format!("{user} may not {question}"), format!("ACL SETUSER {user} {GRANTS}")),
        "DENIED" => told(
            Reason::Auth,
            "the server is in protected mode: without a password, it answers to its own host only".to_owned(),
            "set a password on it, or a bind address".to_owned(),
        ),
        "LOADING" => told(
            Reason::State,
            "the server is loading its data, and answers nothing else yet".to_owned(),
            "wait; redis_loading_dump_file tells when it is done".to_owned(),
        ),
        "BUSY" => told(
            Reason::State,
            "the server is busy with a script, and answers nobody".to_owned(),
            "SCRIPT KILL or FUNCTION KILL, or wait; see busy-reply-threshold".to_owned(),
        ),
        "MISCONF" => told(
            Reason::State,
            "the server cannot save its data, and takes no changes".to_owned(),
            "check the disk, the permissions of `dir`, and the server's log".to_owned(),
        ),
        "MASTERDOWN" => told(
            Reason::State,
            "the replica has lost its primary, and serves nothing that may be old".to_owned(),
            "check the primary, and the way to it".to_owned(),
        ),
        _ if error.contains("max number of clients") => told(
            Reason::State,
            "the server takes no more clients".to_owned(),
            "look for who keeps connections (CLIENT LIST), or raise maxclients".to_owned(),
        ),
        _ if error.contains("no password is set") || error.contains("without any password configured") => told(
            Reason::Auth,
            "the server has no password, and one is given".to_owned(),
            "leave `password` out, or set one on the server".to_owned(),
        ),
        _ if error.starts_with("ERR wrong number of arguments for 'auth'") => told(
            Reason::Auth,
            "the server is older than 6 and knows no users".to_owned(),
            "leave the user out of the url".to_owned(),
        ),
        _ if error.starts_with("ERR unknown command") => told(
            Reason::Protocol,
            format!("the server knows no {question}"),
            "take rename-command out of redis.conf, and let an ACL say who may what".to_owned(),
        ),
        _ => {
            let shown: String = error.chars().take(120).filter(|c| !c.is_control()).collect();
            ProbeError::new(Reason::Status, format!("the server answers {question} with {shown:?}"))
        }
    }
}
