//! [`Coalesce`]: small chunks become larger ones.

use std::fmt;
use std::mem;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::{Chunk, Hint, Producer, Readiness};
use crate::error::Result;

/// Gathers bytes until it has `min` or more, so that each chunk is worth a packet. It never waits for more: where its
/// source is `Pending` it gives what it has. Chunks of `min` or more, and spans, pass without being copied; what is
/// copied is shorter than twice `min`. An error comes after the bytes before it. A drop leaves nothing behind.
pub struct Coalesce<P> {
    inner: P,
    min: usize,
    /// What ended the gathering, and comes next.
    held: Option<Result<Chunk>>,
}

impl<P: Producer> Coalesce<P> {
    pub(super) fn new(inner: P, min: usize) -> Self {
        Self { inner, min, held: None }
    }
}

impl<P: Producer> Producer for Coalesce<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if let Some(held) = self.held.take() {
            return Poll::Ready(Some(held));
        }
        let mut gathered = Gathered::default();
        while gathered.len() < self.min {
            match self.inner.poll_more(cx) {
                Poll::Ready(Some(Ok(Chunk::Bytes(bytes)))) if bytes.len() < self.min => gathered.push(bytes),
                ending if gathered.len() == 0 => return ending,
                Poll::Ready(ending) => {
                    self.held = ending;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if gathered.len() == 0 {
            // `min` is 0: nothing is to be gathered.
            return self.inner.poll_more(cx);
        }
        Poll::Ready(Some(Ok(gathered.take().into())))
    }

    fn hint(&self) -> Hint {
        match &self.held {
            None => self.inner.hint(),
            Some(Ok(chunk)) => Hint {
                readiness: Readiness::Now,
                remaining: self.inner.hint().remaining.map(|left| left + chunk.len() as u64),
            },
            Some(Err(_)) => Hint { readiness: Readiness::Now, remaining: None },
        }
    }
}

/// Bytes on their way into one chunk; a lone one is not copied.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, bytes: Bytes) {
        if self.len() == 0 {
            self.first = bytes;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&bytes);
    }

    fn take(&mut self) -> Bytes {
        if self.all.is_empty() { mem::take(&mut self.first) } else { self.all.split().freeze() }
    }
}

impl<P> fmt::Debug for Coalesce<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesce").field("min", &self.min).field("held", &self.held).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CONTENT, Script, Step, drain, keeps_the_contract, warm_file};
    use super::super::{FileSpan, ProducerExt};
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        for min in [0, 1, CONTENT.len()] {
            keeps_the_contract(|source| source.coalesce(min)).await;
        }
    }

    #[tokio::test]
    async fn small_chunks_are_gathered_and_large_ones_pass() {
        for (min, chunks, lengths) in [
            (4, vec!["a", "b", "c", "d", "e"], vec![4, 1]),
            (4, vec!["abc", "def", "gh"], vec![6, 2]),
            (4, vec!["abcd", "e", "fghij", "k"], vec![4, 1, 5, 1]),
            (0, vec!["a", "b"], vec![1, 1]),
            (100, vec!["a", "b"], vec![2]),
        ] {
            let drained = drain(Script::of(chunks.clone()).coalesce(min)).await;
            assert_eq!(drained.lengths, lengths, "{chunks:?} by {min}");
            assert_eq!(drained.bytes, chunks.concat().as_bytes());
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_more_while_something_is_at_hand() {
        let steps = [Step::Chunk("ab".into()), Step::Chunk("c".into()), Step::Wait, Step::Chunk("d".into())];
        assert_eq!(drain(Script::new(steps).0.coalesce(100)).await.lengths, [3, 1]);
    }

    #[tokio::test]
    async fn an_error_comes_after_the_bytes_before_it() {
        let steps = [Step::Chunk("ab".into()), Step::Chunk("c".into()), Step::Fail(ErrorKind::Busy)];
        let drained = drain(Script::new(steps).0.coalesce(100)).await;
        assert_eq!((drained.kind(), drained.bytes), (Some(ErrorKind::Busy), b"abc".to_vec()));
    }

    #[tokio::test]
    async fn a_span_stays_a_span() {
        let span = FileSpan::new(warm_file(CONTENT), 0, 2);
        let source = Script::of([Chunk::from("ab"), Chunk::Span(span), Chunk::from("cd")]);
        let drained = drain(source.coalesce(100)).await;
        assert_eq!((drained.lengths, drained.bytes), (vec![2, 2, 2], b"ab01cd".to_vec()));
    }
}
