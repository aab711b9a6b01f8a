//! [`MirrorFile`]: a kept file, as its readers see it, and [`ReadThrough`], its bytes while they come.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;

use super::object::{Located, Object};
use super::run::{Demand, Joined};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::{ByteRange, Intent};
use crate::path::VPath;
use crate::producer::{self, Chunk, FileSpan, Hint, Producer};

/// What one `read_at` gives at most.
const READ_BYTES: usize = 256 * 1024;

/// A reader that has read this much in sequence is going to read on: its next run is open-ended.
const SEQUENCE_BYTES: u64 = 1 << 20;

/// One version of a file that is kept, or on its way.
#[derive(Debug)]
pub(super) struct MirrorFile {
    object: Arc<Object>,
    described: Metadata,
    /// Where the reading in sequence began, and where it is.
    sequence: (AtomicU64, AtomicU64),
}

impl MirrorFile {
    pub(super) fn new(object: Arc<Object>, described: Metadata) -> Self {
        Self { object, described, sequence: (AtomicU64::new(0), AtomicU64::new(0)) }
    }

    /// What a read at `offset` will be followed by.
    fn demand(&self, offset: u64, max: usize) -> Demand {
        let (start, at) = &self.sequence;
        if at.swap(offset.saturating_add(max as u64), Ordering::Relaxed) != offset {
            start.store(offset, Ordering::Relaxed);
        }
        let read = offset - start.load(Ordering::Relaxed).min(offset);
        let goes_on = read >= SEQUENCE_BYTES;
        Demand { end: (!goes_on).then(|| offset.saturating_add(max as u64)), is_whole: false }
    }
}

#[async_trait]
impl File for MirrorFile {
    async fn metadata(&self) -> Result<Metadata> {
        let now = self.object.describe(self.described.provenance.cache);
        // The length may have shown itself meanwhile.
        Ok(Metadata { len: now.len, ..self.described.clone() })
    }

    fn identity(&self) -> Option<Identity> {
        self.described.identity.clone()
    }

    fn opened_as(&self) -> Option<Metadata> {
        Some(self.described.clone())
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let max = max.min(READ_BYTES);
        if max == 0 {
            return Ok(Bytes::new());
        }
        let mut reader = Reader::new(Arc::clone(&self.object));
        match reader.wait(offset, self.demand(offset, max)).await? {
            Ready::Until(until) => {
                let len = usize::try_from(until - offset).unwrap_or(max).min(max);
                self.sequence.1.store(offset + len as u64, Ordering::Relaxed);
                self.object.read_present(offset, len).await
            }
            Ready::End => Ok(Bytes::new()),
            Ready::Bypassed => self.object.upstream_file(Intent::Range).await?.read_at(offset, max).await,
        }
    }

    /// A plain file where it is complete; else its bytes as they come, from the disk.
    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        if let Some((data, len)) = self.object.whole() {
            let end = range.end.unwrap_or(len);
            if end > len {
                return None;
            }
            let len = end.saturating_sub(range.start);
            return Some(Box::new(producer::file(data, range.start, len, self.object.store.disk())));
        }
        Some(Box::new(ReadThrough::new(&self.object, range)))
    }

    fn seek_cost(&self) -> SeekCost {
        self.object.seek_cost()
    }
}

/// Somebody who reads an object, and the run that brings its bytes.
struct Reader {
    object: Arc<Object>,
    joined: Option<Joined>,
}

/// What a reader has waited for.
enum Ready {
    /// Bytes up to there are on the disk.
    Until(u64),
    End,
    /// They are to be read from the source.
    Bypassed,
}

impl Reader {
    fn new(object: Arc<Object>) -> Self {
        Self { object, joined: None }
    }

    /// Waits for bytes at `offset`.
    ///
    /// # Errors
    /// Why the run failed that was to bring them: it is not tried again for this reader.
    async fn wait(&mut self, offset: u64, demand: Demand) -> Result<Ready> {
        let mut news = self.object.news.subscribe();
        loop {
            if let Some(failure) = self.joined.as_ref().and_then(Joined::failure) {
                return self.object.present_until(offset).map(Ready::Until).ok_or(failure);
            }
            match self.object.locate(offset, demand) {
                Located::Present(until) => return Ok(Ready::Until(until)),
                Located::End => return Ok(Ready::End),
                Located::Bypassed => return Ok(Ready::Bypassed),
                Located::Unchecked(index) => {
                    self.object.check(index).await?;
                    continue;
                }
                Located::Lost(error) => return Err(error),
                Located::Coming(joined) => self.joined = Some(joined),
                Located::Missing(run) => {
                    let begun = run.begin(&self.object);
                    self.joined = Some(begun);
                }
            }
            if self.joined.as_ref().is_some_and(|joined| !joined.is_over()) && news.changed().await.is_err() {
                return Err(Error::new(ErrorKind::Internal, "read_at", &VPath::root()));
            }
        }
    }
}

