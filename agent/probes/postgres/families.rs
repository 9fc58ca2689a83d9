//! The list of all families, and of all metrics of this kind.

use super::family::Family;
use super::{
    activity, bgwriter, database, indexes, locks, progress, replication, server, settings, state, statements, storage,
    tables,
};
use crate::metric::Metric;

/// What is asked of the server as a whole.
pub(super) static SERVER_FAMILIES: &[&Family] = &[
    &server::SERVER,
    &activity::ACTIVITY,
    &activity::SESSIONS,
    &locks::LOCKS,
    &database::DATABASE,
    &storage::WRAPAROUND,
    &storage::SIZE,
    &bgwriter::BGWRITER,
    &server::WAL_FILES,
    &replication::FOLLOWING,
    &replication::KEPT,
    &replication::RECEIVING,
    &progress::VACUUM,
    &statements::STATEMENTS,
    &storage::ROLE_LIMITS,
];

/// What is asked of each database.
pub(super) static DATABASE_FAMILIES: &[&Family] = &[&tables::TABLES, &indexes::INDEXES, &indexes::UNUSED];

static SETTINGS: &[&Metric] = &[&settings::PLAIN, &settings::BYTES, &settings::SECONDS];

/// Every metric of this kind.
pub(super) static METRICS: &[&Metric] = &collected();

const COUNT: usize = state::METRICS.len() + SETTINGS.len() + columns(SERVER_FAMILIES) + columns(DATABASE_FAMILIES);

/// Whether a metric of this name is declared here, or its name begins as another's.
pub(super) fn declares(name: &str) -> bool {
    let own =
        ["pg_settings_", "node_", "probe_", "process_", "namedprocess_", "vigie_", "container_", "systemd_", "redis_"];
    own.iter().any(|start| name.starts_with(start)) || METRICS.iter().any(|metric| metric.name == name)
}

// Evaluated by the compiler: it would not build if anything were out of bounds.
#[allow(clippy::indexing_slicing)]
const fn collected() -> [&'static Metric; COUNT] {
    let mut all = [state::METRICS[0]; COUNT];
    let mut next = 0;
    while next < state::METRICS.len() {
        all[next] = state::METRICS[next];
        next += 1;
    }
    let mut of = 0;
    while of < SETTINGS.len() {
        all[next] = SETTINGS[of];
        (next, of) = (next + 1, of + 1);
    }
    let lists = [SERVER_FAMILIES, DATABASE_FAMILIES];
    let mut list = 0;
    while list < lists.len() {
        let mut family = 0;
        while family < lists[list].len() {
            let columns = lists[list][family].columns;
            let mut column = 0;
            while column < columns.len() {
                all[next] = &columns[column].metric;
                (next, column) = (next + 1, column + 1);
            }
            family += 1;
        }
        list += 1;
    }
    all
}

#[allow(clippy::indexing_slicing)]
const fn columns(families: &[&Family]) -> usize {
    let (mut count, mut next) = (0, 0);
    while next < families.len() {
        count += families[next].columns.len();
        next += 1;
    }
    count
}
