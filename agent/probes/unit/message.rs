//! Messages of D-Bus: a call, and what comes back (D-Bus specification, "Message Protocol").

use super::wire::{Reader, Unsayable, Writer};

/// The bytes of a message up to where its header's fields begin.
pub const FIXED: usize = 16;

/// The largest message that is read, in bytes; the specification has 128 MiB.
const LIMIT: usize = 8 << 20;

const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Who is asked what.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name on the bus.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// The types of the arguments.
    pub signature: &'a str,
}

impl Call<'_> {
    /// The message with these arguments.
    ///
    /// # Errors
    /// [`Unsayable`].
    pub fn encode(&self, serial: u32, arguments: &[u8]) -> Result<Vec<u8>, Unsayable> {
        let mut writer = Writer::default();
        // The least byte first, no flags, version 1.
        [b'l', CALL, 0, 1].into_iter().for_each(|byte| writer.byte(byte));
        writer.number(u32::try_from(arguments.len()).map_err(|_| Unsayable)?);
        writer.number(serial);
        writer.array(8, |writer| {
            for (code, kind, text) in [
                (PATH, "o", self.path),
                (INTERFACE, "s", self.interface),
                (MEMBER, "s", self.member),
                (DESTINATION, "s", self.destination),
                (SIGNATURE, "g", self.signature),
            ] {
                if text.is_empty() {
                    continue;
                }
                writer.align(8);
                writer.byte(code);
                writer.signature(kind)?;
                if code == SIGNATURE { writer.signature(text)? } else { writer.text(text)? }
            }
            Ok(())
        })?;
        writer.align(8);
        writer.append(arguments);
        Ok(writer.into_bytes())
    }
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Whether it says that the call failed.
    pub error: Option<&'a str>,
    /// Which call it answers; 0 where it is no answer.
    pub answers: u32,
    /// The types of what is said.
    pub signature: &'a str,
    /// What is said.
    pub body: Reader<'a>,
}

/// How long the whole message is, by its first [`FIXED`] bytes.
pub fn parse_length(fixed: &[u8]) -> Option<usize> {
    let big = order(fixed)?;
    let (body, fields) = (Reader::at(fixed, 4, big).number()?, Reader::at(fixed, 12, big).number()?);
    let head = FIXED.checked_add(usize::try_from(fields).ok()?)?.checked_next_multiple_of(8)?;
    head.checked_add(usize::try_from(body).ok()?).filter(|length| *length <= LIMIT)
}

/// Reads a whole message.
pub fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let big = order(bytes)?;
    let kind = *bytes.get(1)?;
    let mut header = Reader::at(bytes, 12, big);
    let mut fields = header.array(8)?;
    let (mut error, mut answers, mut signature) = (None, 0, "");
    while !fields.is_done() {
        fields.align(8)?;
        let code = fields.byte()?;
        match (code, fields.signature()?) {
            (ERROR_NAME, "s") => error = Some(fields.text()?),
            (SIGNATURE, "g") => signature = fields.signature()?,
            (REPLY_SERIAL, "u") => answers = fields.number()?,
            (_, "s" | "o") => drop(fields.text()?),
            (_, "g") => drop(fields.signature()?),
            (_, "u") => drop(fields.number()?),
            // The specification has no others, and a reader may not guess how long they are.
            _ => return None,
        }
    }
    header.align(8)?;
    let error = match kind {
        RETURN => None,
        ERROR => Some(error.unwrap_or("an error without a name")),
        _ => {
            answers = 0;
            None
        }
    };
    Some(Message { error, answers, signature, body: Reader::at(bytes, header.position(), big) })
}

/// Whether the greatest byte comes first.
fn order(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [b'l', _, _, 1, ..] => Some(false),
        [b'B', _, _, 1, ..] => Some(true),
        _ => None,
    }
}

/// A unit, as `ListUnitsByPatterns` of systemd has it: `(ssssssouso)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name.
    pub name: &'a str,
    /// `loaded`, `not-found`, `masked`, …
    pub load: &'a str,
    /// `active`, `failed`, …
    pub active: &'a str,
    /// What its kind calls its state: `running`, `auto-restart`, …
    pub sub: &'a str,
    /// Its object.
    pub path: &'a str,
}

/// Reads a list of units, at most `limit` of them; `None` where it is none.
pub fn parse_units<'a>(message: &Message<'a>, limit: usize) -> Option<Vec<Listed<'a>>> {
    (message.signature == "a(ssssssouso)").then_some(())?;
    let (mut units, mut list) = (Vec::new(), message.body.clone().array(8)?);
    while !list.is_done() && units.len() < limit {
        list.align(8)?;
        let (name, _description, load) = (list.text()?, list.text()?, list.text()?);
        let (active, sub, _following, path) = (list.text()?, list.text()?, list.text()?, list.text()?);
        let (_job, _kind, _of) = (list.number()?, list.text()?, list.text()?);
        units.push(Listed { name, load, active, sub, path });
    }
    Some(units)
}

