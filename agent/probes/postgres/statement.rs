//! Statements of families, as every server of one version is asked them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::family::Family;
use crate::metric::Metric;

/// What one family asks of a version. Whoever asks the same shares it: ten servers of ten databases would have
/// hundreds of one text.
pub(super) struct Statement {
    family: &'static Family,
    version: u32,
    top: usize,
    schema: String,
    pub(super) sql: String,
    /// Whose values the columns after the keys are.
    pub(super) metrics: Vec<&'static Metric>,
}

static KNOWN: Mutex<Vec<Weak<Statement>>> = Mutex::new(Vec::new());

impl Statement {
    /// What `family` asks of `version`, `top` rows of it, with that `schema` of pg_stat_statements; nothing where that
    /// version has no such thing.
    pub(super) fn of(family: &'static Family, version: u32, top: usize, schema: &str) -> Option<Arc<Statement>> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |statement: &Arc<Statement>| {
            std::ptr::eq(statement.family, family)
                && (statement.version, statement.top, &*statement.schema) == (version, top, schema)
        };
        if let Some(statement) = known.iter().filter_map(Weak::upgrade).find(same) {
            return Some(statement);
        }
        let (sql, metrics) = family.statement(version, top, schema)?;
        let statement = Arc::new(Statement { family, version, top, schema: schema.to_owned(), sql, metrics });
        known.retain(|statement| statement.strong_count() > 0);
        known.push(Arc::downgrade(&statement));
        Some(statement)
    }
}
