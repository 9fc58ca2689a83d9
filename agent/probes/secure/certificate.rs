//! What a certificate says of itself: whom it names, who signed it, and from when to when it holds (RFC 5280, 4.1).
//!
//! Nothing is judged here: whether it is to be trusted is rustls' to say. A certificate that nobody should trust is read
//! all the same, as far as it goes.

use super::der::{Der, INTEGER, Item, OCTETS, OID, SEQUENCE, numbered};
use super::name;

/// The extension that has the names, subjectAltName: 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
/// In it, a name of DNS: `[2]`, and nothing inside.
const DNS_NAME: u8 = 0x82;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// A certificate, as much as is told of it. Parts are as they are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// Its number, without zeros before.
    serial: &'a [u8],
    /// Who signed it.
    pub(super) issuer: &'a [u8],
    /// From when on it holds, in seconds since 1970.
    pub not_before_seconds: i64,
    /// Up to when it holds, in seconds since 1970.
    pub not_after_seconds: i64,
    /// Whom it names.
    pub(super) subject: &'a [u8],
    /// What else is said of it.
    extensions: Der<'a>,
}

/// Reads a certificate in DER; `None` where it is none.
pub fn parse(der: &[u8]) -> Option<Certificate<'_>> {
    let mut fields = Der(der).read(SEQUENCE)?.inside().read(SEQUENCE)?.inside();
    // The version is left out where it is 1.
    fields.read(numbered(0));
    let serial = fields.read(INTEGER)?.content;
    // How it is signed.
    fields.read(SEQUENCE)?;
    let issuer = fields.read(SEQUENCE)?.content;
    let mut validity = fields.read(SEQUENCE)?.inside();
    let (from, until) = (validity.next()?, validity.next()?);
    let subject = fields.read(SEQUENCE)?.content;
    let extensions = fields.find(|field| field.tag == numbered(3)).and_then(|field| field.inside().read(SEQUENCE));
    Some(Certificate {
        serial: serial.get(serial.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default(),
        issuer,
        not_before_seconds: parse_time(from)?,
        not_after_seconds: parse_time(until)?,
        subject,
        extensions: extensions.map_or(Der(&[]), Item::inside),
    })
}

impl<'a> Certificate<'a> {
    /// Whom it names, as RFC 4514 writes it; cut where it is very long.
    pub fn subject(&self) -> String {
        name::write(self.subject)
    }

    /// Who signed it, likewise.
    pub fn issuer(&self) -> String {
        name::write(self.issuer)
    }

    /// Its number, in hexadecimal.
    pub fn serial(&self) -> String {
        self.serial.iter().take(name::LIMIT / 2).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its number, in decimal.
    pub fn serial_decimal(&self) -> String {
        // RFC 5280 has 20 octets at most; nine digits at a time fit a word.
        let mut groups: Vec<u64> = vec![0];
        for byte in self.serial.iter().take(64) {
            let mut carry = u64::from(*byte);
            for group in &mut groups {
                let value = *group * 256 + carry;
                (*group, carry) = (value % 1_000_000_000, value / 1_000_000_000);
            }
            if carry > 0 {
                groups.push(carry);
            }
        }
        let text: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
        let text = text.trim_start_matches('0');
        if text.is_empty() { "0".to_owned() } else { text.to_owned() }
    }

    /// The common name of whom it names, empty where there is none.
    pub fn subject_common_name(&self) -> String {
        name::common_name(self.subject)
    }

    /// The common name of who signed it, empty where there is none.
    pub fn issuer_common_name(&self) -> String {
        name::common_name(self.issuer)
    }

    /// The names of hosts that it is for.
    pub fn dns_names(&self) -> impl Iterator<Item = &'a str> {
        let is_names =
            |extension: &Item<'a>| extension.inside().read(OID).is_some_and(|oid| oid.content == ALTERNATIVE_NAMES);
        let names = self.extensions.into_iter().find(is_names);
        // Between the two may stand that it is critical.
        let names = names.and_then(|names| names.inside().find(|part| part.tag == OCTETS));
        let names = names.and_then(|octets| octets.inside().read(SEQUENCE)).map_or(Der(&[]), Item::inside);
        names.filter(|name| name.tag == DNS_NAME).filter_map(|name| std::str::from_utf8(name.content).ok())
    }

    /// Whether it says that it signed itself.
    pub fn is_own_issuer(&self) -> bool {
        self.issuer == self.subject
    }
}

/// Seconds since 1970 of `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn parse_time(time: Item<'_>) -> Option<i64> {
    let digits = time.content.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let number = |digits: &[u8]| digits.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (time.tag, digits.len()) {
        (UTC_TIME, 12) => digits.split_at_checked(2).map(|(year, rest)| match number(year) {
            year @ 50.. => (1900 + year, rest),
            year => (2000 + year, rest),
        })?,
        (GENERALIZED_TIME, 14) => digits.split_at_checked(4).map(|(year, rest)| (number(year), rest))?,
        _ => return None,
    };
    let mut pairs = rest.chunks_exact(2).map(number);
    let [month, day, hour, minute, second] = std::array::from_fn(|_| pairs.next().unwrap_or_default());
    let real = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    real.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days of the Gregorian calendar, for years that begin in March: the leap day is the last one then.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days - 719_468
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_is_read_as_it_was_written() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["shop.example".to_owned(), "*.shop.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        params.distinguished_name.push(DnType::CommonName, "shop");
        params.serial_number = Some(SerialNumber::from(vec![0x00, 0x9f, 0x01]));
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(2052, 2, 29);
        let written = params.self_signed(&key).unwrap();
        let read = parse(written.der()).unwrap();
        // date -u -d 1999-12-31 +%s; date -u -d 2052-02-29 +%s
        assert_eq!((read.not_before_seconds, read.not_after_seconds), (946_598_400, 2_592_777_600));
        assert_eq!((read.subject(), read.issuer(), read.serial()), ("CN=shop".into(), "CN=shop".into(), "9f01".into()));
        assert_eq!(read.dns_names().collect::<Vec<_>>(), ["shop.example", "*.shop.example"]);
        assert_eq!((read.serial_decimal(), read.subject_common_name()), ("40705".into(), "shop".into()));
        assert!(read.is_own_issuer());
    }

    #[test]
    fn a_number_of_twenty_octets_is_written_out() {
        let mut certificate = parse(include_bytes!("../../../tests/fuzz/certificate.der")).unwrap();
        certificate.serial = &[0xff; 20];
        // 2^160 - 1
        assert_eq!(certificate.serial_decimal(), "1461501637330902918203684832716283019655932542975");
        certificate.serial = &[];
        assert_eq!(certificate.serial_decimal(), "0");
    }

    #[test]
    fn times_are_of_this_century_or_the_last() {
        let seconds = |tag, content: &str| {
            let item = Item { tag, content: content.as_bytes(), whole: &[] };
            parse_time(item)
        };
        assert_eq!(seconds(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(seconds(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(seconds(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(seconds(GENERALIZED_TIME, "20240229120000Z"), Some(1_709_208_000));
        // What RFC 5280 has for "never".
        assert_eq!(seconds(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        for odd in ["", "Z", "7001010000Z", "700101000000", "701301000000Z", "700100000000Z", "70010100000éZ"] {
            assert_eq!(seconds(UTC_TIME, odd), None, "{odd}");
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_certificate_or_the_same() {
        let key = KeyPair::generate().unwrap();
        let written = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        for length in 0..written.der().len() {
            assert_eq!(parse(&written.der()[..length]), None);
        }
    }
}
