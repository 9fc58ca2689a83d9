//! What is told of units: as node_exporter's systemd collector has it, of those only that somebody asks for.

use super::Found;
use super::state::State;
use crate::metric::{Label, Metric, Since, Unit};
use crate::probes::{KIND, PROBE, Report, Setting, TARGET};
use crate::snapshot::Labels;

const NAME: Label = Label::new("name").otel("systemd.unit.name");

static STATE: Metric = Metric::gauge("vigie_probe_unit_state", Unit::One, "Whether the unit is in this state.")
    .labels(&[PROBE, KIND, TARGET, NAME, Label::new("state").otel("systemd.unit.active_state")])
    .otel("vigie.probe.unit.state");
static RESTARTS: Metric = Metric::counter(
    "vigie_probe_unit_restarts_total",
    Unit::Of("{restart}"),
    "How often systemd has started the service again by itself, since somebody started it.",
)
.labels(&[PROBE, KIND, TARGET, NAME])
.otel("systemd.service.restarts")
.since(Since::Unknown);
static START: Metric = Metric::gauge(
    "vigie_probe_unit_start_time_seconds",
    Unit::Seconds,
    "When the unit became active last, in seconds since 1970.",
)
.labels(&[PROBE, KIND, TARGET, NAME]);

pub(super) static METRICS: &[&Metric] = &[&STATE, &RESTARTS, &START];

/// Writes of units, with labels that are kept as long as the unit is there.
pub(super) struct Told {
    setting: Setting,
    known: Vec<Known>,
}

struct Known {
    name: String,
    own: Labels,
    states: [Labels; 5],
    seen: bool,
}

impl Told {
    pub(super) fn new(setting: &Setting) -> Told {
        Told { setting: setting.clone(), known: Vec::new() }
    }

    pub(super) fn begin(&mut self) {
        self.known.iter_mut().for_each(|known| known.seen = false);
    }

    pub(super) fn end(&mut self) {
        self.known.retain(|known| known.seen);
    }

    pub(super) fn tell(
        &mut self,
        unit: &Found,
        restarts: Option<u64>,
        since_microseconds: Option<u64>,
        report: &mut Report,
    ) {
        let setting = &self.setting;
        let at = self.known.iter().position(|known| known.name == unit.name).unwrap_or_else(|| {
            let name = ("name", &*unit.name);
            let states = State::ALL.map(|state| setting.labels(&[name, ("state", state.word())]));
            let own = setting.labels(&[name]);
            self.known.push(Known { name: unit.name.clone(), own, states, seen: true });
            self.known.len() - 1
        });
        let Some(known) = self.known.get_mut(at) else { return };
        known.seen = true;
        for (state, labels) in State::ALL.iter().zip(&known.states) {
            report.put_with(&STATE, labels, state.includes(&unit.active));
        }
        if let Some(restarts) = restarts {
            report.put_with(&RESTARTS, &known.own, restarts);
        }
        // Never active is 0.
        if let Some(since) = since_microseconds.filter(|since| *since > 0) {
            report.put_with(&START, &known.own, since as f64 / 1e6);
        }
    }
}
