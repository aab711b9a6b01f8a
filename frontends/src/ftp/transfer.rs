//! One transfer: waits for its data connection, sends what its producer makes, closes. Its session polls it and shares
//! nothing with it; dropping it closes the socket and the file.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::Instant;
use vfs::jobs::Disk;
use vfs::path::escaped;
use vfs::producer::{Chunk, Producer, ProducerExt};

use super::calls::Opening;
use super::data::Data;
use crate::serve::Peer;
use crate::sight::Sight;
use crate::transport::Transport;

/// How long a client may take to connect after its command was accepted.
const ACCEPT_TIME: Duration = Duration::from_secs(30);

/// A transfer under way.
pub(super) struct Transfer {
    source: Box<dyn Producer>,
    /// What is left of the chunk that is being sent.
    chunk: Option<Chunk>,
    phase: Phase,
    stall: Duration,
    disk: Disk,
    /// Its drop logs the transfer.
    record: Record,
}

enum Phase {
    /// The client has not connected yet.
    Accepting { data: Data, since: Instant },
    /// It has. `waiting` says since when the client took nothing; the tree has its own limits.
    Sending { stream: Box<dyn Transport>, waiting: Option<Instant> },
    /// All was handed to the kernel.
    Closing { stream: Box<dyn Transport>, since: Instant },
    /// The data connection is closed.
    Closed,
}

/// How a transfer ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// All was sent, and the data connection is closed.
    Complete,
    /// The client, or the end of its session, stopped it.
    Aborted,
    /// The client did not connect in time.
    NobodyCame,
    /// The data connection could not be accepted.
    NoConnection(io::Error),
    /// The client took nothing for too long.
    Stalled,
    /// The data connection broke.
    PeerLost(io::Error),
    /// The file became shorter while it was sent.
    Shrank,
    /// The source failed.
    SourceFailed(vfs::Error),
}

/// Who asked for a transfer, for the log.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// Where from.
    pub(super) peer: Peer,
    /// Under which name.
    pub(super) user: Arc<str>,
    /// Where it is counted.
    pub(super) sight: Arc<Sight>,
}

impl Transfer {
    /// Sends what `opening` holds over the connection that `data` has or gets. A client that takes nothing for `stall`
    /// is given up.
    pub(super) fn new(opening: Opening, data: Data, stall: Duration, disk: &Disk, asker: Asker) -> Self {
        let record = Record::new(asker, &opening);
        let phase = Phase::Accepting { data, since: record.started };
        Self { source: opening.source, chunk: None, phase, stall, disk: disk.clone(), record }
    }

