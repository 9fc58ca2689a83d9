//! Names of block devices, which cgroups tell by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::Number;
use crate::samplers::pattern::Pattern;
use crate::samplers::root::{Buffer, Root};

/// Names that were looked up.
pub(super) struct Devices {
    exclude: Pattern,
    known: BTreeMap<Number, Option<Arc<str>>>,
}

impl Devices {
    /// Without those that `diskstats` leaves out: loop devices foremost, of which every snap has one.
    pub(super) fn new(exclude: Pattern) -> Devices {
        Devices { exclude, known: BTreeMap::new() }
    }

    /// Looks all of them up anew: a number may have gone to another device.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The name, from `/sys/dev/block`; nothing of one that is left out. A device that is not there any more goes by
    /// its number.
    pub(super) fn name(&mut self, number: Number, root: &Root, buffer: &mut Buffer) -> Option<Arc<str>> {
        let Devices { exclude, known } = self;
        let look_up = || {
            let (major, minor) = number;
            let text = root.sys.attribute(&format!("dev/block/{major}:{minor}/uevent"), buffer);
            let name = text.and_then(|text| text.lines().find_map(|line| line.strip_prefix("DEVNAME=")));
            let name: Arc<str> = name.map_or_else(|| format!("{major}:{minor}").into(), Arc::from);
            (!exclude.is_match(&name)).then_some(name)
        };
        known.entry(number).or_insert_with(look_up).clone()
    }
}
