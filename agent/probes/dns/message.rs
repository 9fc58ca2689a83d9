//! Messages of DNS (RFC 1035, section 4): a query is written, an answer is read. No bytes at all make it panic or loop.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::name::{self, Bytes};

/// The types of records that can be asked for (RFC 1035, 3596 and 2782).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Type {
    /// An IPv4 address.
    #[default]
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name for the same.
    Cname,
    /// A mail server.
    Mx,
    /// A name server.
    Ns,
    /// The name of an address.
    Ptr,
    /// The head of a zone.
    Soa,
    /// Where a service is.
    Srv,
    /// Text.
    Txt,
}

impl Type {
    /// Its number.
    const fn number(self) -> u16 {
        match self {
            Type::A => 1,
            Type::Ns => 2,
            Type::Cname => 5,
            Type::Soa => 6,
            Type::Ptr => 12,
            Type::Mx => 15,
            Type::Txt => 16,
            Type::Aaaa => 28,
            Type::Srv => 33,
        }
    }

    /// Its word, as zone files have it.
    pub const fn word(self) -> &'static str {
        match self {
            Type::A => "A",
            Type::Ns => "NS",
            Type::Cname => "CNAME",
            Type::Soa => "SOA",
            Type::Ptr => "PTR",
            Type::Mx => "MX",
            Type::Txt => "TXT",
            Type::Aaaa => "AAAA",
            Type::Srv => "SRV",
        }
    }

    fn of(number: u16) -> Option<Type> {
        use Type::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt};
        [A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt].into_iter().find(|kind| kind.number() == number)
    }
}

/// What a server says of a query (RFC 1035, section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rcode {
    /// All is well.
    NoError,
    /// The query is malformed.
    FormErr,
    /// The server cannot answer.
    ServFail,
    /// There is no such name.
    NxDomain,
    /// The server does not know how.
    NotImp,
    /// The server does not want to.
    Refused,
    /// Any other, by number.
    #[serde(skip)]
    Other(u8),
}

impl Rcode {
    fn of(number: u8) -> Rcode {
        use Rcode::{FormErr, NoError, NotImp, NxDomain, Refused, ServFail};
        let known = [NoError, FormErr, ServFail, NxDomain, NotImp, Refused];
        known.get(usize::from(number)).copied().unwrap_or(Rcode::Other(number))
    }
}

impl std::fmt::Display for Rcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rcode::NoError => f.write_str("NOERROR"),
            Rcode::FormErr => f.write_str("FORMERR"),
            Rcode::ServFail => f.write_str("SERVFAIL"),
            Rcode::NxDomain => f.write_str("NXDOMAIN"),
            Rcode::NotImp => f.write_str("NOTIMP"),
            Rcode::Refused => f.write_str("REFUSED"),
            Rcode::Other(number) => write!(f, "RCODE{number}"),
        }
    }
}

/// The class of the internet.
const IN: u16 = 1;
/// Bits of the flags.
const RESPONSE: u16 = 0x8000;
const TRUNCATED: u16 = 0x0200;
const RECURSION: u16 = 0x0100;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The number that the answer repeats.
    pub id: u16,
    /// The name, as it goes over the wire.
    pub name: Vec<u8>,
    /// What is asked of it.
    pub kind: Type,
    /// Whether the server shall ask others.
    pub recursion: bool,
}

