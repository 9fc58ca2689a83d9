//! Members of bonded interfaces, from `/sys/class/net/*/bonding`.

use std::fmt::Write;

use super::SampleError::Absent;
use super::born::Born;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

const MASTER: &[Label] = &[Label::new("master")];
static SLAVES: Metric =
    Metric::gauge("node_bonding_slaves", Unit::Of("{interface}"), "Interfaces that are members of the bond.")
        .labels(MASTER);
static ACTIVE: Metric = Metric::gauge(
    "node_bonding_active",
    Unit::Of("{interface}"),
    "Members of the bond whose link works; fewer than all of them is a bond that lost its spare.",
)
.labels(MASTER);

/// The declaration of `bonding`.
pub static SAMPLER: Declaration = Declaration {
    name: "bonding",
    tier: Tier::Standard,
    metrics: &[&SLAVES, &ACTIVE],
    build: |_| Box::<Bonding>::default(),
};

#[derive(Default)]
struct Bonding {
    bonds: Born<Labels>,
    masters: String,
    slaves: String,
    path: String,
}

impl Sampler for Bonding {
    fn sample(&mut self, root: &Root, buffer: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        self.bonds.start();
        root.sys.read("class/net/bonding_masters", buffer)?.clone_into(&mut self.masters);
        for master in self.masters.split_ascii_whitespace() {
            match root.sys.read(at(&mut self.path, master, "bonding/slaves"), buffer) {
                Ok(text) => text.clone_into(&mut self.slaves),
                Err(Absent(_)) => continue,
                Err(error) => return Err(error),
            }
            let (mut slaves, mut active) = (0_i64, 0_i64);
            for slave in self.slaves.split_ascii_whitespace() {
                let status = root.sys.attribute(at(&mut self.path, slave, "bonding_slave/mii_status"), buffer);
                slaves += 1;
                active += i64::from(status == Some("up"));
            }
            let labels = self.bonds.meet(master, || Labels::new(&[("master", master)]));
            reading.put_with(&SLAVES, labels, slaves);
            reading.put_with(&ACTIVE, labels, active);
        }
        Ok(())
    }
}

/// Where a file of an interface is, written into `path`.
fn at<'p>(path: &'p mut String, interface: &str, file: &str) -> &'p str {
    path.clear();
    // Writing to a string cannot fail.
    let _ = write!(path, "class/net/{interface}/{file}");
    path
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pass(name: &str, files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = std::env::temp_dir().join(format!("vigie-bonding-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            let path = folder.join("class/net").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::open(&folder, &folder, &folder).unwrap();
        let mut reading = Reading::default();
        let result = Bonding::default().sample(&root, &mut Buffer::default(), &mut reading);
        fs::remove_dir_all(&folder).unwrap();
        result.map_err(|error| error.to_string().replace(folder.to_str().unwrap(), "…"))?;
        let points = reading.families().flat_map(|family| family.points());
        Ok(points.map(|point| format!("{} {:?}", point.labels.page(), point.value)).collect())
    }

    #[test]
    fn a_member_without_link_is_not_active() {
        let files = [
            ("bonding_masters", "bond0\n"),
            ("bond0/bonding/slaves", "eth0 eth1\n"),
            ("eth0/bonding_slave/mii_status", "up\n"),
            ("eth1/bonding_slave/mii_status", "down\n"),
        ];
        assert_eq!(pass("one", &files), Ok(vec![r#"master="bond0" Int(2)"#.into(), r#"master="bond0" Int(1)"#.into()]));
    }

    #[test]
    fn a_bond_that_vanished_is_skipped() {
        assert_eq!(pass("vanished", &[("bonding_masters", "bond0\n")]), Ok(vec![]));
    }

    #[test]
    fn a_host_without_the_driver_has_no_bonds() {
        assert_eq!(pass("none", &[]), Err("this host has no …/class/net/bonding_masters".into()));
    }
}
