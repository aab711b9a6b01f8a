//! [`Throttle`] and [`Rate`]: no more than so many bytes a second.

use std::fmt;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Chunk, Hint, Producer, Readiness};
use crate::error::Result;

/// Bytes a second, and how many may come at once after a rest. Clones share it, and so do all producers it is given to;
/// they take turns in the order in which they ask.
#[derive(Clone)]
pub struct Rate(Arc<Bucket>);

/// A token bucket, kept as the moment at which it will be full again.
struct Bucket {
    bytes_per_second: NonZeroU64,
    burst: NonZeroU64,
    epoch: Instant,
    /// Nanoseconds after `epoch`.
    full_at: AtomicU64,
}

impl Rate {
    /// `bytes_per_second`, and at most `burst` at once. The bucket starts full. `burst` is also the longest chunk that
    /// comes out, so a few hundred milliseconds' worth serve well.
    pub fn new(bytes_per_second: NonZeroU64, burst: NonZeroU64) -> Self {
        Self(Arc::new(Bucket { bytes_per_second, burst, epoch: Instant::now(), full_at: AtomicU64::new(0) }))
    }

    /// A rate whose pieces are a sixteenth of a second long: short enough that many can take turns.
    pub fn shared(bytes_per_second: NonZeroU64) -> Self {
        let burst = (bytes_per_second.get() / 16).clamp(4 * 1024, 1 << 20);
        Self::new(bytes_per_second, NonZeroU64::new(burst).unwrap_or(bytes_per_second))
    }

    /// Takes bytes that went out, or came, somewhere else than through a [`Throttle`]: says when the next may follow.
    pub fn charge(&self, bytes: usize) -> Instant {
        self.take(bytes).at
    }

    /// The longest piece that may go out at once.
    pub fn longest(&self) -> usize {
        usize::try_from(self.0.burst.get()).unwrap_or(usize::MAX)
    }

    /// Takes `bytes` out of the bucket: says when they may go out.
    fn take(&self, bytes: usize) -> Turn {
        let cost = self.cost(bytes as u64);
        let now = nanoseconds(self.0.epoch.elapsed());
        let taken = |full_at: u64| full_at.max(now).saturating_add(cost);
        let before = self.0.full_at.update(Ordering::Relaxed, Ordering::Relaxed, taken);
        let after = taken(before).saturating_sub(self.cost(self.0.burst.get()));
        Turn { at: self.0.epoch + Duration::from_nanos(after), bytes }
    }

    /// Puts back what did not go out.
    fn give_back(&self, turn: &Turn) {
        let cost = self.cost(turn.bytes as u64);
        self.0.full_at.update(Ordering::Relaxed, Ordering::Relaxed, |full_at| full_at.saturating_sub(cost));
    }

    /// How long the bucket needs for `bytes`, in nanoseconds, rounded up so that no byte is free.
    fn cost(&self, bytes: u64) -> u64 {
        let cost = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(self.0.bytes_per_second.get()));
        u64::try_from(cost).unwrap_or(u64::MAX)
    }
}

/// When a piece may go out.
#[derive(Debug)]
struct Turn {
    at: Instant,
    bytes: usize,
}

/// Cuts chunks to the burst of its [`Rate`] and lets each piece wait for its turn; spans stay spans. Asks its source
/// first and the bucket then, so that a slow source costs others nothing. A drop gives back what did not go out. Needs
/// tokio's timer.
pub struct Throttle<P> {
    inner: P,
    rate: Rate,
    /// What is left of the last chunk.
    held: Option<Chunk>,
    /// The turn of its first piece.
    turn: Option<Turn>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<P> Throttle<P> {
    pub(super) fn new(inner: P, rate: Rate) -> Self {
        Self { inner, rate, held: None, turn: None, sleep: None }
    }

    fn poll_until(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at <= Instant::now() {
            return Poll::Ready(());
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}

impl<P: Producer> Producer for Throttle<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let mut chunk = match self.held.take() {
            Some(held) => held,
            None => match ready!(self.inner.poll_more(cx)) {
                Some(Ok(chunk)) => chunk,
                other => return Poll::Ready(other),
            },
        };
        let rate = &self.rate;
        let turn = self.turn.get_or_insert_with(|| rate.take(chunk.len().min(rate.longest())));
        let (at, bytes) = (turn.at, turn.bytes);
        if self.poll_until(at, cx).is_pending() {
            self.held = Some(chunk);
            return Poll::Pending;
        }
        self.turn = None;
        let piece = chunk.split_to(bytes);
        self.held = Some(chunk).filter(|rest| !rest.is_empty());
        Poll::Ready(Some(Ok(piece)))
    }

    fn hint(&self) -> Hint {
        let inner = self.inner.hint();
        let held = self.held.as_ref().map_or(0, Chunk::len);
        let readiness = match &self.turn {
            Some(turn) if turn.at <= Instant::now() => Readiness::Now,
            Some(_) => Readiness::Later,
            None if held > 0 => Readiness::Unknown,
            // The bucket may be empty by then.
            None if inner.readiness == Readiness::Now && inner != Hint::END => Readiness::Unknown,
            None => inner.readiness,
        };
        Hint { readiness, remaining: inner.remaining.map(|left| left + held as u64) }
    }
}

impl<P> Drop for Throttle<P> {
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            self.rate.give_back(turn);
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rate({} B/s, {} at once)", self.0.bytes_per_second, self.0.burst)
    }
}

