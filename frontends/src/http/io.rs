//! [`Io`]: the connection as hyper reads and writes it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::Pace;
use super::wire::{Fault, Heads};
use crate::transport::{SpanIo, Transport};

/// A connection whose first bytes were read already, and that keeps its [`Pace`]. A fault in a message's head is its end
/// for who reads it.
pub(super) struct Io<T> {
    inner: SpanIo<T>,
    first: Bytes,
    pace: Arc<Pace>,
    /// What looks at HTTP/1's heads.
    heads: Option<Heads>,
    fault: Option<Fault>,
    /// Who reads was told of the fault, as the end.
    told: bool,
}

/// What an [`Io`] is taken apart into.
pub(super) struct Parts<T> {
    pub(super) io: SpanIo<T>,
    /// What of its first bytes was not read again.
    pub(super) unread: Bytes,
    /// Why it was not read any further, where hyper wanted more.
    pub(super) fault: Option<Fault>,
}

impl<T> Io<T> {
    pub(super) fn new(inner: SpanIo<T>, first: Bytes, pace: Arc<Pace>) -> Self {
        Self { inner, first, pace, heads: None, fault: None, told: false }
    }

    /// The same connection, whose bytes are HTTP/1 messages with lines of at most `line_bytes`.
    pub(super) fn with_heads(self, line_bytes: usize) -> Self {
        Self { heads: Some(Heads::new(line_bytes)), ..self }
    }

    pub(super) fn into_parts(self) -> Parts<T> {
        Parts { io: self.inner, unread: self.first, fault: self.fault.filter(|_| self.told) }
    }
}

impl<T: Transport> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.fault.is_some() {
            self.told = true;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if self.first.is_empty() {
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        } else {
            let count = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..count]);
            self.first.advance(count);
        }
        let heads = self.heads.as_mut().map_or(Ok(()), |heads| heads.admit(&buf.filled()[before..]));
        if let Err((count, fault)) = heads {
            buf.set_filled(before + count);
            self.fault = Some(fault);
            self.told = count == 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncWrite for Io<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.pace.wrote(sent.is_ready());
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it holds nothing more to write.
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.pace.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.told {
            // The fault is still to be answered.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
