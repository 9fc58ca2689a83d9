//! SELinux's mode and its cache of decisions, from `/sys/fs/selinux` and `/etc/selinux/config`.

use super::fields::{Fields, Malformed};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

static ENABLED: Metric =
    Metric::gauge("node_selinux_enabled", Unit::One, "Whether SELinux decides who may do what (1) or is off (0).");
static CONFIG_MODE: Metric = Metric::gauge(
    "node_selinux_config_mode",
    Unit::One,
    "The mode after the next boot: 1 enforcing, 0 permissive, -1 disabled.",
);
static CURRENT_MODE: Metric =
    Metric::gauge("node_selinux_current_mode", Unit::One, "The mode now: 1 enforcing, 0 permissive.");
static LOOKUPS: Metric = Metric::counter(
    "node_selinux_avc_lookups_total",
    Unit::Of("{lookup}"),
    "Decisions looked up in the access vector cache.",
);
static HITS: Metric =
    Metric::counter("node_selinux_avc_hits_total", Unit::Of("{lookup}"), "Decisions that the cache knew.");
static MISSES: Metric =
    Metric::counter("node_selinux_avc_misses_total", Unit::Of("{lookup}"), "Decisions that the policy was asked for.");
static ALLOCATIONS: Metric =
    Metric::counter("node_selinux_avc_allocations_total", Unit::Of("{entry}"), "Entries added to the cache.");
static RECLAIMS: Metric =
    Metric::counter("node_selinux_avc_reclaims_total", Unit::Of("{entry}"), "Entries thrown out to make room.");
static FREES: Metric =
    Metric::counter("node_selinux_avc_frees_total", Unit::Of("{entry}"), "Entries whose memory was given back.");
static HASH_ENTRIES: Metric =
    Metric::gauge("node_selinux_avc_hash_entries", Unit::Of("{entry}"), "Entries in the cache, right now.");
static BUCKETS_USED: Metric =
    Metric::gauge("node_selinux_avc_hash_buckets_used", Unit::Of("{bucket}"), "Hash buckets that have entries.");
static BUCKETS_AVAILABLE: Metric =
    Metric::gauge("node_selinux_avc_hash_buckets_available", Unit::Of("{bucket}"), "Hash buckets of the cache.");
static LONGEST_CHAIN: Metric =
    Metric::gauge("node_selinux_avc_hash_longest_chain", Unit::Of("{entry}"), "Entries of the fullest bucket.");
static THRESHOLD: Metric = Metric::gauge(
    "node_selinux_avc_threshold",
    Unit::Of("{entry}"),
    "How many entries the cache may have before it throws some out.",
);

/// The declaration of `selinux`.
pub static SAMPLER: Declaration = Declaration {
    name: "selinux",
    tier: Tier::Standard,
    metrics: &[
        &ENABLED,
        &CONFIG_MODE,
        &CURRENT_MODE,
        &LOOKUPS,
        &HITS,
        &MISSES,
        &ALLOCATIONS,
        &RECLAIMS,
        &FREES,
        &HASH_ENTRIES,
        &BUCKETS_AVAILABLE,
        &BUCKETS_USED,
        &LONGEST_CHAIN,
        &THRESHOLD,
    ],
    build: |_| Box::new(Selinux),
};

struct Selinux;

impl Sampler for Selinux {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let enforce = root.sys.attribute("fs/selinux/enforce", buffer).map(|mode| mode == "1");
        // Before a policy is loaded every process has the context `kernel`, and nothing is decided.
        let loaded = |context: &str| context.trim_end_matches('\0') != "kernel";
        let enforce = enforce.filter(|_| root.proc.attribute("self/attr/current", buffer).is_none_or(loaded));
        reading.put(&ENABLED, enforce.is_some());
        let Some(enforce) = enforce else { return Ok(()) };

