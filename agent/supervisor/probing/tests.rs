//! Probes that fail, hang, panic, change and go, in a time that passes as fast as nothing happens.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant as Moment, advance, sleep};

use super::*;
use crate::probes::{Ask, Checking, Common, Probe, ProbeError, Reason, Report, Setting};
use crate::snapshot::{Durations, Value};

const MINUTE: Duration = Duration::from_secs(60);

/// What a target does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answers,
    Fails,
    Hangs,
    Panics,
}

/// A target whose mood a test changes, and the moments at which it was asked.
#[derive(Clone)]
struct Actor {
    word: &'static str,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<Moment>>>,
    made: Arc<Mutex<u32>>,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)
    }
}

impl PartialEq for Actor {
    fn eq(&self, other: &Actor) -> bool {
        self.word == other.word
    }
}

impl Ask for Actor {
    fn target(&self) -> String {
        "stage".to_owned()
    }

    fn probe(&self, _: &Setting) -> Box<dyn Probe> {
        *lock(&self.made) += 1;
        Box::new(self.clone())
    }
}

impl Probe for Actor {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async move {
            lock(&self.asked).push(Moment::now());
            report.doing("waiting for the cue");
            let mood = *lock(&self.mood);
            match mood {
                Mood::Answers => Ok(()),
                Mood::Fails => Err(ProbeError::new(Reason::State, "forgot the line")),
                Mood::Hangs => std::future::pending().await,
                Mood::Panics => panic!("of this test"),
            }
        })
    }
}

fn actor(mood: Mood) -> Actor {
    Actor { word: "x", mood: Arc::new(Mutex::new(mood)), asked: Arc::default(), made: Arc::default() }
}

fn plan(name: &str, actor: &Actor) -> Plan {
    Plan::of("actor", Common::named(name), actor.clone())
}

fn speaking(naming: Naming, mut plan: Plan) -> Plan {
    plan.naming = naming;
    plan
}

fn probing() -> Probing {
    let slash = Path::new("/");
    let root = Root::open(&slash.join("proc"), &slash.join("sys"), slash).unwrap();
    Probing::new(&Arc::new(root), "host")
}

fn health(probing: &Probing, name: &str) -> ProbeHealth {
    let found = probing.health(Moment::now().into_std()).into_iter().find(|probe| probe.name == name);
    found.unwrap()
}

/// The values of a metric on the page, with what makes each point its own: its suffix and its last label.
fn told(probing: &Probing, name: &str) -> Vec<(String, Value)> {
    let mut readings = Vec::new();
    probing.tell(Moment::now().into_std(), SystemTime::now(), &mut readings);
    let families = readings.iter().flat_map(|reading| reading.families()).filter(|family| family.metric.name == name);
    let point = |point: &crate::snapshot::Point| {
        let (_, last) = point.labels.pairs().pop().unwrap();
        (format!("{}{last}", point.labels.suffix()), point.value)
    };
    families.flat_map(|family| family.points().iter().map(point)).collect()
}

/// The durations of the only series of a metric.
fn durations(probing: &Probing, name: &str) -> Arc<Durations> {
    let mut readings = Vec::new();
    probing.tell(Moment::now().into_std(), SystemTime::now(), &mut readings);
    let families = readings.iter().flat_map(|reading| reading.families());
    let mut named = families.filter(|family| family.metric.name == name).flat_map(|family| family.distributions());
    Arc::clone(&named.next().unwrap().durations)
}

