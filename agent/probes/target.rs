//! One `[[probe.KIND]]` of the configuration: what all kinds have, and the kind's own.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::quantity;

/// How long a check may take unless something is said.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// What every probe has, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Its name, one of a kind.
    pub name: String,
    /// How often it asks.
    pub interval: Duration,
    /// The longest that it waits for the whole answer.
    pub timeout: Duration,
    /// So many failures in a row, and it is down.
    pub failures_before_down: u32,
    /// So many successes in a row, and it is up again.
    pub successes_before_up: u32,
}

impl Common {
    /// The keys of these, in the order in which people read them.
    pub const KEYS: &[&str] = &["name", "interval", "timeout", "failures_before_down", "successes_before_up"];

    /// What holds where only the name is written. HAProxy falls after three and rises after two as well.
    pub fn named(name: &str) -> Common {
        Common {
            name: name.to_owned(),
            interval: Duration::from_secs(15),
            timeout: TIMEOUT,
            failures_before_down: 3,
            successes_before_up: 2,
        }
    }
}

/// A probe as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Target<A> {
    /// What all have.
    pub common: Common,
    /// What its kind has.
    pub own: A,
}

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Target<A> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Target<A>, D::Error> {
        d.deserialize_map(Table(PhantomData))
    }
}

struct Table<A>(PhantomData<A>);

impl<'de, A: Deserialize<'de>> Visitor<'de> for Table<A> {
    type Value = Target<A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Target<A>, M::Error> {
        let mut written = Written::default();
        let own = A::deserialize(MapAccessDeserializer::new(Own { map, written: &mut written }))?;
        let name = written.name.ok_or_else(|| M::Error::missing_field("name"))?;
        let default = Common::named(&name);
        let interval = written.interval.unwrap_or(default.interval);
        let common = Common {
            interval,
            timeout: written.timeout.unwrap_or(default.timeout.min(interval)),
            failures_before_down: written.failures_before_down.unwrap_or(default.failures_before_down),
            successes_before_up: written.successes_before_up.unwrap_or(default.successes_before_up),
            name,
        };
        Ok(Target { common, own })
    }
}

/// What was written of what all probes have.
#[derive(Default)]
struct Written {
    name: Option<String>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    failures_before_down: Option<u32>,
    successes_before_up: Option<u32>,
}

#[derive(Deserialize)]
struct Interval(#[serde(deserialize_with = "quantity::duration::<_, 1_000, 3_600_000>")] Duration);

#[derive(Deserialize)]
pub(super) struct Timeout(#[serde(deserialize_with = "quantity::duration::<_, 10, 60_000>")] pub(super) Duration);

#[derive(Deserialize)]
struct Times(#[serde(deserialize_with = "quantity::count::<_, 1, 100>")] usize);

impl Written {
    fn read<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        let times = |map: &mut M| map.next_value::<Times>().map(|Times(times)| u32::try_from(times).ok());
        match key {
            "name" => self.name = Some(map.next_value()?),
            "interval" => self.interval = Some(map.next_value::<Interval>()?.0),
            "timeout" => self.timeout = Some(map.next_value::<Timeout>()?.0),
            "failures_before_down" => self.failures_before_down = times(map)?,
            _ => self.successes_before_up = times(map)?,
        }
        Ok(())
    }
}

/// The table as its kind sees it: what all probes have is taken out on the way.
struct Own<'a, M> {
    map: M,
    written: &'a mut Written,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Own<'_, M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, M::Error> {
        let mut seed = Some(seed);
        loop {
            match self.map.next_key_seed(KeySeed(&mut seed))? {
                None => return Ok(None),
                Some(Key::Own(key)) => return Ok(Some(key)),
                Some(Key::Common(key)) => self.written.read(key, &mut self.map)?,
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, M::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key<T> {
    Common(&'static str),
    Own(T),
}

struct KeySeed<'a, K>(&'a mut Option<K>);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, K> {
    type Value = Key<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Key<K::Value>, D::Error> {
        let written = String::deserialize(d)?;
        if let Some(key) = Common::KEYS.iter().find(|key| **key == written) {
            return Ok(Key::Common(key));
        }
        let seed = self.0.take().ok_or_else(|| D::Error::custom("a key after the last"))?;
        let key: StringDeserializer<D::Error> = written.into_deserializer();
        seed.deserialize(key).map(Key::Own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bell {
        address: String,
        #[serde(default)]
        rings: u8,
    }

    fn read(text: &str) -> Result<Target<Bell>, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_all_have_and_what_one_has_stand_side_by_side() {
        let target = read("rings = 2\nname = 'door'\ntimeout = '1s'\naddress = 'here'\ninterval = '1m'").unwrap();
        let common =
            Common { interval: Duration::from_secs(60), timeout: Duration::from_secs(1), ..Common::named("door") };
        assert_eq!(target, Target { common, own: Bell { address: "here".into(), rings: 2 } });
    }

    #[test]
    fn a_check_that_must_come_often_may_not_take_long() {
        let target = read("name = 'door'\naddress = 'here'\ninterval = '2s'").unwrap();
        assert_eq!(target.common.timeout, Duration::from_secs(2));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert_eq!(read("name = 'door'").unwrap_err(), "missing field `address`");
        assert_eq!(read("address = 'here'").unwrap_err(), "missing field `name`");
        assert!(read("name = 'd'\naddress = 'h'\nring = 1").unwrap_err().contains("`ring`"));
        assert!(read("name = 'd'\naddress = 'h'\nfailures_before_down = 0").unwrap_err().contains("from 1 to 100"));
    }
}
