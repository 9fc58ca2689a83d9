//! Paging, page faults and the out-of-memory killer, from `/proc/vmstat`.

use std::sync::Arc;

use serde::Deserialize;

use super::born::Born;
use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Kind, Metric, Unit};
use crate::samplers::pattern::Pattern;
use crate::snapshot::{Labels, Reading, Value};

static OOM_KILL: Metric = Metric::counter(
    "node_vmstat_oom_kill",
    Unit::Of("{process}"),
    "Processes that the kernel killed because memory ran out, of the host or of a cgroup.",
)
.untyped();
static PGPGIN: Metric =
    Metric::counter("node_vmstat_pgpgin", Unit::Of("KiBy"), "Kibibytes read from block devices.").untyped();
static PGPGOUT: Metric =
    Metric::counter("node_vmstat_pgpgout", Unit::Of("KiBy"), "Kibibytes written to block devices.").untyped();
static PSWPIN: Metric = Metric::counter("node_vmstat_pswpin", Unit::Of("{page}"), "Pages read back from swap.")
    .untyped()
    .otel("system.paging.operations")
    .otel_unit(Unit::Of("{operation}"))
    .otel_fixed(&[("system.paging.direction", "in"), ("system.paging.fault.type", "major")]);
static PSWPOUT: Metric = Metric::counter("node_vmstat_pswpout", Unit::Of("{page}"), "Pages written to swap.")
    .untyped()
    .otel("system.paging.operations")
    .otel_unit(Unit::Of("{operation}"))
    .otel_fixed(&[("system.paging.direction", "out"), ("system.paging.fault.type", "major")]);
/// Without an OpenTelemetry name: it has the major faults in it.
static PGFAULT: Metric = Metric::counter(
    "node_vmstat_pgfault",
    Unit::Of("{fault}"),
    "Page faults of all processes, those that waited for a disk included.",
)
.untyped();
static PGMAJFAULT: Metric = Metric::counter(
    "node_vmstat_pgmajfault",
    Unit::Of("{fault}"),
    "Page faults that waited for a disk: much of it, and memory is short.",
)
.untyped()
.otel("system.paging.faults")
.otel_fixed(&[("system.paging.fault.type", "major")]);
static MINOR_FAULTS: Metric = Metric::otel_only(
    Kind::Counter,
    "system.paging.faults",
    Unit::Of("{fault}"),
    "Page faults that were served without waiting for a disk.",
)
.otel_fixed(&[("system.paging.fault.type", "minor")]);
/// Any other field that the configuration asks for.
static FIELD: Metric =
    Metric::gauge("node_vmstat_{field}", Unit::One, "The kernel's count of {field}, of the whole host.").untyped();

/// The declaration of `vmstat`.
pub static SAMPLER: Declaration = Declaration {
    name: "vmstat",
    tier: Tier::Standard,
    metrics: &[&OOM_KILL, &PGPGIN, &PGPGOUT, &PSWPIN, &PSWPOUT, &PGFAULT, &PGMAJFAULT, &MINOR_FAULTS, &FIELD],
    build: |samplers| {
        let options = samplers.vmstat.clone();
        Box::new(Vmstat { options, fields: Born::default(), none: Labels::none(), minor: Minor::default() })
    },
};

/// `[samplers.vmstat]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which fields of the file.
    pub fields: Pattern,
}

impl Default for Options {
    fn default() -> Options {
        Options { fields: Pattern::fixed("^(oom_kill|pgpg|pswp|pg.*fault).*") }
    }
}

struct Vmstat {
    options: Options,
    fields: Born<Field>,
    none: Labels,
    minor: Minor,
}

/// Minor faults, which the kernel does not count by themselves.
#[derive(Default)]
struct Minor {
    faults: u64,
    shown: u64,
}

impl Minor {
    /// All faults without the major ones. The kernel sums the two over the CPUs while both move, so that their difference
    /// may step back; the counter stands still then, unless all faults began anew.
    fn of(&mut self, faults: u64, major_faults: u64) -> u64 {
        let minor = faults.saturating_sub(major_faults);
        self.shown = if faults < self.faults { minor } else { minor.max(self.shown) };
        self.faults = faults;
        self.shown
    }
}

