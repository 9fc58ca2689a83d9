//! Certificates that lie in files. Each is told under the name that x509-certificate-exporter has for it, and the
//! dashboards with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::{judge, now_seconds, soon};
use crate::metric::{Label, Metric, Unit};
use crate::probes::aside::Aside;
use crate::probes::glob::Glob;
use crate::probes::secure::{EARLIEST, certificate};
use crate::probes::{Checking, KIND, PROBE, Probe, ProbeError, Reason, Report, Setting, TARGET};
use crate::samplers::SampleError;
use crate::samplers::root::{Buffer, Metadata, Root};
use crate::snapshot::Labels;

static NOT_AFTER: Metric =
    Metric::gauge("x509_cert_not_after", Unit::Seconds, "When a certificate in a file expires, in seconds since 1970.")
        .labels(&[
            PROBE,
            KIND,
            TARGET,
            Label::new("filename").otel("file.name"),
            Label::new("filepath").otel("file.path"),
            Label::new("serial_number").otel("vigie.probe.certificate.serial_number"),
            Label::new("subject_CN").otel("vigie.probe.certificate.subject"),
            Label::new("issuer_CN").otel("vigie.probe.certificate.issuer"),
        ])
        .otel("vigie.probe.tls.file_not_after");

/// What is told of files.
pub(super) static METRICS: &[&Metric] = &[&NOT_AFTER];

/// The most certificates that have a series. Those beyond are judged all the same.
const SERIES: usize = 500;

/// The most of a file that is read, in bytes: the system's whole bundle has a fifth of it.
const FILE_LIMIT: u64 = 1 << 20;

/// Who looks through files.
pub(super) struct Files {
    glob: Glob,
    expires_in: Duration,
    setting: Setting,
    known: Arc<Mutex<Known>>,
    aside: Aside,
    /// Whether there were more certificates than series, at the check before.
    cut: bool,
}

/// What was read of each file, and of which state of it.
#[derive(Default)]
struct Known {
    files: HashMap<String, (Metadata, Result<Vec<Entry>, ProbeError>)>,
    /// In the order of the last walk.
    order: Vec<String>,
}

/// One certificate of a file.
struct Entry {
    end_seconds: i64,
    subject: String,
    labels: Labels,
}

impl Files {
    pub(super) fn new(glob: Glob, expires_in: Duration, setting: &Setting) -> Files {
        let (known, aside) = (Arc::default(), Aside::default());
        Files { glob, expires_in, setting: setting.clone(), known, aside, cut: false }
    }

    async fn look(&mut self, report: &mut Report) -> Result<(), ProbeError> {
        report.doing("looking through the files");
        let (glob, setting, known) = (self.glob.clone(), self.setting.clone(), Arc::clone(&self.known));
        self.aside.run(move || known.lock().unwrap_or_else(PoisonError::into_inner).renew(&glob, &setting)).await??;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let count = known.tell(report);
        if (count > SERIES) != self.cut {
            self.cut = count > SERIES;
            let (probe, target) = (&self.setting.probe, &self.setting.target);
            match self.cut {
                true => tracing::warn!(probe, target, count, limit = SERIES, "some certificates have no series"),
                false => tracing::info!(probe, target, count, "every certificate has a series again"),
            }
        }
        known.judge(&self.glob, now_seconds(&self.setting), self.expires_in)
    }
}

impl Probe for Files {
    fn check<'a>(&'a mut self, report: &'a mut Report) -> Checking<'a> {
        Box::pin(self.look(report))
    }
}

impl Known {
    /// Reads what is new or has changed, and forgets what is gone.
    fn renew(&mut self, glob: &Glob, setting: &Setting) -> Result<(), ProbeError> {
        let (mut found, mut buffer) = (Vec::new(), Buffer::default());
        let walked = glob.walk(&setting.root, |path, metadata| found.push((path.to_owned(), metadata)));
        walked.map_err(|error| readable(error, &glob.to_string()))?;
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.order.clear();
        for (path, metadata) in found {
            if self.files.get(&path).is_none_or(|(known, entries)| *known != metadata || entries.is_err()) {
                let entries = read(&path, metadata, setting, &mut buffer);
                self.files.insert(path.clone(), (metadata, entries));
            }
            self.order.push(path);
        }
        if self.files.len() > self.order.len() {
            let order = &self.order;
            self.files.retain(|path, _| order.binary_search(path).is_ok());
        }
        Ok(())
    }

    fn entries(&self) -> impl Iterator<Item = (&String, &Entry)> {
        let files = self.order.iter().filter_map(|path| Some((path, self.files.get(path)?.1.as_ref().ok()?)));
        files.flat_map(|(path, entries)| entries.iter().map(move |entry| (path, entry)))
    }

