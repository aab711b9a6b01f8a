//! Urgent data in a control connection: clients send the end of an ABOR that way, which belongs in its place in the
//! line (RFC 959 §4.1.3, RFC 1122 §4.2.2.4).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::{Stream, Transport};

/// A plain socket whose urgent bytes are read in line.
#[derive(Debug)]
pub(super) struct Inline(Stream);

impl Inline {
    /// Without the socket option the kernel would take the urgent byte, the line's end, out of the stream.
    pub(super) fn new(stream: Stream) -> Self {
        if let Some(socket) = stream.as_tcp() {
            let _ = SockRef::from(socket).set_out_of_band_inline(true);
        }
        Self(stream)
    }
}

impl AsyncRead for Inline {
    /// The kernel ends a read where urgent data begins, so a short read does not mean that no more is there, which is
    /// what the runtime's own `poll_read` takes it for. This one asks until the kernel says so.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(socket) = self.0.as_tcp() else { return Pin::new(&mut self.0).poll_read(cx, buf) };
        loop {
            ready!(socket.poll_read_ready(cx))?;
            match socket.try_read_buf(buf) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Inline {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Transport for Inline {}
