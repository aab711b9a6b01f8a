//! What data connections are inside of: rates, and TLS (RFC 4217 §9), whose handshake goes on while the transfer is being
//! asked for, since some clients begin it at once and others after the first reply. How long it may take is for the transfer
//! to say: before that reply nobody has to begin.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Reuse;
use crate::transport::tls::{Tls, TlsStream};
use crate::transport::{Rates, Stream, Transport};

/// What a session's data connections are inside of.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// Bytes a second.
    pub(super) rates: Rates,
    /// The session's own, where PROT P holds, so that what its control connection began can be resumed and nothing else.
    pub(super) tls: Option<Tls>,
    pub(super) reuse: Reuse,
}

/// A data connection inside TLS. Reading and writing wait for the handshake.
struct Guarded(State);

enum State {
    Handshake(Pin<Box<dyn Future<Output = io::Result<TlsStream<Stream>>> + Send>>),
    Open(Box<TlsStream<Stream>>),
    /// There is no connection any more.
    Failed,
}

impl Guard {
    /// Puts a connection inside.
    pub(super) fn take(&self, stream: Stream) -> Box<dyn Transport> {
        let stream = stream.paced(&self.rates);
        match &self.tls {
            Some(tls) => Box::new(self.secure(tls, stream)),
            None => Box::new(stream),
        }
    }

    /// Begins the handshake on a connection.
    fn secure(&self, tls: &Tls, stream: Stream) -> Guarded {
        let (handshake, reuse) = (tls.handshake(stream), self.reuse);
        Guarded(State::Handshake(Box::pin(async move {
            let stream = handshake.await?;
            match (reuse, stream.is_resumed()) {
                (Reuse::Off, _) | (_, true) => Ok(stream),
                (Reuse::Warn, false) => {
                    tracing::warn!("a data connection's TLS did not resume the control connection's");
                    Ok(stream)
                }
                (Reuse::Require, false) => Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the control connection's TLS was not resumed",
                )),
            }
        })))
    }
}

impl Guarded {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut TlsStream<Stream>>> {
        if let State::Handshake(handshake) = &mut self.0 {
            match ready!(handshake.as_mut().poll(cx)) {
                Ok(stream) => self.0 = State::Open(Box::new(stream)),
                Err(error) => {
                    self.0 = State::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.0 {
            State::Open(stream) => Ok(stream),
            State::Handshake(_) | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl Transport for Guarded {
    fn reset_on_close(&mut self) {
        if let State::Open(stream) = &mut self.0 {
            stream.reset_on_close();
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(ready!(self.poll_open(cx))?).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(ready!(self.poll_open(cx))?).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(ready!(self.poll_open(cx))?).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(ready!(self.poll_open(cx))?).poll_shutdown(cx)
    }
}
