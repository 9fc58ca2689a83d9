//! Samplers that panic, hang and come back; passes that are shared; readings that grow old.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::metric::{Metric, Unit};
use crate::samplers::{Sampler, Tier};

static GOOD: Metric = Metric::gauge("good", Unit::One, "Good.");
static STEADY: Declaration = declaration("steady", |_| Box::new(Steady));
static PANICS: Declaration = declaration("panics", |_| Box::new(Panics));
static HANGS: Declaration = declaration("hangs", |_| Box::new(Hangs { samplings: 0 }));
static RELEASED: AtomicBool = AtomicBool::new(false);

const fn declaration(name: &'static str, build: fn(&samplers::Options) -> Box<dyn Sampler>) -> Declaration {
    Declaration { name, tier: Tier::Standard, metrics: &[], build }
}

struct Steady;

impl Sampler for Steady {
    fn sample(&mut self, _: &Root, _: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        reading.put(&GOOD, 1_u64);
        Ok(())
    }
}

struct Panics;

impl Sampler for Panics {
    fn sample(&mut self, _: &Root, _: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        reading.put(&GOOD, 1_u64);
        panic!("of this test")
    }
}

/// Samples well at first, then hangs until it is released.
struct Hangs {
    samplings: u32,
}

impl Sampler for Hangs {
    fn sample(&mut self, _: &Root, _: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        self.samplings += 1;
        while self.samplings > 1 && !RELEASED.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        reading.put(&GOOD, 1_u64);
        Ok(())
    }
}

/// Samples well at first, then never again.
struct HangsForEver {
    samplings: u32,
}

impl Sampler for HangsForEver {
    fn sample(&mut self, _: &Root, _: &mut Buffer, _: &mut Reading) -> Result<(), SampleError> {
        self.samplings += 1;
        if self.samplings == 1 {
            return Ok(());
        }
        loop {
            std::thread::park();
        }
    }
}

fn handle(declarations: &'static [&'static Declaration]) -> Handle {
    let slash = Path::new("/");
    let root = Root::open(&slash.join("proc"), &slash.join("sys"), slash).unwrap();
    let handle = Handle::of(root, &config::Config::default(), declarations);
    handle.sample();
    handle
}

fn source(handle: &Handle, name: &str) -> SourceHealth {
    handle.health().sources.into_iter().find(|source| source.name == name).unwrap()
}

#[test]
fn a_sampler_that_panics_costs_its_own_families_only() {
    let handle = handle(const { &[&PANICS, &STEADY] });
    assert_eq!(source(&handle, "panics").message.as_deref(), Some("the sampler panicked: of this test"));
    assert_eq!((source(&handle, "panics").series, source(&handle, "steady").series), (0, 1));
    assert_eq!(source(&handle, "panics").failures, 1);
}

#[tokio::test]
async fn a_sampler_that_hangs_costs_its_own_families_only_and_comes_back() {
    let handle = handle(const { &[&HANGS, &STEADY] });
    handle.start().unwrap();
    tokio::spawn(handle.clone().monitor());
    let deadline = Instant::now() + Duration::from_secs(20);
    let wait_for = async |what: &dyn Fn() -> bool| {
        while !what() {
            assert!(Instant::now() < deadline, "{:?}", handle.health());
            handle.snapshot(Duration::ZERO, Duration::from_millis(50)).await;
        }
    };
    wait_for(&|| !source(&handle, "hangs").success).await;
    let before = Instant::now();
    wait_for(&|| source(&handle, "steady").success && handle.0.full_pass.borrow().is_some_and(|pass| pass > before))
        .await;
    RELEASED.store(true, Ordering::Relaxed);
    wait_for(&|| source(&handle, "hangs").success).await;
    handle.stop();
}