    /// Polls the transfer to its end; the data connection is closed then.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let ended = match ready!(self.poll_steps(cx)) {
            Ok(()) => Ended::Complete,
            Err(ended) => ended,
        };
        self.close(&ended);
        Poll::Ready(ended)
    }

    /// Ends it from outside: the data connection is closed, and the log says why.
    pub(super) fn close(&mut self, ended: &Ended) {
        self.phase = Phase::Closed;
        self.record.outcome = Some(ended.to_string());
    }

    /// When it is to be given up as things stand, and how it ends then.
    pub(super) fn deadline(&self) -> Option<(Instant, Ended)> {
        match &self.phase {
            Phase::Accepting { since, .. } => Some((*since + ACCEPT_TIME, Ended::NobodyCame)),
            Phase::Sending { waiting: Some(since), .. } | Phase::Closing { since, .. } => {
                Some((*since + self.stall, Ended::Stalled))
            }
            Phase::Sending { waiting: None, .. } | Phase::Closed => None,
        }
    }

    /// What STAT says of it.
    pub(super) fn progress(&self) -> String {
        let Record { path, bytes, len, .. } = &self.record;
        match len {
            Some(len) => format!("Sending {path}: {bytes} of {len} bytes."),
            None => format!("Sending {path}: {bytes} bytes."),
        }
    }

    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            match &mut self.phase {
                Phase::Accepting { data, .. } => {
                    let stream = ready!(data.poll_stream(cx, &self.record.asker.sight))
                        .map_err(Ended::NoConnection)?;
                    self.begin(stream);
                }
                Phase::Sending { .. } => {
                    ready!(self.poll_send(cx))?;
                    if let Phase::Sending { stream, .. } = std::mem::replace(&mut self.phase, Phase::Closed) {
                        self.phase = Phase::Closing { stream, since: Instant::now() };
                    }
                }
                Phase::Closing { stream, .. } => {
                    ready!(Pin::new(stream).poll_shutdown(cx)).map_err(Ended::PeerLost)?;
                    self.phase = Phase::Closed;
                }
                Phase::Closed => return Poll::Ready(Ok(())),
            }
        }
    }

    fn begin(&mut self, stream: Box<dyn Transport>) {
        if !stream.sends_spans() {
            let source = std::mem::replace(&mut self.source, Box::new(vfs::producer::once("")));
            self.source = Box::new(source.lower(&self.disk));
        }
        self.phase = Phase::Sending { stream, waiting: None };
    }

    /// Sends until the source is at its end.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let Phase::Sending { stream, waiting } = &mut self.phase else { return Poll::Ready(Ok(())) };
        loop {
            if self.chunk.is_none() {
                self.chunk = ready!(self.source.poll_more(cx)).transpose().map_err(Ended::SourceFailed)?;
            }
            let Some(chunk) = &mut self.chunk else { return Poll::Ready(Ok(())) };
            let Poll::Ready(sent) = poll_send_chunk(&mut **stream, chunk, cx) else {
                waiting.get_or_insert_with(Instant::now);
                return Poll::Pending;
            };
            let sent = sent?;
            *waiting = None;
            drop(chunk.split_to(sent));
            if chunk.is_empty() {
                self.chunk = None;
            }
            self.record.add(sent);
        }
    }
}

/// Sends some of the front of `chunk`.
fn poll_send_chunk(
    stream: &mut dyn Transport,
    chunk: &Chunk,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Ended>> {
    let sent = match chunk {
        Chunk::Bytes(bytes) => ready!(Pin::new(stream).poll_write(cx, bytes)),
        Chunk::Span(span) => ready!(stream.poll_send_span(cx, span)),
    };
    Poll::Ready(match sent {
        Ok(0) => Err(Ended::PeerLost(io::ErrorKind::WriteZero.into())),
        Ok(sent) => Ok(sent),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Ended::Shrank),
        Err(error) => Err(Ended::PeerLost(error)),
    })
}

/// What is counted and logged of one transfer: one event when it is dropped, whatever ended it.
struct Record {
    asker: Asker,
    path: String,
    len: Option<u64>,
    bytes: u64,
    started: Instant,
    outcome: Option<String>,
}

impl Record {
    fn new(asker: Asker, opening: &Opening) -> Self {
        asker.sight.transfers.add(1);
        let path = opening.path.to_string();
        Self { asker, path, len: opening.len, bytes: 0, started: Instant::now(), outcome: None }
    }

    fn add(&mut self, sent: usize) {
        self.bytes += sent as u64;
        self.asker.sight.transferred_bytes.add(sent as u64);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.asker.sight.transfers.sub(1);
        tracing::info!(
            target: "transfer",
            peer = %self.asker.peer,
            user = %escaped(self.asker.user.as_bytes()),
            path = %self.path,
            bytes = self.bytes,
            seconds = self.started.elapsed().as_secs_f64(),
            outcome = self.outcome.as_deref().unwrap_or("the session ended"),
        );
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::Aborted => f.write_str("aborted"),
            Self::NobodyCame => f.write_str("no data connection"),
            Self::NoConnection(error) => write!(f, "no data connection: {error}"),
            Self::Stalled => f.write_str("stalled"),
            Self::PeerLost(error) => write!(f, "connection lost: {error}"),
            Self::Shrank => f.write_str("the file became shorter"),
            Self::SourceFailed(error) => write!(f, "source failed: {error}"),
        }
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer").field("path", &self.record.path).finish_non_exhaustive()
    }
}
