//! What a handshake tells of the target, under blackbox_exporter's names.

use tokio_rustls::rustls::{CipherSuite, ClientConnection, ProtocolVersion};

use super::authorities::{Fingerprint, fingerprint};
use super::certificate::{self, Certificate};
use super::name::cut;
use super::witness::{Shown, Witness};
use crate::metric::{Label, Metric, Unit};
use crate::probes::{KIND, LABELS, PROBE, Report, TARGET};
use crate::snapshot::Labels;

/// Up to when the target's certificates hold.
pub(in crate::probes) static EARLIEST: Metric = Metric::gauge(
    "probe_ssl_earliest_cert_expiry",
    Unit::Seconds,
    "When the first of the certificates that the target shows expires, in seconds since 1970.",
)
.labels(LABELS)
.otel("vigie.probe.tls.earliest_not_after");
static LAST_CHAIN: Metric = Metric::gauge(
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    Unit::Seconds,
    "Up to when the target's certificate can be trusted, by the chain to an authority that lasts longest.",
)
.labels(LABELS)
.otel("vigie.probe.tls.chain_not_after");
static CHAIN_INFO: Metric = Metric::gauge(
    "probe_ssl_last_chain_info",
    Unit::One,
    "The certificate that the target shows: its names, its authority, its number and the SHA-256 of it.",
)
.labels(&[
    PROBE,
    KIND,
    TARGET,
    Label::new("fingerprint_sha256").otel("tls.server.hash.sha256"),
    Label::new("subject").otel("tls.server.subject"),
    Label::new("issuer").otel("tls.server.issuer"),
    Label::new("subjectalternative").page_only(),
    Label::new("serialnumber").page_only(),
]);
static VERSION: Metric = Metric::gauge("probe_tls_version_info", Unit::One, "The version of TLS that is spoken.")
    .labels(&[PROBE, KIND, TARGET, Label::new("version").otel("tls.protocol.version")]);
static CIPHER: Metric = Metric::gauge("probe_tls_cipher_info", Unit::One, "The cipher of TLS that is spoken.")
    .labels(&[PROBE, KIND, TARGET, Label::new("cipher").otel("tls.cipher")]);

/// Every metric of whoever speaks TLS.
pub static METRICS: &[&Metric] = &[&EARLIEST, &LAST_CHAIN, &CHAIN_INFO, &VERSION, &CIPHER];

/// What was seen last: its labels are made again only where it changed.
#[derive(Default)]
pub(super) struct Seen {
    /// Up to when the target can be spoken to: its certificate's trust ends, or the first of its certificates does.
    pub(super) end_seconds: Option<i64>,
    leaf: Option<(Fingerprint, Labels)>,
    version: Option<(ProtocolVersion, Labels)>,
    cipher: Option<(CipherSuite, Labels)>,
}

impl Seen {
    /// Writes what `witness` was shown and what is spoken; gives back the former.
    pub(super) fn tell(
        &mut self,
        witness: &Witness,
        connection: Option<&ClientConnection>,
        report: &mut Report,
    ) -> Shown {
        let shown = witness.take();
        let chain: Vec<Certificate<'_>> = shown.chain.iter().filter_map(|der| certificate::parse(der)).collect();
        let earliest = chain.iter().map(|certificate| certificate.not_after_seconds).min();
        if let Some(earliest) = earliest {
            report.put(&EARLIEST, earliest);
        }
        let authorities = witness.authorities().filter(|_| shown.trusted);
        let last = authorities.and_then(|authorities| authorities.last_end(&chain));
        if let Some(last) = last {
            report.put(&LAST_CHAIN, last);
        }
        self.end_seconds = last.or(earliest);
        if let (Some(der), Some(leaf)) = (shown.chain.first(), chain.first()) {
            self.tell_leaf(der, leaf, report);
        }
        if let Some(version) = connection.and_then(|connection| connection.protocol_version()) {
            let labels = remembered(&mut self.version, version, || report.labels(&[("version", word_of(version))]));
            report.put_with(&VERSION, &labels, true);
        }
        if let Some(suite) = connection.and_then(|connection| connection.negotiated_cipher_suite()) {
            let labels = remembered(&mut self.cipher, suite.suite(), || {
                // IANA has no 13 in it.
                let name = format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
                report.labels(&[("cipher", &name)])
            });
            report.put_with(&CIPHER, &labels, true);
        }
        shown
    }

    fn tell_leaf(&mut self, der: &[u8], leaf: &Certificate<'_>, report: &mut Report) {
        let fingerprint = fingerprint(der);
        let labels = remembered(&mut self.leaf, fingerprint, || {
            let hex: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
            let names = cut(leaf.dns_names().collect::<Vec<_>>().join(","));
            report.labels(&[
                ("fingerprint_sha256", &hex),
                ("subject", &leaf.subject()),
                ("issuer", &leaf.issuer()),
                ("subjectalternative", &names),
                ("serialnumber", &leaf.serial()),
            ])
        });
        report.put_with(&CHAIN_INFO, &labels, true);
    }
}

fn remembered<T: PartialEq>(last: &mut Option<(T, Labels)>, now: T, labels: impl FnOnce() -> Labels) -> Labels {
    match last {
        Some((known, labels)) if *known == now => labels.clone(),
        last => last.insert((now, labels())).1.clone(),
    }
}

/// As Go calls it, and with it the dashboards.
pub(super) const fn word_of(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLS 1.2",
        ProtocolVersion::TLSv1_3 => "TLS 1.3",
        _ => "unknown",
    }
}
