//! The requests of one push: complete messages, each within the limit.

use super::{Message, field, text};
use crate::config::Naming;
use crate::push::naming::SCHEMA_URL;
use crate::push::resource::Resource;
use crate::push::wire::{self, Open};

/// The scope of everything that is measured here.
pub(crate) const SCOPE: &str = "vigie";

/// What every request has around its metrics.
pub(super) struct Shell {
    resource: Vec<u8>,
    scope: Vec<u8>,
    scope_end: Vec<u8>,
    resource_end: Vec<u8>,
}

impl Shell {
    pub(super) fn new(resource: &Resource, naming: Naming) -> Shell {
        let mut shell =
            Shell { resource: Vec::new(), scope: Vec::new(), scope_end: Vec::new(), resource_end: Vec::new() };
        let mut told = Vec::new();
        resource.encode(&mut told);
        wire::bytes(field::RESOURCE, &told, &mut shell.resource);
        told.clear();
        text(field::SCOPE_NAME, SCOPE, &mut told);
        text(field::SCOPE_VERSION, env!("CARGO_PKG_VERSION"), &mut told);
        wire::bytes(field::SCOPE, &told, &mut shell.scope);
        text(field::SCHEMA_URL, naming.schema_url(), &mut shell.scope_end);
        text(field::SCHEMA_URL, SCHEMA_URL, &mut shell.resource_end);
        shell
    }

    fn end(&self) -> usize {
        self.scope_end.len() + self.resource_end.len()
    }
}

/// Requests that are filled one after the other. Nothing is open before its first point has come: no request and no
/// metric is without points.
pub(super) struct Requests<'a> {
    shell: &'a Shell,
    limit: usize,
    out: &'a mut Vec<u8>,
    done: &'a mut dyn FnMut(&[u8], u32),
    points: u32,
    metric: Option<&'a Message>,
    request: Option<[Open; 2]>,
    data: Option<[Open; 2]>,
}

impl<'a> Requests<'a> {
    /// Requests of at most `limit` bytes, or of one point. They are put together in `out`, and `done` is given each
    /// with the number of its points.
    pub(super) fn new(
        shell: &'a Shell,
        limit: usize,
        out: &'a mut Vec<u8>,
        done: &'a mut dyn FnMut(&[u8], u32),
    ) -> Requests<'a> {
        out.clear();
        Requests { shell, limit, out, done, points: 0, metric: None, request: None, data: None }
    }

    /// The points that follow are of this metric.
    pub(super) fn metric(&mut self, metric: &'a Message) {
        self.end_metric();
        self.metric = Some(metric);
    }

    /// Begins a point of `length` bytes, which are to be appended.
    pub(super) fn point(&mut self, length: usize) -> &mut Vec<u8> {
        let begun = if self.data.is_some() { 0 } else { self.metric.map_or(0, Message::begin_length) };
        let needed = begun + wire::HEAD + length + self.shell.end();
        if self.points > 0 && self.out.len() + needed > self.limit {
            self.end();
        }
        if self.request.is_none() {
            let request = wire::begin(field::REQUEST_RESOURCE_METRICS, self.out);
            self.out.extend_from_slice(&self.shell.resource);
            let scope = wire::begin(field::SCOPE_METRICS, self.out);
            self.out.extend_from_slice(&self.shell.scope);
            self.request = Some([request, scope]);
        }
        if self.data.is_none() {
            self.data = self.metric.map(|metric| metric.begin(self.out));
        }
        self.points += 1;
        wire::head(field::DATA_POINTS, length, self.out);
        self.out
    }

    fn end_metric(&mut self) {
        if let Some([metric, data]) = self.data.take() {
            wire::end(data, self.out);
            wire::end(metric, self.out);
        }
    }

    /// Ends the request that is open, if one is.
    pub(super) fn end(&mut self) {
        self.end_metric();
        if let Some([request, scope]) = self.request.take() {
            self.out.extend_from_slice(&self.shell.scope_end);
            wire::end(scope, self.out);
            self.out.extend_from_slice(&self.shell.resource_end);
            wire::end(request, self.out);
            (self.done)(self.out, std::mem::take(&mut self.points));
            self.out.clear();
        }
    }
}
