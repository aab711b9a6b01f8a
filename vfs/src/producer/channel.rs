//! [`channel`]: what one task sends, another pulls.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Chunk, Hint, Producer, Readiness, failure};
use crate::error::{Error, ErrorKind, Result};

/// What a channel holds before its sender has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Chunks. Default: 16; 0 counts as 1.
    pub chunks: usize,
    /// Bytes in memory; a span counts as none. Default: 64 KiB. A chunk that is longer alone waits until all before it
    /// are gone.
    pub bytes: usize,
}

/// A channel that holds as much as `capacity` says. The consumer gets the chunks in the order in which they were sent.
///
/// An end has to be stated, with [`Output::finish`] or [`Output::fail`]; an [`Output`] that is dropped without is
/// `Truncated` for the consumer, never a clean end.
pub fn channel(capacity: Capacity) -> (Output, Channel) {
    let shared = Arc::new(Shared { capacity, state: Mutex::default() });
    (Output { shared: Arc::clone(&shared) }, Channel { shared })
}

/// The sending side.
pub struct Output {
    shared: Arc<Shared>,
}

/// The receiving side. Its drop throws away what it holds and lets the sender fail.
pub struct Channel {
    shared: Arc<Shared>,
}

impl Output {
    /// Sends one chunk as soon as there is room; an empty one is not sent. A dropped future has sent nothing.
    ///
    /// # Errors
    /// `Unavailable` where the consumer is gone.
    pub async fn send(&mut self, chunk: impl Into<Chunk> + Send) -> Result<()> {
        let mut chunk = Some(chunk.into()).filter(|chunk| !chunk.is_empty());
        poll_fn(|cx| self.shared.poll_push(&mut chunk, cx)).await
    }

    /// States the end.
    pub fn finish(self) {
        self.shared.end(None);
    }

    /// Ends with an error, after what was sent.
    pub fn fail(self, error: Error) {
        self.shared.end(Some(error));
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let detail = "the sender went away before it was done";
        self.shared.end(Some(failure(ErrorKind::Truncated, "receive").with_detail(detail)));
    }
}

