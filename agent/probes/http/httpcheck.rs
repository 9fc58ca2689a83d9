//! The same check in the words of the Collector's receiver `httpcheck` (its `metadata.yaml`), for who speaks those.

use std::time::Duration;

use crate::metric::{Kind, Label, Metric, Since, Unit};
use crate::probes::{KIND, PROBE, Report, TARGET};
use crate::snapshot::Labels;

const URL: Label = TARGET.otel("http.url");

static STATUS: Metric = Metric::otel_only(
    Kind::Gauge,
    "httpcheck.status",
    Unit::One,
    "Whether the last answer's status is of the class; each class has a point.",
)
.labels(&[
    PROBE,
    KIND,
    URL,
    Label::new("method").otel("http.method"),
    Label::new("status_code").otel_int("http.status_code"),
    Label::new("status_class").otel("http.status_class"),
])
.otel_up_down("httpcheck.status")
.since(Since::Agent);
static DURATION: Metric =
    Metric::otel_only(Kind::Gauge, "httpcheck.duration", Unit::Of("ms"), "How long the last check took.")
        .labels(&[PROBE, KIND, URL]);
static ERROR: Metric =
    Metric::otel_only(Kind::Gauge, "httpcheck.error", Unit::Of("{error}"), "Why the last check got no answer.")
        .labels(&[PROBE, KIND, URL, Label::new("reason").otel("error.message")])
        .otel_up_down("httpcheck.error")
        .since(Since::Agent);

pub(super) const TOLD: [&Metric; 3] = [&STATUS, &DURATION, &ERROR];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The labels of one probe's series, born when the target first answers so.
#[derive(Default)]
pub(super) struct Series {
    status: Option<(u16, [Labels; 5])>,
    error: Option<(&'static str, Labels)>,
}

impl Series {
    /// Writes of a check that was answered with this status, or with none for this reason.
    pub(super) fn tell(
        &mut self,
        report: &mut Report,
        method: &str,
        status: u16,
        reason: &'static str,
        took: Duration,
    ) {
        report.put(&DURATION, i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
        if status == 0 {
            if self.error.as_ref().is_none_or(|(known, _)| *known != reason) {
                self.error = Some((reason, report.labels(&[("reason", reason)])));
            }
            self.error.iter().for_each(|(_, labels)| report.put_with(&ERROR, labels, true));
            return;
        }
        if self.status.as_ref().is_none_or(|(known, _)| *known != status) {
            let code = status.to_string();
            let labels = |class| [("method", method), ("status_code", &code), ("status_class", class)];
            self.status = Some((status, CLASSES.map(|class| report.labels(&labels(class)))));
        }
        for (class, labels) in (1..).zip(self.status.iter().flat_map(|(_, labels)| labels)) {
            report.put_with(&STATUS, labels, status / 100 == class);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::Reading;

    fn told(series: &mut Series, status: u16, reason: &'static str) -> Vec<String> {
        let mut report = Report::new(Arc::new(Reading::default()), &Labels::new(&[("target", "http://x/")]));
        series.tell(&mut report, "GET", status, reason, Duration::from_millis(7));
        let reading = report.into_reading();
        let points = reading.families().flat_map(|family| family.points().iter().map(move |point| (family, point)));
        let told =
            points.map(|(family, point)| format!("{} {} {:?}", family.metric.name, point.labels.page(), point.value));
        told.collect()
    }

    #[test]
    fn each_class_has_a_point_and_no_answer_has_a_reason() {
        let mut series = Series::default();
        let answered = told(&mut series, 404, "status");
        assert_eq!(answered.len(), 6);
        assert_eq!(answered[0], "httpcheck.duration target=\"http://x/\" Int(7)");
        let point = |class: &str, value: u8| {
            format!(
                "httpcheck.status target=\"http://x/\",method=\"GET\",status_code=\"404\",status_class=\"{class}\" Int({value})"
            )
        };
        assert_eq!((&answered[2], &answered[4]), (&point("2xx", 0), &point("4xx", 1)));
        let silent = told(&mut series, 0, "timeout");
        assert_eq!(silent[1..], ["httpcheck.error target=\"http://x/\",reason=\"timeout\" Int(1)"]);
    }
}
