//! Probing: every probe of the configuration asks at its own moments, on the network's thread.

use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tokio::task::AbortHandle;

use super::source::{Renewed, lock};
use crate::config::naming::Naming;
use crate::probes::{Options, Plan};
use crate::samplers::root::Root;
use crate::snapshot::{Labels, Reading};
use account::{Account, LATENESS};
pub use account::{METRICS, ProbeHealth};
use order::Order;
use watch::Watch;
pub use watch::{Asked, ask_once, probe_once};

mod account;
mod judgement;
mod order;
mod watch;

/// All targets under watch.
pub(super) struct Probing {
    root: Arc<Root>,
    /// What tells this host from others.
    host: Arc<str>,
    posts: Mutex<Vec<Post>>,
    order: Arc<Order>,
    /// What is counted of them, written for each snapshot.
    own: Mutex<Renewed>,
}

/// A watch, and the task that keeps it. Dropping it ends the task.
struct Post {
    watch: Arc<Watch>,
    task: AbortHandle,
}

impl Drop for Post {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Probing {
    pub(super) fn new(root: &Arc<Root>, host: &str) -> Probing {
        let order = Arc::new(Order::new(root.calls.now()));
        Probing { root: Arc::clone(root), host: host.into(), posts: Mutex::default(), order, own: Mutex::default() }
    }

    /// Watches what `options` name from now on, for who speaks the names of `naming`, on the runtime of whoever calls. What was watched already and stays as
    /// it was goes on undisturbed; what changed and asks the same target keeps its account.
    pub(super) fn watch(&self, options: &Options, naming: Naming) {
        let mut plans = options.plans();
        plans.iter_mut().for_each(|plan| plan.naming = naming);
        self.keep(plans);
    }

    fn keep(&self, plans: Vec<Plan>) {
        let mut posts = lock(&self.posts);
        let mut before = std::mem::take(&mut *posts);
        for plan in plans {
            let same = |post: &Post| {
                let known = &post.watch.plan;
                (known.kind, &known.common.name) == (plan.kind, &plan.common.name)
            };
            let known = before.iter().position(same).map(|known| before.swap_remove(known));
            posts.push(match known {
                Some(known) if known.watch.plan.same(&plan) => known,
                Some(known) if known.watch.plan.target == plan.target => {
                    let account = lock(&known.watch.account).clone();
                    self.post(plan, account)
                }
                _ => self.post(plan, Account::new(self.root.calls.now())),
            });
        }
    }

    fn post(&self, plan: Plan, account: Account) -> Post {
        if let Plan { common, kind, target, warning: Some(warning), .. } = &plan {
            tracing::warn!(probe = common.name, kind, target, "{warning}");
        }
        let watch = Arc::new(Watch::new(plan, &self.root, account));
        let task = tokio::spawn(Arc::clone(&watch).run(Arc::clone(&self.host), Arc::clone(&self.order)));
        Post { watch, task: task.abort_handle() }
    }

    /// Watches nothing any more.
    pub(super) fn stop(&self) {
        lock(&self.posts).clear();
    }

    /// Appends what every probe said last, unless that is too old to be true, and what is counted of them all.
    pub(super) fn tell(&self, now: Instant, taken: SystemTime, readings: &mut Vec<Arc<Reading>>) {
        let posts = lock(&self.posts);
        if posts.is_empty() {
            return;
        }
        readings.extend(posts.iter().filter_map(|post| post.watch.latest(now)));
        readings.push(lock(&self.own).write(|own| {
            own.start(now, taken);
            for Post { watch, .. } in posts.iter() {
                lock(&watch.account).write(&watch.labels, now, own);
            }
            own.put_durations(&LATENESS, &Labels::none(), &self.order.lateness());
        }));
    }

    /// Lets go of what was told, where nobody will read it again: the spread of each probe's durations would be copied
    /// with its next check.
    pub(super) fn forget(&self) {
        *lock(&self.own) = Renewed::default();
    }

    /// How every probe is.
    pub(super) fn health(&self, now: Instant) -> Vec<ProbeHealth> {
        let posts = lock(&self.posts);
        posts.iter().map(|Post { watch, .. }| lock(&watch.account).health(&watch.setting(), now)).collect()
    }
}

#[cfg(test)]
mod tests;
