//! One probe, asked by nobody but the bench.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use vigie::probes::{Plan, Probe, Report};
use vigie::snapshot::{Labels, Reading};

use crate::inside::open;

/// A probe without a supervisor, and what it said last.
pub(crate) struct Asked {
    probe: Box<dyn Probe>,
    labels: Labels,
    runtime: tokio::runtime::Runtime,
    pub(crate) reading: Arc<Reading>,
}

impl Asked {
    pub(crate) fn of(plan: &Plan) -> Asked {
        let setting = plan.setting(&Arc::new(open(std::path::Path::new("/"))), &plan.labels());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Asked { probe: plan.make(&setting), labels: setting.labels, runtime, reading: Arc::default() }
    }

    pub(crate) fn check(&mut self) {
        let mut reading = std::mem::take(&mut self.reading);
        Arc::get_mut(&mut reading).expect("nobody else holds it").start(Instant::now(), SystemTime::now());
        let mut said = Report::new(reading, &self.labels);
        self.runtime.block_on(self.probe.check(&mut said)).expect("the target is well");
        self.reading = said.into_reading();
    }
}
