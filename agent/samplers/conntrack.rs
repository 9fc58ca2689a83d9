//! The table of tracked connections, from `/proc/sys/net/netfilter` and `/proc/net/stat/nf_conntrack`.

use super::fields::{Malformed, number};
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Metric, Unit};
use crate::snapshot::Reading;

static ENTRIES: Metric =
    Metric::gauge("node_nf_conntrack_entries", Unit::Of("{entries}"), "Connections that the firewall tracks.")
        .otel_up_down("system.network.conntrack.count");
static LIMIT: Metric = Metric::gauge(
    "node_nf_conntrack_entries_limit",
    Unit::Of("{entries}"),
    "The most connections that the firewall tracks; packets of further ones are dropped.",
)
.otel_up_down("system.network.conntrack.max");

const fn count(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric::counter(name, Unit::Of(unit), help).page_gauge()
}

static FOUND: Metric =
    count("node_nf_conntrack_stat_found", "{lookup}", "Look-ups that found their connection in the table.");
static INVALID: Metric = count("node_nf_conntrack_stat_invalid", "{packet}", "Packets that could not be tracked.");
static IGNORE: Metric =
    count("node_nf_conntrack_stat_ignore", "{packet}", "Packets that needed no look-up, being tracked already.");
static INSERT: Metric = count("node_nf_conntrack_stat_insert", "{entry}", "Connections put into the table.");
static INSERT_FAILED: Metric = count(
    "node_nf_conntrack_stat_insert_failed",
    "{entry}",
    "Connections not put into the table, mostly because a twin was there already.",
);
static DROP: Metric = count(
    "node_nf_conntrack_stat_drop",
    "{packet}",
    "Packets dropped because their connection could not be tracked, mostly by a full table.",
);
static EARLY_DROP: Metric = count(
    "node_nf_conntrack_stat_early_drop",
    "{entry}",
    "Connections thrown out of a full table to make room for new ones.",
);
static SEARCH_RESTART: Metric = count(
    "node_nf_conntrack_stat_search_restart",
    "{lookup}",
    "Look-ups that began anew because the table was being resized.",
);

/// The declaration of `conntrack`.
pub static SAMPLER: Declaration = Declaration {
    name: "conntrack",
    tier: Tier::Standard,
    metrics: &[
        &ENTRIES,
        &LIMIT,
        &FOUND,
        &INVALID,
        &IGNORE,
        &INSERT,
        &INSERT_FAILED,
        &DROP,
        &EARLY_DROP,
        &SEARCH_RESTART,
    ],
    build: |_| Box::new(Conntrack),
};

/// The columns that are shown, by the names in the header.
static COLUMNS: [(&str, &Metric); 8] = [
    ("found", &FOUND),
    ("invalid", &INVALID),
    ("ignore", &IGNORE),
    ("insert", &INSERT),
    ("insert_failed", &INSERT_FAILED),
    ("drop", &DROP),
    ("early_drop", &EARLY_DROP),
    ("search_restart", &SEARCH_RESTART),
];

/// Room for the columns of the file; kernels have 17.
const COLUMNS_LIMIT: usize = 32;

struct Conntrack;

impl Sampler for Conntrack {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let whole = |text: &str| number::<u64>(text, "a number of connections");
        reading.put(&ENTRIES, root.proc.parse("sys/net/netfilter/nf_conntrack_count", buffer, whole)?);
        reading.put(&LIMIT, root.proc.parse("sys/net/netfilter/nf_conntrack_max", buffer, whole)?);
        match root.proc.parse("net/stat/nf_conntrack", buffer, parse) {
            Ok(counts) => {
                for ((_, metric), count) in COLUMNS.iter().zip(counts) {
                    if let Some(count) = count {
                        reading.put(metric, count);
                    }
                }
                Ok(())
            }
            // Kernels without CONFIG_NF_CONNTRACK_PROCFS have none.
            Err(SampleError::Absent(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Parses `/proc/net/stat/nf_conntrack`, a header and one line a CPU in hexadecimal, and adds the CPUs up.
/// `None` is a column that this kernel lacks.
pub fn parse(text: &str) -> Result<[Option<u64>; COLUMNS.len()], Malformed> {
    let (header, rest) = text.split_once('\n').unwrap_or((text, ""));
    if header.split_ascii_whitespace().next() != Some("entries") {
        return Err(Malformed::new("the header of the columns", header));
    }
    let mut sums = [None; COLUMNS.len()];
    let mut places = [None; COLUMNS_LIMIT];
    for (column, place) in header.split_ascii_whitespace().zip(&mut places) {
        *place = COLUMNS.iter().position(|(name, _)| *name == column);
        if let Some(sum) = place.and_then(|place| sums.get_mut(place)) {
            *sum = Some(0_u64);
        }
    }
    let columns = header.split_ascii_whitespace().count();
    for line in rest.lines() {
        let mut words = line.split_ascii_whitespace();
        for place in places.iter().take(columns) {
            let word = words.next().ok_or_else(|| Malformed::new("as many numbers as the header has columns", line))?;
            if let Some(Some(sum)) = place.and_then(|place| sums.get_mut(place)) {
                let count = u64::from_str_radix(word, 16).map_err(|_| Malformed::new("a hexadecimal number", line))?;
                *sum = sum.saturating_add(count);
            }
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_added_up() {
        let text = "entries  searched found drop\n00000010  00000000 0000000a 00000001\n00000010  0 ff 1\n";
        let [found, invalid, .., drop, _, _] = parse(text).unwrap();
        assert_eq!((found, drop), (Some(0xa + 0xff), Some(2)));
        assert_eq!(invalid, None);
    }

    #[test]
    fn columns_are_found_by_name() {
        let old = parse("entries insert\n1 2\n").unwrap();
        let new = parse("entries clashres insert\n1 9 2\n").unwrap();
        assert_eq!(old, new);
    }

    #[test]
    fn a_line_cut_short_is_an_error() {
        let error = parse("entries found\n1\n").unwrap_err();
        assert_eq!(error.to_string(), r#"expected as many numbers as the header has columns in "1""#);
        assert!(parse("").is_err());
        assert!(parse("entries found\n1 g\n").is_err());
    }

    #[test]
    fn sums_do_not_overflow() {
        let text = "entries found\n1 ffffffffffffffff\n1 ffffffffffffffff\n";
        assert_eq!(parse(text).unwrap()[0], Some(u64::MAX));
    }
}