impl Producer for Channel {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let mut state = self.shared.lock();
        if let Some(chunk) = state.queue.pop_front() {
            state.bytes -= weight(&chunk);
            let sender = state.sender.take();
            drop(state);
            wake(sender);
            return Poll::Ready(Some(Ok(chunk)));
        }
        if let Some(end) = &mut state.end {
            return Poll::Ready(end.take().map(Err));
        }
        state.consumer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn hint(&self) -> Hint {
        let state = self.shared.lock();
        let is_late = state.queue.is_empty() && state.end.is_none();
        let is_finished = matches!(state.end, Some(None));
        let left = || state.queue.iter().map(|chunk| chunk.len() as u64).sum();
        Hint {
            readiness: if is_late { Readiness::Later } else { Readiness::Now },
            remaining: is_finished.then(left),
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_deserted = true;
        let thrown_away = std::mem::take(&mut state.queue);
        let sender = state.sender.take();
        drop(state);
        drop(thrown_away);
        wake(sender);
    }
}

struct Shared {
    capacity: Capacity,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Chunk>,
    /// Bytes in memory that the queue holds.
    bytes: usize,
    /// Set once; the inner error is given once.
    end: Option<Option<Error>>,
    /// The consumer is gone.
    is_deserted: bool,
    consumer: Option<Waker>,
    sender: Option<Waker>,
}

impl Shared {
    /// Moves the chunk into the queue, where there is one and as soon as there is room.
    fn poll_push(&self, chunk: &mut Option<Chunk>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        if state.is_deserted {
            let detail = "the consumer went away";
            return Poll::Ready(Err(failure(ErrorKind::Unavailable, "send").with_detail(detail)));
        }
        let Some(waiting) = chunk else { return Poll::Ready(Ok(())) };
        if !self.has_room(&state, waiting) {
            state.sender = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.bytes += weight(waiting);
        state.queue.extend(chunk.take());
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
        Poll::Ready(Ok(()))
    }

    fn has_room(&self, state: &State, chunk: &Chunk) -> bool {
        state.queue.is_empty()
            || state.queue.len() < self.capacity.chunks
                && state.bytes.saturating_add(weight(chunk)) <= self.capacity.bytes
    }

    /// The first end counts: the drop that follows `finish` and `fail` states another one.
    fn end(&self, error: Option<Error>) {
        let mut state = self.lock();
        state.end.get_or_insert(error);
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
    }

    /// No call is made while it is locked, so what it guards is whole even after a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a chunk takes of the capacity.
fn weight(chunk: &Chunk) -> usize {
    match chunk {
        Chunk::Bytes(bytes) => bytes.len(),
        Chunk::Span(_) => 0,
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self { chunks: 16, bytes: 64 * 1024 }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("capacity", &self.shared.capacity).finish_non_exhaustive()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("capacity", &self.shared.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::super::testing::{CONTENT, Wakes, drain, poll_with, warm_file};
    use super::super::{FileSpan, ProducerExt};
    use super::*;

    /// Sends until there is no room: says how many chunks went in.
    fn fill(output: &mut Output, chunk: &Chunk) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        (0..).find(|_| pin!(output.send(chunk.clone())).poll(&mut cx).is_pending()).unwrap()
    }

    #[tokio::test]
    async fn what_is_sent_comes_in_order_and_ends() {
        let (mut output, channel) = channel(Capacity { chunks: 2, bytes: 5 });
        let sender = tokio::spawn(async move {
            for chunk in ["a", "", "bcd", "efghijkl", "m", ""] {
                output.send(chunk).await.unwrap();
            }
            output.finish();
        });
        let drained = drain(channel).await;
        assert_eq!((drained.kind(), &drained.bytes[..]), (None, &b"abcdefghijklm"[..]));
        assert_eq!(drained.lengths, [1, 3, 8, 1]);
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn an_end_is_what_was_stated_and_silence_is_truncated() {
        type Close = fn(Output);
        let closes: [(Close, _); 3] = [
            (Output::finish, None),
            (|output| output.fail(failure(ErrorKind::Busy, "test")), Some(ErrorKind::Busy)),
            (drop, Some(ErrorKind::Truncated)),
        ];
        for (close, kind) in closes {
            let (mut output, channel) = channel(Capacity::default());
            output.send(CONTENT).await.unwrap();
            close(output);
            let drained = drain(channel).await;
            assert_eq!((drained.kind(), &drained.bytes[..]), (kind, CONTENT));
        }
    }

    #[test]
    fn it_holds_as_much_as_its_capacity_says() {
        let span = Chunk::Span(FileSpan::new(warm_file(CONTENT), 0, 10));
        for (chunks, bytes, chunk, count) in [
            (3, 100, Chunk::from(CONTENT), 3),
            (100, 35, Chunk::from(CONTENT), 3),
            (100, 30, Chunk::from(CONTENT), 3),
            (100, 5, Chunk::from(CONTENT), 1),
            (0, 0, Chunk::from(CONTENT), 1),
            (4, 0, span, 4),
        ] {
            let (mut output, mut channel) = channel(Capacity { chunks, bytes });
            assert_eq!(fill(&mut output, &chunk), count, "{chunk:?} in {chunks}, {bytes}");
            assert!(poll_with(&mut channel, Waker::noop()).is_ready());
            assert_eq!(fill(&mut output, &chunk), 1);
        }
    }

    #[tokio::test]
    async fn the_last_waker_is_woken_by_a_chunk_and_by_the_end() {
        type Act = fn(Output);
        let acts: [Act; 2] = [
            |mut output| {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(pin!(output.send(CONTENT)).poll(&mut cx).is_ready());
                std::mem::forget(output);
            },
            drop,
        ];
        for act in acts {
            let (output, mut channel) = channel(Capacity::default());
            let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
            assert!(poll_with(&mut channel, &Arc::clone(&first).into()).is_pending());
            assert!(poll_with(&mut channel, &Arc::clone(&last).into()).is_pending());
            act(output);
            assert_eq!((first.count(), last.count()), (0, 1));
            assert!(poll_with(&mut channel, Waker::noop()).is_ready());
        }
    }

    #[tokio::test]
    async fn a_sender_that_waits_is_woken_by_room_and_by_the_consumers_drop() {
        let (mut output, channel) = channel(Capacity { chunks: 1, bytes: 100 });
        let mut channel = channel.peeked();
        output.send("a").await.unwrap();
        let sender = tokio::spawn(async move {
            output.send("b").await.unwrap();
            output.send("c").await.unwrap_err().kind()
        });
        assert!(channel.more().await.is_some());
        channel.ready().await;
        drop(channel);
        assert_eq!(sender.await.unwrap(), ErrorKind::Unavailable);
    }
}
