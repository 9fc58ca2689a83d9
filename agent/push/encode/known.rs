//! What is known from before, to be found again by the families of a snapshot.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::track::Track;
use crate::metric::MetricRef;
use crate::snapshot::{Family, Labels};

/// Tracks, each by its metric and its first series. With thousands of probes, thousands of families are of one metric.
pub(super) struct Known {
    tracks: HashMap<(usize, usize), Track>,
    /// Those that are not told apart by that.
    rest: Vec<Track>,
}

impl Known {
    pub(super) fn of(tracks: impl Iterator<Item = Track>) -> Known {
        let mut known = Known { tracks: HashMap::new(), rest: Vec::new() };
        for track in tracks {
            let Some(key) = track.first().map(|first| key(track.metric(), first)) else {
                known.rest.push(track);
                continue;
            };
            match known.tracks.entry(key) {
                Entry::Vacant(vacant) => drop(vacant.insert(track)),
                Entry::Occupied(_) => known.rest.push(track),
            }
        }
        known
    }

    /// The track that has the first series of `family` at its beginning.
    pub(super) fn same_series(&mut self, family: &Family) -> Option<Track> {
        self.tracks.remove(&key(&family.metric, family.first()?))
    }

    /// Those that nobody has asked for, by the identity of their metric.
    pub(super) fn others(self) -> HashMap<usize, Vec<Track>> {
        let mut others: HashMap<usize, Vec<Track>> = HashMap::new();
        for track in self.rest.into_iter().chain(self.tracks.into_values()) {
            others.entry(track.metric().identity()).or_default().push(track);
        }
        others
    }
}

fn key(metric: &MetricRef, first: &Labels) -> (usize, usize) {
    (metric.identity(), first.identity())
}
