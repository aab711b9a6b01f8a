//! [`file()`]: a region of an open local file, as spans that do not have to be read.

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::task::{Context, Poll, ready};

use rustix::fs::Advice;
use rustix::io::Errno;

use super::job::{Job, job};
use super::{Chunk, FileSpan, Hint, Producer, Readiness, SpanFile, failure};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Disk;
use crate::path::VPath;

/// What a job reads at once while it brings a span into memory.
const FETCH_BYTES: usize = 64 * 1024;

/// Where spans start, but for the first: a member of a tar lies anywhere, and sending from amid a page takes the kernel a piece
/// more each time.
const PAGE_BYTES: u64 = 4096;

/// `len` bytes of an open file from `offset`, as spans of at most [`FileSpan::MAX_BYTES`].
///
/// A span that is in memory comes at once. One that is not is `Pending` while a job of `disk` brings it there, so a cold
/// page never stalls who sends it. A file that grows does not matter; one that gets shorter than the region gives what
/// it has and then `Truncated`. A drop lets a job under way run to its end, one span at most.
pub fn file(file: SpanFile, offset: u64, len: u64, disk: &Disk) -> FileRegion {
    FileRegion { file, offset, left: len, disk: disk.clone(), fetch: None }
}

/// Made by [`file()`].
pub struct FileRegion {
    file: SpanFile,
    offset: u64,
    left: u64,
    disk: Disk,
    /// The job that brings the next span into memory.
    fetch: Option<Job<io::Result<()>>>,
}

impl FileRegion {
    /// How long the next span may be: up to the end of a page.
    fn span_bytes(&self) -> u64 {
        self.left.min(FileSpan::MAX_BYTES as u64 - self.offset % PAGE_BYTES)
    }

    /// The next span, where all of it is in memory. Its last byte is, so the file reaches that far.
    fn warm_span(&self) -> Option<FileSpan> {
        let span = FileSpan::new(self.file.clone(), self.offset, self.span_bytes());
        (self.fetch.is_none() && span.is_resident()).then_some(span)
    }

    /// The next span, as far as the file reaches now.
    fn cold_span(&self) -> Result<FileSpan> {
        let stat = rustix::fs::fstat(&self.file)
            .map_err(|errno| Error::from_io(errno.into(), "read", &VPath::root()))?;
        let end = u64::try_from(stat.st_size).unwrap_or(0);
        let len = self.span_bytes().min(end.saturating_sub(self.offset));
        let span = FileSpan::new(self.file.clone(), self.offset, len);
        if span.is_empty() {
            let detail = format!("the file ends at {end}, {} bytes before it should", self.missing(end));
            return Err(failure(ErrorKind::Truncated, "read").with_detail(detail));
        }
        Ok(span)
    }

    fn missing(&self, end: u64) -> u64 {
        self.offset.saturating_add(self.left).saturating_sub(end)
    }

    /// Ready once the span has been in memory. After its job it goes out in any case: a system that cannot keep its pages
    /// would be asked for ever.
    fn poll_fetched(&mut self, span: &FileSpan, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let fetch = match &mut self.fetch {
            Some(fetch) => fetch,
            // What a file that became shorter has left may be in memory.
            None if span.is_resident() => return Poll::Ready(Ok(())),
            None => {
                let span = span.clone();
                self.fetch.insert(job(&self.disk, "read", move || fetch_blocking(&span)))
            }
        };
        let fetched = ready!(fetch.as_mut().poll(cx));
        self.fetch = None;
        Poll::Ready(fetched?.map_err(|error| Error::from_io(error, "read", &VPath::root())))
    }

