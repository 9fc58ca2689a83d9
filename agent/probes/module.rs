//! `[module.KIND.NAME]`: a probe's table without what it asks, which comes with each request to the page.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::value::{self, MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::admission::{Admission, Destination};
use super::target::{Common, TIMEOUT, Timeout};
use super::{Ask, Plan, dns, http, icmp, tcp};

/// A kind whose target may come with a request.
pub trait Aim: Ask {
    /// The key of its table that says who is asked; a module has none.
    const TARGET: &'static str;
    /// What a module has there in its place, and nobody asks; none where the table may lack it.
    const NOWHERE: Option<&'static str>;

    /// The same question to `target`, and where that would go. Whoever is sent on from there goes to whom is admitted.
    ///
    /// # Errors
    /// A sentence, where it is no target of this kind.
    fn aim(&self, target: &str, admitted: &Admitted) -> Result<(Self, Destination), String>;
}

/// Whom others may have asked.
pub type Admitted = Arc<[Admission]>;

/// The modules. Whoever adds a kind adds it here, to [`TARGETS`] and to [`Options::find`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Servers that must answer questions of DNS.
    pub dns: Modules<dns::Dns>,
    /// Servers that must answer a request of HTTP.
    pub http: Modules<http::Http>,
    /// Hosts that must answer a ping.
    pub icmp: Modules<icmp::Icmp>,
    /// Ports that are connected to, and talked to.
    pub tcp: Modules<tcp::Tcp>,
}

/// The kinds, each with the key that its modules lack.
pub static TARGETS: &[(&str, &str)] =
    &[("dns", dns::Dns::TARGET), ("http", http::Http::TARGET), ("icmp", icmp::Icmp::TARGET), ("tcp", tcp::Tcp::TARGET)];

/// What all modules have of what all probes have.
pub const KEYS: &[&str] = &["timeout"];

/// Those of one kind, by name.
pub type Modules<A> = BTreeMap<String, Module<A>>;

/// One module.
#[derive(Clone, Debug, PartialEq)]
pub struct Module<A> {
    /// The longest that it waits for the whole answer; none: as long as whoever asks for it.
    pub timeout: Option<Duration>,
    /// What it asks, of nobody yet.
    pub own: A,
}

/// One check that somebody wants.
pub struct Wanted {
    /// What is asked.
    pub plan: Plan,
    /// Where it goes.
    pub destination: Destination,
    /// The longest that the module waits.
    pub timeout: Option<Duration>,
}

type Aimed = Option<Result<Wanted, String>>;

impl Options {
    /// The check of `target` by the module of a name; nothing where there is none.
    ///
    /// # Errors
    /// A sentence, where it is no target of this module's kind.
    pub fn find(&self, name: &str, target: &str, admitted: &Admitted) -> Aimed {
        let dns = || wanted(dns::KIND.name, &self.dns, name, target, admitted);
        let http = || wanted(http::KIND.name, &self.http, name, target, admitted);
        let icmp = || wanted(icmp::KIND.name, &self.icmp, name, target, admitted);
        let tcp = || wanted(tcp::KIND.name, &self.tcp, name, target, admitted);
        dns().or_else(http).or_else(icmp).or_else(tcp)
    }

    /// The names of all, in order.
    pub fn names(&self) -> Vec<&str> {
        let Options { dns, http, icmp, tcp } = self;
        let mut names: Vec<&str> =
            dns.keys().chain(http.keys()).chain(icmp.keys()).chain(tcp.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

fn wanted<A: Aim>(kind: &'static str, modules: &Modules<A>, name: &str, target: &str, admitted: &Admitted) -> Aimed {
    let module = modules.get(name)?;
    Some(module.own.aim(target, admitted).map(|(own, destination)| {
        // Without a name, its series have no labels of their own.
        let common = Common { timeout: module.timeout.unwrap_or(TIMEOUT), ..Common::named("") };
        Wanted { plan: Plan::of(kind, common, own), destination, timeout: module.timeout }
    }))
}

/// Reads a target as the configuration would.
///
/// # Errors
/// What the configuration would say of it.
pub fn read<T>(
    target: &str,
    with: impl FnOnce(StrDeserializer<'_, value::Error>) -> Result<T, value::Error>,
) -> Result<T, String> {
    with(target.into_deserializer()).map_err(|error| error.to_string())
}

impl<'de, A: Aim + Deserialize<'de>> Deserialize<'de> for Module<A> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Module<A>, D::Error> {
        d.deserialize_map(Table(PhantomData))
    }
}

struct Table<A>(PhantomData<A>);

impl<'de, A: Aim + Deserialize<'de>> Visitor<'de> for Table<A> {
    type Value = Module<A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Module<A>, M::Error> {
        let mut timeout = None;
        let target = A::NOWHERE.map_or(Place::Past, Place::Key);
        let own = Own { map, key: A::TARGET, target, timeout: &mut timeout };
        let own = A::deserialize(MapAccessDeserializer::new(own))?;
        Ok(Module { timeout, own })
    }
}

/// The table as its kind sees it: with a target, and without what all modules have.
struct Own<'a, M> {
    map: M,
    /// The key of the target, which is not written.
    key: &'static str,
    target: Place,
    timeout: &'a mut Option<Duration>,
}

/// Where we are with the target, which comes first.
#[derive(Clone, Copy)]
enum Place {
    /// Before its key.
    Key(&'static str),
    /// Before its value, which is this.
    Value(&'static str),
    Past,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Own<'_, M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, M::Error> {
        if let Place::Key(nowhere) = self.target {
            self.target = Place::Value(nowhere);
            let key: StrDeserializer<'_, M::Error> = self.key.into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        let mut seed = Some(seed);
        loop {
            match self.map.next_key_seed(KeySeed(&mut seed, self.key))? {
                None => return Ok(None),
                Some(Some(key)) => return Ok(Some(key)),
                Some(None) => *self.timeout = Some(self.map.next_value::<Timeout>()?.0),
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, M::Error> {
        match self.target {
            Place::Value(nowhere) => {
                self.target = Place::Past;
                let nowhere: StrDeserializer<'_, M::Error> = nowhere.into_deserializer();
                seed.deserialize(nowhere)
            }
            _ => self.map.next_value_seed(seed),
        }
    }
}

/// A key of the kind's own; none of its own where all modules have it.
struct KeySeed<'a, K>(&'a mut Option<K>, &'static str);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, K> {
    type Value = Option<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<K::Value>, D::Error> {
        let KeySeed(seed, target) = self;
        let written = String::deserialize(d)?;
        if KEYS.contains(&written.as_str()) {
            return Ok(None);
        }
        if written == target {
            return Err(D::Error::custom(format!(
                "a module has no `{target}`: it comes with each request, as target="
            )));
        }
        let seed = seed.take().ok_or_else(|| D::Error::custom("a key after the last"))?;
        let key: value::StringDeserializer<D::Error> = written.into_deserializer();
        seed.deserialize(key).map(Some)
    }
}
