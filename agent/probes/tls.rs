//! Certificates that must not expire soon: those that a server shows, or those that lie in files.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tokio::io::AsyncWriteExt;

use super::address::Address;
use super::connect::Connector;
use super::file::Age;
use super::glob::Glob;
use super::secure::{Secure, Tls};
use super::{Ask, Checking, Kind, Plan, Probe, ProbeError, Reason, Report, Setting};
use crate::config::quantity::Human;
use files::Files;
pub use starttls::Starttls;

mod files;
mod starttls;

/// This kind.
pub static KIND: Kind =
    Kind { name: "tls", metrics: files::METRICS, plans: |options| Plan::each(KIND.name, &options.tls) };

/// How long before its end a certificate is told of: who renews them by ACME does so weeks before.
const EXPIRES_IN: Duration = Duration::from_secs(14 * 86_400);

/// `[[probe.tls]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificates {
    /// Where they are.
    pub at: Place,
    /// How long they must hold yet.
    pub expires_in: Duration,
}

/// Where certificates are.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Where a server shows them.
    Server {
        /// Where it listens.
        address: Address,
        /// How it is asked for TLS, where it begins in plain text.
        starttls: Option<Starttls>,
        /// Whom it must be signed by, and what else is particular.
        tls: Tls,
    },
    /// In files, PEM or DER.
    Files(Glob),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: Option<Address>,
    starttls: Option<Starttls>,
    tls: Option<Tls>,
    files: Option<Glob>,
    expires_in: Option<Age>,
}

impl<'de> Deserialize<'de> for Certificates {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Certificates, D::Error> {
        let Written { address, starttls, tls, files, expires_in } = Written::deserialize(d)?;
        let odd = |message| Err(serde::de::Error::custom(message));
        let at = match (address, files) {
            (Some(address), None) => Place::Server { address, starttls, tls: tls.unwrap_or_default() },
            (None, Some(files)) if starttls.is_none() && tls.is_none() => Place::Files(files),
            (None, Some(_)) => return odd("`starttls` and `tls` are of an `address`, and this probe has `files`"),
            _ => return odd("expected either the `address` of a server or the path of `files`"),
        };
        Ok(Certificates { at, expires_in: expires_in.map_or(EXPIRES_IN, |Age(least)| least) })
    }
}

impl Ask for Certificates {
    fn target(&self) -> String {
        match &self.at {
            Place::Server { address, .. } => address.to_string(),
            Place::Files(files) => files.to_string(),
        }
    }

    fn probe(&self, setting: &Setting) -> Box<dyn Probe> {
        match &self.at {
            Place::Server { address, starttls, tls } => Box::new(Shaking {
                address: address.clone(),
                starttls: *starttls,
                connector: Connector::default(),
                secure: Secure::new(tls),
                expires_in: self.expires_in,
                setting: setting.clone(),
            }),
            Place::Files(files) => Box::new(Files::new(files.clone(), self.expires_in, setting)),
        }
    }

    fn warning(&self) -> Option<&'static str> {
        match &self.at {
            Place::Server { tls, .. } => tls.warning(),
            Place::Files(_) => None,
        }
    }
}

/// Who shakes hands with a server and leaves.
struct Shaking {
    address: Address,
    starttls: Option<Starttls>,
    connector: Connector,
    secure: Secure,
    expires_in: Duration,
    setting: Setting,
}

impl Shaking {
    async fn shake(&mut self, report: &mut Report) -> Result<(), ProbeError> {
        let mut stream = self.connector.connect(&self.address, report).await?;
        if let Some(starttls) = self.starttls {
            report.doing("asking for TLS");
            starttls.begin(&mut stream).await?;
        }
        let host = self.address.host();
        let mut stream = self.secure.handshake(stream, host, &[], report).await?;
        // It was a visit: whether the farewell arrives is the same to us.
        let _ = stream.shutdown().await;
        match self.secure.end_seconds() {
            Some(end) => judge(end, now_seconds(&self.setting), self.expires_in)
                .map_err(|when| soon(format!("the certificate of {} {when}", self.address))),
            None => Err(ProbeError::new(Reason::Tls, format!("{} shows no certificate that has an end", self.address))),
        }
    }
}

impl Probe for Shaking {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(self.shake(report))
    }
}

fn now_seconds(setting: &Setting) -> i64 {
    let now = setting.root.calls.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Whether what ends at `end_seconds` holds long enough; else when it ends.
fn judge(end_seconds: i64, now_seconds: i64, least: Duration) -> Result<(), String> {
    let date = super::secure::date_of(end_seconds);
    match u64::try_from(end_seconds.saturating_sub(now_seconds)) {
        Err(_) => Err(format!("expired on {date}")),
        Ok(left) if left < least.as_secs() => {
            let left = Human(Duration::from_secs(if left > 86_400 { left - left % 3_600 } else { left }));
            Err(format!("expires in {left}, on {date}, expected at least {} before", Human(least)))
        }
        Ok(_) => Ok(()),
    }
}

fn soon(message: String) -> ProbeError {
    ProbeError::new(Reason::Age, message).mend(
        "renew it, and check the timer or the service that should have: systemctl list-timers, certbot certificates",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_before_it_comes() {
        let day = 86_400;
        let judged = |end, now| judge(end, now, EXPIRES_IN);
        assert_eq!(judged(14 * day, 0), Ok(()));
        let date = "Thu, 15 Jan 1970 00:00:00 GMT";
        assert_eq!(
            judged(14 * day, 1).unwrap_err(),
            format!("expires in 13d23h, on {date}, expected at least 14d before")
        );
        assert_eq!(judged(14 * day, 14 * day - 61).unwrap_err().split(',').next(), Some("expires in 1m1s"));
        assert_eq!(judged(14 * day, 15 * day).unwrap_err(), format!("expired on {date}"));
    }

    #[test]
    fn it_is_a_server_or_files_and_not_both() {
        let read = |text: &str| toml::from_str::<Certificates>(text).map_err(|error| error.message().to_owned());
        assert_eq!(read("address = 'db:5432'\nstarttls = 'postgres'").unwrap().target(), "db:5432");
        assert_eq!(read("files = '/etc/ssl/*.pem'\nexpires_in = '7d'").unwrap().expires_in.as_secs(), 7 * 86_400);
        assert!(read("expires_in = '7d'").unwrap_err().contains("either the `address`"));
        assert!(read("files = '/x'\naddress = 'a:1'").unwrap_err().contains("either the `address`"));
        assert!(read("files = '/x'\nstarttls = 'smtp'").unwrap_err().contains("are of an `address`"));
    }
}
