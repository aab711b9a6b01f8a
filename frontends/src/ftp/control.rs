//! The control connection: what has come and was not read yet, and what was said and has not left yet. Both are small,
//! and take no memory while nothing happens.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::wire::{Decoder, Line, Reply, doubled};
use crate::transport::Transport;
use crate::transport::tls::{Tls, TlsStream};

/// What is read at once.
const READ_BYTES: usize = 2 * 1024;

/// Unsent replies past which no further command is taken: the peer has to read first.
const MAX_UNSENT_BYTES: usize = 16 * 1024;

/// What is read behind commands that wait, to find an ABOR among it.
const MAX_AHEAD_BYTES: usize = 8 * 1024;

/// One control connection.
pub(super) struct Control {
    link: Link,
    decoder: Decoder,
    /// What was read and not decoded.
    input: Vec<u8>,
    /// How much of the input was looked through for an ABOR.
    looked_through: usize,
    /// The peer will send no more.
    has_ended: bool,
    /// What was said and not sent.
    output: Vec<u8>,
    /// Since when the peer has taken nothing of the output.
    waiting: Option<Instant>,
    is_shut: bool,
}

enum Link {
    Open(Box<dyn Transport>),
    /// What was said before still leaves in the clear, and TLS begins.
    Leaving(Box<dyn Transport>, Tls),
    Securing(Handshake),
    Gone,
}

type Handshake = Pin<Box<dyn Future<Output = io::Result<TlsStream<Box<dyn Transport>>>> + Send>>;

/// What came from the peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A line.
    Line(Line),
    /// It will send no more.
    End,
}

