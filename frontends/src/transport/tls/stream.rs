//! [`TlsStream`]: a transport inside TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server;

use crate::transport::Transport;

/// A connection whose handshake is done. It sends no spans: what leaves is encrypted here, in records of 16 KiB, up to
/// four of them in one system call.
///
/// A peer that ends without saying so (`close_notify`) is an `UnexpectedEof`, so a cut is never taken for the end.
pub struct TlsStream<T>(server::TlsStream<T>);

impl<T> TlsStream<T> {
    pub(super) fn new(stream: server::TlsStream<T>) -> Self {
        Self(stream)
    }

    /// True where the client went on with a session that it had here before.
    pub fn is_resumed(&self) -> bool {
        matches!(self.0.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed))
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    fn reset_on_close(&mut self) {
        self.0.get_mut().0.reset_on_close();
    }

    fn end_when_stalled(&mut self, stall: Duration) -> bool {
        self.0.get_mut().0.end_when_stalled(stall)
    }
}

impl<T: Transport> AsyncRead for TlsStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<T: Transport> AsyncWrite for TlsStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<T> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("is_resumed", &self.is_resumed()).finish_non_exhaustive()
    }
}
