//! What the process is told from outside.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals that a server listens to, from the moment they are taken.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// SIGTERM, or Ctrl-C: stop.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: open the log files again, for they were moved away.
    Reopen,
}

impl Signals {
    /// Takes the signals. Nothing else happens on them from now on.
    ///
    /// # Errors
    /// Where the system does not let a process have signals.
    pub(crate) fn take() -> Result<Self, Failure> {
        let take = |kind| {
            signal(kind).map_err(|error| Failure::Operation(format!("signals cannot be received: {error}")))
        };
        // A file that may not grow is an error of the write, not the end of the server.
        drop(take(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
            hangup: take(SignalKind::hangup())?,
            user: take(SignalKind::user_defined1())?,
        })
    }

    /// What is wanted next. Dropping the future loses no signal.
    pub(crate) async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.terminate.recv() => Wanted::Stop,
            _ = self.interrupt.recv() => Wanted::Stop,
            _ = self.hangup.recv() => Wanted::Reload,
            _ = self.user.recv() => Wanted::Reopen,
        }
    }
}
