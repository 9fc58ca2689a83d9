//! One target under watch: it is asked again and again, never twice at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::account::{Account, DURATION, Last, SUCCESS};
use super::order::Order;
use crate::probes::{Common, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::samplers::root::Root;
use crate::snapshot::{Labels, Reading};
use crate::supervisor::source::{lock, text_of};

/// A new target is asked for the first time within this time, however seldom after that.
const FIRST: Duration = Duration::from_secs(5);

/// One target, and what is known of it.
pub(in crate::supervisor) struct Watch {
    pub(super) plan: Plan,
    root: Arc<Root>,
    pub(super) labels: Labels,
    pub(super) account: Mutex<Account>,
    latest: Mutex<Option<Arc<Reading>>>,
}

impl Watch {
    /// A target of which `account` is known already.
    pub(super) fn new(plan: Plan, root: &Arc<Root>, account: Account) -> Watch {
        let (root, labels) = (Arc::clone(root), plan.labels());
        Watch { plan, root, labels, account: Mutex::new(account), latest: Mutex::default() }
    }

    /// What its probe is born into.
    pub(super) fn setting(&self) -> Setting {
        self.plan.setting(&self.root, &self.labels)
    }

    /// What the last check said, unless three more were due since.
    pub(super) fn latest(&self, now: std::time::Instant) -> Option<Arc<Reading>> {
        let period = self.plan.common.interval * lock(&self.account).judgement.stride();
        let latest = lock(&self.latest).as_ref().map(Arc::clone);
        latest.filter(|latest| now.saturating_duration_since(latest.at) <= period * 3)
    }

    /// A copy of what was said last, to be written over: it has the room that is needed, and is there while a check is.
    fn blank(&self) -> Arc<Reading> {
        lock(&self.latest).as_deref().cloned().unwrap_or_default().into()
    }

    /// Asks for ever, at moments that are this probe's own, on a host that is `host`.
    pub(super) async fn run(self: Arc<Watch>, host: Arc<str>, order: Arc<Order>) {
        let mut probe = self.plan.make(&self.setting());
        let interval = self.plan.common.interval;
        let (mut next, mut due) = self.begin(&host, &order);
        drop(host);
        loop {
            tokio::time::sleep_until(next).await;
            // Of its own, and not a part of what is there while the probe waits, as nearly all of them do.
            Box::pin(async {
                let turn = order.turn(next).await;
                tokio::join!(self.check(&mut probe), turn.pass())
            })
            .await;
            let stride = lock(&self.account).judgement.stride();
            // A first check before the own moments begin is beside them.
            if next == due {
                due += interval * stride;
            }
            while due <= Instant::now() {
                due += interval;
            }
            next = due;
        }
    }

    /// When it asks first, and when its own moments begin.
    fn begin(&self, host: &str, order: &Order) -> (Instant, Instant) {
        let Common { name, interval, .. } = &self.plan.common;
        let key = format!("{}/{name}", self.plan.kind);
        let due = order.next(host, &key, *interval);
        (due.min(order.next(host, &key, FIRST.min(*interval))), due)
    }

    /// Asks once, and publishes the answer.
    async fn check(&self, probe: &mut Box<dyn Probe>) {
        let (at, taken) = (Instant::now(), self.root.calls.now());
        let mut report = Report::new(self.blank(), &self.labels);
        if let Some(reading) = report.reading() {
            reading.start(at.into_std(), taken);
        }
        let (answer, panicked) = examine(&mut **probe, &mut report, self.plan.common.timeout).await;
        if panicked {
            *probe = self.plan.make(&self.setting());
        }
        self.publish(report, answer, at, taken);
    }

    /// Counts what a check said, logs where it changed the judgement, and publishes it.
    fn publish(&self, mut report: Report, answer: Result<(), ProbeError>, at: Instant, taken: SystemTime) {
        let took = at.elapsed();
        report.settle();
        for sentence in report.advice() {
            let Plan { common: Common { name: probe, .. }, kind, target, .. } = &self.plan;
            tracing::info!(probe, kind, target, "{sentence}");
        }
        report.put(&SUCCESS, answer.is_ok());
        report.put(&DURATION, took.as_secs_f64());
        if let Some(reading) = report.reading() {
            reading.duration = took;
        }
        let mut account = lock(&self.account);
        let changed = account.judgement.note(answer.is_ok(), &self.plan.common, at);
        let known = account.last.is_some();
        if changed {
            self.log(&answer, account.judgement.failures, known);
        }
        account.count(Last { at: at.into_std(), took, failure: answer.err() }, taken, || self.setting());
        *lock(&self.latest) = Some(report.into_reading());
    }

    fn log(&self, answer: &Result<(), ProbeError>, failures: u32, known: bool) {
        let Plan { common: Common { name: probe, .. }, kind, target, .. } = &self.plan;
        match answer {
            Ok(()) if known => tracing::info!(probe, kind, target, "probe is up again"),
            Ok(()) => tracing::debug!(probe, kind, target, "probe is up"),
            Err(error) => {
                let reason = error.reason.word();
                tracing::warn!(probe, kind, target, reason, failures, %error, "probe is down");
            }
        }
    }
}

/// Asks once, for at most `timeout`. Tells also whether the probe panicked and must be made anew.
async fn examine(probe: &mut dyn Probe, report: &mut Report, timeout: Duration) -> (Result<(), ProbeError>, bool) {
    let asked = {
        let mut checking = probe.check(report);
        let guarded = std::future::poll_fn(move |context| {
            match catch_unwind(AssertUnwindSafe(|| checking.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(answer)) => Poll::Ready(Ok(answer)),
                Err(panic) => Poll::Ready(Err(format!("the probe panicked: {}", text_of(&*panic)))),
            }
        });
        tokio::time::timeout(timeout, guarded).await
    };
    match asked {
        Ok(Ok(answer)) => (answer, false),
        Ok(Err(panic)) => {
            if let Some(reading) = report.reading() {
                let (at, taken) = (reading.at, reading.taken);
                reading.start(at, taken);
            }
            (Err(ProbeError::new(Reason::Internal, panic)), true)
        }
        Err(_) => {
            let mut message = format!("no answer within {}", crate::config::quantity::Human(timeout));
            match report.was_doing() {
                "" => {}
                doing => message = format!("{message}, {doing}"),
            }
            (Err(ProbeError::new(Reason::Timeout, message)), false)
        }
    }
}

/// What one check has said, which is on nobody's account.
pub struct Asked {
    /// Its answer.
    pub answer: Result<(), ProbeError>,
    /// How long it took.
    pub took: Duration,
    /// Everything that it saw, whether it succeeded and how long it took.
    pub reading: Arc<Reading>,
    /// What it was at, each with the time since it began.
    pub log: Vec<(Duration, &'static str)>,
    /// What was advised.
    pub advice: Vec<String>,
}

/// Asks once what `plan` says, for at most `timeout`.
pub async fn ask_once(root: &Arc<Root>, plan: &Plan, timeout: Duration) -> Asked {
    let setting = plan.setting(root, &plan.labels());
    let mut report = Report::new(Arc::default(), &setting.labels);
    report.remember();
    let begun = Instant::now();
    if let Some(reading) = report.reading() {
        reading.start(begun.into_std(), root.calls.now());
    }
    let (answer, _) = examine(&mut *plan.make(&setting), &mut report, timeout).await;
    let took = begun.elapsed();
    report.put(&SUCCESS, answer.is_ok());
    report.put(&DURATION, took.as_secs_f64());
    let log = report.log().iter().map(|(at, what)| (at.saturating_duration_since(begun), *what)).collect();
    let advice = report.advice().to_vec();
    Asked { answer, took, reading: report.into_reading(), log, advice }
}

/// Asks once what `plan` says: the answer, how long it took, and what was advised.
pub async fn probe_once(root: &Arc<Root>, plan: &Plan) -> (Result<(), ProbeError>, Duration, Vec<String>) {
    let Asked { answer, took, advice, .. } = ask_once(root, plan, plan.common.timeout).await;
    (answer, took, advice)
}
