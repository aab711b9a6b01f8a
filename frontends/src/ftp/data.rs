//! The data connection of a session before its transfer: the client comes to [`Passive`], or we go to it, see
//! [`Active`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::active::Active;
use super::guard::Guard;
use super::passive::Passive;
use crate::sight::Sight;
use crate::transport::{Stream, Transport};

/// How long a client may take to connect after its command was accepted.
const ACCEPT_TIME: Duration = Duration::from_secs(30);

/// How long a client may take to accept our connection.
const DIAL_TIME: Duration = Duration::from_secs(10);

/// The data connection of a session, before a transfer takes it.
pub(super) enum Data {
    /// None was asked for.
    None,
    /// The client was told a port and may connect.
    Awaited(Passive),
    /// The client was promised a connection.
    Promised(Active),
    /// The client is there.
    Connected(Box<dyn Transport>),
}

impl Data {
    /// True where a transfer may begin.
    pub(super) fn is_prepared(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// How long its connection may take once its transfer has begun.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Promised(_) => DIAL_TIME,
            Self::Awaited(_) | Self::Connected(_) | Self::None => ACCEPT_TIME,
        }
    }

    /// Takes the client in as soon as it comes, so that strangers who came before do not fill the backlog, and moves its
    /// handshake on. Never ready.
    pub(super) fn poll_connect(&mut self, cx: &mut Context<'_>, sight: &Arc<Sight>, guard: &Guard) {
        if let Self::Awaited(passive) = self
            && let Poll::Ready(accepted) = passive.poll_accept(cx, sight)
        {
            // The listener closes here: one connection is all it was for.
            *self = match accepted {
                Ok(stream) => Self::connected(stream, guard),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a data connection");
                    Self::None
                }
            };
        }
        if let Self::Connected(stream) = self
            && let Poll::Ready(Err(error)) = Pin::new(stream).poll_flush(cx)
        {
            tracing::debug!(%error, "a data connection has no TLS");
            *self = Self::None;
        }
    }

    /// Polls for the connection, and gives it away.
    ///
    /// # Errors
    /// What the system says, and `NotConnected` where none was asked for.
    pub(super) fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
        sight: &Arc<Sight>,
        guard: &Guard,
    ) -> Poll<io::Result<Box<dyn Transport>>> {
        let stream = match self {
            Self::Awaited(passive) => Some(ready!(passive.poll_accept(cx, sight))?),
            Self::Promised(active) => Some(ready!(active.poll_dial(cx, sight))?),
            Self::Connected(_) | Self::None => None,
        };
        if let Some(stream) = stream {
            *self = Self::connected(stream, guard);
        }
        match std::mem::replace(self, Self::None) {
            Self::Connected(stream) => Poll::Ready(Ok(stream)),
            Self::Awaited(_) | Self::Promised(_) | Self::None => {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            }
        }
    }

    fn connected(stream: Stream, guard: &Guard) -> Self {
        Self::Connected(guard.take(stream))
    }
}