impl Question {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let flags = if self.recursion { RECURSION } else { 0 };
        let mut message: Vec<u8> = [self.id, flags, 1, 0, 0, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
        message.extend_from_slice(&self.name);
        message.extend([self.kind.number(), IN].iter().flat_map(|word| word.to_be_bytes()));
        message
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is the answer to this very question.
    pub ours: bool,
    /// Whether it did not fit: TCP has all of it.
    pub truncated: bool,
    /// What the server says.
    pub rcode: Rcode,
    /// The records, as `dig +short` has them.
    pub answers: Vec<String>,
    /// The serial number of the zone, where its head was among the answers.
    pub serial: Option<u32>,
    /// How many records tell of the servers that know.
    pub authority: u16,
    /// How many records come along.
    pub additional: u16,
}

/// Parses the answer to `question`. Nothing where it is no message of DNS.
pub fn parse(message: &[u8], question: &Question) -> Option<Answer> {
    let mut bytes = Bytes::of(message);
    let (id, flags) = (bytes.word()?, bytes.word()?);
    let (questions, answers, authority, additional) = (bytes.word()?, bytes.word()?, bytes.word()?, bytes.word()?);
    let mut ours = id == question.id && flags & RESPONSE != 0;
    // A server that did not even understand it repeats no question.
    for _ in 0..questions {
        let (name, kind, class) = (name::read(&mut bytes)?, bytes.word()?, bytes.word()?);
        let asked = name::read(&mut Bytes::of(&question.name))?;
        ours &= name.eq_ignore_ascii_case(&asked) && (kind, class) == (question.kind.number(), IN);
    }
    let [_, low] = flags.to_be_bytes();
    let mut answer = Answer {
        ours,
        truncated: flags & TRUNCATED != 0,
        rcode: Rcode::of(low & 0x0f),
        answers: Vec::new(),
        serial: None,
        authority,
        additional,
    };
    for _ in 0..answers {
        match record(&mut bytes) {
            Some(Record { text, serial }) => {
                answer.answers.push(text);
                answer.serial = answer.serial.or(serial);
            }
            // It ends where it was cut.
            None if answer.truncated => break,
            None => return None,
        }
    }
    Some(answer)
}

struct Record {
    text: String,
    serial: Option<u32>,
}

fn record(bytes: &mut Bytes<'_>) -> Option<Record> {
    name::read(bytes)?;
    let (kind, _class, _ttl, length) = (bytes.word()?, bytes.word()?, bytes.long()?, bytes.word()?);
    let mut data = bytes.part(usize::from(length))?;
    let mut serial = None;
    let text = match Type::of(kind) {
        Some(Type::A) => Ipv4Addr::from_bits(data.long()?).to_string(),
        Some(Type::Aaaa) => {
            let bits = (0..4).try_fold(0_u128, |bits, _| Some(bits << 32 | u128::from(data.long()?)))?;
            Ipv6Addr::from_bits(bits).to_string()
        }
        Some(Type::Cname | Type::Ns | Type::Ptr) => name::read(&mut data)?,
        Some(Type::Mx) => format!("{} {}", data.word()?, name::read(&mut data)?),
        Some(Type::Srv) => {
            format!("{} {} {} {}", data.word()?, data.word()?, data.word()?, name::read(&mut data)?)
        }
        Some(Type::Soa) => {
            let mut text = format!("{} {}", name::read(&mut data)?, name::read(&mut data)?);
            for at in 0..5 {
                let number = data.long()?;
                if at == 0 {
                    serial = Some(number);
                }
                // A String takes every write.
                let _ = write!(text, " {number}");
            }
            text
        }
        Some(Type::Txt) => {
            let mut texts = Vec::new();
            while let Some(text) = data.counted() {
                texts.push(format!("\"{}\"", name::escaped(text, b"\"\\")));
            }
            texts.join(" ")
        }
        // RFC 3597, section 5.
        None => {
            let rest = data.rest();
            rest.iter().fold(format!("\\# {} ", rest.len()), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        }
    };
    Some(Record { text, serial })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: Type) -> Question {
        Question { id: 0x1234, name: name::encode(name).unwrap(), kind, recursion: true }
    }

    /// The answer to `question` with these records, whose names point to the question's.
    fn message(question: &Question, flags: u16, records: &[(Type, &[u8])]) -> Vec<u8> {
        let mut message = question.encode();
        message[2..4].copy_from_slice(&(RESPONSE | flags).to_be_bytes());
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (kind, data) in records {
            message.extend([0xc0, 12]);
            message.extend([kind.number(), IN, 0, 60, data.len() as u16].iter().flat_map(|word| word.to_be_bytes()));
            message.extend_from_slice(data);
        }
        message
    }

    fn told(kind: Type, data: &[u8]) -> Option<String> {
        let question = question("example.org", kind);
        parse(&message(&question, 0, &[(kind, data)]), &question)?.answers.pop()
    }

    #[test]
    fn a_query_is_as_the_standard_has_it() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x0f\x00\x01";
        assert_eq!(question("example.org.", Type::Mx).encode(), expected);
    }

    #[test]
    fn records_are_told_as_dig_tells_them() {
        assert_eq!(told(Type::A, &[192, 0, 2, 7]).as_deref(), Some("192.0.2.7"));
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        assert_eq!(told(Type::Aaaa, &address).as_deref(), Some("2001:db8::"));
        assert_eq!(told(Type::Mx, b"\0\x0a\x04mail\xc0\x0c").as_deref(), Some("10 mail.example.org."));
        assert_eq!(told(Type::Srv, b"\0\x01\0\x02\x14\x66\x02db\0").as_deref(), Some("1 2 5222 db."));
        assert_eq!(told(Type::Txt, b"\x05v=\"1\"\x01x").as_deref(), Some("\"v=\\\"1\\\"\" \"x\""));
        let soa = b"\x02ns\xc0\x0c\x04host\xc0\x0c\0\0\0\x07\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04";
        assert_eq!(told(Type::Soa, soa).as_deref(), Some("ns.example.org. host.example.org. 7 1 2 3 4"));
        let question = question("example.org", Type::Soa);
        assert_eq!(parse(&message(&question, 0, &[(Type::Soa, soa)]), &question).unwrap().serial, Some(7));
    }

    #[test]
    fn an_answer_to_another_question_is_not_ours() {
        let asked = question("example.org", Type::A);
        let ours = |message: &[u8]| parse(message, &asked).unwrap().ours;
        assert!(ours(&message(&asked, 0, &[])));
        assert!(ours(&message(&question("EXAMPLE.org", Type::A), 0, &[])));
        assert!(!ours(&message(&question("example.net", Type::A), 0, &[])));
        assert!(!ours(&message(&question("example.org", Type::Ns), 0, &[])));
        assert!(!ours(&message(&Question { id: 1, ..asked.clone() }, 0, &[])));
        assert!(!ours(&asked.encode()));
    }

    #[test]
    fn codes_and_cuts_are_told() {
        let asked = question("example.org", Type::A);
        let parsed = |flags| parse(&message(&asked, flags, &[]), &asked).unwrap();
        assert_eq!((parsed(3).rcode, parsed(2).rcode), (Rcode::NxDomain, Rcode::ServFail));
        assert_eq!((parsed(5).rcode, parsed(9).rcode), (Rcode::Refused, Rcode::Other(9)));
        let mut cut = message(&asked, TRUNCATED, &[(Type::A, &[192, 0, 2, 7])]);
        cut.truncate(cut.len() - 2);
        assert!(parse(&cut, &asked).unwrap().truncated);
        cut[2] &= !2;
        assert_eq!(parse(&cut, &asked), None);
    }

    #[test]
    fn no_bytes_at_all_make_it_panic() {
        let asked = question("example.org", Type::Txt);
        let good = message(&asked, 0, &[(Type::Txt, b"\x03abc"), (Type::Mx, b"\0\x0a\xc0\x0c")]);
        for at in 0..good.len() {
            parse(&good[..at], &asked);
            for byte in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
                let mut bent = good.clone();
                bent[at] = byte;
                parse(&bent, &asked);
            }
        }
    }
}