    fn poll_cold_span(&mut self, cx: &mut Context<'_>) -> Poll<Result<FileSpan>> {
        let span = self.cold_span()?;
        ready!(self.poll_fetched(&span, cx))?;
        Poll::Ready(Ok(span))
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Chunk>>> {
        self.left = 0;
        self.fetch = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Producer for FileRegion {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let span = match self.warm_span() {
            Some(span) => span,
            None => match ready!(self.poll_cold_span(cx)) {
                Ok(span) => span,
                Err(error) => return self.fail(error),
            },
        };
        self.offset += span.len() as u64;
        self.left -= span.len() as u64;
        Poll::Ready(Some(Ok(Chunk::Span(span))))
    }

    fn hint(&self) -> Hint {
        let readiness = if self.left == 0 { Readiness::Now } else { Readiness::Unknown };
        Hint { readiness, remaining: Some(self.left) }
    }
}

/// Brings the span into memory by reading it; the bytes are thrown away.
fn fetch_blocking(span: &FileSpan) -> io::Result<()> {
    // Hands the whole piece to the disk at once, the reads below then wait for it. Advice: a refusal changes nothing.
    let _ =
        rustix::fs::fadvise(span.file(), span.offset(), NonZeroU64::new(span.len() as u64), Advice::WillNeed);
    let mut scratch = vec![0; FETCH_BYTES.min(span.len())];
    let mut read = 0;
    while read < span.len() {
        let wanted = scratch.len().min(span.len() - read);
        match rustix::io::pread(span.file(), &mut scratch[..wanted], span.offset() + read as u64) {
            // Shorter by now: the producer sees that itself.
            Ok(0) => break,
            Ok(count) => read += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

impl fmt::Debug for FileRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRegion")
            .field("offset", &self.offset)
            .field("left", &self.left)
            .field("is_fetching", &self.fetch.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use super::super::testing::{Wakes, chill, cold_file, drain, poll_with, warm_file};
    use super::*;

    const SPAN: usize = FileSpan::MAX_BYTES;

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at / 7) as u8).collect()
    }

    #[tokio::test]
    async fn a_region_comes_as_spans_byte_for_byte() {
        let content = content(2 * SPAN + 100);
        let open = warm_file(&content);
        for (offset, len, lengths) in [
            (0, content.len(), vec![SPAN, SPAN, 100]),
            (50, SPAN, vec![SPAN - 50, 50]),
            (SPAN - 1, 3, vec![3]),
            (7, 0, vec![]),
        ] {
            let drained = drain(file(open.clone(), offset as u64, len as u64, &Disk::new())).await;
            assert_eq!(drained.lengths, lengths);
            assert!(drained.bytes == content[offset..offset + len], "{len} at {offset}");
        }
    }

    #[tokio::test]
    async fn a_warm_span_is_not_waited_for() {
        let mut region = file(warm_file(b"0123456789"), 0, 10, &Disk::new());
        assert!(matches!(poll_with(&mut region, Waker::noop()), Poll::Ready(Some(Ok(Chunk::Span(_))))));
    }

    #[tokio::test]
    async fn a_file_that_gets_shorter_gives_what_it_has_and_is_truncated() {
        let content = content(3 * SPAN);
        let open = warm_file(&content);
        let mut region = file(open.clone(), 0, content.len() as u64, &Disk::new());
        assert!(poll_with(&mut region, Waker::noop()).is_ready());
        rustix::fs::ftruncate(&open, (SPAN + 10) as u64).unwrap();
        let Poll::Ready(Some(Ok(chunk))) = poll_with(&mut region, Waker::noop()) else {
            panic!("10 are left")
        };
        assert_eq!(chunk.len(), 10);
        assert_eq!(drain(region).await.kind(), Some(ErrorKind::Truncated));

        let beyond = drain(file(open, u64::MAX - 5, 5, &Disk::new())).await;
        assert_eq!(beyond.kind(), Some(ErrorKind::Truncated));
    }

    #[tokio::test]
    async fn a_cold_span_is_pending_until_a_job_has_read_it() {
        let content = content(SPAN + 100);
        let Some(open) = cold_file(&content) else { return };
        let span = FileSpan::new(open.clone(), 0, SPAN as u64);
        let mut region = file(open, 0, content.len() as u64, &Disk::new());
        let wakes = Arc::new(Wakes::default());
        assert!(poll_with(&mut region, &Arc::clone(&wakes).into()).is_pending());
        let drained = drain(region).await;
        assert!(span.is_resident());
        assert_eq!(drained.lengths, [SPAN, 100]);
        assert!(drained.bytes == content);
    }

    #[tokio::test]
    async fn after_a_job_a_span_goes_out_even_where_its_pages_have_left_again() {
        let Some(open) = cold_file(&content(SPAN)) else { return };
        let mut region = file(open.clone(), 0, SPAN as u64, &Disk::new());
        let first = std::future::poll_fn(|cx| {
            let polled = region.poll_more(cx);
            chill(&open);
            polled
        });
        assert_eq!(first.await.unwrap().unwrap().len(), SPAN);
    }
}
