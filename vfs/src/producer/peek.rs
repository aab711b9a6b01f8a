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
