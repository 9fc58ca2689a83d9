//! Serde over the tree: every fault leaves with the place and the path of what it is about.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::mistake::{Fault, Kind, may_hold_password};
use super::secret;
use super::source::Place;
use super::tree::{Node, Value};

impl Node {
    /// Notes a fault here, unless it was noted further in. Not inlined: this is compiled for each type of the
    /// configuration, and would be a tenth of the program.
    #[cold]
    #[inline(never)]
    fn refuse(&self, place: &Place, mut fault: Box<Fault>) -> Box<Fault> {
        if fault.place.is_none() {
            fault.place = Some(place.clone());
            fault.follows = self.lacks_a_part();
            self.refused.set(true);
            // The value of a misspelt key may be a secret, and so may what stands in a table that should not be one.
            if self.text().is_some_and(may_hold_password) {
                self.secret.set(true);
            }
            let misplaced = matches!(self.value, Value::List(_) | Value::Table(_));
            match &mut fault.kind {
                Kind::Unknown { .. } => self.secret.set(true),
                Kind::Unlike { .. } if misplaced => self.secret.set(true),
                Kind::Unlike { found, .. } if self.secret.get() => "something else".clone_into(found),
                _ => {}
            }
        }
        fault
    }

    /// The same for the value of a key in a table.
    #[cold]
    #[inline(never)]
    fn refuse_value(&self, key: &str, fault: Box<Fault>) -> Box<Fault> {
        let mut fault = self.refuse(&self.place, fault);
        fault.path.insert(0, key.to_owned());
        fault
    }

    /// It is something else than what is expected here.
    #[cold]
    #[inline(never)]
    fn unlike(&self, expected: &dyn Expected) -> Box<Fault> {
        Box::<Fault>::invalid_type(self.value.unexpected(), expected)
    }

    /// Notes what a type says of itself by its name.
    fn mark(&self, name: &str) -> Result<(), Box<Fault>> {
        if (name == secret::MARK || name == secret::MARK_TABLE) && !matches!(self.value, Value::Table(_)) {
            self.secret.set(true);
            if name == secret::MARK && self.text().is_some() && !self.place.source.private {
                return Err(Fault::new(Kind::ReadableSecret).into());
            }
        }
        Ok(())
    }

    fn lacks_a_part(&self) -> bool {
        match &self.value {
            Value::List(list) => list.iter().any(|node| node.refused.get()),
            Value::Table(table) => table.values().any(|(_, node)| node.refused.get()),
            _ => false,
        }
    }
}

/// Each hint leads to the one kind of value that it asks for: what is compiled for a type is what reads that type.
impl<'de> Deserializer<'de> for &'de Node {
    type Error = Box<Fault>;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::Date => Err(self.unlike(&visitor)),
            Value::List(list) => visitor.visit_seq(Elements(list.iter())),
            Value::Table(table) => visitor.visit_map(Entries { entries: table.iter(), value: None }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            _ => Err(self.unlike(&visitor)),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Integer(number) => visitor.visit_i64(*number),
            _ => Err(self.unlike(&visitor)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            _ => Err(self.unlike(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Text(text) => visitor.visit_str(text),
            _ => Err(self.unlike(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::List(list) => visitor.visit_seq(Elements(list.iter())),
            _ => Err(self.unlike(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Table(table) => visitor.visit_map(Entries { entries: table.iter(), value: None }),
            _ => Err(self.unlike(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Table(table) => visitor.visit_map(Entries { entries: table.iter(), value: None }),
            _ => Err(self.unlike(&"a table")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Box<Fault>> {
        self.mark(name)?;
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Box<Fault>> {
        match &self.value {
            Value::Text(text) => {
                let text: StrDeserializer<'_, Box<Fault>> = text.as_str().into_deserializer();
                visitor.visit_enum(text)
            }
            _ => Err(self.unlike(&"a string")),
        }
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Box<Fault>> {
        self.deserialize_i64(visitor)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

impl Value {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Value::Text(text) => Unexpected::Str(text),
            Value::Integer(number) => Unexpected::Signed(*number),
            Value::Float(number) => Unexpected::Float(*number),
            Value::Boolean(truth) => Unexpected::Bool(*truth),
            Value::Date => Unexpected::Other("a date"),
            Value::List(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        }
    }
}

struct Elements<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Box<Fault>;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Box<Fault>> {
        let Some(node) = self.0.find(|node| !node.refused.get()) else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|fault| node.refuse(&node.place, fault))
    }
}

struct Entries<'de> {
    entries: std::collections::btree_map::Iter<'de, String, (Place, Node)>,
    value: Option<(&'de str, &'de Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Box<Fault>;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Box<Fault>> {
        let Some((key, (place, node))) = self.entries.find(|(_, (_, node))| !node.refused.get()) else {
            return Ok(None);
        };
        self.value = Some((key, node));
        let text: StrDeserializer<'_, Box<Fault>> = key.as_str().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|fault| node.refuse(place, fault))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Box<Fault>> {
        let (key, node) = self.value.take().ok_or_else(|| Box::<Fault>::custom("a value without a key"))?;
        seed.deserialize(node).map_err(|fault| node.refuse_value(key, fault))
    }
}
