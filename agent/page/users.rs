//! Who may read the page: HTTP basic authentication against bcrypt hashes.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::hmac::{self, HMAC_SHA256, Tag};
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// A bcrypt hash. It has no `Debug`: nobody prints it.
#[derive(Clone)]
pub struct Hash(String);

/// Why a text is no hash. It says nothing of the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHash {
    /// It is something else: the password itself, perhaps.
    #[error("expected a bcrypt hash such as $2y$10$…; make one with: htpasswd -nB NAME")]
    Malformed,
    /// To verify it would take minutes.
    #[error("expected a bcrypt hash of a cost from 4 to {MAX_COST}, found {0}")]
    Cost(u32),
}

/// Each step doubles the work: 10 takes some 50 ms, 14 a second.
const MAX_COST: u32 = 14;

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Hash, NoHash> {
        let text = text.trim();
        // bcrypt cuts the text at fixed bytes.
        if !text.is_ascii() || text.len() != 60 {
            return Err(NoHash::Malformed);
        }
        match text.parse::<bcrypt::HashParts>() {
            Ok(parts) if (4..=MAX_COST).contains(&parts.get_cost()) => Ok(Hash(text.to_owned())),
            Ok(parts) => Err(NoHash::Cost(parts.get_cost())),
            Err(_) => Err(NoHash::Malformed),
        }
    }
}

/// How a request's credentials were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are a user's.
    Known,
    /// They are nobody's, or missing.
    Unknown,
    /// Too many others wait to be verified.
    Busy,
}

/// How long a failure holds up the next verification: guessing gets four tries a second, and a fraction of a CPU.
const PENALTY: Duration = Duration::from_millis(250);
/// How long credentials wait for their turn.
const QUEUE: Duration = Duration::from_secs(2);
/// How often failures are logged.
const QUIET: Duration = Duration::from_secs(60);

/// The users, and the credentials that were found good before.
pub struct Users {
    hashes: BTreeMap<String, Hash>,
    memory: Arc<Memory>,
    /// bcrypt is slow on purpose: one verification at a time, on a thread that blocks nothing.
    turn: Arc<Semaphore>,
}

/// What earlier credentials were.
struct Memory {
    /// Signs good credentials, so that they are known again without being kept. Where the kernel gives no random
    /// bytes there is none, and every request pays for bcrypt.
    key: Option<hmac::Key>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    good: BTreeMap<String, Tag>,
    failures: u64,
    logged: Option<Instant>,
}

impl Users {
    /// Users by name, each with the hash of the password. `None` where there are none: the page is everybody's.
    pub fn new(hashes: BTreeMap<String, Hash>) -> Option<Users> {
        if hashes.is_empty() {
            return None;
        }
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).ok();
        let memory = Arc::new(Memory { key, state: Mutex::default() });
        Some(Users { hashes, memory, turn: Arc::new(Semaphore::new(1)) })
    }

    /// Verifies the value of `Authorization`.
    pub async fn verify(&self, authorization: Option<&HeaderValue>) -> Verdict {
        let Some((user, password)) = authorization.and_then(credentials) else { return Verdict::Unknown };
        if self.memory.knows(&user, &password) {
            return Verdict::Known;
        }
        let Ok(Ok(turn)) = timeout(QUEUE, Arc::clone(&self.turn).acquire_owned()).await else { return Verdict::Busy };
        if self.memory.knows(&user, &password) {
            return Verdict::Known;
        }
        // A name that nobody has costs the same time as one that somebody has.
        let exists = self.hashes.contains_key(&user);
        let hash = self.hashes.get(&user).or_else(|| self.hashes.values().next()).cloned();
        let memory = Arc::clone(&self.memory);
        // A task of its own: when the client goes away, bcrypt works on, and the turn must not pass on before its end.
        let verified = tokio::spawn(async move {
            let _turn = turn;
            let secret = password.clone();
            let right =
                spawn_blocking(move || hash.is_some_and(|hash| bcrypt::verify(secret, &hash.0).unwrap_or(false)));
            if right.await.unwrap_or(false) && exists {
                memory.keep(user, &password);
                return Verdict::Known;
            }
            memory.count_failure();
            sleep(PENALTY).await;
            Verdict::Unknown
        });
        verified.await.unwrap_or(Verdict::Unknown)
    }
}

