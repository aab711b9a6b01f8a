//! How the program ends when it does not end well: [`Failure`], with its exit status and its one line.

use std::fmt;
use std::io;

use crate::config::ConfigError;

/// Why the program ends early.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the configuration is wrong: status 2.
    Usage(String),
    /// The operation failed: status 1.
    Operation(String),
    /// The operation failed in places, and each has had its line already: status 1.
    Reported,
    /// Whoever read the output has gone, which is how `| head` ends: status 0, without a word.
    ReaderGone,
    /// Somebody pressed Ctrl-C: status 130, as shells have it.
    Interrupted,
}

impl Failure {
    /// The exit status.
    pub const fn status(&self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::Operation(_) | Self::Reported => 1,
            Self::Usage(_) => 2,
            Self::Interrupted => 130,
        }
    }

    /// What became of writing to standard output.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Operation(format!("write standard output: {error}")),
        }
    }

    /// The line for people; `None` where there is nothing to say.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Operation(message) => Some(message),
            Self::Reported | Self::ReaderGone | Self::Interrupted => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().unwrap_or_default())
    }
}

impl std::error::Error for Failure {}

impl From<vfs::Error> for Failure {
    fn from(error: vfs::Error) -> Self {
        Self::Operation(error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}
