//! A server that must answer a question of DNS, over UDP, and over TCP where the answer did not fit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use tokio::time::Instant;

use super::admission::Destination;
use super::connect::{Connector, reach, told};
use super::module::{self, Admitted, Aim};
use super::{
    Ask, Checking, KIND as KIND_LABEL, Kind, LABELS, PROBE, Plan, Probe, ProbeError, Reason, Report, Setting, TARGET,
};
use crate::metric::{Label, Metric, Unit};
use crate::samplers::pattern::Pattern;
use crate::samplers::root::{Buffer, Root};
use crate::snapshot::Labels;
use exchange::{open, over_tcp, over_udp};
use message::{Answer, Question, Rcode, Type};
use server::{Server, parse_servers};

mod exchange;
pub mod message;
pub mod name;
pub mod server;

static DURATION: Metric = Metric::gauge(
    "probe_dns_duration_seconds",
    Unit::Seconds,
    "How long each phase of the question took: resolve of the server's name, connect, request.",
)
.labels(&[PROBE, KIND_LABEL, TARGET, Label::new("phase").otel("vigie.probe.phase")])
.otel("vigie.probe.dns.phase.duration");
static SUCCEEDED: Metric =
    Metric::gauge("probe_dns_query_succeeded", Unit::One, "Whether the server answered at all.").labels(LABELS);
static ANSWERS: Metric =
    Metric::gauge("probe_dns_answer_rrs", Unit::Of("{record}"), "Records of the answer.").labels(LABELS);
static AUTHORITY: Metric =
    Metric::gauge("probe_dns_authority_rrs", Unit::Of("{record}"), "Records that tell who knows.").labels(LABELS);
static ADDITIONAL: Metric =
    Metric::gauge("probe_dns_additional_rrs", Unit::Of("{record}"), "Records that came along.").labels(LABELS);
static SERIAL: Metric =
    Metric::gauge("probe_dns_serial", Unit::One, "The serial number of the zone, where SOA is asked for.")
        .labels(LABELS)
        .otel("vigie.probe.dns.serial");

/// This kind.
pub static KIND: Kind = Kind {
    name: "dns",
    metrics: &[&DURATION, &SUCCEEDED, &ANSWERS, &AUTHORITY, &ADDITIONAL, &SERIAL],
    plans: |options| Plan::each(KIND.name, &options.dns),
};

/// `[[probe.dns]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name that is asked for.
    pub query: Name,
    /// What is asked of it.
    #[serde(default)]
    pub r#type: Type,
    /// Who is asked; none: the first server of `/etc/resolv.conf`.
    pub server: Option<Server>,
    /// Over what.
    #[serde(default)]
    pub transport: Transport,
    /// Whether the server shall ask others.
    #[serde(default = "yes")]
    pub recursion: bool,
    /// What it may say.
    #[serde(default = "no_error")]
    pub rcodes: Vec<Rcode>,
    /// One record at least matches this.
    pub expect: Option<Pattern>,
    /// No record matches this.
    pub expect_not: Option<Pattern>,
}

fn yes() -> bool {
    true
}

fn no_error() -> Vec<Rcode> {
    vec![Rcode::NoError]
}

/// A name that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Name {
    text: String,
    wire: Vec<u8>,
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Name, String> {
        let wire = name::encode(&text);
        let wire = wire.ok_or_else(|| format!("expected a name such as \"example.org\", found {text:?}"))?;
        Ok(Name { text, wire })
    }
}

/// Over what a server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// UDP, and TCP where the answer does not fit.
    #[default]
    Udp,
    /// TCP.
    Tcp,
}

impl Ask for Dns {
    fn target(&self) -> String {
        let question = format!("{} {}", self.query.text, self.r#type.word());
        self.server.as_ref().map_or(question.clone(), |server| format!("{question} @{server}"))
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        Box::new(Asking {
            dns: self.clone(),
            root: Arc::clone(&setting.root),
            connector: Connector::default(),
            phases: ["resolve", "connect", "request"].map(|phase| setting.labels(&[("phase", phase)])),
        })
    }
}

impl Aim for Dns {
    const TARGET: &'static str = "server";
    const NOWHERE: Option<&'static str> = None;

    fn aim(&self, target: &str, _: &Admitted) -> Result<(Dns, Destination), String> {
        let server = module::read(target, |target| Server::deserialize(target))?;
        let destination = Destination { scheme: None, host: server.host.clone(), port: Some(server.port) };
        Ok((Dns { server: Some(server), ..self.clone() }, destination))
    }
}

struct Asking {
    dns: Dns,
    root: Arc<Root>,
    connector: Connector,
    phases: [Labels; 3],
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            let answer = self.ask(report).await;
            report.put(&SUCCEEDED, answer.is_ok());
            let answer = answer?;
            report.put(&ANSWERS, answer.answers.len() as u64);
            report.put(&AUTHORITY, u64::from(answer.authority));
            report.put(&ADDITIONAL, u64::from(answer.additional));
            if let Some(serial) = answer.serial {
                report.put(&SERIAL, u64::from(serial));
            }
            self.dns.judge(&answer)
        })
    }
}

