//! Plain sockets, TCP and Unix, and `sendfile(2)` on them.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use vfs::producer::FileSpan;

use super::pace::Gate;
use super::turn::Turn;
use super::{Rates, Transport};
use crate::sight::Sight;

/// A plain socket. Dropping it closes it.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    sight: Arc<Sight>,
    /// What it moves before others have the thread.
    turn: Turn,
    /// Where its bytes a second are bounded.
    gates: Option<Box<Gates>>,
}

#[derive(Debug)]
struct Gates {
    send: Gate,
    receive: Gate,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// A TCP connection. It sends small writes at once (`TCP_NODELAY`): replies do not wait for acknowledgements.
    ///
    /// # Errors
    /// What the system says to the socket option.
    pub fn tcp(socket: TcpStream, sight: Arc<Sight>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket: Socket::Tcp(socket), sight, turn: Turn::new(), gates: None })
    }

    /// A connection on a Unix socket.
    pub fn unix(socket: UnixStream, sight: Arc<Sight>) -> Self {
        Self { socket: Socket::Unix(socket), sight, turn: Turn::new(), gates: None }
    }

    /// The same, within `rates`.
    #[must_use]
    pub fn paced(mut self, rates: &Rates) -> Self {
        let gates = || Gates { send: Gate::new(&rates.send), receive: Gate::new(&rates.receive) };
        self.gates = (!rates.is_empty()).then(|| Box::new(gates()));
        self
    }

    /// The TCP socket, where it is one: for its addresses.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match &self.socket {
            Socket::Tcp(socket) => Some(socket),
            Socket::Unix(_) => None,
        }
    }

    /// Sends by `send`, until the turn is over. It hears how much it may send.
    fn poll_in_turn(
        &mut self,
        cx: &mut Context<'_>,
        send: impl FnOnce(&mut Self, &mut Context<'_>, usize) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.turn.poll_begun(cx));
        let most = match &mut self.gates {
            Some(gates) => ready!(gates.send.poll_open(cx)),
            None => usize::MAX,
        };
        let sent = send(self, cx, most);
        if let (Poll::Ready(Ok(sent)), Some(gates)) = (&sent, &mut self.gates) {
            gates.send.went(*sent);
        }
        match &sent {
            Poll::Ready(Ok(sent)) => self.turn.went(*sent),
            Poll::Ready(Err(_)) | Poll::Pending => self.turn.rest(),
        }
        sent
    }

    /// Runs a non-blocking system call on the socket as soon as it has room.
    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(match &self.socket {
                Socket::Tcp(socket) => socket.poll_write_ready(cx),
                Socket::Unix(socket) => socket.poll_write_ready(cx),
            })?;
            let result = match &self.socket {
                Socket::Tcp(socket) => socket.try_io(Interest::WRITABLE, &mut call),
                Socket::Unix(socket) => socket.try_io(Interest::WRITABLE, &mut call),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_write_some(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_write(cx, buf),
        }
    }

    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Transport for Stream {
    fn sends_spans(&self) -> bool {
        true
    }

    fn poll_send_span(&mut self, cx: &mut Context<'_>, span: &FileSpan) -> Poll<io::Result<usize>> {
        let sent = ready!(self.poll_in_turn(cx, |this, cx, most| {
            this.poll_io(cx, || {
                let (mut offset, most) = (span.offset(), most.min(this.turn.left()));
                Ok(rustix::fs::sendfile(this.fd(), span.file(), Some(&mut offset), span.len().min(most))?)
            })
        }))?;
        if sent == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was sent",
            )));
        }
        self.sight.sendfile_bytes.add(sent as u64);
        Poll::Ready(Ok(sent))
    }

    fn poll_write_with_more(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(cx, || {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            Ok(sendmsg(self.fd(), slices, &mut SendAncillaryBuffer::default(), flags)?)
        })
    }

    fn reset_on_close(&mut self) {
        if let Socket::Tcp(socket) = &self.socket {
            // Best effort: the connection ends either way.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.turn.poll_begun(cx));
        if let Some(gates) = &mut self.gates {
            ready!(gates.receive.poll_open(cx));
        }
        let read = match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
        };
        if read.is_pending() {
            self.turn.rest();
        }
        ready!(read)?;
        let count = buf.filled().len() - before;
        self.turn.went(count);
        if let Some(gates) = &mut self.gates {
            gates.receive.went(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_in_turn(cx, |this, cx, most| this.poll_write_some(cx, &buf[..buf.len().min(most)]))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_in_turn(cx, |this, cx, most| match &mut this.socket {
            // Slices cannot be cut without copying them, so one goes at a time.
            _ if most < usize::MAX => {
                let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
                this.poll_write_some(cx, &first[..first.len().min(most)])
            }
            Socket::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Socket::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Seek, Write};
    use std::os::fd::OwnedFd;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use vfs::producer::SpanFile;

    use super::*;

    fn span(content: &[u8], offset: u64, len: u64) -> FileSpan {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        FileSpan::new(SpanFile::new(OwnedFd::from(file)), offset, len)
    }

    #[tokio::test]
    async fn a_span_leaves_through_sendfile_and_is_counted() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let sight = Arc::new(Sight::default());
        let mut stream = Stream::unix(ours, Arc::clone(&sight));
        let head = poll_fn(|cx| stream.poll_write_with_more(cx, &[IoSlice::new(b"head:")])).await.unwrap();
        assert_eq!(head, 5);
        let sent = poll_fn(|cx| stream.poll_send_span(cx, &span(b"0123456789", 2, 5))).await.unwrap();
        drop(stream);
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"head:23456");
        assert_eq!((sent, sight.sendfile_bytes.get()), (5, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_a_second_are_bounded_both_ways_and_for_all_who_share_them() {
        let number = |number| std::num::NonZeroU64::new(number).unwrap();
        let rate = || vfs::producer::Rate::new(number(1_000), number(100));
        let rates = Rates { send: vec![rate()], receive: vec![rate()] };
        let pair = || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            (Stream::unix(ours, Arc::default()).paced(&rates), theirs)
        };
        let ((mut one, mut peer), (mut other, mut other_peer)) = (pair(), pair());
        let begun = tokio::time::Instant::now();
        let content = [7; 1_000];
        let (one_sent, other_sent) = tokio::join!(one.write_all(&content), other.write_all(&content));
        one_sent.and(other_sent).unwrap();
        let took = begun.elapsed().as_millis();
        assert!((1_600..=2_000).contains(&took), "{took}");
        peer.read_exact(&mut [0; 1_000]).await.unwrap();
        let span = span(&content, 0, 1_000);
        let sent = poll_fn(|cx| one.poll_send_span(cx, &span)).await.unwrap();
        assert_eq!(sent, 100);

        let begun = tokio::time::Instant::now();
        peer.write_all(&content).await.unwrap();
        other_peer.write_all(&content).await.unwrap();
        one.read_exact(&mut [0; 1_000]).await.unwrap();
        other.read_exact(&mut [0; 1_000]).await.unwrap();
        one.write_all(b"x").await.unwrap();
        peer.write_all(b"x").await.unwrap();
        one.read_exact(&mut [0]).await.unwrap();
        let took = begun.elapsed().as_millis();
        assert!((900..=2_000).contains(&took), "{took}");
    }

    #[tokio::test]
    async fn a_file_that_ended_is_an_error_and_never_padded() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::unix(ours, Arc::new(Sight::default()));
        let error = poll_fn(|cx| stream.poll_send_span(cx, &span(b"0123", 4, 5))).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
