//! `[log]`: how much is said, and how.

use std::fmt;

use clap::ValueEnum;
use serde::Deserialize;

/// What is logged, to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// How much. Default: `info`.
    pub level: Level,
    /// How. Default: `text`.
    pub format: Format,
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
}

/// Nothing here can be wrong once it is parsed.
impl From<RawLog> for Log {
    fn from(raw: RawLog) -> Self {
        Self { level: raw.level.unwrap_or_default(), format: raw.format.unwrap_or_default() }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", word(&self.level), word(&self.format))
    }
}

/// A choice as it is written.
fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
