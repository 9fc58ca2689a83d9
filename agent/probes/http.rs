//! A server that must answer a request of HTTP: with the status, the headers and the content that are expected.
//!
//! Each check opens a connection of its own, and names, phases and redirects are blackbox_exporter's.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::admission::Destination;
use super::aside::Aside;
use super::connect::Connector;
use super::ip::Ip;
use super::module::{Admitted, Aim};
use super::secure::{Secure, Tls};
use super::{Ask, Kind, Plan, Probe, Setting};
use crate::config::quantity;
use crate::samplers::pattern::Pattern;
use asking::Asking;
use expect::Codes;
use headers::{Basic, Bearer, ByHeader, Sent, Value};
use telling::{Series, TOLD};
use url::Url;
use written::{Compression, Method, OneOrMore, Version};

mod asking;
mod content;
mod cookies;
pub mod expect;
mod headers;
mod httpcheck;
mod redirect;
mod telling;
mod traceparent;
pub mod url;
mod verdict;
mod written;

/// This kind.
pub static KIND: Kind = Kind { name: "http", metrics: TOLD, plans: |options| Plan::each(KIND.name, &options.http) };

/// `[[probe.http]]`. It is held by several, and is not small.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Asked")]
pub struct Http(Arc<Asked>);

impl From<Asked> for Http {
    fn from(asked: Asked) -> Http {
        Http(Arc::new(asked))
    }
}

/// The table itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What is asked for.
    pub url: Url,
    /// Where that server listens instead of at the URL's host.
    #[serde(default, deserialize_with = "absolute")]
    pub socket: Option<PathBuf>,
    /// What is asked of it.
    #[serde(default)]
    pub method: Method,
    /// What goes with it.
    #[serde(default)]
    pub headers: ByHeader<Value>,
    /// What is sent.
    #[serde(default)]
    pub body: String,
    /// Who asks.
    pub basic_auth: Option<Basic>,
    /// Who asks, by a token.
    pub bearer_token: Option<Bearer>,
    /// The statuses that are good.
    #[serde(default = "good")]
    pub status: OneOrMore<Codes>,
    /// What the content is like.
    #[serde(default)]
    pub expect: OneOrMore<Pattern>,
    /// What nothing in the content is like.
    #[serde(default)]
    pub expect_not: OneOrMore<Pattern>,
    /// Headers that are there, and what they are like.
    #[serde(default)]
    pub expect_headers: ByHeader<OneOrMore<Pattern>>,
    /// What these headers are not like.
    #[serde(default)]
    pub expect_headers_not: ByHeader<OneOrMore<Pattern>>,
    /// Whether it goes on to where it is sent.
    #[serde(default = "yes")]
    pub follow_redirects: bool,
    /// How often it is sent on at most.
    #[serde(default = "ten", deserialize_with = "quantity::count::<_, 1, 50>")]
    pub max_redirects: usize,
    /// Which HTTP is spoken.
    #[serde(default)]
    pub version: Version,
    /// Over which IP.
    #[serde(default)]
    pub ip: Ip,
    /// Whether the answer may be compressed, and how.
    pub compression: Option<Compression>,
    /// The longest content that is read, in bytes, over the wire and unpacked.
    #[serde(default = "longest", deserialize_with = "quantity::size::<_, 1, { 1 << 30 }>")]
    pub max_body: u64,
    /// Whether the server is told a trace that the check is part of.
    #[serde(default)]
    pub traceparent: bool,
    /// Whom it trusts, and what it shows.
    #[serde(default)]
    pub tls: Tls,
    /// Whom it may be sent on to, where it asks for others.
    #[serde(skip)]
    pub admitted: Option<Admitted>,
}

fn good() -> OneOrMore<Codes> {
    OneOrMore(vec![Codes::good()])
}

fn yes() -> bool {
    true
}

/// As blackbox_exporter has it.
fn ten() -> usize {
    10
}

fn longest() -> u64 {
    10 << 20
}

fn absolute<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(d)?;
    match path.is_absolute() {
        true => Ok(Some(path)),
        false => Err(serde::de::Error::custom(r#"expected the path of a unix socket such as "/run/docker.sock""#)),
    }
}

impl Aim for Http {
    const TARGET: &'static str = "url";
    const NOWHERE: Option<&'static str> = Some("http://nowhere.invalid/");

    /// As blackbox_exporter has it, a target without a scheme is one of http.
    fn aim(&self, target: &str, admitted: &Admitted) -> Result<(Http, Destination), String> {
        let url = if target.contains("://") { target.parse() } else { format!("http://{target}").parse() };
        let url: Url = url.map_err(|error: url::NoUrl| error.to_string())?;
        let destination = url.destination();
        Ok((Asked { url, admitted: Some(Arc::clone(admitted)), ..(*self.0).clone() }.into(), destination))
    }
}

impl Ask for Http {
    fn target(&self) -> String {
        self.0.url.to_string()
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Box::new(Asking {
            sent: Sent::of(&self.0),
            connector: Connector::over(self.0.ip),
            secure: Secure::new(&self.0.tls),
            series: Series::of(setting),
            aside: Aside::default(),
            http: Arc::clone(&self.0),
        })
    }

    fn warning(&self) -> Option<&'static str> {
        self.0.tls.warning()
    }
}
