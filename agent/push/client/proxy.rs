//! The proxy that the environment wants between us and the collector: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and
//! `NO_PROXY`, in either case.

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::answer;
use super::connect::Place;
use super::failure::{ClientError, ExportError, Reason};
use crate::config::Endpoint;
use crate::stream::Stream;

/// The longest head of a proxy's answer, in bytes.
const HEAD: usize = 8 << 10;

/// A proxy that speaks HTTP without TLS.
pub(super) struct Proxy {
    pub(super) place: Place,
    /// The value of `Proxy-Authorization`, which is marked as a secret.
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The one that the environment wants for `endpoint`; never one to this host itself, which a proxy elsewhere could
    /// not reach.
    pub(super) fn of(endpoint: &Endpoint) -> Result<Option<Proxy>, ClientError> {
        let Endpoint::Url { host, .. } = endpoint else { return Ok(None) };
        let own =
            host.parse::<IpAddr>().map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback());
        let url = endpoint.to_string().parse::<Uri>().ok().filter(|_| !own);
        let Some(found) = url.and_then(|url| Matcher::from_env().intercept(&url)) else { return Ok(None) };
        let uri = found.uri();
        let scheme = uri.scheme_str().unwrap_or_default();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if scheme != "http" || host.is_empty() {
            return Err(ClientError::Proxy(format!("{scheme}://")));
        }
        let place = Place { host, port: uri.port_u16().unwrap_or(80) };
        Ok(Some(Proxy { place, authorization: found.basic_auth().cloned() }))
    }

    /// Has the proxy open a tunnel to `target`, a host with its port (RFC 9110, 9.3.6).
    pub(super) async fn tunnel(&self, stream: &mut impl Stream, target: &str) -> Result<(), ExportError> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let mut head = Vec::new();
        let talk = async {
            stream.write_all(&request).await?;
            // One by one: what follows the head is the collector's already.
            while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD {
                head.push(stream.read_u8().await?);
            }
            Ok::<_, std::io::Error>(())
        };
        let talked = talk.await;
        let failed =
            |what: String| Err(ExportError::passing(Reason::Proxy, format!("the proxy {} {what}", self.place)));
        match (answer::parse_connect(&head), talked) {
            (Some((200..=299, _)), Ok(())) => Ok(()),
            // tinyproxy says 401 to a wrong password.
            (Some((401 | 407, _)), _) => failed(self.refusal().to_owned()),
            (Some((status, reason)), _) => {
                failed(format!("opens no way to {target}: {status} {reason}; is the port allowed there?"))
            }
            (None, Err(error)) => failed(format!("ends the connection: {error}")),
            (None, Ok(())) => failed("does not answer in HTTP; is its URL in the environment right?".to_owned()),
        }
    }

    /// What 407 means.
    pub(super) fn refusal(&self) -> &'static str {
        if self.authorization.is_some() {
            "does not accept the user and password in its URL"
        } else {
            "asks for a user and password: write them as user:password@ into its URL"
        }
    }
}