/// Begins to fetch what is missing of a file of which something is there, and waits for the first bytes. False where its
/// source has no such version any more.
///
/// # Errors
/// Why no more of it can be had.
pub(super) async fn go_on(object: &Arc<Object>) -> Result<bool> {
    let Some(missing) = object.first_missing() else { return Ok(true) };
    let mut reader = Reader::new(Arc::clone(object));
    match reader.wait(missing, Demand { end: None, is_whole: true }).await {
        Err(_) if object.is_lost() => Ok(false),
        waited => waited.map(|_| true),
    }
}

/// How much of an object somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// That it can be said to begin: its first bytes, or its end.
    Beginning,
    /// All of it.
    Whole,
}

/// Waits until so much of `object` can be read from the disk. False where it cannot be kept.
///
/// # Errors
/// Why it cannot be had.
pub(super) async fn arrive(object: &Arc<Object>, awaited: Awaited) -> Result<bool> {
    let mut reader = Reader::new(Arc::clone(object));
    let mut at = 0;
    loop {
        match reader.wait(at, Demand { end: None, is_whole: true }).await? {
            Ready::Until(_) if awaited == Awaited::Beginning => return Ok(true),
            Ready::Until(until) => at = until,
            Ready::End => return Ok(true),
            Ready::Bypassed => return Ok(false),
        }
    }
}

/// The bytes of a range, as spans of what is on the disk; where it is not, it waits.
pub(super) struct ReadThrough {
    at: u64,
    end: Option<u64>,
    is_whole: bool,
    /// Length of the file, where it was known at the start.
    len: Option<u64>,
    step: Step,
}

enum Step {
    Rest(Reader),
    Waiting(Pin<Box<dyn Future<Output = (Reader, Result<Piece>)> + Send>>),
    Done,
}

enum Piece {
    Chunk(Chunk),
    End,
}

impl Reader {
    /// The next piece at `at` of what is demanded.
    async fn piece(&mut self, at: u64, demand: Demand) -> Result<Piece> {
        let end = demand.end;
        Ok(match self.wait(at, demand).await? {
            Ready::Until(until) => {
                let len = end.map_or(until, |end| until.min(end)) - at;
                Piece::Chunk(Chunk::Span(FileSpan::new(self.object.data().await?.file().clone(), at, len)))
            }
            Ready::End => Piece::End,
            Ready::Bypassed => {
                let max = end.map_or(u64::MAX, |end| end - at);
                let max = usize::try_from(max).unwrap_or(READ_BYTES).min(READ_BYTES);
                let bytes = self.object.upstream_file(Intent::Whole).await?.read_at(at, max).await?;
                if bytes.is_empty() { Piece::End } else { Piece::Chunk(bytes.into()) }
            }
        })
    }
}

impl ReadThrough {
    pub(super) fn new(object: &Arc<Object>, range: ByteRange) -> Self {
        let (len, _) = object.progress();
        let is_whole = range.start == 0 && (range.end.is_none() || range.end == len);
        Self {
            at: range.start,
            end: range.end,
            is_whole,
            len,
            step: Step::Rest(Reader::new(Arc::clone(object))),
        }
    }
}

impl Producer for ReadThrough {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let (at, end) = (self.at, self.end);
        let demand = Demand { end, is_whole: self.is_whole };
        if end.is_some_and(|end| at >= end) {
            self.step = Step::Done;
        }
        if let Step::Rest(_) = self.step
            && let Step::Rest(mut reader) = std::mem::replace(&mut self.step, Step::Done)
        {
            self.step = Step::Waiting(Box::pin(async move {
                let piece = reader.piece(at, demand).await;
                (reader, piece)
            }));
        }
        let Step::Waiting(waiting) = &mut self.step else { return Poll::Ready(None) };
        let (reader, piece) = ready!(waiting.as_mut().poll(cx));
        self.step = Step::Done;
        Poll::Ready(match piece {
            Ok(Piece::Chunk(chunk)) => {
                self.at += chunk.len() as u64;
                self.step = Step::Rest(reader);
                Some(Ok(chunk))
            }
            Ok(Piece::End) if end.is_none() => None,
            Ok(Piece::End) => {
                let detail = format!("the file ends at {at}");
                Some(Err(Error::new(ErrorKind::Truncated, "read_at", &VPath::root()).with_detail(detail)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn hint(&self) -> Hint {
        if matches!(self.step, Step::Done) {
            return Hint::END;
        }
        let goal = self.end.or(self.len);
        Hint { remaining: goal.map(|goal| goal.saturating_sub(self.at)), ..Hint::UNKNOWN }
    }
}

impl fmt::Debug for ReadThrough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadThrough").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}
