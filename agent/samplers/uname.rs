//! The kernel and the host's name, from uname(2).

use super::root::calls::Uname;
use super::root::{Buffer, Root};
use super::{Declaration, SampleError, Sampler, Tier};
use crate::metric::{Label, Metric, Unit};
use crate::snapshot::{Labels, Reading};

static INFO: Metric =
    Metric::gauge("node_uname_info", Unit::One, "1, with the kernel that runs and the name of the host.").labels(&[
        Label::new("domainname"),
        Label::new("machine"),
        Label::new("nodename"),
        Label::new("release"),
        Label::new("sysname"),
        Label::new("version"),
    ]);

/// The declaration of `uname`.
pub static SAMPLER: Declaration =
    Declaration { name: "uname", tier: Tier::Slow, metrics: &[&INFO], build: |_| Box::new(Names { told: None }) };

struct Names {
    told: Option<(Uname, Labels)>,
}

impl Sampler for Names {
    fn sample(&mut self, root: &Root, _: &mut Buffer, reading: &mut Reading) -> Result<(), SampleError> {
        let uname = root.calls.uname()?;
        let told = match self.told.take() {
            Some(told) if told.0 == uname => told,
            _ => {
                let labels = labels(&uname);
                (uname, labels)
            }
        };
        let (_, labels) = self.told.insert(told);
        reading.put_with(&INFO, labels, true);
        Ok(())
    }
}

fn labels(uname: &Uname) -> Labels {
    Labels::new(&[
        ("domainname", &uname.domainname),
        ("machine", &uname.machine),
        ("nodename", &uname.nodename),
        ("release", &uname.release),
        ("sysname", &uname.sysname),
        ("version", &uname.version),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::trial::{CAPTURE, sampled};

    #[test]
    fn a_captured_host_keeps_its_names() {
        let page = sampled(&SAMPLER, &[CAPTURE]).unwrap();
        let expected = concat!(
            r#"node_uname_info{domainname="(none)",machine="x86_64",nodename="web-1",release="6.8.0","#,
            r##"sysname="Linux",version="#1 SMP"} 1"##
        );
        assert_eq!(page, [expected]);
    }
}
