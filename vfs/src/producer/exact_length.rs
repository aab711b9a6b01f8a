//! [`ExactLength`]: a producer keeps the length that was promised for it.

use std::fmt;
use std::task::{Context, Poll, ready};

use super::{Chunk, Hint, Producer, Readiness, failure};
use crate::error::{Error, ErrorKind, Result};

/// Gives exactly `len` bytes or fails: `Truncated` where its source ends before, `Corrupt` where it goes on. The consumer
/// never gets more than `len`: those come first, then the error, since a consumer that counts itself has a whole answer
/// then. Makes the length known to the hint.
pub struct ExactLength<P> {
    inner: P,
    len: u64,
    left: u64,
    /// The source gave more.
    overran: bool,
    ended: bool,
}

impl<P: Producer> ExactLength<P> {
    pub(super) fn new(inner: P, len: u64) -> Self {
        Self { inner, len, left: len, overran: false, ended: false }
    }

    fn overrun(&self) -> Error {
        let detail = format!("the source gives more than the {} bytes it stated", self.len);
        failure(ErrorKind::Corrupt, "read").with_detail(detail)
    }

    fn end(&self) -> Option<Result<Chunk>> {
        if self.left == 0 {
            return None;
        }
        let detail = format!("{} of {} bytes are missing", self.left, self.len);
        Some(Err(failure(ErrorKind::Truncated, "read").with_detail(detail)))
    }
}

impl<P: Producer> Producer for ExactLength<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if !self.overran {
            match ready!(self.inner.poll_more(cx)) {
                Some(Ok(mut chunk)) => {
                    let given = chunk.split_to(usize::try_from(self.left).unwrap_or(usize::MAX));
                    self.left -= given.len() as u64;
                    self.overran = !chunk.is_empty();
                    if !given.is_empty() {
                        return Poll::Ready(Some(Ok(given)));
                    }
                }
                end => {
                    self.ended = true;
                    return Poll::Ready(end.or_else(|| self.end()));
                }
            }
        }
        self.ended = true;
        Poll::Ready(Some(Err(self.overrun())))
    }

    fn hint(&self) -> Hint {
        if self.ended {
            return Hint::END;
        }
        let readiness = if self.overran { Readiness::Now } else { self.inner.hint().readiness };
        Hint { readiness, remaining: Some(self.left) }
    }
}

impl<P> fmt::Debug for ExactLength<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactLength")
            .field("len", &self.len)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ProducerExt;
    use super::super::testing::{CONTENT, Script, drain, keeps_the_contract};
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(|source| source.exact_length(CONTENT.len() as u64)).await;
    }

    #[tokio::test]
    async fn too_few_bytes_are_truncated_and_too_many_corrupt() {
        for (len, bytes, error) in [
            (10, &b"0123456789"[..], None),
            (11, b"0123456789", Some(ErrorKind::Truncated)),
            (9, b"012345678", Some(ErrorKind::Corrupt)),
            (5, b"01234", Some(ErrorKind::Corrupt)),
            (0, b"", Some(ErrorKind::Corrupt)),
        ] {
            for size in 1..=CONTENT.len() {
                let drained = drain(Script::of(CONTENT.chunks(size)).secretive().exact_length(len)).await;
                assert_eq!((&drained.bytes[..], drained.kind()), (bytes, error), "{len} by {size}");
            }
        }
        assert_eq!(drain(Script::of::<&[u8]>([]).exact_length(0)).await.kind(), None);
    }
}