impl Asking {
    fn server(&self) -> Result<Server, ProbeError> {
        if let Some(server) = &self.dns.server {
            return Ok(server.clone());
        }
        let mut buffer = Buffer::default();
        let text = self.root.host.read("etc/resolv.conf", &mut buffer)?;
        // Without one, the C library asks this host.
        let address = parse_servers(text).next().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok(Server::at(address))
    }

    async fn ask(&self, report: &mut Report) -> Result<Answer, ProbeError> {
        let Server { host, port } = self.server()?;
        let [resolve, connect, request] = &self.phases;
        let begun = Instant::now();
        let addresses = self.connector.resolve(&host, port, report).await?;
        let address = addresses.first().copied().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        report.put_with(&DURATION, resolve, begun.elapsed().as_secs_f64());
        told(address.ip(), report);
        let mut id = [0; 2];
        let random = SystemRandom::new().fill(&mut id);
        random.map_err(|_| ProbeError::new(Reason::Internal, "the system gives no random number"))?;
        let question = Question {
            id: u16::from_be_bytes(id),
            name: self.dns.query.wire.clone(),
            kind: self.dns.r#type,
            recursion: self.dns.recursion,
        };
        if self.dns.transport == Transport::Udp {
            let begun = Instant::now();
            let socket = open(address).await.map_err(|error| ProbeError::connect(&address.to_string(), &error))?;
            report.put_with(&DURATION, connect, begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            report.doing("waiting for the answer");
            let answer = over_udp(&socket, address, &question).await?;
            if !answer.truncated {
                report.put_with(&DURATION, request, begun.elapsed().as_secs_f64());
                return Ok(answer);
            }
        }
        let begun = Instant::now();
        report.doing("connecting");
        let mut stream = reach(&address, vec![address], None).await?;
        if self.dns.transport == Transport::Tcp {
            report.put_with(&DURATION, connect, begun.elapsed().as_secs_f64());
        }
        let begun = Instant::now();
        report.doing("waiting for the answer over TCP");
        let answer = over_tcp(&mut stream, &question).await?;
        report.put_with(&DURATION, request, begun.elapsed().as_secs_f64());
        Ok(answer)
    }
}

/// The most records that a message shows.
const SHOWN: usize = 3;

impl Dns {
    fn judge(&self, answer: &Answer) -> Result<(), ProbeError> {
        let question = self.target();
        if !self.rcodes.contains(&answer.rcode) {
            let remedy = match answer.rcode {
                Rcode::NxDomain => "there is no such name: check how it is written, and its zone",
                Rcode::Refused => "check whom the server serves",
                _ => "check the server's log, and the servers that it asks",
            };
            let message = format!("{question}: the server says {}", answer.rcode);
            return Err(ProbeError::new(Reason::Status, message).mend(remedy));
        }
        if answer.answers.is_empty() && answer.rcode == Rcode::NoError {
            return Err(ProbeError::new(Reason::Absent, format!("{question}: the name has no such record")));
        }
        let all = || {
            let shown = answer.answers.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = answer.answers.len().saturating_sub(SHOWN);
            if more > 0 { format!("{shown} and {more} more") } else { shown }
        };
        if let Some(expect) = &self.expect
            && !answer.answers.iter().any(|record| expect.is_match(record))
        {
            let message = format!("{question}: no record like {:?}, but {}", expect.as_str(), all());
            return Err(ProbeError::new(Reason::Body, message));
        }
        if let Some(expect_not) = &self.expect_not
            && let Some(record) = answer.answers.iter().find(|record| expect_not.is_match(record))
        {
            let message = format!("{question}: {record} is like {:?}", expect_not.as_str());
            return Err(ProbeError::new(Reason::Body, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(text: &str) -> Dns {
        toml::from_str(&format!("query = 'example.org'\n{text}")).unwrap()
    }

    fn judged(text: &str, rcode: Rcode, answers: &[&str]) -> Result<(), String> {
        let answers = answers.iter().map(|record| (*record).to_owned()).collect();
        let answer = Answer { ours: true, truncated: false, rcode, answers, serial: None, authority: 0, additional: 0 };
        dns(text).judge(&answer).map_err(|error| format!("{}: {error}", error.reason.word()))
    }

    #[test]
    fn an_answer_is_what_was_expected_or_it_is_said_why_not() {
        assert_eq!(judged("", Rcode::NoError, &["192.0.2.1"]), Ok(()));
        assert_eq!(judged("", Rcode::NoError, &[]), Err("absent: example.org A: the name has no such record".into()));
        assert_eq!(
            judged("type = 'MX'", Rcode::ServFail, &[]),
            Err("status: example.org MX: the server says SERVFAIL".into())
        );
        assert_eq!(judged("rcodes = ['NXDOMAIN']", Rcode::NxDomain, &[]), Ok(()));
        let expect = "expect = '^192'\nexpect_not = '^10\\.'";
        assert_eq!(judged(expect, Rcode::NoError, &["alias.", "192.0.2.1"]), Ok(()));
        assert!(judged(expect, Rcode::NoError, &["198.51.100.1"]).unwrap_err().starts_with("body: "));
        assert!(judged(expect, Rcode::NoError, &["192.0.2.1", "10.0.0.1"]).unwrap_err().contains("10.0.0.1 is like"));
    }

    #[test]
    fn a_name_is_one() {
        assert!(toml::from_str::<Dns>("query = 'a..b'").is_err());
    }
}
