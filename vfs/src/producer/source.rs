//! [`of`]: an open file as a producer, by its own way or by `read_at`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{Chunk, Hint, Producer, Readiness};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::options::ByteRange;
use crate::path::VPath;

/// What one `read_at` is asked for at most.
const READ_BYTES: usize = 256 * 1024;

/// The bytes of `range`, by the file's own way where it has one, else by `read_at`, one call at a time and only when
/// the consumer asks. Ends with `Truncated` where `range` states an end that the file does not reach.
pub fn of(file: Arc<dyn File>, range: ByteRange) -> Box<dyn Producer> {
    match Arc::clone(&file).native(range) {
        Some(producer) => producer,
        None => Box::new(ReadAt { file, offset: range.start, end: range.end, reading: None, ended: false }),
    }
}

struct ReadAt {
    file: Arc<dyn File>,
    offset: u64,
    end: Option<u64>,
    reading: Option<Pin<Box<dyn Future<Output = Result<Bytes>> + Send>>>,
    ended: bool,
}

impl ReadAt {
    fn wanted(&self) -> usize {
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.offset));
        usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES)
    }

    /// What a finished read means for the range.
    fn accept(&mut self, read: Result<Bytes>) -> Option<Result<Chunk>> {
        if let Ok(bytes) = &read
            && !bytes.is_empty()
        {
            self.offset += bytes.len() as u64;
            return Some(read.map(Chunk::Bytes));
        }
        self.ended = true;
        match read {
            Ok(_) if self.end.is_none() => None,
            Ok(_) => {
                let detail = format!("the file ends at {}", self.offset);
                Some(Err(Error::new(ErrorKind::Truncated, "read_at", &VPath::root()).with_detail(detail)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Producer for ReadAt {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let max = self.wanted();
        if self.ended || max == 0 {
            return Poll::Ready(None);
        }
        let (file, offset) = (&self.file, self.offset);
        let reading = self.reading.get_or_insert_with(|| {
            let file = Arc::clone(file);
            Box::pin(async move { file.read_at(offset, max).await })
        });
        let read = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        Poll::Ready(self.accept(read))
    }

    fn hint(&self) -> Hint {
        if self.ended {
            return Hint::END;
        }
        let remaining = self.end.map(|end| end.saturating_sub(self.offset));
        let readiness = if remaining == Some(0) { Readiness::Now } else { Readiness::Unknown };
        Hint { readiness, remaining }
    }
}

impl fmt::Debug for ReadAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAt").field("offset", &self.offset).field("end", &self.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::super::once;
    use super::super::testing::drain;
    use super::*;
    use crate::metadata::{FileType, Identity, Metadata};

    /// A file whose reads are short, and late by a turn of the scheduler.
    #[derive(Debug, Default)]
    struct Slow {
        content: &'static [u8],
        reads: AtomicUsize,
        fails_at: Option<usize>,
        is_native: bool,
    }

    #[async_trait]
    impl File for Slow {
        async fn metadata(&self) -> Result<Metadata> {
            Ok(Metadata::new(FileType::File))
        }

        fn identity(&self) -> Option<Identity> {
            None
        }

        async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
            let reads = self.reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if self.fails_at == Some(reads) {
                return Err(Error::new(ErrorKind::Busy, "read_at", &VPath::root()));
            }
            let rest = self.content.get(offset as usize..).unwrap_or_default();
            Ok(Bytes::from_static(&rest[..rest.len().min(max).min(3)]))
        }

        fn native(self: Arc<Self>, _range: ByteRange) -> Option<Box<dyn Producer>> {
            self.is_native.then(|| Box::new(once("native")) as _)
        }
    }

    fn slow() -> Slow {
        Slow { content: b"0123456789", ..Slow::default() }
    }

    #[tokio::test]
    async fn a_file_is_read_as_far_as_the_range_says() {
        for (range, bytes, error) in [
            (ByteRange::whole(), &b"0123456789"[..], None),
            (ByteRange::at(2, 5), b"23456", None),
            (ByteRange::from(8), b"89", None),
            (ByteRange::from(20), b"", None),
            (ByteRange::at(4, 0), b"", None),
            (ByteRange::at(8, 5), b"89", Some(ErrorKind::Truncated)),
        ] {
            let drained = drain(of(Arc::new(slow()), range)).await;
            assert_eq!((&drained.bytes[..], drained.kind()), (bytes, error), "{range:?}");
        }
    }

    #[tokio::test]
    async fn it_is_read_when_the_consumer_asks_and_not_after_an_error() {
        let file = Arc::new(Slow { fails_at: Some(1), ..slow() });
        let producer = of(Arc::clone(&file) as _, ByteRange::whole());
        producer.hint();
        assert_eq!(file.reads.load(Ordering::SeqCst), 0);
        let drained = drain(producer).await;
        assert_eq!((drained.kind(), &drained.bytes[..]), (Some(ErrorKind::Busy), &b"012"[..]));
        assert_eq!(file.reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_files_own_way_goes_first() {
        let file = Arc::new(Slow { is_native: true, ..slow() });
        assert_eq!(drain(of(file, ByteRange::whole())).await.bytes, b"native");
    }
}
