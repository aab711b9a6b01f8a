//! One transfer: waits for its data connection, moves the bytes one way or the other, closes. Its session polls it and shares
//! nothing with it; dropping it closes the socket and the file.

mod receive;
mod send;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWrite;
use tokio::time::Instant;
use vfs::jobs::Disk;
use vfs::path::escaped;

use self::receive::{Received, Receiving, Saving};
use self::send::{Sending, Sent};
use super::calls::{Content, Opening};
use super::data::Data;
use super::guard::Guard;
use crate::serve::Peer;
use crate::sight::{self, Sight};
use crate::transport::Transport;
use crate::transport::tls::HANDSHAKE;

/// A transfer under way.
pub(super) struct Transfer {
    /// What is to be moved, until there is a connection.
    content: Option<Content>,
    phase: Phase,
    stall: Duration,
    disk: Disk,
    /// Its drop logs the transfer.
    record: Record,
}

enum Phase {
    /// There is no connection yet.
    Accepting { data: Data, since: Instant },
    /// There is, and where it goes inside TLS its handshake is under way.
    Securing { stream: Box<dyn Transport>, since: Instant },
    /// There is. `waiting` says since when the client took or sent nothing; the tree has its own limits.
    Moving { stream: Box<dyn Transport>, flow: Flow, waiting: Option<Instant> },
    /// All was handed to the kernel.
    Closing { stream: Box<dyn Transport>, since: Instant },
    /// An upload has broken off, and what came of it is being written.
    Saving { saving: Saving, ended: Option<Ended> },
    /// The data connection is closed.
    Closed,
}

/// Which way the bytes go.
enum Flow {
    Out(Sending),
    In(Receiving),
}

/// How a transfer ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// All was sent or written, and the data connection is closed.
    Complete,
    /// The client, or the end of its session, stopped it.
    Aborted,
    /// There was no connection in time.
    NobodyCame,
    /// There was one, and no TLS on it in time.
    NotSecured,
    /// The data connection could not be had.
    NoConnection(io::Error),
    /// The client took or sent nothing for too long.
    Stalled,
    /// The data connection broke.
    PeerLost(io::Error),
    /// The file became shorter while it was sent.
    Shrank,
    /// The source failed.
    SourceFailed(vfs::Error),
    /// What came could not be written.
    TargetFailed(vfs::Error),
}

/// Who asked for a transfer, for the log.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// Where from.
    pub(super) peer: Peer,
    /// Under which name.
    pub(super) user: Arc<str>,
    /// It is nobody's in particular.
    pub(super) is_guest: bool,
    /// Where it is counted.
    pub(super) sight: Arc<Sight>,
    /// What its data connection is inside of.
    pub(super) guard: Guard,
}

impl Transfer {
    /// Moves what `opening` holds over the connection that `data` has or gets. A client that takes or sends nothing for
    /// `stall` is given up.
    pub(super) fn new(opening: Opening, data: Data, stall: Duration, disk: &Disk, asker: Asker) -> Self {
        let record = Record::new(asker, &opening);
        let phase = Phase::Accepting { data, since: record.started };
        Self { content: Some(opening.content), phase, stall, disk: disk.clone(), record }
    }

