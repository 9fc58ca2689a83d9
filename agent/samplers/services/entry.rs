//! One unit or container: its labels, interned when it is born, and the points that it gives.

use std::sync::Arc;
use std::time::SystemTime;

use super::account::{Account, Io, Kept};
use super::cgroup::Files;
use super::columns::{self, COLUMNS, DEVICE_COLUMNS};
use super::container;
use super::devices::Devices;
use super::files::Number;
use super::hierarchies::Hierarchies;
use super::tree::{is_slice, last};
use crate::samplers::root::{Buffer, Root};
use crate::samplers::unit;
use crate::snapshot::{Labels, Reading};

/// How much of a container's id is its name, as `docker ps` shows it.
const SHORT_ID: usize = 12;

/// A unit, a container, or the scope that is both.
pub(super) struct Entry {
    /// Of its cgroup: another one of the same path is another unit.
    pub(super) inode: u64,
    unit: Option<Unit>,
    container: Option<Called>,
    devices: Vec<Device>,
    silent: u32,
    kept: Option<Kept>,
    /// Whether the devices' names are looked up anew.
    stirred: bool,
}

/// A unit's labels.
struct Unit {
    called: Called,
    info: Labels,
    user: Labels,
    system: Labels,
}

/// What a thing is called: the labels that all of its points have.
struct Called {
    pairs: [(&'static str, String); 2],
    labels: Labels,
    since: Option<SystemTime>,
}

/// A device that it reads or writes.
struct Device {
    number: Number,
    /// Nothing for one that is left out.
    name: Option<Arc<str>>,
    unit: Labels,
    container: Labels,
}

impl Called {
    fn of(pairs: [(&'static str, String); 2], since: Option<SystemTime>) -> Called {
        let [(first, one), (second, two)] = &pairs;
        let labels = Labels::born(&[(first, one), (second, two)], since);
        Called { pairs, labels, since }
    }

    fn with(&self, name: &'static str, value: &str) -> Labels {
        let [(first, one), (second, two)] = &self.pairs;
        Labels::born(&[(first, one), (second, two), (name, value)], self.since)
    }
}

impl Entry {
    /// What the cgroup of that path is; nothing where its name is not admitted. `since` is when it was not there yet, if
    /// somebody looked.
    pub(super) fn born(
        (path, inode): (&str, u64),
        since: Option<SystemTime>,
        admit: impl FnOnce(&str) -> bool,
    ) -> Option<Entry> {
        let unit = Unit::of(path, since);
        let container = unit::place(path).container.map(|container| {
            // An id is hexadecimal; another name is shown whole.
            let hexadecimal =
                container.id.len() > SHORT_ID && container.id.bytes().all(|byte| byte.is_ascii_hexdigit());
            let short = container.id.get(..SHORT_ID).filter(|_| hexadecimal).unwrap_or(container.id);
            Called::of([("id", format!("/{path}")), ("name", short.to_owned())], since)
        });
        let admitted = match (&unit, &container) {
            (Some(Unit { called: Called { pairs: [(_, name), _], .. }, .. }), _)
            | (None, Some(Called { pairs: [_, (_, name)], .. })) => admit(name),
            (None, None) => false,
        };
        admitted.then(|| Entry { inode, unit, container, devices: Vec::new(), silent: 0, kept: None, stirred: false })
    }

    /// Begins a pass; in its turn it forgets what is to be read again.
    pub(super) fn turn(&mut self, now: bool) {
        self.stirred = now;
        if now {
            (self.silent, self.kept) = (0, None);
        }
    }

    /// Its files.
    pub(super) fn files<'a>(
        &'a mut self,
        hierarchies: &'a Hierarchies,
        cgroup: &'a str,
        path: &'a mut String,
        buffer: &'a mut Buffer,
    ) -> Files<'a> {
        let Entry { silent, kept, .. } = self;
        Files { hierarchies, cgroup, path, buffer, silent, kept }
    }

    /// Writes a point for everything that is known of it.
    pub(super) fn put(
        &mut self,
        account: &Account,
        devices: &mut Devices,
        root: &Root,
        buffer: &mut Buffer,
        reading: &mut Reading,
    ) {
        // It went between the listing and the first file.
        if account.cpu.usage_seconds.is_none() && account.memory.current.is_none() && account.tasks.is_none() {
            return;
        }
        if let Some(unit) = &self.unit {
            unit.put(account, reading);
        }
        if let Some(container) = &self.container {
            container::put(account, &container.labels, reading);
        }
        for column in COLUMNS {
            let Some(value) = (column.value)(account) else { continue };
            if let Some(unit) = &self.unit
                && (self.container.is_none() || column.by_systemd)
            {
                reading.put_with(column.unit, &unit.called.labels, value);
            }
            if let Some((container, metric)) = self.container.as_ref().zip(column.container) {
                reading.put_with(metric, &container.labels, value);
            }
        }
        for io in &account.devices {
            self.put_device(io, devices, root, buffer, reading);
        }
    }

    fn put_device(&mut self, io: &Io, devices: &mut Devices, root: &Root, buffer: &mut Buffer, reading: &mut Reading) {
        let known = self.devices.iter().position(|device| device.number == io.device);
        if known.is_none() || self.stirred {
            let name = devices.name(io.device, root, buffer);
            let same = known.and_then(|known| self.devices.get(known)).is_some_and(|device| device.name == name);
            if !same {
                self.devices.retain(|device| device.number != io.device);
                self.devices.push(self.device(io.device, name));
            }
        }
        let Some(device) = self.devices.iter().find(|device| device.number == io.device) else { return };
        if device.name.is_none() {
            return;
        }
        for column in DEVICE_COLUMNS {
            let Some(value) = (column.value)(io) else { continue };
            if self.unit.is_some() {
                reading.put_with(column.unit, &device.unit, value);
            }
            if self.container.is_some() {
                reading.put_with(column.container, &device.container, value);
            }
        }
    }

    fn device(&self, number: Number, name: Option<Arc<str>>) -> Device {
        let none = Labels::none();
        let text = name.as_deref().unwrap_or_default();
        let unit = self.unit.as_ref().map_or(none.clone(), |unit| unit.called.with("device", text));
        let node = format!("/dev/{text}");
        let container = self.container.as_ref().map_or(none, |container| container.with("device", &node));
        Device { number, name, unit, container }
    }
}

impl Unit {
    /// The unit of that path. Units of a user's own systemd may be called as one of the system's, or of another user:
    /// their name has that of the user's systemd before it.
    fn of(path: &str, since: Option<SystemTime>) -> Option<Unit> {
        let place = unit::place(path);
        let slice = is_slice(path);
        let own = place.user_unit.or(slice.then(|| last(path)));
        let name = match (place.unit, own) {
            (Some(manager), Some(own)) => format!("{manager}/{own}"),
            (Some(unit), None) => unit.to_owned(),
            (None, Some(slice)) => slice.to_owned(),
            (None, None) => return None,
        };
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind).to_owned();
        let above = if slice && place.unit.is_none() {
            path.rsplit_once('/').and_then(|(parent, _)| unit::place(parent).slice)
        } else {
            place.slice
        };
        let called = Called::of([("name", name), ("type", kind)], since);
        Some(Unit {
            info: called.with("slice", above.unwrap_or("-.slice")),
            user: called.with("mode", "user"),
            system: called.with("mode", "system"),
            called,
        })
    }

    fn put(&self, account: &Account, reading: &mut Reading) {
        reading.put_with(&columns::INFO, &self.info, true);
        for (labels, seconds) in [(&self.user, account.cpu.user_seconds), (&self.system, account.cpu.system_seconds)] {
            if let Some(seconds) = seconds {
                reading.put_with(&columns::CPU, labels, seconds);
            }
        }
    }
}