/// Reads a property that is a number; `None` where it is none.
pub fn parse_number(message: &Message<'_>) -> Option<u64> {
    (message.signature == "v").then_some(())?;
    let mut body = message.body.clone();
    match body.signature()? {
        "u" => body.number().map(u64::from),
        "t" => body.long(),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An answer to call `serial`, as systemd's bus would send it.
    pub(in crate::probes::unit) fn answer(serial: u32, error: Option<&str>, signature: &str, body: &[u8]) -> Vec<u8> {
        let mut writer = Writer::default();
        let kind = if error.is_some() { ERROR } else { RETURN };
        [b'l', kind, 1, 1].into_iter().for_each(|byte| writer.byte(byte));
        writer.number(body.len() as u32);
        writer.number(77);
        let fields = writer.array(8, |writer| {
            writer.byte(REPLY_SERIAL);
            writer.signature("u")?;
            writer.number(serial);
            for (code, kind, text) in
                [(ERROR_NAME, "s", error.unwrap_or_default()), (7, "s", ":1.1"), (SIGNATURE, "g", signature)]
            {
                if !text.is_empty() {
                    writer.align(8);
                    writer.byte(code);
                    writer.signature(kind)?;
                    if kind == "g" { writer.signature(text)? } else { writer.text(text)? }
                }
            }
            Ok(())
        });
        fields.unwrap();
        writer.align(8);
        writer.append(body);
        writer.into_bytes()
    }

    /// A list of units: name, load, active and sub state.
    pub(in crate::probes::unit) fn units(units: &[[&str; 4]]) -> Vec<u8> {
        let mut writer = Writer::default();
        let list = writer.array(8, |writer| {
            for [name, load, active, sub] in units {
                writer.align(8);
                for text in [name, "what it is", load, active, sub, "", "/org/freedesktop/systemd1/unit/x"] {
                    writer.text(text)?;
                }
                writer.number(0);
                writer.text("")?;
                writer.text("/")?;
            }
            Ok(())
        });
        list.unwrap();
        writer.into_bytes()
    }

    #[test]
    fn a_call_is_what_the_specification_says() {
        let call = Call { destination: "a.b", path: "/", interface: "c.d", member: "E", signature: "s" };
        let bytes = call.encode(3, b"body").unwrap();
        assert_eq!(parse_length(&bytes), Some(bytes.len()));
        assert_eq!(&bytes[..16], b"l\x01\0\x01\x04\0\0\0\x03\0\0\0\x47\0\0\0");
        assert_eq!(&bytes[16..26], b"\x01\x01o\0\x01\0\0\0/\0");
        assert!(bytes.ends_with(b"body") && (bytes.len() - 4).is_multiple_of(8));
    }

    #[test]
    fn answers_are_read_and_cut_ones_are_not() {
        let list = units(&[["a.service", "loaded", "active", "running"], ["b.service", "loaded", "failed", "failed"]]);
        let bytes = answer(9, None, "a(ssssssouso)", &list);
        let message = parse(&bytes).unwrap();
        assert_eq!((message.answers, message.error, parse_length(&bytes)), (9, None, Some(bytes.len())));
        let read = parse_units(&message, 100).unwrap();
        assert_eq!(
            read.iter().map(|unit| (unit.name, unit.active)).collect::<Vec<_>>(),
            [("a.service", "active"), ("b.service", "failed")]
        );
        assert_eq!(parse_units(&message, 1).unwrap().len(), 1);
        for length in 0..bytes.len() {
            let whole = parse(&bytes[..length]).and_then(|message| parse_units(&message, 100));
            assert_eq!(whole, None, "{length}");
        }
        let refused = answer(2, Some("org.freedesktop.DBus.Error.AccessDenied"), "s", b"");
        assert_eq!(parse(&refused).unwrap().error, Some("org.freedesktop.DBus.Error.AccessDenied"));
    }

    #[test]
    fn a_property_is_a_number_or_nothing() {
        let mut writer = Writer::default();
        writer.signature("t").unwrap();
        writer.long(1_700_000_000_000_000);
        let bytes = answer(1, None, "v", &writer.into_bytes());
        assert_eq!(parse_number(&parse(&bytes).unwrap()), Some(1_700_000_000_000_000));
        let bytes = answer(1, None, "s", b"\0\0\0\0\0");
        assert_eq!(parse_number(&parse(&bytes).unwrap()), None);
    }
}