#[tokio::test(start_paused = true)]
async fn a_target_is_asked_soon_and_then_at_moments_of_its_own() {
    let (probing, actor) = (probing(), actor(Mood::Answers));
    let start = Moment::now();
    probing.keep(vec![plan("a", &actor)]);
    sleep(5 * MINUTE).await;
    let asked = lock(&actor.asked).clone();
    assert!(asked[0] - start <= Duration::from_secs(6), "{:?}", asked[0] - start);
    assert!((20..=22).contains(&asked.len()), "{}", asked.len());
    for pair in asked[1..].windows(2) {
        let apart = pair[1] - pair[0];
        assert!(apart.abs_diff(Duration::from_secs(15)) <= Duration::from_millis(2), "{apart:?}");
    }
    assert_eq!(told(&probing, "probe_success"), [("stage".to_owned(), Value::Int(1))]);
    assert_eq!(health(&probing, "a").up, Some(true));
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_given_up_in_time_and_says_what_it_was_at() {
    let (probing, actor) = (probing(), actor(Mood::Hangs));
    probing.keep(vec![plan("a", &actor)]);
    sleep(MINUTE).await;
    let health = health(&probing, "a");
    assert_eq!((health.up, health.reason), (Some(false), Some("timeout")));
    assert_eq!(health.message.as_deref(), Some("no answer within 5s, waiting for the cue"));
    let took = health.duration_seconds.unwrap();
    assert!((5.0..5.1).contains(&took), "{took}");
    let failures = told(&probing, "vigie_probe_failures_total");
    assert_eq!(failures, [("timeout".to_owned(), Value::Int(health.failures as i64))]);
    let durations = durations(&probing, "vigie_probe_duration_seconds");
    let of = |bound: &str| durations.buckets().find(|(spelled, _)| *spelled == bound).unwrap().1;
    assert_eq!([of("3.0"), of("10.0"), durations.count()], [0, health.failures, health.failures]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_costs_itself_only_and_is_made_anew() {
    let (probing, bad, good) = (probing(), actor(Mood::Panics), actor(Mood::Answers));
    probing.keep(vec![plan("bad", &bad), plan("good", &good)]);
    sleep(MINUTE).await;
    assert_eq!(health(&probing, "bad").message.as_deref(), Some("the probe panicked: of this test"));
    assert_eq!((health(&probing, "bad").up, health(&probing, "good").up), (Some(false), Some(true)));
    assert_eq!(*lock(&bad.made), lock(&bad.asked).len() as u32 + 1);
    *lock(&bad.mood) = Mood::Answers;
    sleep(MINUTE).await;
    assert_eq!(health(&probing, "bad").up, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_reload_leaves_alone_what_did_not_change() {
    let (probing, same, changed, gone) = (probing(), actor(Mood::Fails), actor(Mood::Fails), actor(Mood::Fails));
    probing.keep(vec![plan("gone", &gone), plan("changed", &changed), plan("same", &same)]);
    sleep(MINUTE).await;
    let failures = health(&probing, "changed").failures;
    let other = Actor { word: "y", ..changed.clone() };
    probing.keep(vec![plan("same", &same), plan("changed", &other), plan("new", &actor(Mood::Answers))]);
    assert_eq!((*lock(&same.made), *lock(&changed.made)), (1, 1));
    assert_eq!(health(&probing, "changed").failures, failures);
    assert_eq!(health(&probing, "new").success, None);
    let before = (lock(&gone.asked).len(), lock(&same.asked).len());
    sleep(MINUTE).await;
    assert_eq!(*lock(&changed.made), 2);
    assert_eq!(lock(&gone.asked).len(), before.0);
    assert!(lock(&same.asked).len() >= before.1 + 3);
    assert_eq!(probing.health(Instant::now()).len(), 3);
    probing.stop();
    let after = lock(&same.asked).len();
    sleep(MINUTE).await;
    assert_eq!(lock(&same.asked).len(), after);
}

#[tokio::test(start_paused = true)]
async fn who_speaks_other_names_has_other_probes_and_their_account_stays() {
    let (probing, actor) = (probing(), actor(Mood::Fails));
    for naming in [Naming::Semconv, Naming::Collector, Naming::Collector] {
        probing.keep(vec![speaking(naming, plan("a", &actor))]);
        sleep(MINUTE).await;
    }
    assert_eq!(*lock(&actor.made), 2);
    assert_eq!(health(&probing, "a").failures, lock(&actor.asked).len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_target_long_dead_is_asked_less_often_and_known_to_be_back_within_a_minute() {
    let (probing, actor) = (probing(), actor(Mood::Fails));
    let common = Common { interval: Duration::from_secs(5), ..Common::named("a") };
    probing.keep(vec![Plan::of("actor", common, actor.clone())]);
    sleep(20 * MINUTE).await;
    let asked = lock(&actor.asked).len();
    sleep(10 * MINUTE).await;
    let asked = lock(&actor.asked).len() - asked;
    assert!((11..=14).contains(&asked), "{asked}");
    assert_eq!(told(&probing, "probe_success").len(), 1);
    *lock(&actor.mood) = Mood::Answers;
    sleep(MINUTE).await;
    assert_eq!(health(&probing, "a").up, Some(true));
    let asked = lock(&actor.asked).len();
    sleep(MINUTE).await;
    assert!(lock(&actor.asked).len() - asked >= 11);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_three_intervals_ago_is_not_shown() {
    let (probing, actor) = (probing(), actor(Mood::Answers));
    probing.keep(vec![plan("a", &actor)]);
    sleep(MINUTE).await;
    assert_eq!(told(&probing, "probe_success").len(), 1);
    // As if the machine had slept: nothing runs in between.
    advance(MINUTE).await;
    assert_eq!(told(&probing, "probe_success").len(), 0);
    assert_eq!(told(&probing, "vigie_probe_up").len(), 1);
    sleep(MINUTE).await;
    // All began in time but the one that was due while it slept.
    let lateness = durations(&probing, "vigie_probe_lateness_seconds");
    let late = |bound: &str| lateness.buckets().find(|(spelled, _)| *spelled == bound).unwrap().1;
    assert_eq!((late("0.003"), late("30.0")), (lateness.count() - 1, lateness.count() - 1));
    assert_eq!(told(&probing, "probe_success").len(), 1);
}
