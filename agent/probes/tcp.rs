//! A port that answers, and what is said there when lines are sent to it, in plain text or over TLS.

use serde::{Deserialize, Deserializer};
use tokio::io::AsyncWriteExt;

use super::address::{Address, NoAddress};
use super::admission::Destination;
use super::connect::{Connector, FAILED_DUE_TO_REGEX};
use super::ip::Ip;
use super::module::{Admitted, Aim};
use super::secure::{self, Secure, Tls};
use super::{Ask, Checking, Kind, Plan, Probe, ProbeError, Reason, Report, Setting};
pub use script::Step;
use script::{Stopped, talk};

mod script;

/// This kind.
pub static KIND: Kind = Kind { name: "tcp", metrics: &[], plans: |options| Plan::each(KIND.name, &options.tcp) };

/// `[[probe.tcp]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Where it listens.
    pub address: Address,
    /// Over which IP.
    #[serde(default)]
    pub ip: Ip,
    /// How TLS is spoken, if it is: from the start, or from the step of the script on that says so.
    #[serde(default, deserialize_with = "secure::switch")]
    pub tls: Option<Tls>,
    /// What is said, in turn. Without it, a connection is enough.
    #[serde(default, deserialize_with = "script_of")]
    pub script: Vec<Step>,
}

fn script_of<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Step>, D::Error> {
    let script = Vec::<Step>::deserialize(d)?;
    if script.iter().filter(|step| step.starttls).count() > 1 {
        return Err(serde::de::Error::custom("expected one step with `starttls` at most: TLS begins once"));
    }
    Ok(script)
}

impl Ask for Tcp {
    fn target(&self) -> String {
        self.address.to_string()
    }

    fn probe(&self, _: &Setting) -> Box<dyn Probe> {
        let starts = self.script.iter().any(|step| step.starttls);
        let tls = self.tls.clone().or_else(|| starts.then(Tls::default));
        let (connector, secure) = (Connector::over(self.ip), tls.as_ref().map(Secure::new));
        Box::new(Asking { tcp: self.clone(), connector, secure })
    }

    fn warning(&self) -> Option<&'static str> {
        self.tls.as_ref().and_then(Tls::warning)
    }
}

impl Aim for Tcp {
    const TARGET: &'static str = "address";
    const NOWHERE: Option<&'static str> = Some("nowhere.invalid:1");

    fn aim(&self, target: &str, _: &Admitted) -> Result<(Tcp, Destination), String> {
        let address: Address = target.parse().map_err(|error: NoAddress| error.to_string())?;
        let destination = address.destination().ok_or("a unix socket is not asked for others")?;
        Ok((Tcp { address, ..self.clone() }, destination))
    }
}

struct Asking {
    tcp: Tcp,
    connector: Connector,
    secure: Option<Secure>,
}

impl Asking {
    async fn ask(&mut self, report: &mut Report) -> Result<(), ProbeError> {
        let Tcp { address, script, .. } = &self.tcp;
        let mut stream = self.connector.connect(address, report).await?;
        let Some(secure) = &mut self.secure else {
            return Ok(talk(&mut stream, script, report).await?);
        };
        let begins = script.iter().position(|step| step.starttls).map_or(0, |step| step + 1);
        let (plain, safe) = script.split_at_checked(begins).unwrap_or_default();
        talk(&mut stream, plain, report).await?;
        let host = address.host();
        let mut stream = secure.handshake(stream, host, &[], report).await?;
        match talk(&mut stream, safe, report).await {
            Ok(()) => {
                // It was a visit: whether the farewell arrives is the same to us.
                let _ = stream.shutdown().await;
                Ok(())
            }
            Err(Stopped::Broken(error)) => {
                Err(secure.tell(host, Some(&error), report).unwrap_or_else(|| Stopped::Broken(error).into()))
            }
            Err(stopped) => Err(stopped.into()),
        }
    }
}

impl Probe for Asking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(async {
            let said = self.ask(report).await;
            report.put(&FAILED_DUE_TO_REGEX, said.as_ref().is_err_and(|error| error.reason == Reason::Body));
            said
        })
    }
}
