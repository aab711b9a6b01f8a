//! Where an open file is read and written next, and the one operation that a handle has under way.
//!
//! - A read moves the cursor when its bytes are handed over, so a read that is given up loses nothing.
//! - A write takes its place at once and runs on while the caller goes its way; every later call waits for it first.
//!   Nothing is reordered, and a failure is told at the next write, flush or close.

use std::io;
use std::io::SeekFrom;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rustix::io::Errno;
use tokio::io::ReadBuf;

use super::handle::on;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{OpenOptions, WriteMode};
use crate::path::VPath;

/// What one read asks for at most, and one write takes at most unless the handle says less.
pub(super) const PIECE_BYTES: usize = crate::jobs::PIECE_BYTES;

/// What one read asks for at least where going back costs a request: else a caller with a small buffer would make a
/// request for each of its reads.
const AHEAD_BYTES: usize = 256 * 1024;

/// An open file and what its handles share.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn crate::File>,
    pub(super) path: VPath,
    pub(super) appends: bool,
    pub(super) is_atomic: bool,
    /// Reads may fetch more than was asked for. Off where reading elsewhere is free, as in the standard library, and
    /// where the handle writes too: nobody is shown bytes that are older than their own.
    reads_ahead: bool,
    reads: bool,
    writes: bool,
    /// Where the next read or write happens.
    cursor: Arc<Mutex<u64>>,
}

impl Opened {
    pub(super) fn new(file: Arc<dyn crate::File>, path: VPath, options: &OpenOptions) -> Self {
        let reads_ahead = !options.changes() && file.seek_cost() != crate::SeekCost::Free;
        Self {
            file,
            path,
            appends: options.append,
            is_atomic: options.write_mode == WriteMode::Atomic,
            reads_ahead,
            reads: options.read,
            writes: options.write || options.append,
            cursor: Arc::default(),
        }
    }

    fn cursor(&self) -> MutexGuard<'_, u64> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn len(&self) -> Result<u64> {
        let len = self.file.metadata().await.map_err(on(&self.path))?.len;
        len.ok_or_else(|| {
            let unknown = Error::new(ErrorKind::Unsupported, "seek", &self.path);
            unknown.with_detail("the length is not known before the last byte is read")
        })
    }

    /// Takes the next `len` bytes for a write, and says where they start.
    fn claim(&self, len: usize) -> u64 {
        let mut cursor = self.cursor();
        let at = *cursor;
        *cursor = at.saturating_add(len as u64);
        at
    }

    /// EBADF as from the system, whatever the tree would say.
    pub(super) fn check_reads(&self) -> Result<()> {
        if self.reads {
            return Ok(());
        }
        let refused = Error::from_io(Errno::BADF.into(), "read", &self.path);
        Err(refused.with_detail("the file was not opened for reading"))
    }

    /// As [`Opened::check_reads`]; which errno it is depends on the call.
    pub(super) fn check_writes_as(&self, errno: Errno) -> Result<()> {
        if self.writes {
            return Ok(());
        }
        let refused = Error::from_io(errno.into(), "write", &self.path);
        Err(refused.with_detail("the file was not opened for writing"))
    }

    async fn read(self, max: usize) -> Result<(u64, Bytes)> {
        let at = *self.cursor();
        let bytes = self.file.read_at(at, max).await.map_err(on(&self.path))?;
        Ok((at, bytes))
    }

    async fn write(self, at: u64, piece: Bytes) -> Result<()> {
        let end = at.saturating_add(piece.len() as u64);
        let written = self.file.write_at(at, piece).await.map_err(on(&self.path));
        let settled = match &written {
            Err(_) => at,
            // An append leaves the cursor at the end of the file, where that is known.
            Ok(()) if self.appends => self.len().await.unwrap_or(end),
            Ok(()) => end,
        };
        let mut cursor = self.cursor();
        if *cursor == end {
            *cursor = settled;
        }
        written
    }

    async fn seek(self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            // A question only: it must not undo what a clone moves meanwhile.
            SeekFrom::Current(0) => return Ok(*self.cursor()),
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.cursor().checked_add_signed(by),
            SeekFrom::End(by) => self.len().await?.checked_add_signed(by),
        };
        // Offsets are signed in lseek(2); what it refuses is refused everywhere.
        let Some(target) = target.filter(|at| i64::try_from(*at).is_ok()) else {
            let refused = Error::new(ErrorKind::InvalidInput, "seek", &self.path);
            return Err(refused.with_detail("before the start of the file, or past every file's end"));
        };
        *self.cursor() = target;
        Ok(target)
    }

    async fn finish(self) -> Result<()> {
        self.file.finish().await.map_err(on(&self.path))
    }
}

