//! The log: one subscriber for the process, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{Format, Level, Log};

/// Our own crates, as the log names them.
const OURS: [&str; 3] = ["vfsd", "vfs", "frontends"];

/// Starts logging, once in a process.
///
/// # Errors
/// Where something else in the process logs already.
pub(crate) fn start(log: &Log) -> Result<(), TryInitError> {
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().boxed(),
    };
    registry().with(lines.with_filter(filter(log.level))).try_init()
}

/// Libraries speak from `warn` on, so that `debug` shows what this program does; `trace` shows theirs too.
fn filter(level: Level) -> Targets {
    let ours = match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let theirs = if level == Level::Trace { ours } else { ours.min(LevelFilter::WARN) };
    Targets::new().with_default(theirs).with_targets(OURS.map(|target| (target, ours)))
}
