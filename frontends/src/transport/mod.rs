//! What carries bytes to a peer: plain sockets, TLS over them, and whatever else is a [`Transport`].

mod pace;
pub mod proxy;
mod span_io;
mod spans;
mod stream;
pub mod tls;
mod turn;

use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use vfs::producer::FileSpan;

pub use self::pace::Rates;
pub use self::span_io::SpanIo;
pub use self::spans::{Piece, SpanPiece, Spans};
pub use self::stream::Stream;

/// A connection to one peer. Where it can, it sends spans of files without reading them.
///
/// `tokio::io::duplex` is one too and sends no spans: the nearest client of a test.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// True where [`Transport::poll_send_span`] works: a plain socket. Under TLS it never does.
    fn sends_spans(&self) -> bool {
        false
    }

    /// Sends some of the front of `span` and says how much: never 0, and no byte that is not in the file.
    /// It may wait for the disk where the span is not in memory: ask [`FileSpan::is_resident`] first.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before the span starts (it shrank): the connection cannot go on.
    /// `Unsupported` where the transport sends no spans.
    fn poll_send_span(&mut self, _cx: &mut Context<'_>, _span: &FileSpan) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Writes as `poll_write_vectored` does, and says that more follows at once, so that a head waits for its body
    /// and leaves in the same packet.
    fn poll_write_with_more(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::pin::Pin::new(self).poll_write_vectored(cx, slices)
    }

    /// Makes the coming close a reset where the transport knows one, so that a peer who reads until the end cannot take
    /// what came for the whole, and what the kernel still holds for it is freed at once.
    fn reset_on_close(&mut self) {}

    /// Has the system end the connection when its peer acknowledges none of what was sent for `stall`. False where it does
    /// not: only the caller can tell then, by writes that make no progress.
    fn end_when_stalled(&mut self, _stall: Duration) -> bool {
        false
    }
}

impl Transport for DuplexStream {}

impl Transport for Box<dyn Transport> {
    fn sends_spans(&self) -> bool {
        (**self).sends_spans()
    }

    fn poll_send_span(&mut self, cx: &mut Context<'_>, span: &FileSpan) -> Poll<io::Result<usize>> {
        (**self).poll_send_span(cx, span)
    }

    fn poll_write_with_more(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        (**self).poll_write_with_more(cx, slices)
    }

    fn reset_on_close(&mut self) {
        (**self).reset_on_close();
    }

    fn end_when_stalled(&mut self, stall: Duration) -> bool {
        (**self).end_when_stalled(stall)
    }
}
