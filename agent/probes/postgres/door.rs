//! What is needed to get in: where the server is, who asks, and the password.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::passfile;
use super::url::{SslMode, Url};
use crate::config::secret::Secret;
use crate::probes::address::Address;
use crate::probes::secure::Tls;
use crate::probes::{ProbeError, Reason};

/// The most that is read of a file of passwords, in bytes.
const PASSFILE_LIMIT: u64 = 1 << 20;

/// How one server is got into.
#[derive(Clone, PartialEq)]
pub(super) struct Door {
    pub(super) url: Url,
    pub(super) password: Option<Secret>,
    pub(super) passfile: Option<PathBuf>,
    pub(super) tls: Tls,
}

impl Door {
    /// How to log in to `database`. Passwords are read anew each time: they change.
    ///
    /// # Errors
    /// Where a password is named and not there.
    pub(super) fn login(&self, database: &str) -> Result<tokio_postgres::Config, ProbeError> {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.url.user).dbname(database).application_name("vigie");
        if let Some(secret) = &self.password {
            let secret = secret.load().map_err(|error| ProbeError::new(Reason::Auth, error.to_string()))?;
            config.password(secret.expose());
        } else if let Some(path) = &self.passfile
            && let Some(password) = self.in_passfile(path, database)?
        {
            config.password(password);
        }
        Ok(config)
    }

    /// Whom the way there is encrypted to: without an authority, `prefer` and `require` take anybody, as libpq does.
    pub(super) fn trusted(&self) -> Tls {
        let anybody = self.url.ssl_mode != SslMode::VerifyFull && self.tls.ca.is_none();
        Tls { insecure_skip_verify: self.tls.insecure_skip_verify || anybody, ..self.tls.clone() }
    }

    fn in_passfile(&self, path: &Path, database: &str) -> Result<Option<String>, ProbeError> {
        let cannot = |why: String| ProbeError::new(Reason::Auth, format!("cannot use {}: {why}", path.display()));
        let about = fs::metadata(path).map_err(|error| cannot(error.to_string()))?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(
                cannot("others than its owner may read it".to_owned()).mend(format!("chmod 600 {}", path.display()))
            );
        }
        if !about.is_file() || about.len() > PASSFILE_LIMIT {
            return Err(cannot("expected a file of up to 1 MiB".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
        let (host, port) = self.url.server.rsplit_once(':').unwrap_or((&self.url.server, ""));
        // libpq looks for `localhost` where the socket is in its own place.
        let hosts = match &self.url.address {
            Address::Unix(_) => vec![host, "localhost"],
            Address::Port { .. } => vec![host.trim_start_matches('[').trim_end_matches(']')],
        };
        let find = |host: &&str| passfile::parse_for(&text, host, port, database, &self.url.user);
        Ok(hosts.iter().find_map(find))
    }
}

impl fmt::Debug for Door {
    /// Where the password is, not what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(Secret::place);
        f.debug_struct("Door")
            .field("url", &self.url)
            .field("password", &password)
            .field("passfile", &self.passfile)
            .field("tls", &self.tls)
            .finish()
    }
}
