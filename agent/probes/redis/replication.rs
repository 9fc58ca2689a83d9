//! Who copies from whom (INFO, section Replication).

use super::info::{part, part_number};
use super::kept::{Kept, List};
use super::metrics::{LINK_IO, LINK_SYNC, LINK_UP, OWN_OFFSET, REPLICA_INFO, REPLICA_LAG, REPLICA_OFFSET};
use super::series::Series;
use crate::probes::Report;
use crate::snapshot::Value;

/// The most replicas that are shown, and the most primaries of one (of KeyDB).
const LIMIT: usize = 64;

/// What is kept of it from check to check.
pub(super) struct Replication {
    series: Series,
    replicas: List,
    primaries: List,
    /// The labels of the primary that the lines are about now.
    primary: Option<crate::snapshot::Labels>,
    host: String,
    info: Kept,
    whole: [String; 3],
}

const PRIMARY: &[&str] = &["master_host", "master_port"];

impl Replication {
    pub(super) fn new(series: &Series) -> Replication {
        Replication {
            series: series.clone(),
            replicas: List::of(LIMIT),
            primaries: List::of(LIMIT),
            primary: None,
            host: String::new(),
            info: Kept::default(),
            whole: Default::default(),
        }
    }

    pub(super) fn start(&mut self) {
        self.replicas.start();
        self.primaries.start();
        self.primary = None;
        self.whole.iter_mut().for_each(String::clear);
    }

    pub(super) fn left_out(&self) -> u64 {
        self.replicas.left_out + self.primaries.left_out
    }

    /// Takes a line; says whether that was all to be done with it.
    pub(super) fn line(&mut self, key: &str, value: &str, report: &mut Report) -> bool {
        if let Some(number) = key.strip_prefix("slave")
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            self.replica(value, report);
            return true;
        }
        let [host, port, read_only] = &mut self.whole;
        // KeyDB, which may have several, numbers the further ones: master_1_host.
        let name =
            key.strip_prefix("master_").map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_'));
        match (name, key) {
            (Some("host"), _) => {
                value.clone_into(&mut self.host);
                if key == "master_host" {
                    value.clone_into(host);
                }
            }
            (Some("port"), _) => {
                if key == "master_port" {
                    value.clone_into(port);
                }
                let kept = self.primaries.next();
                self.primary = kept.map(|kept| kept.of(&self.series, PRIMARY, &[&self.host, value]).clone());
            }
            (_, "slave_read_only") => value.clone_into(read_only),
            (Some("link_status"), _) => self.of_primary(&LINK_UP, Value::from(value == "up"), report),
            (Some("last_io_seconds_ago"), _) => self.of_primary(&LINK_IO, whole(value), report),
            (Some("sync_in_progress"), _) => self.of_primary(&LINK_SYNC, whole(value), report),
            (_, "slave_repl_offset") => self.of_primary(&OWN_OFFSET, whole(value), report),
            _ => return false,
        }
        true
    }

    fn of_primary(&self, metric: &'static crate::metric::Metric, value: Value, report: &mut Report) {
        if let Some(labels) = &self.primary {
            report.put_with(metric, labels, value);
        }
    }

    /// `ip=10.0.0.2,port=6379,state=online,offset=1751844676,lag=0`.
    fn replica(&mut self, value: &str, report: &mut Report) {
        let (Some(ip), Some(port), Some(state)) = (part(value, "ip"), part(value, "port"), part(value, "state")) else {
            return;
        };
        let Some(kept) = self.replicas.next() else { return };
        let labels = kept.of(&self.series, &["slave_ip", "slave_port", "slave_state"], &[ip, port, state]);
        if let Some(offset) = part_number(value, "offset") {
            report.put_with(&REPLICA_OFFSET, labels, offset);
        }
        if let Some(lag) = part_number(value, "lag") {
            report.put_with(&REPLICA_LAG, labels, lag);
        }
    }

    /// Writes what the section said as a whole.
    pub(super) fn end(&mut self, report: &mut Report) {
        let [host, port, read_only] = &self.whole;
        if !host.is_empty() {
            let names = ["master_host", "master_port", "read_only"];
            report.put_with(&REPLICA_INFO, self.info.of(&self.series, &names, &[host, port, read_only]), 1_i64);
        }
    }
}

fn whole(text: &str) -> Value {
    Value::Int(text.parse().unwrap_or(0))
}