    /// Polls the transfer to its end; the data connection is closed then.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let ended = match ready!(self.poll_steps(cx)) {
                Ok(()) => Ended::Complete,
                Err(ended) => ended,
            };
            if let Some(ended) = self.stop(ended) {
                return Poll::Ready(ended);
            }
        }
    }

    /// Ends it: the data connection is closed, and the log says why. Where the client wants no more, or takes nothing, the
    /// connection is reset, so that what the kernel still holds for it is freed at once. Where the source fails, the client
    /// keeps what it has and is told on the control connection.
    ///
    /// `None` where what came of an upload is written first: [`Transfer::poll_end`] says when it is over. A second call does
    /// not wait for that.
    pub(super) fn stop(&mut self, ended: Ended) -> Option<Ended> {
        if let Phase::Moving { stream, .. } | Phase::Closing { stream, .. } = &mut self.phase
            && matches!(ended, Ended::Aborted | Ended::Stalled)
        {
            stream.reset_on_close();
        }
        self.content = None;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Moving { flow: Flow::In(receiving), .. } if !matches!(ended, Ended::TargetFailed(_)) => {
                match receiving.save() {
                    Some(saving) => Phase::Saving { saving, ended: Some(ended) },
                    None => return Some(self.close(ended)),
                }
            }
            _ => return Some(self.close(ended)),
        };
        None
    }

    fn close(&mut self, ended: Ended) -> Ended {
        self.record.outcome = Some(ended.to_string());
        self.record.is_complete = matches!(ended, Ended::Complete);
        ended
    }

    /// When it is to be given up as things stand, and how it ends then.
    pub(super) fn deadline(&self) -> Option<(Instant, Ended)> {
        match &self.phase {
            Phase::Accepting { data, since } => Some((*since + data.patience(), Ended::NobodyCame)),
            Phase::Securing { since, .. } => Some((*since + HANDSHAKE, Ended::NotSecured)),
            Phase::Moving { waiting: Some(since), .. } | Phase::Closing { since, .. } => {
                Some((*since + self.stall, Ended::Stalled))
            }
            Phase::Moving { waiting: None, .. } | Phase::Saving { .. } | Phase::Closed => None,
        }
    }

    /// What STAT says of it.
    pub(super) fn progress(&self) -> String {
        let Record { path, bytes, len, direction, .. } = &self.record;
        let verb = match direction {
            Direction::Out => "Sending",
            Direction::In => "Receiving",
        };
        match len {
            Some(len) => format!("{verb} {path}: {bytes} of {len} bytes."),
            None => format!("{verb} {path}: {bytes} bytes."),
        }
    }

    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            match &mut self.phase {
                Phase::Accepting { data, .. } => {
                    let Asker { sight, guard, .. } = &self.record.asker;
                    let stream = ready!(data.poll_stream(cx, sight, guard)).map_err(Ended::NoConnection)?;
                    self.phase = Phase::Securing { stream, since: Instant::now() };
                }
                Phase::Securing { stream, .. } => {
                    ready!(Pin::new(stream).poll_flush(cx)).map_err(Ended::PeerLost)?;
                    self.begin();
                }
                Phase::Moving { .. } => {
                    ready!(self.poll_move(cx))?;
                    self.phase = match std::mem::replace(&mut self.phase, Phase::Closed) {
                        Phase::Moving { stream, flow: Flow::Out(_), .. } => {
                            Phase::Closing { stream, since: Instant::now() }
                        }
                        Phase::Moving { mut stream, flow: Flow::In(_), .. } => {
                            // Inside TLS some clients wait for the word. The file is whole: whether they get it spoils nothing.
                            let _ = Pin::new(&mut stream).poll_shutdown(cx);
                            Phase::Closed
                        }
                        phase => phase,
                    };
                }
                Phase::Closing { stream, .. } => {
                    ready!(Pin::new(stream).poll_shutdown(cx)).map_err(Ended::PeerLost)?;
                    self.phase = Phase::Closed;
                }
                Phase::Saving { saving, ended } => {
                    ready!(saving.as_mut().poll(cx));
                    return Poll::Ready(Err(ended.take().unwrap_or(Ended::Aborted)));
                }
                Phase::Closed => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Takes up what is to be moved, over the connection that is secured.
    fn begin(&mut self) {
        self.phase = match (std::mem::replace(&mut self.phase, Phase::Closed), self.content.take()) {
            (Phase::Securing { stream, .. }, Some(content)) => {
                let flow = match content {
                    Content::Out(source) => Flow::Out(Sending::new(source, &*stream, &self.disk)),
                    Content::In(upload) => Flow::In(Receiving::new(upload)),
                };
                Phase::Moving { stream, flow, waiting: None }
            }
            (phase, _) => phase,
        };
    }

    /// Moves bytes until there are no more. Where the client is waited for, the clock of its stall runs.
    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let Phase::Moving { stream, flow, waiting } = &mut self.phase else { return Poll::Ready(Ok(())) };
        loop {
            let Poll::Ready(moved) = flow.poll_move(stream, cx) else {
                *waiting = flow.awaits_peer().then(|| waiting.unwrap_or_else(Instant::now));
                return Poll::Pending;
            };
            *waiting = None;
            match moved? {
                Some(count) => self.record.add(count),
                None => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Flow {
    /// Polls for bytes that have moved; `None` at the end.
    fn poll_move(
        &mut self,
        stream: &mut Box<dyn Transport>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<usize>, Ended>> {
        Poll::Ready(Ok(match self {
            Self::Out(sending) => match ready!(sending.poll_send(&mut **stream, cx))? {
                Sent::Bytes(count) => Some(count),
                Sent::All => None,
            },
            Self::In(receiving) => match ready!(receiving.poll_receive(stream, cx))? {
                Received::Bytes(count) => Some(count),
                Received::Finished => None,
            },
        }))
    }

    /// True while the client is waited for; the tree has its own limits.
    fn awaits_peer(&self) -> bool {
        match self {
            Self::Out(sending) => sending.awaits_peer(),
            Self::In(receiving) => receiving.awaits_peer(),
        }
    }
}

/// What is counted and logged of one transfer: one event when it is dropped, whatever ended it.
struct Record {
    asker: Asker,
    path: String,
    direction: Direction,
    len: Option<u64>,
    bytes: u64,
    started: Instant,
    outcome: Option<String>,
    is_file: bool,
    is_complete: bool,
}

/// Which way a transfer goes, for the log.
#[derive(Clone, Copy, Debug)]
enum Direction {
    Out,
    In,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

impl Record {
    fn new(asker: Asker, opening: &Opening) -> Self {
        asker.sight.transfers.add(1);
        let path = opening.path.to_string();
        let direction = match opening.content {
            Content::Out(_) => Direction::Out,
            Content::In(_) => Direction::In,
        };
        Self {
            asker,
            path,
            direction,
            len: opening.len,
            bytes: 0,
            started: Instant::now(),
            outcome: None,
            is_file: opening.is_file,
            is_complete: false,
        }
    }

    fn add(&mut self, moved: usize) {
        self.bytes += moved as u64;
        let counter = match self.direction {
            Direction::Out => &self.asker.sight.transferred_bytes,
            Direction::In => &self.asker.sight.received_bytes,
        };
        counter.add(moved as u64);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.asker.sight.transfers.sub(1);
        let outcome = self.outcome.as_deref().unwrap_or("the session ended");
        if let Some(journal) = self.asker.sight.transfer.as_ref().filter(|_| self.is_file) {
            journal.tell(&sight::Transfer {
                peer: self.asker.peer,
                user: &self.asker.user,
                is_guest: self.asker.is_guest,
                ended: SystemTime::now(),
                took: self.started.elapsed(),
                path: &self.path,
                bytes: self.bytes,
                is_upload: matches!(self.direction, Direction::In),
                complete: self.is_complete,
                outcome,
            });
        }
        tracing::info!(
            target: "transfer",
            peer = %self.asker.peer,
            user = %escaped(self.asker.user.as_bytes()),
            path = %self.path,
            direction = self.direction.as_str(),
            bytes = self.bytes,
            seconds = self.started.elapsed().as_secs_f64(),
            outcome,
        );
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::Aborted => f.write_str("aborted"),
            Self::NobodyCame => f.write_str("no data connection"),
            Self::NotSecured => f.write_str("no TLS handshake in time"),
            Self::NoConnection(error) => write!(f, "no data connection: {error}"),
            Self::Stalled => f.write_str("stalled"),
            Self::PeerLost(error) => write!(f, "connection lost: {error}"),
            Self::Shrank => f.write_str("the file became shorter"),
            Self::SourceFailed(error) => write!(f, "source failed: {error}"),
            Self::TargetFailed(error) => write!(f, "not written: {error}"),
        }
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer").field("path", &self.record.path).finish_non_exhaustive()
    }
}