type Work<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What a handle has under way, and what came of it that nobody has asked for yet.
#[derive(Default)]
pub(super) struct Io {
    under_way: Option<UnderWay>,
    /// Why a write failed that its caller believed in.
    failure: Option<Error>,
    /// Bytes that were read and not handed over, and where they start.
    ahead: (u64, Bytes),
    seek: Option<SeekFrom>,
}

enum UnderWay {
    Read(Work<(u64, Bytes)>),
    Write(Work<()>),
    Seek(Work<u64>),
    Finish(Work<()>),
}

impl Io {
    pub(super) fn poll_read(
        &mut self,
        opened: &Opened,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        opened.check_reads()?;
        ready!(self.poll_settled(cx));
        while buf.remaining() > 0 && !self.hand_over(opened, buf) {
            let mut read = match self.under_way.take() {
                Some(UnderWay::Read(read)) => read,
                _ => {
                    let least = if opened.reads_ahead { AHEAD_BYTES } else { 0 };
                    Box::pin(opened.clone().read(buf.remaining().clamp(least, PIECE_BYTES)))
                }
            };
            let Poll::Ready(read) = read.as_mut().poll(cx) else {
                self.under_way = Some(UnderWay::Read(read));
                return Poll::Pending;
            };
            self.ahead = read?;
            let (at, bytes) = &self.ahead;
            if bytes.is_empty() && *opened.cursor() == *at {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Hands over what was read, where it starts at or before the cursor. A clone of the handle may have moved that.
    fn hand_over(&mut self, opened: &Opened, buf: &mut ReadBuf<'_>) -> bool {
        let mut cursor = opened.cursor();
        let (start, bytes) = &mut self.ahead;
        let skipped = cursor.checked_sub(*start).and_then(|skipped| usize::try_from(skipped).ok());
        let Some(skipped) = skipped.filter(|skipped| *skipped < bytes.len()) else { return false };
        bytes.advance(skipped);
        let piece = bytes.split_to(bytes.len().min(buf.remaining()));
        buf.put_slice(&piece);
        *cursor += piece.len() as u64;
        *start = *cursor;
        if !opened.reads_ahead {
            // Left from a longer read that was given up: to be read anew, it may have changed by then.
            bytes.clear();
        }
        true
    }

    pub(super) fn poll_write(
        &mut self,
        opened: &Opened,
        cx: &mut Context<'_>,
        data: &[u8],
        max: usize,
    ) -> Poll<io::Result<usize>> {
        opened.check_writes_as(Errno::BADF)?;
        ready!(self.poll_flush(cx))?;
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let piece = Bytes::copy_from_slice(&data[..data.len().min(max)]);
        let len = piece.len();
        self.forget_reads();
        let start = opened.claim(len);
        self.under_way = Some(UnderWay::Write(Box::pin(opened.clone().write(start, piece))));
        // Begun here, so that it goes on while the caller is elsewhere. What fails at once is told at once.
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(len)),
        }
    }

    /// Waits for the write under way, and tells how it went.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settled(cx));
        match self.failure.take() {
            Some(failure) => Poll::Ready(Err(failure.into())),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Flushes, then finishes the file.
    pub(super) fn poll_shutdown(&mut self, opened: &Opened, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.under_way, Some(UnderWay::Finish(_))) {
            ready!(self.poll_flush(cx))?;
            self.forget_reads();
            self.under_way = Some(UnderWay::Finish(Box::pin(opened.clone().finish())));
        }
        self.poll_flush(cx)
    }

    pub(super) fn start_seek(&mut self, to: SeekFrom) {
        self.seek = Some(to);
    }

    pub(super) fn poll_seek(&mut self, opened: &Opened, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        ready!(self.poll_settled(cx));
        let mut seek = match (self.seek.take(), self.under_way.take()) {
            (None, Some(UnderWay::Seek(seek))) => seek,
            (to, _) => Box::pin(opened.clone().seek(to.unwrap_or(SeekFrom::Current(0)))),
        };
        let Poll::Ready(sought) = seek.as_mut().poll(cx) else {
            self.under_way = Some(UnderWay::Seek(seek));
            return Poll::Pending;
        };
        Poll::Ready(sought.map_err(io::Error::from))
    }

    /// Waits until no change is under way; a failure is kept.
    pub(super) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(UnderWay::Write(change) | UnderWay::Finish(change)) = &mut self.under_way {
            let changed = ready!(change.as_mut().poll(cx));
            self.under_way = None;
            self.failure = changed.err();
        }
        Poll::Ready(())
    }

    /// The write under way, for the one who lets the handle go.
    pub(super) fn take_write(&mut self) -> Option<Work<()>> {
        match self.under_way.take() {
            Some(UnderWay::Write(write)) => Some(write),
            _ => None,
        }
    }

    fn forget_reads(&mut self) {
        self.under_way = None;
        self.ahead = (0, Bytes::new());
    }
}
