//! The attributes of a series, from the labels that it was born with.

use super::track::Pushed;
use crate::metric::Label;
use crate::push::resource::{AttributeValue, attribute};
use crate::snapshot::Labels;

/// Appends the attributes of a point: its labels, and those that the metric always has. A label without a value is
/// none, as on the page. Their order means nothing there: the last label is the one that nearly always differs from the
/// point before, and stands first so that what follows is a longer match for a compressor.
pub(super) fn encode(pushed: &Pushed, labels: &Labels, out: &mut Vec<u8>) {
    for (name, value) in labels.pairs().iter().rev().filter(|(_, value)| !value.is_empty()) {
        if pushed.shape.bound() == Some(name) {
            continue;
        }
        if pushed.metric.foreign {
            attribute(pushed.shape.attributes(), name, AttributeValue::Text(value), out);
        } else if let Some(label) = pushed.metric.labels.iter().find(|label| label.name == *name) {
            declared(pushed, label, value, out);
        }
    }
    for (key, value) in pushed.metric.otel.map_or(&[][..], |otel| otel.fixed) {
        let (key, prefix, value) = pushed.naming.attribute(key, value);
        attribute(pushed.shape.attributes(), key, AttributeValue::Text(&format!("{prefix}{value}")), out);
    }
}

fn declared(pushed: &Pushed, label: &Label, value: &str, out: &mut Vec<u8>) {
    if label.otel.is_empty() {
        return;
    }
    if label.otel_server {
        return server(pushed, value, out);
    }
    let other = label.otel_values.iter().find(|(page, _)| *page == value);
    let (key, prefix, value) = pushed.naming.attribute(label.otel, other.map_or(value, |(_, otel)| otel));
    let value = match value.parse() {
        Ok(int) if label.otel_int && prefix.is_empty() => AttributeValue::Int(int),
        _ => AttributeValue::Text(&format!("{prefix}{value}")),
    };
    attribute(pushed.shape.attributes(), key, value, out);
}

/// Where a server listens: a host without brackets and its port, or the path of a unix socket.
fn server(pushed: &Pushed, place: &str, out: &mut Vec<u8>) {
    let field = pushed.shape.attributes();
    let port = || place.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let address = match (place.strip_prefix("unix:"), port()) {
        (Some(path), _) => path,
        (None, Some((host, port))) => {
            attribute(field, "server.port", AttributeValue::Int(port), out);
            host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
        }
        (None, None) => place,
    };
    attribute(field, "server.address", AttributeValue::Text(address), out);
}