/// What becomes of a field: decided once, for the file has the same lines all the time.
enum Field {
    Known(&'static Metric),
    Other(Arc<Metric>),
    Unwanted,
}

impl Sampler for Vmstat {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let Vmstat { options, fields, none, minor } = self;
        let (mut faults, mut major_faults) = (None::<u64>, None::<u64>);
        fields.start();
        root.proc.parse("vmstat", buffer, |text| {
            parse(text, |name, rest| {
                match fields.meet(name, || options.field(name)) {
                    Field::Known(metric) => reading.put(metric, value(&mut rest.clone())?),
                    Field::Other(metric) => reading.put_born(metric, none, value(&mut rest.clone())?),
                    Field::Unwanted => {}
                }
                match name {
                    "pgfault" => faults = Some(rest.number(VALUE)?),
                    "pgmajfault" => major_faults = Some(rest.number(VALUE)?),
                    _ => {}
                }
                Ok(())
            })
        })?;
        if let (Some(faults), Some(major_faults)) = (faults, major_faults) {
            reading.put(&MINOR_FAULTS, minor.of(faults, major_faults));
        }
        Ok(())
    }
}

impl Options {
    fn field(&self, name: &str) -> Field {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !self.fields.is_match(name) || !is_name(name) {
            return Field::Unwanted;
        }
        let known = SAMPLER.metrics.iter().find(|metric| metric.name.strip_prefix("node_vmstat_") == Some(name));
        known.map_or_else(|| Field::Other(FIELD.named(name)), |metric| Field::Known(metric))
    }
}

const VALUE: &str = "the value of a field";

/// Parses lines of a name and a number, of which `each` reads the number where it wants it: a kernel with fields of its
/// maker's may have some that are odd.
pub fn parse<'a>(
    text: &'a str,
    mut each: impl FnMut(&'a str, &mut Fields<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed::new("a line such as pgfault 1", text));
    }
    for line in text.lines() {
        let mut fields = Fields::of(line);
        let name = fields.word("the name of a field")?;
        fields.clone().word(VALUE)?;
        each(name, &mut fields)?;
    }
    Ok(())
}

/// The number of a field, which may be below zero.
fn value(rest: &mut Fields<'_>) -> Result<Value, Malformed> {
    let number: i128 = rest.number(VALUE)?;
    Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers;
    use crate::samplers::host::Host;

    fn page(text: &str, fields: Option<&str>) -> Vec<String> {
        let host = Host::new(&[("proc/vmstat", text)]);
        let mut samplers = samplers::Options::default();
        if let Some(fields) = fields {
            samplers.vmstat = Options { fields: fields.to_owned().try_into().unwrap() };
        }
        host.pass(&mut *(SAMPLER.build)(&samplers)).unwrap()
    }

    #[test]
    fn the_usual_fields_are_those_of_node_exporter() {
        let page = page("nr_free_pages 9\npgpgin 1\npgfree 2\npgfault 30\npgmajfault 4\nthp_fault_alloc 5\n", None);
        let expected =
            ["node_vmstat_pgpgin 1", "node_vmstat_pgfault 30", "node_vmstat_pgmajfault 4", "system.paging.faults 26"];
        assert_eq!(page, expected);
    }

    #[test]
    fn the_configuration_may_ask_for_others() {
        assert_eq!(page("nr_dirty 3\npgpgin 1\n", Some("^nr_")), ["node_vmstat_nr_dirty 3"]);
    }

    #[test]
    fn a_field_that_nobody_asked_for_may_hold_anything() {
        assert_eq!(page("nr_vendor -3\nnr_odd x\npgpgin 1\n", None), ["node_vmstat_pgpgin 1"]);
        assert_eq!(page("nr_vendor -3\nother x\n", Some("^nr_")), ["node_vmstat_nr_vendor -3"]);
    }

    #[test]
    fn minor_faults_never_step_back_unless_all_begin_anew() {
        let mut minor = Minor::default();
        let passes = [(30, 4), (30, 5), (31, 5), (33, 5), (20, 2)];
        assert_eq!(passes.map(|(faults, major)| minor.of(faults, major)), [26, 26, 26, 28, 18]);
    }

    #[test]
    fn a_name_that_no_metric_may_have_is_left_out() {
        assert_eq!(page("a{b}=\"c\" 3\n", Some("")), [""; 0]);
    }

    #[test]
    fn odd_lines_are_refused() {
        let refused = |text| parse(text, |_, rest| value(rest).map(drop)).unwrap_err().to_string();
        assert_eq!(refused("pgpgin"), r#"expected the value of a field in "pgpgin""#);
        assert_eq!(refused("pgpgin x"), r#"expected the value of a field in "pgpgin x""#);
        assert_eq!(refused(""), r#"expected a line such as pgfault 1 in """#);
    }
}
