//! Certificates for tests: an authority, and what it signs.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A folder with an authority, and a server's and a client's certificate of it, both for `localhost`.
pub(crate) struct Papers {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Papers {
    pub(crate) fn new() -> Papers {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "tests");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let papers = Papers { folder: tempfile::tempdir().unwrap(), authority };
        papers.write("ca.pem", &papers.authority.pem());
        papers.write("ca.key", &papers.authority.key().serialize_pem());
        for name in ["server", "client"] {
            papers.issue(name, "localhost", |_| ());
        }
        papers
    }

    /// Writes `name.pem` and `name.key`: a certificate for `host`, otherwise as `change` wants it.
    pub(crate) fn issue(&self, name: &str, host: &str, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        self.write(&format!("{name}.pem"), &params.signed_by(&key, &self.authority).unwrap().pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
}
