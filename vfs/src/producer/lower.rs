//! [`Lower`]: spans become bytes, where a consumer cannot send them from the file.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::job::{Job, job};
use super::{Chunk, FileSpan, Hint, Producer, Readiness};
use crate::error::{Error, Result};
use crate::jobs::Disk;
use crate::path::VPath;

/// What is read of a span at once: large enough that a hop to the blocking pool costs little, small enough that a slow
/// client's share of memory is.
const LOWER_BYTES: usize = 256 * 1024;

/// Gives bytes only: a span is read in pieces of at most 256 KiB, one a poll, inline where it is in memory, else in a job.
/// Bytes pass as they are. A span that its file no longer holds is `Truncated`. The source is asked for the chunk after
/// a span when the span's last piece was taken. A drop lets a job under way run to its end.
pub struct Lower<P> {
    inner: P,
    disk: Disk,
    /// What is left of the last span.
    span: Option<FileSpan>,
    /// The piece that is being read, and its length.
    reading: Option<(usize, Job<io::Result<Bytes>>)>,
    failed: bool,
}

impl<P: Producer> Lower<P> {
    pub(super) fn new(inner: P, disk: Disk) -> Self {
        Self { inner, disk, span: None, reading: None, failed: false }
    }

    fn next_piece(&mut self) -> Option<FileSpan> {
        let span = self.span.as_mut()?;
        let piece = span.split_to(LOWER_BYTES);
        if span.is_empty() {
            self.span = None;
        }
        Some(piece)
    }

    fn accept(&mut self, read: Result<io::Result<Bytes>>) -> Option<Result<Bytes>> {
        let read = read.and_then(|read| read.map_err(|error| Error::from_io(error, "read", &VPath::root())));
        self.failed = read.is_err();
        Some(read)
    }

    /// As [`Producer::poll_more`], for those who know that only bytes come.
    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        loop {
            if let Some((_, reading)) = &mut self.reading {
                let read = ready!(reading.as_mut().poll(cx));
                self.reading = None;
                return Poll::Ready(self.accept(read));
            }
            if let Some(piece) = self.next_piece() {
                match piece.read_now() {
                    Some(read) => return Poll::Ready(self.accept(Ok(read))),
                    None => {
                        let len = piece.len();
                        let reading = job(&self.disk, "read", move || piece.read_blocking());
                        self.reading = Some((len, reading));
                    }
                }
                continue;
            }
            match ready!(self.inner.poll_more(cx)) {
                Some(Ok(Chunk::Span(span))) => self.span = Some(span),
                Some(Ok(Chunk::Bytes(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<P: Producer> Producer for Lower<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        self.poll_bytes(cx).map_ok(Chunk::Bytes)
    }

    fn hint(&self) -> Hint {
        if self.failed {
            return Hint::END;
        }
        let inner = self.inner.hint();
        let reading = self.reading.as_ref().map_or(0, |(len, _)| *len);
        let held = reading + self.span.as_ref().map_or(0, FileSpan::len);
        let readiness = match inner.readiness {
            // The next chunk may be a span that has to be waited for.
            Readiness::Now if inner != Hint::END => Readiness::Unknown,
            _ if held > 0 => Readiness::Unknown,
            known => known,
        };
        Hint { readiness, remaining: inner.remaining.map(|left| left + held as u64) }
    }
}

impl<P> fmt::Debug for Lower<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lower")
            .field("span", &self.span)
            .field("is_reading", &self.reading.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::testing::{
        CONTENT, Script, cold_file, drain, keeps_the_contract, poll_with, warm_file,
    };
    use super::super::{ProducerExt, SpanFile};
    use super::*;
    use crate::error::ErrorKind;

    fn content() -> Vec<u8> {
        (0..2 * LOWER_BYTES + 100).map(|at| (at / 7) as u8).collect()
    }

    fn span(file: &SpanFile, offset: usize, len: usize) -> Chunk {
        Chunk::Span(FileSpan::new(file.clone(), offset as u64, len as u64))
    }

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(|source| source.lower(&Disk::new())).await;
    }

    #[tokio::test]
    async fn spans_are_read_in_pieces_and_bytes_pass() {
        let content = content();
        let warm = Some(warm_file(&content));
        for file in [warm, cold_file(&content)].into_iter().flatten() {
            let source = Script::of([span(&file, 0, content.len()), CONTENT.into(), span(&file, 5, 10)]);
            let drained = drain(source.lower(&Disk::new())).await;
            assert_eq!(drained.lengths, [LOWER_BYTES, LOWER_BYTES, 100, 10, 10]);
            assert!(drained.bytes == [&content[..], CONTENT, &content[5..15]].concat());
        }
    }

    #[tokio::test]
    async fn a_warm_piece_is_read_inline_and_a_cold_one_is_waited_for() {
        let content = content();
        let file = warm_file(&content);
        let mut lowered = Script::of([span(&file, 0, content.len())]).lower(&Disk::new());
        assert!(poll_with(&mut lowered, Waker::noop()).is_ready());

        let Some(file) = cold_file(&content) else { return };
        let mut lowered = Script::of([span(&file, 0, content.len())]).lower(&Disk::new());
        assert!(poll_with(&mut lowered, Waker::noop()).is_pending());
        assert!(drain(lowered).await.bytes == content);
    }

    #[tokio::test]
    async fn a_span_that_its_file_no_longer_holds_is_truncated() {
        let file = warm_file(&content());
        rustix::fs::ftruncate(&file, 100).unwrap();
        let drained = drain(Script::of([span(&file, 0, 200), CONTENT.into()]).lower(&Disk::new())).await;
        assert_eq!((drained.kind(), drained.lengths), (Some(ErrorKind::Truncated), vec![]));
    }
}
