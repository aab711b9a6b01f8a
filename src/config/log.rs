//! `[log]`: how much is said, and how; and where requests and transfers get their lines.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use frontends::sight::{AccessFormat, TransferFormat};
use serde::Deserialize;

use super::path_of_host;
use super::refusal::Document;

/// What is logged, to standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// How much. Default: `info`.
    pub level: Level,
    /// How. Default: `text`.
    pub format: Format,
    /// A line a request over HTTP. Default: none.
    pub access: Option<(PathBuf, AccessFormat)>,
    /// A line a file over FTP. Default: none.
    pub transfer: Option<(PathBuf, TransferFormat)>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed and needs somebody.
    Error,
    /// What is odd, too.
    Warn,
    /// What happens in general, too.
    #[default]
    Info,
    /// What each connection does, too.
    Debug,
    /// Everything, calls of other libraries included.
    Trace,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    level: Option<Level>,
    format: Option<Format>,
    access: Option<RawFile<RawAccess>>,
    transfer: Option<RawFile<RawTransfer>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile<F> {
    file: PathBuf,
    format: Option<F>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawAccess {
    Common,
    Combined,
    Json,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawTransfer {
    Xferlog,
    Json,
}

/// Nothing here can be wrong once it is parsed; a file is opened when it is served.
impl From<(RawLog, &Document<'_>)> for Log {
    fn from((raw, document): (RawLog, &Document<'_>)) -> Self {
        let place = |file: PathBuf| path_of_host(document.folder).join(file);
        let access = raw.access.map(|RawFile { file, format }| {
            let format = match format {
                Some(RawAccess::Common) => AccessFormat::Common,
                Some(RawAccess::Combined) | None => AccessFormat::Combined,
                Some(RawAccess::Json) => AccessFormat::Json,
            };
            (place(file), format)
        });
        let transfer = raw.transfer.map(|RawFile { file, format }| {
            let format = match format {
                Some(RawTransfer::Xferlog) | None => TransferFormat::Xferlog,
                Some(RawTransfer::Json) => TransferFormat::Json,
            };
            (place(file), format)
        });
        let (level, format) = (raw.level.unwrap_or_default(), raw.format.unwrap_or_default());
        Self { level, format, access, transfer }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", word(&self.level), word(&self.format))?;
        let shown = |path: &Path| vfs::path::escaped(path.as_os_str().as_encoded_bytes()).to_string();
        if let Some((path, format)) = &self.access {
            write!(f, ", requests to {} as {}", shown(path), format!("{format:?}").to_lowercase())?;
        }
        if let Some((path, format)) = &self.transfer {
            write!(f, ", transfers to {} as {}", shown(path), format!("{format:?}").to_lowercase())?;
        }
        Ok(())
    }
}

/// A choice as it is written.
fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
