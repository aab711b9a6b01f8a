//! [`OnEnd`]: tells somebody how a producer ended.

use std::fmt;
use std::task::{Context, Poll, ready};

use super::{Chunk, Hint, Producer};
use crate::error::{Error, Result};

/// How a producer ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Bytes that the consumer was given. Of the last chunk it may have used a part only.
    pub bytes: u64,
    /// What came last.
    pub outcome: Outcome,
}

/// What came last.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The consumer was told the end.
    Finished,
    /// The consumer was told this error.
    Failed(Error),
    /// The consumer went away before it was told either. One that knows the length may do that with every byte in hand.
    Dropped,
}

/// Passes its source on and calls a function exactly once: at the end, at an error, or when it is dropped before.
/// The function is called in the poll or the drop, so it must not block. Has no limits and no errors of its own.
pub struct OnEnd<P, F: FnOnce(Ended)> {
    inner: P,
    on_end: Option<F>,
    bytes: u64,
}

impl<P, F: FnOnce(Ended)> OnEnd<P, F> {
    pub(super) fn new(inner: P, on_end: F) -> Self {
        Self { inner, on_end: Some(on_end), bytes: 0 }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(on_end) = self.on_end.take() {
            on_end(Ended { bytes: self.bytes, outcome });
        }
    }
}

impl<P: Producer, F: FnOnce(Ended) + Send> Producer for OnEnd<P, F> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let item = ready!(self.inner.poll_more(cx));
        match &item {
            Some(Ok(chunk)) => self.bytes += chunk.len() as u64,
            Some(Err(error)) => self.end(Outcome::Failed(error.clone())),
            None => self.end(Outcome::Finished),
        }
        Poll::Ready(item)
    }

    fn hint(&self) -> Hint {
        self.inner.hint()
    }
}

impl<P, F: FnOnce(Ended)> Drop for OnEnd<P, F> {
    fn drop(&mut self) {
        self.end(Outcome::Dropped);
    }
}

impl<P, F: FnOnce(Ended)> fmt::Debug for OnEnd<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnEnd").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::ProducerExt;
    use super::super::testing::{CONTENT, Script, Step, keeps_the_contract, poll_with};
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(|source| source.on_end(drop)).await;
    }

    #[test]
    fn it_is_called_once_whatever_happens() {
        let chunk = || Step::Chunk(CONTENT.into());
        for (steps, polls, bytes, outcome) in [
            (vec![], 0, 0, "Dropped"),
            (vec![chunk(), chunk()], 1, 10, "Dropped"),
            (vec![chunk(), Step::Hold], 2, 10, "Dropped"),
            (vec![chunk(), chunk()], 2, 20, "Dropped"),
            (vec![], 1, 0, "Finished"),
            (vec![chunk(), chunk()], 3, 20, "Finished"),
            (vec![chunk()], 9, 10, "Finished"),
            (vec![chunk(), Step::Fail(ErrorKind::Busy)], 2, 10, "Failed(Busy)"),
            (vec![chunk(), Step::Fail(ErrorKind::Busy)], 9, 10, "Failed(Busy)"),
        ] {
            let mut calls = Vec::new();
            let mut hooked = Script::new(steps).0.on_end(|ended| calls.push(ended));
            for _ in 0..polls {
                let _ = poll_with(&mut hooked, Waker::noop());
            }
            drop(hooked);
            let called: Vec<_> = calls.iter().map(|ended| (ended.bytes, name(&ended.outcome))).collect();
            assert_eq!(called, [(bytes, outcome.to_owned())]);
        }
    }

    #[test]
    fn it_is_called_at_the_end_and_not_later() {
        let mut calls = 0;
        let mut hooked = Script::of([CONTENT]).on_end(|_| calls += 1);
        assert!(poll_with(&mut hooked, Waker::noop()).is_ready());
        assert!(hooked.on_end.is_some());
        assert!(poll_with(&mut hooked, Waker::noop()).is_ready());
        assert!(hooked.on_end.is_none());
        drop(hooked);
        assert_eq!(calls, 1);
    }

    fn name(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Finished => "Finished".to_owned(),
            Outcome::Failed(error) => format!("Failed({:?})", error.kind()),
            Outcome::Dropped => "Dropped".to_owned(),
        }
    }
}