impl Memory {
    fn knows(&self, user: &str, password: &[u8]) -> bool {
        let state = self.state();
        let good = self.key.as_ref().zip(state.good.get(user));
        good.is_some_and(|(key, tag)| hmac::verify(key, &message(user, password), tag.as_ref()).is_ok())
    }

    fn keep(&self, user: String, password: &[u8]) {
        if let Some(key) = &self.key {
            let tag = hmac::sign(key, &message(&user, password));
            self.state().good.insert(user, tag);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name is not logged: people type passwords into it.
    fn count_failure(&self) {
        let mut state = self.state();
        state.failures += 1;
        if state.logged.is_none_or(|logged| logged.elapsed() >= QUIET) {
            state.logged = Some(Instant::now());
            tracing::warn!(failures = state.failures, "somebody asks for the page with a wrong name or password");
        }
    }
}

/// A user's name has no colon.
fn message(user: &str, password: &[u8]) -> Vec<u8> {
    [user.as_bytes(), b":", password].concat()
}

/// The name and password of `Basic …` (RFC 7617).
fn credentials(authorization: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut user = STANDARD.decode(token.trim()).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((String::from_utf8(user).ok()?, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &str) -> Hash {
        bcrypt::hash(password, 4).unwrap().parse().ok().unwrap()
    }

    fn users() -> Users {
        let hashes = [("prometheus", "secret"), ("grafana", "other")].map(|(name, word)| (name.to_owned(), hash(word)));
        Users::new(hashes.into()).unwrap()
    }

    async fn verdict(users: &Users, credentials: &str) -> Verdict {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        users.verify(Some(&value.parse().unwrap())).await
    }

    #[tokio::test]
    async fn a_user_is_known_by_the_own_password_only() {
        let users = users();
        for _ in 0..2 {
            assert_eq!(verdict(&users, "prometheus:secret").await, Verdict::Known);
            assert_eq!(verdict(&users, "grafana:other").await, Verdict::Known);
            for wrong in ["prometheus:other", "prometheus:", "nobody:secret", ":", "prometheus:secret:"] {
                assert_eq!(verdict(&users, wrong).await, Verdict::Unknown, "{wrong}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_basic_credentials_costs_nothing() {
        let users = users();
        let start = Instant::now();
        for value in ["", "Basic", "Basic !", "Bearer abc", "Basic bm9jb2xvbg==", "Basic /zo="] {
            assert_eq!(users.verify(Some(&value.parse().unwrap())).await, Verdict::Unknown);
        }
        assert_eq!(users.verify(None).await, Verdict::Unknown);
        assert!(start.elapsed() < PENALTY);
    }

    #[tokio::test]
    async fn guessing_is_slow_and_holds_up_nobody_who_is_known() {
        let users = users();
        assert_eq!(verdict(&users, "prometheus:secret").await, Verdict::Known);
        let start = Instant::now();
        let guess = async |word: &str| (verdict(&users, word).await, start.elapsed());
        let (one, two, known) = tokio::join!(guess("a:1"), guess("a:2"), guess("prometheus:secret"));
        assert_eq!((one.0, two.0, known.0), (Verdict::Unknown, Verdict::Unknown, Verdict::Known));
        assert!(one.1.max(two.1) >= PENALTY * 2);
        assert!(known.1 < PENALTY);
    }

    #[tokio::test]
    async fn a_guess_takes_its_turn_though_nobody_waits_for_the_answer() {
        let users = users();
        let start = Instant::now();
        let gone = timeout(Duration::from_millis(1), verdict(&users, "a:1")).await;
        assert!(gone.is_err());
        assert_eq!(verdict(&users, "a:2").await, Verdict::Unknown);
        assert!(start.elapsed() >= PENALTY * 2);
        assert_eq!(users.memory.state().failures, 2);
    }

    #[test]
    fn only_a_bcrypt_hash_is_one() {
        let hash = bcrypt::hash("secret", 4).unwrap();
        let cost = |cost: &str| hash.replacen("$04$", &format!("${cost}$"), 1);
        assert!(cost("10").parse::<Hash>().is_ok());
        assert_eq!(cost("31").parse::<Hash>().err(), Some(NoHash::Cost(31)));
        let no_ascii = format!("$\u{e9}y$10${}", "a".repeat(52));
        for text in ["", "secret", &no_ascii, &cost("xx"), &cost("10").replace('$', "x")] {
            assert_eq!(text.parse::<Hash>().err(), Some(NoHash::Malformed), "{text}");
        }
    }
}
