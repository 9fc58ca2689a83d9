//! Secrets: written as a reference, read when they are needed, shown never.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What a reader of the configuration is told: here is a secret.
pub(super) const MARK: &str = "vigie::Secret";

/// What a reader of the configuration is told: here is a table of secrets.
pub(super) const MARK_TABLE: &str = "vigie::Secrets";

/// Where systemd puts the credentials of a unit (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The most that is read of a secret's file, in bytes.
const SECRET_LIMIT: u64 = 64 << 10;

/// Where a secret is, or itself. It has no `Debug` and no `Display`, so that no message can show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Plain(String),
    File(PathBuf),
    Env(String),
    Credential(String),
}

/// A secret that was read. It has no `Debug` and no `Display`, so that no message can show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

impl Revealed {
    /// The secret itself: for the wire, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Why a secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Its file does not let itself be read.
    #[error("cannot read the secret in {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Its file holds something else than a secret.
    #[error("expected a secret of 1 byte to 64 KiB of text in {}", .0.display())]
    Odd(PathBuf),
    /// Its variable is not set, or empty.
    #[error("expected a secret in the environment variable {0}, which is not set or empty")]
    Unset(String),
    /// Not started by systemd with credentials.
    #[error(
        "credential {0}: $CREDENTIALS_DIRECTORY is not set; \
         add LoadCredential={0}:/path/to/file to the unit (systemd 247 and newer)"
    )]
    NoCredentials(String),
}

/// Keeps the memory of this process, in which secrets are, out of what the kernel writes when it crashes: of core(5),
/// "Controlling which mappings are written to the core dump", none.
pub fn keep_from_cores() {
    // A kernel without core dumps has no such file.
    let _ = std::fs::write("/proc/self/coredump_filter", "0");
}

impl Secret {
    /// Whether it is one of systemd's credentials: those only the main process of the unit can read.
    pub fn is_credential(&self) -> bool {
        matches!(self.0, Source::Credential(_))
    }

    /// Reads it, without the newline at its end.
    ///
    /// # Errors
    /// When there is none where the configuration says; the message names the file or the variable.
    pub fn load(&self) -> Result<Revealed, SecretError> {
        match &self.0 {
            Source::Plain(text) => Ok(Revealed(text.clone())),
            Source::File(path) => read(path),
            Source::Env(name) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Ok(Revealed(text)),
                _ => Err(SecretError::Unset(name.clone())),
            },
            Source::Credential(name) => match std::env::var_os(CREDENTIALS) {
                Some(directory) => read(&Path::new(&directory).join(name)),
                None => Err(SecretError::NoCredentials(name.clone())),
            },
        }
    }

    /// Where it is, without what it is.
    pub fn place(&self) -> String {
        match &self.0 {
            Source::Plain(_) => "plain".to_owned(),
            Source::File(path) => format!("file {}", path.display()),
            Source::Env(name) => format!("env {name}"),
            Source::Credential(name) => format!("credential {name}"),
        }
    }
}

fn read(path: &Path) -> Result<Revealed, SecretError> {
    let failed = |source| SecretError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(SECRET_LIMIT + 1).read_to_end(&mut bytes)).map_err(failed)?;
    let fits = bytes.len() as u64 <= SECRET_LIMIT;
    let text = String::from_utf8(bytes).ok().filter(|_| fits).ok_or_else(|| SecretError::Odd(path.to_owned()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err(SecretError::Odd(path.to_owned())) } else { Ok(Revealed(line.to_owned())) }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_newtype_struct(MARK, SecretVisitor)
    }
}

struct SecretVisitor;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reference {
    file: Option<PathBuf>,
    env: Option<String>,
    credential: Option<String>,
}

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a secret: { file = "…" }, { env = "…" } or { credential = "…" }"#)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        if text.is_empty() { Err(E::custom("the secret is empty")) } else { Ok(Secret(Source::Plain(text.to_owned()))) }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
        match Reference::deserialize(MapAccessDeserializer::new(map))? {
            Reference { file: Some(path), env: None, credential: None } => Ok(Secret(Source::File(path))),
            Reference { file: None, env: Some(name), credential: None } => Ok(Secret(Source::Env(name))),
            Reference { file: None, env: None, credential: Some(name) } => {
                if name.is_empty() || name.contains('/') || name == ".." {
                    return Err(de::Error::custom("a credential is named by LoadCredential=, not by a path"));
                }
                Ok(Secret(Source::Credential(name)))
            }
            _ => Err(de::Error::custom("expected exactly one of `file`, `env` and `credential`")),
        }
    }
}

/// Deserializes secrets by name, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// For anything else.
pub(super) fn by_name<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Inner<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Inner<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of secrets")
        }
        fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
            T::deserialize(deserializer)
        }
    }
    deserializer.deserialize_newtype_struct(MARK_TABLE, Inner(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(name: &str, content: &[u8]) -> (PathBuf, Result<String, String>) {
        let path = std::env::temp_dir().join(format!("vigie-secret-{name}-{}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let read = Secret(Source::File(path.clone())).load();
        std::fs::remove_file(&path).unwrap();
        (path, read.map(|revealed| revealed.expose().to_owned()).map_err(|error| error.to_string()))
    }

    #[test]
    fn the_newline_at_the_end_is_no_part_of_it() {
        assert_eq!(in_file("unix", b"pass word\n").1, Ok("pass word".to_owned()));
        assert_eq!(in_file("dos", b"password\r\n").1, Ok("password".to_owned()));
        assert_eq!(in_file("bare", b"password").1, Ok("password".to_owned()));
    }

    #[test]
    fn an_odd_file_is_named() {
        for (name, content) in [("empty", b"\n".to_vec()), ("binary", vec![0xff; 8]), ("huge", vec![b'x'; 65_537])] {
            let (path, read) = in_file(name, &content);
            assert_eq!(read, Err(format!("expected a secret of 1 byte to 64 KiB of text in {}", path.display())));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |source| Secret(source).load().err().map(|error| error.to_string()).unwrap();
        assert_eq!(
            error(Source::File("/nowhere/secret".into())),
            "cannot read the secret in /nowhere/secret: No such file or directory (os error 2)"
        );
        assert_eq!(
            error(Source::Env("VIGIE_NO_SUCH".into())),
            "expected a secret in the environment variable VIGIE_NO_SUCH, which is not set or empty"
        );
        assert_eq!(
            error(Source::Credential("token".into())),
            "credential token: $CREDENTIALS_DIRECTORY is not set; \
             add LoadCredential=token:/path/to/file to the unit (systemd 247 and newer)"
        );
    }
}
