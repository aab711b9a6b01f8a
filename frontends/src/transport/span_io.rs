//! [`SpanIo`]: a connection as a stream of bytes, in which spans of files leave by `sendfile(2)` and a peer that takes
//! nothing is given up.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::{Spans, Transport};

/// Times the stall time that a write may wait where the system watches the peer.
const SLACK: u32 = 10;

/// A transport for libraries that write bytes. What its own [`Spans`] have sent on the way leaves as spans; the rest is
/// written. For a mark, which is one byte, a write tells as many bytes as have left of its span.
///
/// A peer that takes nothing for the stall time is given up: by the system where that sees it, else by a write that makes
/// no progress and fails with `TimedOut`. The two are not the same: a socket has room again when a third of what it holds
/// has left, which for a slow reader of a large buffer takes minutes. So where the system watches, a write may wait for
/// ten times as long.
pub struct SpanIo<T> {
    transport: T,
    spans: Spans,
    stall: Duration,
    blocked: Blocked,
}

/// Since when a write waits. The timer is made when one waits for the first time and kept while others may follow.
#[derive(Default)]
struct Blocked {
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<T: Transport> SpanIo<T> {
    /// A connection that gives its peer up when it takes nothing for `stall`.
    pub fn new(mut transport: T, stall: Duration) -> Self {
        let stall = if transport.end_when_stalled(stall) { stall.saturating_mul(SLACK) } else { stall };
        Self { transport, spans: Spans::default(), stall, blocked: Blocked::default() }
    }

    /// The way for what is to leave by `sendfile(2)` here; `None` where the transport sends no spans.
    pub fn spans(&self) -> Option<Spans> {
        self.transport.sends_spans().then(|| self.spans.clone())
    }

    /// Makes the coming close a reset; see [`Transport::reset_on_close`].
    pub fn reset_on_close(&mut self) {
        self.transport.reset_on_close();
    }

    /// Gives back what only a busy connection needs.
    pub fn rest(&mut self) {
        self.blocked = Blocked::default();
    }

    /// Sends what is in front: bytes up to the first mark, or some of its span.
    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.spans.first(slices) {
            None => Pin::new(&mut self.transport).poll_write_vectored(cx, slices),
            Some((at, _)) if slices[..at].iter().any(|before| !before.is_empty()) => {
                self.transport.poll_write_with_more(cx, &slices[..at])
            }
            Some((at, span)) => {
                let sent = ready!(self.transport.poll_send_span(cx, &span))?;
                self.spans.left(&slices[at], sent);
                Poll::Ready(Ok(sent))
            }
        }
    }

    fn poll_within_stall(
        &mut self,
        cx: &mut Context<'_>,
        sent: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if sent.is_ready() {
            self.blocked.waiting = false;
            return sent;
        }
        ready!(self.blocked.poll_expired(cx, self.stall));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

impl Blocked {
    fn poll_expired(&mut self, cx: &mut Context<'_>, stall: Duration) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| {
            self.waiting = true;
            Box::pin(tokio::time::sleep(stall))
        });
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + stall);
        }
        timer.as_mut().poll(cx)
    }
}

impl<T: Transport> AsyncRead for SpanIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(cx, buf)
    }
}

impl<T: Transport> AsyncWrite for SpanIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = self.poll_send(cx, slices);
        self.poll_within_stall(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl<T> fmt::Debug for SpanIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanIo").field("spans", &self.spans).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use bytes::Buf;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use vfs::producer::{FileSpan, SpanFile};

    use super::*;
    use crate::sight::Sight;
    use crate::transport::Stream;

    const STALL: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn spans_leave_by_sendfile_and_bytes_are_written() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let sight = Arc::new(Sight::default());
        let mut io = SpanIo::new(Stream::unix(ours, Arc::clone(&sight)), STALL);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let spans = io.spans().unwrap();
        let span =
            |offset, len| spans.send(FileSpan::new(SpanFile::new(file.try_clone().unwrap()), offset, len));
        let mut all = Buf::chain(&b"<"[..], span(2, 6)).chain(&b"|"[..]).chain(span(0, 3)).chain(&b">"[..]);
        io.write_all_buf(&mut all).await.unwrap();
        drop(all);
        assert!(spans.is_empty());
        drop(io);
        let mut got = String::new();
        theirs.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "<234567|012>");
        assert_eq!(sight.sendfile_bytes.get(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up_after_the_stall_time() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut io = SpanIo::new(ours, STALL);
        assert!(io.spans().is_none());
        io.write_all(&[0; 8]).await.unwrap();
        let begun = Instant::now();
        // Progress starts the time anew.
        let reading = async {
            tokio::time::sleep(STALL / 2).await;
            theirs.read_exact(&mut [0; 4]).await.unwrap();
        };
        let (written, ()) = tokio::join!(io.write_all(&[0; 8]), reading);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), STALL / 2 + STALL);
    }
}
