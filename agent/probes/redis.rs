//! Servers of Redis, Valkey and KeyDB, nodes of a cluster, and Sentinels: they answer, and tell how they are.
//!
//! There is one connection to each, which is kept, and everything is asked at once: a check is one round trip. Nothing
//! that is asked changes anything, waits for anything, or takes longer the more data there is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::secure::Tls;
use super::{Ask, Kind, Plan, Probe, Setting};
use crate::config::quantity;
use crate::config::secret::Secret;
use crate::metric::Metric;
use asking::Asking;
use keys::Key;
use url::Url;

mod asking;
mod commands;
mod door;
mod events;
mod fields;
pub mod info;
mod kept;
pub mod keys;
mod link;
mod metrics;
mod options;
mod questions;
mod refusal;
mod replication;
pub mod resp;
mod sentinel;
mod series;
mod streams;
pub mod url;

/// This kind.
pub static KIND: Kind =
    Kind { name: "redis", metrics: &METRICS, plans: |options| Plan::each(KIND.name, &options.redis) };

static METRICS: [&Metric; COUNT] = all();

const COUNT: usize = fields::METRICS.len()
    + metrics::METRICS.len()
    + sentinel::METRICS.len()
    + keys::METRICS.len()
    + streams::METRICS.len();

// Computed by the compiler, which refuses an index that is not there.
#[allow(clippy::indexing_slicing)]
const fn all() -> [&'static Metric; COUNT] {
    let lists: [&[&Metric]; 5] =
        [metrics::METRICS, &fields::METRICS, sentinel::METRICS, keys::METRICS, streams::METRICS];
    let mut all = [metrics::METRICS[0]; COUNT];
    let (mut list, mut at) = (0, 0);
    while list < lists.len() {
        let mut index = 0;
        while index < lists[list].len() {
            all[at] = lists[list][index];
            index += 1;
            at += 1;
        }
        list += 1;
    }
    all
}

/// `[[probe.redis]]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where it listens, and as whom it is asked.
    pub url: Url,
    /// As whom it is asked, where the url has no place for it: over a unix socket.
    pub user: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
    /// What TLS is spoken with, to a url of rediss.
    #[serde(default)]
    pub tls: Tls,
    /// How often it is asked how the durations of each command are spread: to tell that takes a server several times as
    /// long as all the rest.
    #[serde(default = "minute", deserialize_with = "quantity::duration::<_, 0, 3_600_000>")]
    pub latency_interval: Duration,
    /// Keys whose length is told.
    #[serde(default, deserialize_with = "few")]
    pub keys: Vec<Key>,
    /// Streams that are told of.
    #[serde(default, deserialize_with = "few")]
    pub streams: Vec<Key>,
    /// Patterns whose keys are counted, a piece with each check.
    #[serde(default, deserialize_with = "few")]
    pub key_groups: Vec<Key>,
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

/// The most keys, streams or patterns of one server.
const NAMED: usize = 256;

fn few<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Key>, D::Error> {
    let keys = Vec::deserialize(d)?;
    if keys.len() > NAMED {
        return Err(serde::de::Error::custom(format!("expected at most {NAMED}, found {}", keys.len())));
    }
    Ok(keys)
}

impl fmt::Debug for Redis {
    /// Where the secret is, not what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Redis { url, user, password, tls, latency_interval, keys, streams, key_groups } = self;
        let password = password.as_ref().map(Secret::place);
        let mut told = f.debug_struct("Redis");
        told.field("url", url).field("user", user).field("password", &password).field("tls", tls);
        told.field("latency_interval", latency_interval);
        told.field("keys", keys).field("streams", streams).field("key_groups", key_groups).finish()
    }
}

impl Ask for Redis {
    fn target(&self) -> String {
        self.url.address.to_string()
    }

    fn warning(&self) -> Option<&'static str> {
        self.tls.warning().filter(|_| self.url.tls)
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Box::new(Asking::new(self, setting))
    }
}

impl Redis {
    fn user(&self) -> &str {
        self.url.user.as_deref().or(self.user.as_deref()).unwrap_or("default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_password_is_may_be_told_and_not_what_it_is() {
        let written = |password: &str| {
            let redis: Redis = toml::from_str(&format!("url = 'redis://me@cache'\npassword = {password}")).unwrap();
            format!("{redis:?}")
        };
        assert!(!written("'hunter2'").contains("hunter2"));
        assert!(written("{ file = '/etc/vigie/redis' }").contains("file /etc/vigie/redis"));
    }

    #[test]
    fn keys_are_in_the_first_database_unless_another_is_named() {
        let redis: Redis = toml::from_str("url = 'redis://cache'\nkeys = ['a', { db = 2, key = 'b' }]").unwrap();
        let key = |db, key: &str| Key { db, key: key.to_owned() };
        assert_eq!(redis.keys, [key(0, "a"), key(2, "b")]);
        assert!(toml::from_str::<Redis>("url = 'redis://cache'\nkeys = [3]").is_err());
    }
}
