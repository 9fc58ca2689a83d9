//! A unit of systemd that must be active, as systemd itself says over the system's bus (org.freedesktop.systemd1(5)).
//!
//! Anybody may ask: it takes no privilege, and no program is run for it.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::{Ask, Checking, Kind, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::config::quantity;
use bus::{Bus, Trouble};
use message::{Call, Listed};
pub use name::Name;
use state::State;
use told::Told;
use wire::Writer;

mod bus;
pub mod message;
mod name;
mod state;
mod told;
pub mod wire;

/// This kind.
pub static KIND: Kind =
    Kind { name: "unit", metrics: told::METRICS, plans: |options| Plan::each(KIND.name, &options.unit) };

/// The most units that one probe watches.
const UNITS: usize = 100;

/// The most units of which more than the state is asked: each costs systemd two answers.
const DETAILED: usize = 20;

const SYSTEMD: &str = "org.freedesktop.systemd1";

/// `[[probe.unit]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Which unit, or which units.
    pub unit: Name,
    /// The states that are good.
    pub states: Vec<State>,
    /// So many must be in one of them; without it, all that systemd has loaded.
    pub min_count: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    unit: Name,
    states: Option<Vec<State>>,
    min_count: Option<Least>,
}

#[derive(Deserialize)]
struct Least(#[serde(deserialize_with = "quantity::count::<_, 1, 100>")] usize);

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Unit, D::Error> {
        let Written { unit, states, min_count } = Written::deserialize(d)?;
        let states = states.unwrap_or(vec![State::Active]);
        let refused = if states.is_empty() {
            "expected one of `states` at least"
        } else if min_count.is_some() && !unit.is_pattern() {
            "`min_count` is of a pattern such as \"postgresql@*.service\", and `unit` is one unit"
        } else {
            return Ok(Unit { unit, states, min_count: min_count.map(|Least(least)| least) });
        };
        Err(serde::de::Error::custom(refused))
    }
}

impl Ask for Unit {
    fn target(&self) -> String {
        self.unit.to_string()
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        let bus = Bus::of(&setting.root.host.at(""));
        Box::new(Asking { unit: self.clone(), bus, told: Told::new(setting) })
    }
}

struct Asking {
    unit: Unit,
    bus: Arc<Bus>,
    told: Told,
}

/// What systemd says of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    name: String,
    load: String,
    active: String,
    sub: String,
    path: String,
}

impl Asking {
    async fn ask(&mut self, report: &mut Report) -> Result<(), ProbeError> {
        report.doing("asking systemd");
        let mut units = self.units().await.map_err(|trouble| self.bus.explain(&trouble))?;
        units.sort_by(|one, other| one.name.cmp(&other.name));
        self.told.begin();
        for (index, unit) in units.iter().filter(|unit| unit.load != "not-found").enumerate() {
            let (mut restarts, mut since_microseconds) = (None, None);
            if index < DETAILED {
                since_microseconds = self.number(unit, "Unit", "ActiveEnterTimestamp").await?;
                if unit.name.ends_with(".service") {
                    restarts = self.number(unit, "Service", "NRestarts").await?;
                }
            }
            self.told.tell(unit, restarts, since_microseconds, report);
        }
        self.told.end();
        self.unit.judge(&units)
    }

    async fn units(&self) -> Result<Vec<Found>, Trouble> {
        let (mut arguments, name) = (Writer::default(), self.unit.unit.as_str());
        let text = |writer: &mut Writer| writer.text(name);
        let member = if self.unit.unit.is_pattern() {
            // Of any state.
            arguments.array(4, |_| Ok(())).map_err(|_| Trouble::Odd)?;
            "ListUnitsByPatterns"
        } else {
            "ListUnitsByNames"
        };
        arguments.array(4, text).map_err(|_| Trouble::Odd)?;
        let signature = if self.unit.unit.is_pattern() { "asas" } else { "as" };
        let interface = "org.freedesktop.systemd1.Manager";
        let call = Call { destination: SYSTEMD, path: "/org/freedesktop/systemd1", interface, member, signature };
        let found = |listed: &Listed<'_>| Found {
            name: listed.name.to_owned(),
            load: listed.load.to_owned(),
            active: listed.active.to_owned(),
            sub: listed.sub.to_owned(),
            path: listed.path.to_owned(),
        };
        let read = |message: &message::Message<'_>| {
            Some(message::parse_units(message, UNITS + 1)?.iter().map(found).collect::<Vec<_>>())
        };
        self.bus.call(call, &arguments.into_bytes(), read).await
    }

    /// A property that is a number; `None` where this unit or this systemd has none.
    async fn number(&self, unit: &Found, interface: &str, property: &str) -> Result<Option<u64>, ProbeError> {
        let mut arguments = Writer::default();
        let written = arguments.text(&format!("{SYSTEMD}.{interface}")).and_then(|()| arguments.text(property));
        let call = Call {
            destination: SYSTEMD,
            path: &unit.path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            signature: "ss",
        };
        let asked = match written {
            Ok(()) => self.bus.call(call, &arguments.into_bytes(), message::parse_number).await,
            Err(_) => return Ok(None),
        };
        match asked {
            Ok(number) => Ok(Some(number)),
            Err(Trouble::Refused(_)) => Ok(None),
            Err(trouble) => Err(self.bus.explain(&trouble)),
        }
    }
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(self.ask(report))
    }
}

impl Unit {
    fn judge(&self, units: &[Found]) -> Result<(), ProbeError> {
        if units.len() > UNITS {
            let message = format!("more than {UNITS} units are like {}", self.unit);
            return Err(ProbeError::new(Reason::Count, message).mend("write a narrower pattern"));
        }
        let Some(first) = units.iter().find(|unit| unit.load != "not-found") else {
            let message = match self.unit.is_pattern() {
                true => format!("systemd has loaded no unit like {}", self.unit),
                false => format!("systemd knows no unit {}", self.unit),
            };
            return Err(ProbeError::new(Reason::Absent, message)
                .mend("check how it is called with systemctl list-unit-files, and that its package is installed"));
        };
        let bad = |unit: &&Found| !self.states.iter().any(|state| state.includes(&unit.active));
        let good = units.len() - units.iter().filter(bad).count();
        match self.min_count {
            Some(least) if good >= least => return Ok(()),
            None if good == units.len() => return Ok(()),
            _ => {}
        }
        let unit = units.iter().find(bad).unwrap_or(first);
        let expected = self.states.iter().map(|state| state.word()).collect::<Vec<_>>().join(" or ");
        let name = &unit.name;
        let (is, remedy) = match &*unit.load {
            "masked" => ("masked".to_owned(), format!("unmask and start it: systemctl unmask {name}")),
            "loaded" => (
                format!("{} ({})", unit.active, unit.sub),
                format!("look at journalctl -u {name} -e, and systemctl status {name}"),
            ),
            load => (format!("not loaded ({load})"), format!("look at systemctl status {name}")),
        };
        match self.min_count {
            None => Err(ProbeError::new(Reason::State, format!("{name} is {is}, expected {expected}")).mend(remedy)),
            Some(least) => {
                let of = units.len();
                let message = format!(
                    "{good} of {of} units like {} are {expected}, expected at least {least}; {name} is {is}",
                    self.unit
                );
                Err(ProbeError::new(Reason::Count, message).mend(remedy))
            }
        }
    }
}

#[cfg(test)]
mod tests;