        let configured = root.host.read("etc/selinux/config", buffer).map_or(-1, configured_mode);
        reading.put(&CONFIG_MODE, configured);
        reading.put(&CURRENT_MODE, enforce);
        let cache = root.sys.parse("fs/selinux/avc/cache_stats", buffer, parse_cache)?;
        for (metric, value) in [&LOOKUPS, &HITS, &MISSES, &ALLOCATIONS, &RECLAIMS, &FREES].into_iter().zip(cache) {
            reading.put(metric, value);
        }
        let hash = root.sys.parse("fs/selinux/avc/hash_stats", buffer, parse_hash)?;
        reading.put(&HASH_ENTRIES, hash.entries);
        reading.put(&BUCKETS_AVAILABLE, hash.buckets);
        reading.put(&BUCKETS_USED, hash.buckets_used);
        reading.put(&LONGEST_CHAIN, hash.longest_chain);
        let threshold = root.sys.attribute("fs/selinux/avc/cache_threshold", buffer);
        if let Some(threshold) = threshold.and_then(|text| text.parse::<u64>().ok()) {
            reading.put(&THRESHOLD, threshold);
        }
        Ok(())
    }
}

/// The mode in the text of `/etc/selinux/config`: `SELINUX=enforcing`, and -1 where it says nothing we know.
pub fn configured_mode(text: &str) -> i64 {
    let mode = text.lines().rev().find_map(|line| line.trim().strip_prefix("SELINUX=")).unwrap_or_default();
    match mode.trim() {
        "enforcing" => 1,
        "permissive" => 0,
        _ => -1,
    }
}

/// Parses `cache_stats`: a line of headings, then a line for each CPU, which are summed.
pub fn parse_cache(text: &str) -> Result<[u64; 6], Malformed> {
    let mut sums = [0_u64; 6];
    for line in text.lines().skip(1) {
        let mut fields = Fields::of(line);
        for sum in &mut sums {
            *sum = sum.wrapping_add(fields.number("six numbers of the cache")?);
        }
    }
    Ok(sums)
}

/// The numbers of `hash_stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    /// Entries.
    pub entries: u64,
    /// Buckets that have entries.
    pub buckets_used: u64,
    /// All buckets.
    pub buckets: u64,
    /// Entries of the fullest bucket.
    pub longest_chain: u64,
}

/// Parses `entries: 503`, `buckets used: 283/512` and `longest chain: 6`.
pub fn parse_hash(text: &str) -> Result<Hash, Malformed> {
    let value = |key: &str, expected| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(str::trim_ascii).ok_or_else(|| Malformed::new(expected, text))
    };
    let number = |word: &str, expected| super::fields::number(word, expected);
    let (used, all) = value("buckets used", "the buckets used")?.split_once('/').unwrap_or_default();
    Ok(Hash {
        entries: number(value("entries", "the entries")?, "the entries")?,
        buckets_used: number(used, "the buckets used")?,
        buckets: number(all, "the number of buckets")?,
        longest_chain: number(value("longest chain", "the longest chain")?, "the longest chain")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;

    #[test]
    fn a_host_without_selinux_says_so() {
        assert_eq!(Host::new(&[]).pass(&mut Selinux).unwrap(), ["node_selinux_enabled 0"]);
    }

    #[test]
    fn without_a_policy_it_is_off() {
        let host = Host::new(&[("sys/fs/selinux/enforce", "0"), ("proc/self/attr/current", "kernel\0")]);
        assert_eq!(host.pass(&mut Selinux).unwrap(), ["node_selinux_enabled 0"]);
    }

    #[test]
    fn modes_and_cache_are_told() {
        let host = Host::new(&[
            ("sys/fs/selinux/enforce", "1"),
            (
                "sys/fs/selinux/avc/cache_stats",
                "lookups hits misses allocations reclaims frees\n1 2 3 4 5 6\n1 1 1 1 1 1\n",
            ),
            ("sys/fs/selinux/avc/hash_stats", "entries: 503\nbuckets used: 283/512\nlongest chain: 6\n"),
            ("etc/selinux/config", "# SELINUX=disabled\nSELINUX=permissive\nSELINUXTYPE=targeted\n"),
        ]);
        let page = host.pass(&mut Selinux).unwrap();
        let start = ["node_selinux_enabled 1", "node_selinux_config_mode 0", "node_selinux_current_mode 1"];
        assert!(page.starts_with(&start.map(str::to_owned)));
        assert!(page.contains(&"node_selinux_avc_frees_total 7".to_owned()));
        assert!(page.contains(&"node_selinux_avc_hash_buckets_available 512".to_owned()));
    }

    #[test]
    fn odd_files_are_refused() {
        assert!(parse_cache("lookups\n1 2 3\n").is_err());
        assert_eq!(parse_hash("entries: 1\nbuckets used: 2\n").unwrap_err().expected, "the buckets used");
    }
}