#[tokio::test]
async fn a_scrape_that_waits_is_served_by_the_loop_that_takes_over() {
    static HANGS_FOR_EVER: Declaration = declaration("hangs", |_| Box::new(HangsForEver { samplings: 0 }));
    let handle = handle(const { &[&HANGS_FOR_EVER, &STEADY] });
    handle.start().unwrap();
    tokio::spawn(handle.clone().monitor());
    let begun = Instant::now();
    handle.snapshot(Duration::ZERO, Duration::from_secs(30)).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(handle.0.full_pass.borrow().is_some_and(|pass| pass > begun));
    handle.stop();
}

#[tokio::test]
async fn a_source_that_a_reload_brings_is_sampled_at_once_whatever_its_tier() {
    static SLOW: Declaration = Declaration { tier: Tier::Slow, ..declaration("slow", |_| Box::new(Steady)) };
    let without = |names: &[&str]| {
        let disabled = names.iter().map(|name| (*name).to_owned()).collect();
        config::Config { samplers: samplers::Options { disabled, ..Default::default() }, ..Default::default() }
    };
    let root = Root::open(Path::new("/proc"), Path::new("/sys"), Path::new("/")).unwrap();
    let handle = Handle::of(root, &without(&["slow"]), const { &[&SLOW, &STEADY] });
    handle.start().unwrap();
    handle.first_pass().await;
    handle.reload(&without(&[]));
    let snapshot = handle.snapshot(Duration::from_secs(3600), Duration::from_secs(20)).await;
    assert_eq!(snapshot.readings.iter().filter(|reading| reading.failure.is_some()).count(), 0);
    assert!(source(&handle, "slow").success);
    handle.stop();
}

#[tokio::test]
async fn scrapes_that_come_together_share_one_pass() {
    let handle = handle(const { &[&STEADY] });
    handle.start().unwrap();
    let scrape = || handle.snapshot(Duration::from_millis(200), Duration::from_secs(5));
    tokio::time::sleep(Duration::from_millis(250)).await;
    let before = handle.0.passes.load(Ordering::Relaxed);
    let (one, two, three) = tokio::join!(scrape(), scrape(), scrape());
    assert!(Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&two, &three));
    assert!(handle.0.passes.load(Ordering::Relaxed) <= before + 1);
    handle.stop();
}

#[test]
fn a_reading_that_grew_old_is_not_shown() {
    let handle = handle(const { &[&STEADY] });
    let source = handle.0.sources().first().map(Arc::clone).unwrap();
    let now = Instant::now();
    assert_eq!(handle.0.current(&source, now).series(), 1);
    let later = handle.0.current(&source, now + Duration::from_secs(31));
    assert_eq!(later.failure.as_ref().map(|failure| failure.message.as_str()), Some("not sampled for 31 s"));
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let handle = handle(const { &[&PANICS, &STEADY] });
    handle.reload(&config::Config::default());
    assert_eq!(source(&handle, "panics").failures, 1);
    let without = samplers::Options { disabled: vec!["panics".into()], ..samplers::Options::default() };
    handle.reload(&config::Config { samplers: without, ..config::Config::default() });
    assert_eq!(handle.health().sources.len(), 1);
}

/// Tells how often it was asked.
struct Asked(AtomicU64);

impl Tell for Asked {
    fn tell(&self, reading: &mut Reading) {
        reading.put(&GOOD, self.0.fetch_add(1, Ordering::Relaxed) + 1);
    }
}

#[test]
fn who_tells_of_himself_is_asked_whenever_a_snapshot_is_put_together() {
    let handle = handle(const { &[&STEADY] });
    handle.ask(Arc::new(Asked(AtomicU64::new(0))));
    for asked in 1..=3_u64 {
        handle.sample();
        let snapshot = handle.newest();
        let told = snapshot.readings.last().unwrap();
        let point = told.families().next().unwrap().points()[0].value;
        assert_eq!(point, crate::snapshot::Value::Int(asked as i64));
        assert!(Arc::ptr_eq(told, handle.newest().readings.last().unwrap()));
    }
}
