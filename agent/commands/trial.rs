//! Every probe once, as a table for a person: what it asked, what came of it, and what mends it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::probes::{Plan, ProbeError};
use crate::samplers::root::Root;
use crate::supervisor::probe_once;

/// The most probes that ask at a time.
const TOGETHER: usize = 64;

type Outcome = (Result<(), ProbeError>, Duration, Vec<String>);

/// Asks all of `plans` once and tells what came of it; says how many failed.
///
/// # Errors
/// When the system gives no event queue, or `out` is closed.
pub(super) fn run(root: Root, plans: &[Plan], out: &mut impl Write) -> io::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcomes = runtime.block_on(ask(&Arc::new(root), plans));
    // Dropping it would wait for what hangs.
    runtime.shutdown_background();
    table(plans, &outcomes, out)?;
    Ok(outcomes.iter().filter(|(answer, ..)| answer.is_err()).count())
}

async fn ask(root: &Arc<Root>, plans: &[Plan]) -> Vec<Outcome> {
    let turns = Arc::new(Semaphore::new(TOGETHER));
    let mut asked = JoinSet::new();
    for (index, plan) in plans.iter().cloned().enumerate() {
        let (turns, root) = (Arc::clone(&turns), Arc::clone(root));
        asked.spawn(async move {
            let _turn = turns.acquire_owned().await;
            (index, probe_once(&root, &plan).await)
        });
    }
    let mut outcomes = asked.join_all().await;
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn table(plans: &[Plan], outcomes: &[Outcome], out: &mut impl Write) -> io::Result<()> {
    let name = |plan: &Plan| format!("{}.{}", plan.kind, plan.common.name);
    let width = |of: &dyn Fn(&Plan) -> String| plans.iter().map(|plan| of(plan).chars().count()).max().unwrap_or(0);
    let (names, targets) = (width(&name).max(5), width(&|plan| plan.target.clone()).clamp(6, 60));
    if !plans.is_empty() {
        writeln!(out, "{:names$}  {:targets$}  {:10}  {:>10}", "PROBE", "TARGET", "RESULT", "TIME")?;
    }
    for (plan, (answer, took, advice)) in plans.iter().zip(outcomes) {
        let word = answer.as_ref().err().map_or("good", |error| error.reason.word());
        let milliseconds = format!("{:.1} ms", took.as_secs_f64() * 1000.0);
        writeln!(out, "{:names$}  {:targets$}  {word:10}  {milliseconds:>10}", name(plan), plan.target)?;
        if let Err(error) = answer {
            writeln!(out, "  {error}")?;
            writeln!(out, "  → {}", error.remedy())?;
        }
        for sentence in advice {
            writeln!(out, "  → {sentence}")?;
        }
    }
    Ok(())
}