impl<P> fmt::Debug for Throttle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("rate", &self.rate)
            .field("held", &self.held)
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::ProducerExt;
    use super::super::testing::{CONTENT, Script, Wakes, drain, keeps_the_contract, poll_with};
    use super::*;

    fn rate(bytes_per_second: u64, burst: u64) -> Rate {
        Rate::new(bytes_per_second.try_into().unwrap(), burst.try_into().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(|source| source.throttle(&rate(100, 4))).await;
        keeps_the_contract(|source| source.throttle(&rate(1, u64::MAX))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_burst_comes_at_once_and_the_rest_at_the_rate() {
        for (bytes_per_second, burst, seconds, lengths) in [
            (1, 10, 0, vec![10]),
            (1, 100, 0, vec![10]),
            (1, 4, 6, vec![4, 4, 2]),
            (2, 6, 2, vec![6, 4]),
            (1, 1, 9, vec![1; 10]),
        ] {
            let start = Instant::now();
            let drained = drain(Script::of([CONTENT]).throttle(&rate(bytes_per_second, burst))).await;
            assert_eq!(drained.bytes, CONTENT);
            assert_eq!(drained.lengths, lengths);
            assert_eq!(start.elapsed().as_secs(), seconds, "{bytes_per_second} B/s, {burst} at once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_fills_the_bucket_and_no_more_than_that() {
        let rate = rate(1, 4);
        for seconds in [6, 6] {
            let start = Instant::now();
            drain(Script::of([CONTENT]).throttle(&rate)).await;
            assert_eq!(start.elapsed().as_secs(), seconds);
            tokio::time::sleep(Duration::from_secs(1000)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn producers_share_a_rate_in_turns() {
        let rate = rate(10, 5);
        let start = Instant::now();
        let drains = [(); 4].map(|()| tokio::spawn(drain(Script::of(vec![CONTENT; 10]).throttle(&rate))));
        let mut ends = Vec::new();
        for task in drains {
            assert_eq!(task.await.unwrap().bytes.len(), 100);
            ends.push(start.elapsed().as_millis());
        }
        // 400 bytes, 5 of them at once, so 39.5 s. The first one has that piece free and queues before the others.
        assert_eq!(ends, [36_500, 38_500, 39_000, 39_500]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_waker_is_woken_when_the_turn_comes() {
        let mut throttled = Script::of([CONTENT]).throttle(&rate(1, 5));
        assert!(poll_with(&mut throttled, Waker::noop()).is_ready());
        let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        assert!(poll_with(&mut throttled, &Arc::clone(&first).into()).is_pending());
        assert!(poll_with(&mut throttled, &Arc::clone(&last).into()).is_pending());
        assert_eq!(throttled.hint(), Hint { readiness: Readiness::Later, remaining: Some(5) });
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!((first.count(), last.count()), (0, 1));
        assert_eq!(throttled.hint().readiness, Readiness::Now);
        assert!(poll_with(&mut throttled, Waker::noop()).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drop_gives_back_what_did_not_go_out() {
        let rate = rate(1, 10);
        drain(Script::of([CONTENT]).throttle(&rate)).await;
        let mut waiting = Script::of([CONTENT]).throttle(&rate);
        assert!(poll_with(&mut waiting, Waker::noop()).is_pending());
        drop(waiting);
        let start = Instant::now();
        drain(Script::of([CONTENT]).throttle(&rate)).await;
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
