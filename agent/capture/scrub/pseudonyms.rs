//! Pseudonyms for addresses and serial numbers: the same thing gets the same one wherever it stands.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

static HARDWARE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5,19}\b").ok());
/// In the name of a unit a dash is `\x2d`.
static UUID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b[0-9A-Fa-f]{8}((-|\\x2d)[0-9A-Fa-f]{4}){3}(-|\\x2d)[0-9A-Fa-f]{12}\b").ok());
static DOTTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b\d{1,3}(\.\d{1,3}){3}\b").ok());
static SOCKET: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b([0-9A-F]{32}|[0-9A-F]{8}):([0-9A-F]{4})\b").ok());

/// What was met so far.
#[derive(Default)]
pub(super) struct Pseudonyms {
    known: BTreeMap<(&'static str, String), String>,
    counts: BTreeMap<&'static str, u32>,
}

impl Pseudonyms {
    /// The text with other hardware addresses, UUIDs and IPv4 addresses.
    pub(super) fn of_addresses(&mut self, text: &str) -> String {
        let text = replace(&HARDWARE, text, |found| self.hardware(found));
        let text = replace(&UUID, &text, |found| {
            self.pseudonym("uuid", &found.replace(r"\x2d", "-"), |number| {
                format!("00000000-0000-4000-8000-{number:012x}")
            })
        });
        replace(&DOTTED, &text, |found| match found.parse() {
            Ok(address) => self.ipv4(address).to_string(),
            Err(_) => found.to_owned(),
        })
    }

    /// Letters and digits of a serial number say who made what when.
    pub(super) fn attribute(&mut self, text: &str) -> String {
        match text.trim_ascii() {
            "" => text.to_owned(),
            secret => format!("{}\n", self.id(secret)),
        }
    }

    /// A name that tells one thing from all others.
    pub(super) fn id(&mut self, secret: &str) -> String {
        self.pseudonym("id", secret, |number| format!("captured-{number}"))
    }

    fn hardware(&mut self, address: &str) -> String {
        let bytes = address.split(':').count();
        let all = |byte: &str| address.split(':').all(|part| part.eq_ignore_ascii_case(byte));
        if all("00") || all("ff") {
            return address.to_owned();
        }
        self.pseudonym("hardware", &address.to_ascii_lowercase(), |number| {
            let [_, a, b, c] = number.to_be_bytes();
            format!("02{}:{a:02x}:{b:02x}:{c:02x}", ":00".repeat(bytes.saturating_sub(4)))
        })
    }

    fn ipv4(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        if address.is_loopback() || address.is_unspecified() || address.is_broadcast() {
            return address;
        }
        let pseudonym = self.pseudonym("ipv4", &address.to_string(), |number| {
            let [_, _, high, low] = number.to_be_bytes();
            Ipv4Addr::new(198, 18, high, low).to_string()
        });
        pseudonym.parse().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    fn ipv6(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        if address.is_loopback() || address.is_unspecified() {
            return address;
        }
        if let Some(address) = address.to_ipv4_mapped() {
            return self.ipv4(address).to_ipv6_mapped();
        }
        let pseudonym = self.pseudonym("ipv6", &address.to_string(), |number| {
            let [high, low] = [(number >> 16) as u16, number as u16];
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high, low).to_string()
        });
        pseudonym.parse().unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// `/proc/net/udp` and its like write an address as the words of the machine, in hexadecimal.
    pub(super) fn sockets(&mut self, text: &str) -> String {
        replace(&SOCKET, text, |found| {
            let (address, port) = found.split_once(':').unwrap_or((found, ""));
            let mut bytes = Vec::with_capacity(16);
            for start in (0..address.len()).step_by(8) {
                let word = address.get(start..start + 8).and_then(|word| u32::from_str_radix(word, 16).ok());
                bytes.extend(word.unwrap_or_default().to_ne_bytes());
            }
            let bytes: Vec<u8> = match (<[u8; 4]>::try_from(&*bytes), <[u8; 16]>::try_from(&*bytes)) {
                (Ok(four), _) => self.ipv4(four.into()).octets().to_vec(),
                (_, Ok(sixteen)) => self.ipv6(sixteen.into()).octets().to_vec(),
                _ => bytes,
            };
            let word = |word: &[u8]| <[u8; 4]>::try_from(word).map(u32::from_ne_bytes).unwrap_or_default();
            let hex: String = bytes.chunks(4).map(|chunk| format!("{:08X}", word(chunk))).collect();
            format!("{hex}:{port}")
        })
    }

    /// The how-manieth of its kind, counted from one.
    fn number(&mut self, kind: &'static str) -> u32 {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(1);
        *count
    }

    pub(super) fn pseudonym(&mut self, kind: &'static str, secret: &str, form: impl FnOnce(u32) -> String) -> String {
        let key = (kind, secret.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let pseudonym = form(self.number(kind));
        self.known.insert(key, pseudonym.clone());
        pseudonym
    }
}

fn replace(pattern: &Option<Regex>, text: &str, mut with: impl FnMut(&str) -> String) -> String {
    match pattern {
        Some(pattern) => pattern
            .replace_all(text, |found: &Captures<'_>| with(found.get(0).map_or("", |whole| whole.as_str())))
            .into_owned(),
        // A pattern of ours that does not compile would let everything pass.
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_keep_their_queues_and_ports() {
        let udp = "  25: 0302010A:0035 00000000:0000 07 00000002:00000003 00:00000000 00000000 101 0 16342 2 0 0\n";
        assert_eq!(Pseudonyms::default().sockets(udp), udp.replace("0302010A", "010012C6"));
        let local = udp.replace("0302010A", "0100007F");
        assert_eq!(Pseudonyms::default().sockets(&local), local);
        let udp6 = "  25: 000080FE00000000FF005450B8CDABFE:0222 00000000000000000000000000000000:0000 07\n";
        assert_eq!(
            Pseudonyms::default().sockets(udp6),
            udp6.replace("000080FE00000000FF005450B8CDABFE", "B80D0120000000000000000001000000")
        );
    }
}
