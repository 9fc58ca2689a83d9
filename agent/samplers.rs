//! Samplers: each reads one part of the kernel and writes what it counts into a reading.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::metric::Metric;
use crate::snapshot::{Failure, Reading};

pub mod agent;
pub mod arp;
pub mod bonding;
pub mod born;
pub mod conntrack;
pub mod cpu;
pub mod cpufreq;
pub mod disk;
pub mod entropy;
pub mod fields;
pub mod filefd;
pub mod filesystem;
#[cfg(test)]
pub(crate) mod host;
pub mod interfaces;
pub mod kernel_hung;
pub mod loadavg;
pub mod memory;
pub mod netclass;
pub mod netdev;
pub mod netstat;
pub mod os;
pub mod pattern;
pub mod pressure;
pub mod processes;
pub mod root;
pub mod schedstat;
pub mod selinux;
pub mod services;
pub mod sockstat;
pub mod softnet;
pub mod stat;
pub mod textfile;
pub mod time;
pub mod timex;
#[cfg(test)]
pub(crate) mod trial;
pub mod udp_queues;
pub mod uname;
pub mod unit;
pub mod vmstat;

use fields::Malformed;
use root::{Buffer, Root};

/// How often a source is sampled when nobody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Every second: cheap, and what moves fastest.
    Fast,
    /// Every `sampling.interval`, and whenever a scrape wants a fresher page.
    Standard,
    /// Every minute, scrape or not: dear to read, or nearly constant.
    Slow,
}

/// One source of the host's numbers. It never sees an exporter, and never judges or times itself.
pub trait Sampler: Send {
    /// Reads the host and writes one point for everything it found.
    ///
    /// # Errors
    /// When the source as a whole gave nothing. A part that this host lacks is no error: it gives no point.
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError>;
}

/// A sampler as the catalog and the supervisor know it. One `static` beside each implementation.
pub struct Declaration {
    /// Its name: node_exporter's collector of the same content, and the key under `[samplers]`.
    pub name: &'static str,
    /// How often it runs by itself.
    pub tier: Tier,
    /// Every metric that it may write.
    pub metrics: &'static [&'static Metric],
    /// Makes it, from its own section of the configuration.
    pub build: fn(&Options) -> Box<dyn Sampler>,
}

/// Every sampler, in the order of a pass.
pub static ALL: &[&Declaration] = &[
    &agent::SAMPLER,
    &arp::SAMPLER,
    &bonding::SAMPLER,
    &conntrack::SAMPLER,
    &cpu::SAMPLER,
    &cpufreq::SAMPLER,
    &disk::SAMPLER,
    &entropy::SAMPLER,
    &filefd::SAMPLER,
    &filesystem::SAMPLER,
    &kernel_hung::SAMPLER,
    &loadavg::SAMPLER,
    &memory::SAMPLER,
    &netclass::SAMPLER,
    &netdev::SAMPLER,
    &netstat::SAMPLER,
    &os::SAMPLER,
    &pressure::SAMPLER,
    &processes::SAMPLER,
    &schedstat::SAMPLER,
    &selinux::SAMPLER,
    &services::SAMPLER,
    &sockstat::SAMPLER,
    &softnet::SAMPLER,
    &stat::SAMPLER,
    &textfile::SAMPLER,
    &time::SAMPLER,
    &timex::SAMPLER,
    &udp_queues::SAMPLER,
    &uname::SAMPLER,
    &vmstat::SAMPLER,
];

/// Options of the samplers, `[samplers]`: each sampler's section is a type beside the sampler.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Samplers that do not run, by name.
    pub disabled: Vec<String>,
    /// Which interfaces' neighbours are counted.
    pub arp: interfaces::Options,
    /// Which block devices are shown.
    pub diskstats: disk::Options,
    /// Which mounts are shown.
    pub filesystem: filesystem::Options,
    /// Which interfaces' state is shown.
    pub netclass: interfaces::Options,
    /// Which interfaces' traffic is shown.
    pub netdev: interfaces::Options,
    /// Which counters are shown beside the usual ones.
    pub netstat: netstat::Options,
    /// Which groups processes belong to, and how many groups are shown.
    pub processes: processes::Options,
    /// Which units and containers are shown.
    pub services: services::Options,
    /// Where files of other programs are.
    pub textfile: textfile::Options,
    /// Which counters are shown.
    pub vmstat: vmstat::Options,
}

impl Options {
    /// Whether a sampler's own options are the same in `other`.
    pub fn same_for(&self, sampler: &str, other: &Options) -> bool {
        // Whoever adds options is told here.
        let Options {
            disabled: _,
            arp,
            diskstats,
            filesystem,
            netclass,
            netdev,
            netstat,
            processes,
            services,
            textfile,
            vmstat,
        } = self;
        match sampler {
            "arp" => *arp == other.arp,
            "diskstats" => *diskstats == other.diskstats,
            "filesystem" => *filesystem == other.filesystem,
            "netclass" => *netclass == other.netclass,
            "netdev" => *netdev == other.netdev,
            "netstat" => *netstat == other.netstat,
            "processes" => *processes == other.processes,
            // Their I/O leaves out the same devices.
            "services" => *services == other.services && *diskstats == other.diskstats,
            "textfile" => *textfile == other.textfile,
            "vmstat" => *vmstat == other.vmstat,
            _ => true,
        }
    }
}

/// Why a source gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// This host has no such thing; a state, not a fault.
    #[error("this host has no {}", .0.display())]
    Absent(PathBuf),
    /// The file is there and does not let itself be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The file holds something else than the kernel documents.
    #[error("cannot parse {}: {malformed}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What was expected where.
        malformed: Malformed,
    },
    /// A system call failed.
    #[error("{call}: {source}")]
    Call {
        /// Which one.
        call: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Any other reason, as a whole sentence.
    #[error("{0}")]
    Other(String),
}

impl SampleError {
    /// This parse failure, in the file where it happened.
    pub fn parse(path: &Path, malformed: Malformed) -> SampleError {
        SampleError::Parse { path: path.to_owned(), malformed }
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Failure {
        Failure { absent: matches!(error, SampleError::Absent(_)), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_its_samplers_own() {
        let before = Options::default();
        let after: Options = toml::from_str("disabled = ['os']\n[textfile]\ndirectory = '/x'\n").unwrap();
        let changed = ALL.iter().map(|sampler| sampler.name).filter(|name| !before.same_for(name, &after));
        assert_eq!(changed.collect::<Vec<_>>(), ["textfile"]);
    }
}