/// The connection is lost; nothing can be said any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Control {
    /// Takes a connection over.
    pub(super) fn new(stream: Box<dyn Transport>) -> Self {
        Self {
            link: Link::Open(stream),
            decoder: Decoder::default(),
            input: Vec::new(),
            looked_through: 0,
            has_ended: false,
            output: Vec::new(),
            waiting: None,
            is_shut: false,
        }
    }

    /// Puts a reply behind those before it.
    pub(super) fn say(&mut self, reply: &Reply) {
        let mut said = Vec::new();
        reply.encode(&mut said);
        self.put(&said);
    }

    /// True where something came that no line was made of yet: what was read ahead, or the beginning of a line.
    pub(super) fn has_unread(&self) -> bool {
        !self.input.is_empty() || !self.decoder.is_between_lines()
    }

    /// Goes on inside `tls` as soon as what was said has left. Until then nothing is read.
    pub(super) fn secure(&mut self, tls: Tls) {
        self.link = match std::mem::replace(&mut self.link, Link::Gone) {
            Link::Open(stream) => Link::Leaving(stream, tls),
            link => link,
        };
    }

    /// Puts whole lines behind those before them, for a reply that is made in pieces.
    pub(super) fn put(&mut self, lines: &[u8]) {
        if self.decoder.doubles() {
            self.output.extend(doubled(lines));
        } else {
            self.output.extend_from_slice(lines);
        }
    }

    /// True where there is room for another reply.
    pub(super) fn has_room(&self) -> bool {
        self.output.len() < MAX_UNSENT_BYTES
    }

    /// Since when the peer has taken nothing of what it is told.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting
    }

    /// Polls for a line. Where a peer closes its side within a line, that line was not meant.
    pub(super) fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<Result<Heard, Lost>> {
        loop {
            let mut rest = &self.input[..];
            let line = self.decoder.next_line(&mut rest);
            let taken = self.input.len() - rest.len();
            self.looked_through = self.looked_through.saturating_sub(taken);
            if taken == self.input.len() {
                self.input = Vec::new();
            } else {
                self.input.drain(..taken);
            }
            if let Some(line) = line {
                return Poll::Ready(Ok(Heard::Line(line)));
            }
            if self.has_ended || ready!(self.poll_read(cx))? == 0 {
                return Poll::Ready(Ok(Heard::End));
            }
        }
    }

    /// Polls for a line that stops what is under way, in front of which others wait: one that `stops` knows, or the end.
    /// Nothing is taken, and [`MAX_AHEAD_BYTES`] are read at most.
    pub(super) fn poll_stop(
        &mut self,
        cx: &mut Context<'_>,
        stops: impl Fn(Line) -> bool,
    ) -> Poll<Result<(), Lost>> {
        loop {
            if self.has_ended || self.has_ahead(&stops) {
                return Poll::Ready(Ok(()));
            }
            if self.input.len() >= MAX_AHEAD_BYTES {
                return Poll::Pending;
            }
            ready!(self.poll_read(cx))?;
        }
    }

    /// True where a line that `stops` knows came and was not taken yet.
    pub(super) fn has_ahead(&mut self, stops: impl Fn(Line) -> bool) -> bool {
        if self.looked_through == self.input.len() {
            return false;
        }
        let (mut decoder, mut rest) = (self.decoder.clone(), &self.input[..]);
        while let Some(line) = decoder.next_line(&mut rest) {
            if stops(line) {
                return true;
            }
        }
        self.looked_through = self.input.len();
        false
    }

    /// Sends what was said; ready when all of it has left.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let mut stream = ready!(self.link.poll_writable(cx))?;
        while !self.output.is_empty() {
            match Pin::new(&mut stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(sent)) if sent > 0 => {
                    self.output.drain(..sent);
                    self.waiting = None;
                }
                Poll::Ready(_) => return Poll::Ready(Err(Lost)),
                Poll::Pending => {
                    self.waiting.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        self.output = Vec::new();
        ready!(Pin::new(stream).poll_flush(cx)).map_err(|_| Lost)?;
        self.link.begin();
        self.link.poll_writable(cx).map_ok(|_| ())
    }

    /// Sends what was said, closes this side, and waits for the peer to close its own; what it still sends is passed
    /// over. A socket that is closed with something unread would take the last reply back (RFC 1122 §4.2.2.13).
    pub(super) fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        ready!(self.poll_flush(cx))?;
        if !self.is_shut {
            let stream = ready!(self.link.poll_writable(cx))?;
            ready!(Pin::new(stream).poll_shutdown(cx)).map_err(|_| Lost)?;
            self.is_shut = true;
        }
        while ready!(self.poll_read(cx))? > 0 {
            self.input = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into the input, through the stack: a connection that waits holds no buffer.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Lost>> {
        let stream = ready!(self.link.poll_readable())?;
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut bytes = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(stream).poll_read(cx, &mut bytes)).map_err(|_: io::Error| Lost)?;
        self.input.extend_from_slice(bytes.filled());
        self.has_ended |= bytes.filled().is_empty();
        Poll::Ready(Ok(bytes.filled().len()))
    }
}

impl Link {
    /// The connection, once replies may leave. During a handshake they wait.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Box<dyn Transport>, Lost>> {
        if let Self::Securing(handshake) = self {
            match ready!(handshake.as_mut().poll(cx)) {
                Ok(stream) => *self = Self::Open(Box::new(stream)),
                Err(error) => {
                    tracing::debug!(%error, "a control connection has no TLS");
                    *self = Self::Gone;
                }
            }
        }
        Poll::Ready(match self {
            Self::Open(stream) | Self::Leaving(stream, _) => Ok(stream),
            Self::Securing(_) | Self::Gone => Err(Lost),
        })
    }

    /// The connection, where it may be read. Else the writing side is polled, and wakes.
    fn poll_readable(&mut self) -> Poll<Result<&mut Box<dyn Transport>, Lost>> {
        match self {
            Self::Open(stream) => Poll::Ready(Ok(stream)),
            Self::Leaving(..) | Self::Securing(_) => Poll::Pending,
            Self::Gone => Poll::Ready(Err(Lost)),
        }
    }

    /// Begins the handshake that waits.
    fn begin(&mut self) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Leaving(stream, tls) => Self::Securing(Box::pin(tls.accept(stream))),
            link => link,
        };
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("input", &self.input.len())
            .field("output", &self.output.len())
            .finish_non_exhaustive()
    }
}
