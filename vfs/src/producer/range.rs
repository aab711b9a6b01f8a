//! [`Range`]: a part of what a producer gives.

use std::fmt;
use std::task::{Context, Poll, ready};

use super::{Chunk, Hint, Producer, Readiness, failure};
use crate::error::{ErrorKind, Result};
use crate::options::ByteRange;

/// Chunks that one poll skips at most; then others have their turn.
const SKIPPED_CHUNKS: usize = 16;

/// Skips to the start of a range and stops before its end. Chunks are cut, spans without being read; what is skipped is
/// produced all the same, so a source that can start elsewhere should. The source is not asked past the end of the range.
/// A source that ends before a stated end is `Truncated`; without a stated end nothing is missing.
pub struct Range<P> {
    inner: P,
    skip: u64,
    /// Bytes to give, where the end is stated.
    left: Option<u64>,
    ended: bool,
}

impl<P: Producer> Range<P> {
    pub(super) fn new(inner: P, range: ByteRange) -> Self {
        Self { inner, skip: range.start, left: range.len(), ended: range.is_empty() }
    }

    /// What of the chunk lies in the range.
    fn cut(&mut self, mut chunk: Chunk) -> Chunk {
        let skipped = chunk.split_to(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= skipped.len() as u64;
        let Some(left) = &mut self.left else { return chunk };
        let kept = chunk.split_to(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= kept.len() as u64;
        self.ended = *left == 0;
        kept
    }

    fn at_end(&self) -> Option<Result<Chunk>> {
        let missing = self.left?;
        let detail = format!("the source ends {missing} bytes before the range does");
        Some(Err(failure(ErrorKind::Truncated, "range").with_detail(detail)))
    }
}

impl<P: Producer> Producer for Range<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        for _ in 0..SKIPPED_CHUNKS {
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.inner.poll_more(cx)) {
                Some(Ok(chunk)) => {
                    let kept = self.cut(chunk);
                    if !kept.is_empty() {
                        return Poll::Ready(Some(Ok(kept)));
                    }
                }
                end => {
                    self.ended = true;
                    return Poll::Ready(end.or_else(|| self.at_end()));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn hint(&self) -> Hint {
        if self.ended {
            return Hint::END;
        }
        let inner = self.inner.hint();
        let readiness = match inner.readiness {
            Readiness::Now if self.skip > 0 => Readiness::Unknown,
            known => known,
        };
        let to_the_end = || inner.remaining.map(|left| left.saturating_sub(self.skip));
        Hint { readiness, remaining: self.left.or_else(to_the_end) }
    }
}

impl<P> fmt::Debug for Range<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("skip", &self.skip).field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use super::super::testing::{
        CONTENT, Script, Step, Wakes, drain, keeps_the_contract, poll_with, warm_file,
    };
    use super::super::{FileSpan, ProducerExt};
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        for range in [ByteRange::whole(), ByteRange::from(4), ByteRange::from(9)] {
            keeps_the_contract(|source| source.range(range)).await;
        }
    }

    #[tokio::test]
    async fn a_range_is_cut_wherever_the_borders_fall() {
        for (range, bytes, error) in [
            (ByteRange::whole(), &b"0123456789"[..], None),
            (ByteRange::at(0, 10), b"0123456789", None),
            (ByteRange::at(3, 4), b"3456", None),
            (ByteRange::from(7), b"789", None),
            (ByteRange::from(10), b"", None),
            (ByteRange::from(11), b"", None),
            (ByteRange::at(4, 0), b"", None),
            (ByteRange::at(8, 3), b"89", Some(ErrorKind::Truncated)),
            (ByteRange::at(20, 3), b"", Some(ErrorKind::Truncated)),
        ] {
            let file = warm_file(CONTENT);
            for size in 1..=CONTENT.len() {
                let drained = drain(Script::of(CONTENT.chunks(size)).range(range)).await;
                assert_eq!((&drained.bytes[..], drained.kind()), (bytes, error), "{range:?} by {size}");
                let spans = (0..CONTENT.len()).step_by(size).map(|at| {
                    Chunk::Span(FileSpan::new(file.clone(), at as u64, size.min(CONTENT.len() - at) as u64))
                });
                let drained = drain(Script::of(spans).range(range)).await;
                assert_eq!((&drained.bytes[..], drained.kind()), (bytes, error), "{range:?} by {size}");
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_asked_past_the_end() {
        let (source, remote) = Script::new([Step::Chunk(CONTENT.into()), Step::Chunk(CONTENT.into())]);
        assert_eq!(drain(source.range(ByteRange::at(3, 7))).await.bytes, b"3456789");
        assert_eq!(remote.polls(), 1);
    }

    #[test]
    fn a_long_way_to_the_start_lets_others_have_their_turn() {
        let mut range = Script::of(vec![CONTENT; SKIPPED_CHUNKS + 1]).range(ByteRange::from(160));
        let wakes = Arc::new(Wakes::default());
        assert!(poll_with(&mut range, &Arc::clone(&wakes).into()).is_pending());
        assert_eq!(wakes.count(), 1);
        assert!(matches!(poll_with(&mut range, Waker::noop()), Poll::Ready(Some(Ok(_)))));
    }
}
