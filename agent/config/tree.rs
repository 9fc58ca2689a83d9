//! What was written, with the place of each key and value: the file's tables, `--set` over them, variables below.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Fault;
use super::source::{Origin, Place, Source, is_bare};

/// A value, where it stands, and what was found out about it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
    /// A fault was noted here; the next attempt passes over it.
    pub(super) refused: Cell<bool>,
    /// Never shown in a message.
    pub(super) secret: Cell<bool>,
}

#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date,
    List(Vec<Node>),
    Table(Table),
}

/// Keys, each with the place of the key itself.
pub(super) type Table = BTreeMap<String, (Place, Node)>;

impl Node {
    pub(super) fn new(place: Place, value: Value) -> Node {
        Node { place, value, refused: Cell::new(false), secret: Cell::new(false) }
    }

    /// The empty configuration.
    pub(super) fn empty() -> Node {
        let source = Source { origin: Origin::Argument, text: String::new(), order: 0, private: true };
        Node::new(Place { source: Arc::new(source), span: 0..0 }, Value::Table(Table::new()))
    }

    /// Parses a whole file.
    pub(super) fn parse(source: &Arc<Source>) -> Result<Node, Box<Fault>> {
        match DeTable::parse(&source.text) {
            Ok(table) => {
                let (span, table) = (table.span(), table.into_inner());
                let place = Place { source: Arc::clone(source), span };
                Ok(Node::new(place, Value::of(DeValue::Table(table), source, 0)))
            }
            Err(error) => Err(Box::new(Fault::syntax(source, error.span().unwrap_or_default(), error.message()))),
        }
    }

    /// Lays the `key=value` of a `--set` over it.
    pub(super) fn set(&mut self, source: &Arc<Source>) -> Result<(), Box<Fault>> {
        let text = source.text.as_str();
        let place = |span| Place { source: Arc::clone(source), span };
        let refuse = |span, message: &str| Err(Box::new(Fault::syntax(source, span, message)));
        let Some((key, written)) = split_at_equals(text) else {
            return refuse(0..text.len(), "expected KEY=VALUE, such as sampling.interval=5s");
        };
        let written = written.trim_start();
        let value_at = text.len() - written.len();
        let written = written.trim_end();
        if written.is_empty() {
            return refuse(value_at..value_at, "expected a value after the =");
        }
        let Some(path) = key_path(key) else {
            return refuse(0..key.len(), "expected a dotted key, such as http.listen");
        };
        let node = match DeValue::parse(written) {
            Ok(value) => {
                let span = value.span();
                let span = span.start + value_at..span.end + value_at;
                Node::new(place(span), Value::of(value.into_inner(), source, value_at))
            }
            Err(_) if is_bare(written) => Node::new(place(value_at..text.len()), Value::Text(written.to_owned())),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                return refuse(span.start + value_at..span.end + value_at, error.message());
            }
        };
        self.put(path.into_iter().map(|(name, span)| (name, place(span))), node);
        Ok(())
    }

    fn put(&mut self, mut path: impl Iterator<Item = (String, Place)>, node: Node) {
        let Some((name, place)) = path.next() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Table(_)) {
            self.value = Value::Table(Table::new());
        }
        if let Value::Table(table) = &mut self.value {
            let vacant = || (place.clone(), Node::new(place.clone(), Value::Table(Table::new())));
            let (key_place, inner) = table.entry(name).or_insert_with(vacant);
            if path.size_hint().0 == 0 {
                *key_place = place;
            }
            inner.put(path, node);
        }
    }

    /// Lays `node` under what is written, at a path of keys where [`Node::lacks`] it.
    pub(super) fn lay(&mut self, path: &[&str], node: Node) {
        let place = node.place.clone();
        self.put(path.iter().map(|key| ((*key).to_owned(), place.clone())), node);
    }

    /// Whether nothing is written at a path of keys, and nothing in its way.
    pub(super) fn lacks(&self, path: &[&str]) -> bool {
        let Some((key, further)) = path.split_first() else { return false };
        match &self.value {
            Value::Table(table) => table.get(*key).is_none_or(|(_, node)| node.lacks(further)),
            _ => false,
        }
    }

    /// What stands at a path of keys, unless it was refused.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| match &node.value {
            Value::Table(table) => table.get(*key).map(|(_, node)| node).filter(|node| !node.refused.get()),
            _ => None,
        })
    }

    /// The elements of a list, or the value itself, without what was refused.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Node> {
        let list = match &self.value {
            Value::List(list) => list.as_slice(),
            _ => std::slice::from_ref(self),
        };
        list.iter().filter(|node| !node.refused.get())
    }

    /// Its text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The places that no message may show: each value in what is secret, so that its keys stay legible.
    pub(super) fn hidden(&self) -> Vec<Place> {
        let mut places = Vec::new();
        self.hide(false, &mut places);
        places
    }

    fn hide(&self, within_secret: bool, places: &mut Vec<Place>) {
        let secret = within_secret || self.secret.get();
        match &self.value {
            Value::List(list) => list.iter().for_each(|node| node.hide(secret, places)),
            Value::Table(table) => table.values().for_each(|(_, node)| node.hide(secret, places)),
            _ if secret => places.push(self.place.clone()),
            _ => {}
        }
    }
}

impl Value {
    /// Takes over what the parser found, in a text that begins at `offset` of its source.
    fn of(value: DeValue<'_>, source: &Arc<Source>, offset: usize) -> Value {
        let place =
            |span: Range<usize>| Place { source: Arc::clone(source), span: span.start + offset..span.end + offset };
        let node = |value: Spanned<DeValue<'_>>| {
            let place = place(value.span());
            Node::new(place, Value::of(value.into_inner(), source, offset))
        };
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Float(f64::INFINITY),
            },
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(truth) => Value::Boolean(truth),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(list) => Value::List(list.into_iter().map(node).collect()),
            DeValue::Table(table) => Value::Table(
                table
                    .into_iter()
                    .map(|(key, value)| (key.get_ref().to_string(), (place(key.span()), node(value))))
                    .collect(),
            ),
        }
    }
}

/// Splits at the first `=` that is in no quotes.
fn split_at_equals(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let equals = text.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        None
    })?;
    Some((text.get(..equals)?, text.get(equals + 1..)?))
}

/// The keys of a dotted key, and where they stand in it.
fn key_path(key: &str) -> Option<Vec<(String, Range<usize>)>> {
    let line = format!("{key}=0");
    let mut table = DeTable::parse(&line).ok()?.into_inner();
    let mut path = Vec::new();
    loop {
        let (key, value) = table.into_iter().next()?;
        path.push((key.get_ref().to_string(), key.span()));
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}