    /// Writes every certificate for which there is a series; says how many there are.
    fn tell(&self, report: &mut Report) -> usize {
        let mut count = 0;
        for (_, entry) in self.entries() {
            if count < SERIES {
                report.put_with(&NOT_AFTER, &entry.labels, entry.end_seconds);
            }
            count += 1;
        }
        if let Some(earliest) = self.entries().map(|(_, entry)| entry.end_seconds).min() {
            report.put(&EARLIEST, earliest);
        }
        count
    }

    fn judge(&self, glob: &Glob, now_seconds: i64, expires_in: Duration) -> Result<(), ProbeError> {
        if self.order.is_empty() {
            return Err(ProbeError::new(Reason::Absent, format!("no file matches {glob}")));
        }
        let first = self.entries().min_by_key(|(_, entry)| entry.end_seconds);
        if let Some((path, entry)) = first
            && let Err(when) = judge(entry.end_seconds, now_seconds, expires_in)
        {
            let others = self.entries().filter(|(_, entry)| judge(entry.end_seconds, now_seconds, expires_in).is_err());
            let more = match others.count() {
                0 | 1 => String::new(),
                bad => format!("; and {} more certificates expire too soon", bad - 1),
            };
            return Err(soon(format!("the certificate of {:?} in /{path} {when}{more}", entry.subject)));
        }
        match self.files.values().find_map(|(_, entries)| entries.as_ref().err()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

fn read(path: &str, metadata: Metadata, setting: &Setting, buffer: &mut Buffer) -> Result<Vec<Entry>, ProbeError> {
    if metadata.size_bytes > FILE_LIMIT {
        let message = format!("/{path} has {} bytes, too many for a file of certificates", metadata.size_bytes);
        return Err(ProbeError::new(Reason::Size, message).mend("write a narrower path"));
    }
    let bytes = bytes_of(&setting.root, path, buffer)?;
    // DER begins with a sequence; PEM is text.
    let chain = match bytes.first() {
        Some(0x30) => vec![CertificateDer::from(bytes.to_vec())],
        _ => CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>().map_err(|error| {
            ProbeError::new(Reason::Tls, format!("cannot parse /{path}: {error}")).mend("write the file anew")
        })?,
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut entries: Vec<Entry> = Vec::new();
    for der in &chain {
        let Some(certificate) = certificate::parse(der) else {
            let message = format!("cannot parse /{path}: expected certificates of X.509");
            return Err(ProbeError::new(Reason::Tls, message).mend("look at it with openssl x509 -noout -text"));
        };
        let (serial, subject) = (certificate.serial_decimal(), certificate.subject_common_name());
        let labels = setting.labels(&[
            ("filename", name),
            ("filepath", &format!("/{path}")),
            ("serial_number", &serial),
            ("subject_CN", &subject),
            ("issuer_CN", &certificate.issuer_common_name()),
        ]);
        // A file may have the same one twice, a series may not be there twice.
        if entries.iter().all(|known| known.labels.page() != labels.page()) {
            entries.push(Entry { end_seconds: certificate.not_after_seconds, subject: certificate.subject(), labels });
        }
    }
    if entries.is_empty() {
        let message = format!("no certificate in /{path}: expected a block BEGIN CERTIFICATE");
        return Err(ProbeError::new(Reason::Tls, message).mend("write a path that certificates only have"));
    }
    Ok(entries)
}

fn bytes_of<'b>(root: &Root, path: &str, buffer: &'b mut Buffer) -> Result<&'b [u8], ProbeError> {
    root.host.read_bytes(path, buffer).map_err(|error: SampleError| readable(error.into(), &format!("/{path}")))
}

fn readable(error: ProbeError, path: &str) -> ProbeError {
    match error.reason {
        // certbot keeps /etc/letsencrypt/live and archive from everybody.
        Reason::Permission => error.mend(format!(
            "let vigie's user read {path} and the directories above: setfacl -m u:vigie:rx DIRECTORY (for certbot: \
             /etc/letsencrypt/live and archive)"
        )),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_certbot_keeps_to_itself_is_told_with_what_opens_it() {
        let refused = ProbeError::new(Reason::Permission, "cannot read /etc/letsencrypt/live: Permission denied");
        assert!(readable(refused, "/etc/letsencrypt/live/*/fullchain.pem").remedy().contains("setfacl -m u:vigie:rx"));
        let gone = ProbeError::new(Reason::Absent, "no such file");
        assert_eq!(readable(gone.clone(), "/x"), gone);
    }
}
