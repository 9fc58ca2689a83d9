//! Who tells: the attributes of the OTLP resource.

use std::collections::BTreeMap;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::wire;
use crate::config;
use crate::samplers::os;
use crate::samplers::root::{Buffer, Root};

/// The attributes of this host and of this agent, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource(pub BTreeMap<String, String>);

impl Resource {
    /// What the host says of itself, and over it what the configuration says.
    pub fn of(root: &Root, host: &config::Host) -> Resource {
        let mut buffer = Buffer::default();
        let uname = root.calls.uname().unwrap_or_default();
        let machine_id = root.host.read("etc/machine-id", &mut buffer).map(|text| text.trim_ascii().to_owned());
        let machine_id = machine_id.ok().filter(|id| !id.is_empty());
        let mut attributes = BTreeMap::new();
        let mut tell = |key: &str, value: &str| {
            if !value.is_empty() {
                attributes.insert(key.to_owned(), value.to_owned());
            }
        };
        tell("service.name", "vigie");
        tell("service.version", env!("CARGO_PKG_VERSION"));
        tell("service.instance.id", &instance(machine_id.as_deref().unwrap_or(&uname.nodename)));
        tell("host.name", host.name.as_deref().unwrap_or(&uname.nodename));
        tell("host.id", machine_id.as_deref().unwrap_or_default());
        tell("host.arch", arch(&uname.machine));
        tell("os.type", "linux");
        if let Ok(release) = os::read(root, &mut buffer) {
            tell("os.name", release.get("NAME"));
            tell("os.version", release.get("VERSION_ID"));
            tell("os.description", release.get("PRETTY_NAME"));
        }
        for (key, value) in &host.attributes {
            tell(key, value);
        }
        Resource(attributes)
    }

    /// As the fields of a Resource message.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (key, value) in &self.0 {
            attribute(1, key, Text(value), out);
        }
    }
}

/// The value of an attribute.
pub(super) enum AttributeValue<'a> {
    Text(&'a str),
    Int(i64),
}

use AttributeValue::{Int, Text};

/// Appends a KeyValue message.
pub(super) fn attribute(field: u32, key: &str, value: AttributeValue, out: &mut Vec<u8>) {
    let (mut pair, mut any) = (Vec::new(), Vec::new());
    match value {
        Text(text) => wire::bytes(1, text.as_bytes(), &mut any),
        Int(int) => wire::number(3, int.cast_unsigned(), &mut any),
    }
    wire::bytes(1, key.as_bytes(), &mut pair);
    wire::bytes(2, &any, &mut pair);
    wire::bytes(field, &pair, out);
}

/// `host.arch` as the semantic conventions spell it, of what uname(2) calls the machine.
fn arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        "ppc64" | "ppc64le" => "ppc64",
        "ppc" => "ppc32",
        arm if arm.starts_with("armv") => "arm32",
        other => other,
    }
}

/// The namespace that the semantic conventions give for `service.instance.id`,
/// 4d63009a-8d0f-11ee-aad7-4c796ed8e320.
const NAMESPACE: [u8; 16] =
    [0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee, 0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20];

/// A UUID of version 5 (RFC 9562): the same after every restart, another on every host, and no machine-id.
fn instance(host: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&NAMESPACE, host.as_bytes()].concat());
    let half = |bytes: Option<&[u8]>| {
        bytes.unwrap_or_default().iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (high, low) = (half(hash.as_ref().get(..8)), half(hash.as_ref().get(8..16)));
    let (high, low) = (high & !0xf000 | 0x5000, low & !(3 << 62) | 1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::host::Host;
    use crate::samplers::trial::CAPTURE;

    #[test]
    fn a_host_tells_who_it_is() {
        let release = "NAME=\"Ubuntu\"\nVERSION_ID=24.04\nPRETTY_NAME='Ubuntu 24.04 LTS'\n";
        let host = Host::new(&[CAPTURE, ("etc/machine-id", "abc\n"), ("etc/os-release", release)]);
        let Resource(told) = Resource::of(&host.root, &config::Host::default());
        let told: Vec<_> = told.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected = [
            ("host.arch", "amd64"),
            ("host.id", "abc"),
            ("host.name", "web-1"),
            ("os.description", "Ubuntu 24.04 LTS"),
            ("os.name", "Ubuntu"),
            ("os.type", "linux"),
            ("os.version", "24.04"),
            ("service.instance.id", &instance("abc")),
            ("service.name", "vigie"),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let attributes = [("host.id", "i-1"), ("host.name", "b"), ("cloud.region", "x")];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let config = config::Host { name: Some("a".to_owned()), attributes };
        let Resource(told) = Resource::of(&Host::new(&[CAPTURE, ("etc/machine-id", "abc\n")]).root, &config);
        assert_eq!((&*told["host.id"], &*told["host.name"], &*told["cloud.region"]), ("i-1", "b", "x"));
        assert!(!told.contains_key("os.name"));
    }

    #[test]
    fn an_instance_is_a_uuid_of_version_5() {
        // uuid.uuid5(uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), "abc") of Python.
        assert_eq!(instance("abc"), "924f37d1-244c-556d-bfc1-23550f6e6c1c");
    }
}
