//! Names of control groups: units and containers, which may be called after people, customers and machines.

use super::pseudonyms::Pseudonyms;

/// What stands before the name of a machine or a container.
const MACHINES: &[&str] = &["machine-", "lxc.payload.", "lxc.monitor."];

/// The name of a cgroup without what tells one from another: the instance of a template unit, unless it is a number or
/// a terminal, and the name of a machine.
pub(super) fn name(name: &str, pseudonyms: &mut Pseudonyms) -> String {
    let (stem, kind) = match name.rsplit_once('.') {
        Some((stem, kind)) if ["service", "scope", "slice", "socket", "mount", "swap"].contains(&kind) => (stem, kind),
        _ => (name, ""),
    };
    let told = if let Some((template, instance)) = stem.split_once('@') {
        format!("{template}@{}", instance_of(instance, pseudonyms))
    } else if let Some(prefix) = MACHINES.iter().find(|prefix| stem.starts_with(**prefix)) {
        let machine = stem.strip_prefix(prefix).unwrap_or_default();
        format!("{prefix}{}", pseudonyms.id(machine))
    } else {
        stem.to_owned()
    };
    if kind.is_empty() { told } else { format!("{told}.{kind}") }
}

fn instance_of(instance: &str, pseudonyms: &mut Pseudonyms) -> String {
    let number = instance.strip_prefix("tty").unwrap_or(instance);
    if number.bytes().all(|byte| byte.is_ascii_digit()) { instance.to_owned() } else { pseudonyms.id(instance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_machines_lose_their_names_and_stay_distinct() {
        let mut pseudonyms = Pseudonyms::default();
        let mut told = |text: &str| name(text, &mut pseudonyms);
        assert_eq!(told("nginx.service"), "nginx.service");
        assert_eq!(told("user@1000.service"), "user@1000.service");
        assert_eq!(told("getty@tty1.service"), "getty@tty1.service");
        assert_eq!(told("openvpn@acme.service"), "openvpn@captured-1.service");
        assert_eq!(told(r"machine-qemu\x2d1\x2dpayroll.scope"), "machine-captured-2.scope");
        assert_eq!(told("lxc.payload.acme"), "lxc.payload.captured-1");
        assert_eq!(told("session-3.scope"), "session-3.scope");
    }
}
