//! `tls` of `[[serve]]`: certificates and their keys, read and ready.

use std::fmt;
use std::path::{Path, PathBuf};

use frontends::ftp::Reuse;
use frontends::transport::tls::Identity;
use serde::Deserialize;
use toml::Spanned;

use super::refusal::{ConfigError, Document, Origin, Refusal};
use super::{host_path, path_of_host};

/// Largest file with a certificate or key that is read.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// The TLS of one listener. Its files were read once and are read again with the configuration.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates with their keys; the first is shown to who asks for no name.
    pub identities: Vec<Identity>,
    /// FTP begins inside TLS. Default: it waits for AUTH.
    pub implicit: bool,
    /// Whether FTP's data connections have to resume the control connection's session. Default: `off`.
    pub reuse: Reuse,
    files: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    cert: Spanned<String>,
    key: Spanned<String>,
    #[serde(default)]
    more: Vec<RawPair>,
    #[serde(default)]
    implicit: bool,
    #[serde(default)]
    reuse: RawReuse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPair {
    cert: Spanned<String>,
    key: Spanned<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawReuse {
    #[default]
    Off,
    Warn,
    Require,
}

impl Tls {
    /// One certificate and its key, named by options of the command line.
    ///
    /// # Errors
    /// The file that is of no use, and why.
    pub(crate) fn of_arguments(cert: &Path, key: &Path) -> Result<Self, ConfigError> {
        let refuse = |option: &str, path: &Path, says: String| {
            ConfigError::new(&Origin::of_argument(option, path.as_os_str().as_encoded_bytes()), says)
        };
        let chain = read(cert).map_err(|says| refuse("--tls-cert", cert, says))?;
        let secret = read(key).map_err(|says| refuse("--tls-key", key, says))?;
        let identity = Identity::from_pem(&chain, &secret)
            .map_err(|error| refuse("--tls-cert", cert, error.to_string()))?;
        let files = vec![cert.to_owned()];
        Ok(Self { identities: vec![identity], implicit: false, reuse: Reuse::Off, files })
    }
}

impl TryFrom<(RawTls, &Document<'_>)> for Tls {
    type Error = Refusal;

    fn try_from((raw, document): (RawTls, &Document<'_>)) -> Result<Self, Refusal> {
        let first = RawPair { cert: raw.cert, key: raw.key };
        let (mut identities, mut files) = (Vec::new(), Vec::new());
        for pair in std::iter::once(first).chain(raw.more) {
            let (path, chain) = read_written(&pair.cert, document)?;
            let (_, key) = read_written(&pair.key, document)?;
            let identity = Identity::from_pem(&chain, &key)
                .map_err(|error| Refusal::new(pair.cert.span(), error.to_string()))?;
            identities.push(identity);
            files.push(path);
        }
        let reuse = match raw.reuse {
            RawReuse::Off => Reuse::Off,
            RawReuse::Warn => Reuse::Warn,
            RawReuse::Require => Reuse::Require,
        };
        Ok(Self { identities, implicit: raw.implicit, reuse, files })
    }
}

/// What a file holds that the configuration names; its path starts in the configuration's folder.
pub(super) fn read_written(
    written: &Spanned<String>,
    document: &Document<'_>,
) -> Result<(PathBuf, Vec<u8>), Refusal> {
    let path = path_of_host(document.folder).join(written.get_ref());
    let path = path_of_host(&host_path(&path));
    let bytes = read(&path).map_err(|says| Refusal::new(written.span(), says))?;
    Ok((path, bytes))
}

/// Reads a small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("cannot be read: {error}");
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > MAX_PEM_BYTES {
        return Err("is no file of at most 1 MiB: name the file itself".to_owned());
    }
    std::fs::read(path).map_err(unreadable)
}

/// The same files; what they hold may differ.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (&self.files, self.implicit, self.reuse) == (&other.files, other.implicit, other.reuse)
    }
}

impl Eq for Tls {}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.implicit { ", implicit tls" } else { ", tls" })?;
        for file in &self.files {
            write!(f, " {}", vfs::path::escaped(file.as_os_str().as_encoded_bytes()))?;
        }
        match self.reuse {
            Reuse::Off => Ok(()),
            Reuse::Warn => f.write_str(", reuse warn"),
            Reuse::Require => f.write_str(", reuse require"),
        }
    }
}
