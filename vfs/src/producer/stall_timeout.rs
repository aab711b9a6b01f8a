//! [`StallTimeout`]: a source that lets its consumer wait too long is given up.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Chunk, Hint, Producer, failure};
use crate::error::{Error, ErrorKind, Result, Retry};

/// Longest limit; longer ones are cut to it, and as good as none.
const LIMIT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Fails with `TimedOut` where its source is `Pending` for longer than a limit: one for the first chunk, one between
/// chunks. Time runs from a poll that was `Pending` until the source wakes its consumer; how long the consumer then
/// takes to come back does not count, so a slow one never trips it. There is no limit for the whole. Needs tokio's timer.
pub struct StallTimeout<P> {
    inner: P,
    /// The limit of the wait that is on, or of the next one.
    limit: Duration,
    between: Duration,
    relay: Arc<Relay>,
    /// When the source has to have come, while it is waited for.
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl<P: Producer> StallTimeout<P> {
    pub(super) fn new(inner: P, first: Duration, between: Duration) -> Self {
        Self {
            inner,
            limit: first.min(LIMIT_MAX),
            between: between.min(LIMIT_MAX),
            relay: Arc::new(Relay::default()),
            deadline: None,
            sleep: None,
            ended: false,
        }
    }

    /// Ready when the source's time is up. `away` is what the consumer took of it.
    fn poll_timeout(&mut self, away: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let deadline = self.deadline.map_or(now + self.limit, |deadline| deadline + away);
        self.deadline = Some(deadline);
        if deadline <= now {
            return Poll::Ready(());
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }

    fn timed_out(&self) -> Error {
        let detail = format!("nothing came for {:?}", self.limit);
        failure(ErrorKind::TimedOut, "read").with_detail(detail).with_retry(Retry::Now)
    }
}

impl<P: Producer> Producer for StallTimeout<P> {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let away = self.relay.watch(cx.waker());
        let waker = Waker::from(Arc::clone(&self.relay));
        if let Poll::Ready(item) = self.inner.poll_more(&mut Context::from_waker(&waker)) {
            self.deadline = None;
            self.limit = self.between;
            return Poll::Ready(item);
        }
        if self.poll_timeout(away, cx).is_pending() {
            return Poll::Pending;
        }
        self.ended = true;
        Poll::Ready(Some(Err(self.timed_out())))
    }

    fn hint(&self) -> Hint {
        if self.ended { Hint::END } else { self.inner.hint() }
    }
}

/// Passes the source's wake on to its consumer, and notes when it came.
#[derive(Default)]
struct Relay(Mutex<Watch>);

#[derive(Default)]
struct Watch {
    consumer: Option<Waker>,
    woken_at: Option<Instant>,
}

impl Relay {
    /// The consumer is back: says how long ago it was woken, and waits for the next wake.
    fn watch(&self, consumer: &Waker) -> Duration {
        let mut watch = self.lock();
        match &mut watch.consumer {
            Some(known) => known.clone_from(consumer),
            none => *none = Some(consumer.clone()),
        }
        watch.woken_at.take().map_or(Duration::ZERO, |woken_at| woken_at.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut watch = self.lock();
        watch.woken_at.get_or_insert_with(Instant::now);
        let consumer = watch.consumer.take();
        drop(watch);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }
}

impl<P> fmt::Debug for StallTimeout<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallTimeout")
            .field("limit", &self.limit)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::super::ProducerExt;
    use super::super::testing::{CONTENT, Script, Step, Wakes, drain, keeps_the_contract, poll_with};
    use super::*;

    const FIRST: Duration = Duration::from_secs(30);
    const BETWEEN: Duration = Duration::from_secs(10);

    fn chunk() -> Step {
        Step::Chunk(CONTENT.into())
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_contract_of_its_source() {
        keeps_the_contract(|source| source.stall_timeout(FIRST, BETWEEN)).await;
        keeps_the_contract(|source| source.stall_timeout(Duration::MAX, Duration::MAX)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_stalls_is_given_up_in_time() {
        for (steps, bytes, limit) in [
            (vec![Step::Hold], 0, FIRST),
            (vec![chunk(), Step::Hold], 10, BETWEEN),
            (vec![chunk(), chunk(), Step::Hold], 20, BETWEEN),
        ] {
            let start = Instant::now();
            let (source, _remote) = Script::new(steps);
            let drained = drain(source.secretive().stall_timeout(FIRST, BETWEEN)).await;
            assert_eq!((drained.kind(), drained.bytes.len()), (Some(ErrorKind::TimedOut), bytes));
            assert_eq!(start.elapsed().as_secs(), limit.as_secs());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_starts_anew_with_each_chunk() {
        let steps = (0..5).flat_map(|_| [Step::Hold, chunk()]);
        let (source, remote) = Script::new(steps);
        let task = tokio::spawn(drain(source.stall_timeout(FIRST, BETWEEN)));
        for _ in 0..5 {
            sleep(BETWEEN - Duration::from_secs(1)).await;
            remote.release();
        }
        let drained = task.await.unwrap();
        assert_eq!((drained.kind(), drained.bytes.len()), (None, 50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_consumer_never_trips_it() {
        let (source, remote) = Script::new([Step::Hold, chunk(), Step::Hold, Step::Hold, chunk()]);
        let mut limited = source.stall_timeout(FIRST, BETWEEN);
        let mut poll = || poll_with(&mut limited, Waker::noop());
        // Late for a chunk that had come in time.
        assert!(poll().is_pending());
        advance(FIRST - Duration::from_secs(1)).await;
        remote.release();
        advance(100 * FIRST).await;
        assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
        // Does not ask at all for a while.
        advance(100 * FIRST).await;
        assert!(poll().is_pending());
        // Late for a source that had woken it in time and needs another poll to go on.
        advance(BETWEEN - Duration::from_secs(2)).await;
        remote.release();
        advance(100 * FIRST).await;
        assert!(poll().is_pending());
        // The source has two seconds left of its ten.
        advance(Duration::from_secs(1)).await;
        assert!(poll().is_pending());
        advance(Duration::from_secs(1)).await;
        assert!(matches!(poll(), Poll::Ready(Some(Err(error))) if error.kind() == ErrorKind::TimedOut));
        assert!(matches!(poll(), Poll::Ready(None)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_waker_is_woken_when_time_is_up() {
        let (source, _remote) = Script::new([Step::Hold]);
        let mut limited = source.stall_timeout(FIRST, BETWEEN);
        let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        assert!(poll_with(&mut limited, &Arc::clone(&first).into()).is_pending());
        assert!(poll_with(&mut limited, &Arc::clone(&last).into()).is_pending());
        sleep(FIRST + Duration::from_secs(1)).await;
        assert_eq!((first.count(), last.count()), (0, 1));
    }
}
