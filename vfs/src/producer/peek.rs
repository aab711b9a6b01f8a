//! [`Peeked`]: the one adaptor with a slot, and with it `ready().await` and `more().await`.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use super::{Chunk, Hint, Producer, Readiness};
use crate::error::Result;

/// A producer and a slot for what was polled and not taken yet.
pub struct Peeked<P> {
    inner: P,
    slot: Option<Option<Result<Chunk>>>,
}

impl<P: Producer> Peeked<P> {
    pub(super) fn new(inner: P) -> Self {
        Self { inner, slot: None }
    }

    /// Resolves as soon as [`Peeked::more`] would not wait: on a chunk, an error or the end. What came is kept.
    /// Dropping the future loses nothing.
    pub async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }

    /// The next chunk; `None` at the end. Dropping the future loses nothing.
    pub async fn more(&mut self) -> Option<Result<Chunk>> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    /// Polls for the moment that [`Peeked::ready`] waits for.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.slot.is_none() {
            self.slot = Some(std::task::ready!(self.inner.poll_more(cx)));
        }
        Poll::Ready(())
    }

    /// What `more` will give, where `ready` has resolved.
    pub fn peek(&self) -> Option<&Option<Result<Chunk>>> {
        self.slot.as_ref()
    }

    /// The producer underneath; what the slot holds comes first.
    pub fn get_ref(&self) -> &P {
        &self.inner
    }
}

impl<P: Producer> Producer for Peeked<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        match self.slot.take() {
            Some(kept) => Poll::Ready(kept),
            None => self.inner.poll_more(cx),
        }
    }

    fn hint(&self) -> Hint {
        let inner = self.inner.hint();
        match &self.slot {
            None => inner,
            Some(Some(Ok(chunk))) => Hint {
                readiness: Readiness::Now,
                remaining: inner.remaining.map(|left| left + chunk.len() as u64),
            },
            Some(_) => Hint::END,
        }
    }
}

impl<P> fmt::Debug for Peeked<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peeked").field("slot", &self.slot).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::ProducerExt;
    use super::super::testing::{CONTENT, Script, Step, drain, keeps_the_contract, wakes_the_last};
    use super::*;
    use crate::error::ErrorKind;

    fn poll_ready<P: Producer>(peeked: &mut Peeked<P>) -> Poll<()> {
        peeked.poll_ready(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(Script::peeked).await;
        keeps_the_contract(|source| source.peeked().peeked()).await;
    }

    #[tokio::test]
    async fn a_dropped_ready_loses_nothing() {
        let chunks = ["01", "23", "456", "789"];
        let steps = chunks.iter().flat_map(|chunk| [Step::Wait, Step::Chunk((*chunk).into())]);
        let mut peeked = Script::new(steps).0.peeked();
        for chunk in chunks {
            // Dropped before anything came, then after.
            tokio::select! {
                biased;
                () = peeked.ready() => unreachable!("the source waits first"),
                () = std::future::ready(()) => {}
            }
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    () = peeked.ready() => {}
                    () = std::future::ready(()) => unreachable!("a chunk is at hand"),
                }
            }
            let Some(Ok(Chunk::Bytes(bytes))) = peeked.more().await else { panic!("ready has resolved") };
            assert_eq!(bytes, chunk);
        }
        assert!(peeked.more().await.is_none());
    }

    #[tokio::test]
    async fn ready_resolves_on_an_error_and_on_the_end_and_keeps_them() {
        let mut failing = Script::new([Step::Wait, Step::Fail(ErrorKind::Busy)]).0.peeked();
        failing.ready().await;
        assert!(matches!(failing.peek(), Some(Some(Err(_)))));
        assert!(matches!(failing.more().await, Some(Err(error)) if error.kind() == ErrorKind::Busy));

        let mut ending = Script::new([Step::Wait]).0.peeked();
        ending.ready().await;
        assert!(matches!(ending.peek(), Some(None)));
        assert!(ending.more().await.is_none());
        ending.ready().await;
        assert!(ending.more().await.is_none());
    }

    #[tokio::test]
    async fn ready_asks_once_and_the_hint_counts_what_is_kept() {
        let (source, remote) = Script::new([Step::Chunk(CONTENT.into()), Step::Wait]);
        let mut peeked = source.peeked();
        assert!(poll_ready(&mut peeked).is_ready() && poll_ready(&mut peeked).is_ready());
        assert_eq!(remote.polls(), 1);
        assert_eq!(peeked.hint(), Hint { readiness: Readiness::Now, remaining: Some(10) });
        assert_eq!(drain(peeked).await.bytes, CONTENT);
    }

    #[test]
    fn ready_wakes_the_last_waker() {
        let (source, remote) = Script::new([Step::Hold, Step::Chunk(CONTENT.into())]);
        let mut peeked = source.peeked();
        assert!(poll_ready(&mut peeked).is_pending());
        wakes_the_last(peeked, &remote);
    }
}
