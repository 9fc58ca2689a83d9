//! How the series of one server are called: by the probe, the server, and what redis_exporter has.

use crate::metric::Label;
use crate::probes::{PROBE, SERVER, Setting};
use crate::snapshot::Labels;

/// The labels of every series.
pub(super) const LABELS: &[Label] = &[PROBE, SERVER];

/// The labels that all series of one server share.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// Those of a series that has no more.
    pub(super) own: Labels,
}

impl Series {
    pub(super) fn of(setting: &Setting) -> Series {
        Series::named(&setting.probe, &setting.target)
    }

    /// Of the probe `probe`, which asks `server`.
    pub(super) fn named(probe: &str, server: &str) -> Series {
        Series { own: Labels::new(&[("probe", probe), ("server", server)]) }
    }

    /// Interns the labels of a series, `more` after those of all.
    pub(super) fn labels(&self, more: &[(&str, &str)]) -> Labels {
        self.own.with(more)
    }

    /// The same for one sample of a histogram or a summary.
    pub(super) fn part(&self, suffix: &'static str, more: &[(&str, &str)]) -> Labels {
        self.own.part_with(suffix, more)
    }
}
