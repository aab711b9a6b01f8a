//! [`Turn`]: how much a connection moves before it lets others have the thread.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use vfs::producer::FileSpan;

/// What a turn has at least. Less would cost more in turns than others gain by it.
const MIN_BYTES: usize = 64 * 1024;

/// What a turn has at first.
const FIRST_BYTES: usize = 256 * 1024;

/// What a turn has at most, where nobody else wants the thread.
const MAX_BYTES: usize = 8 * FileSpan::MAX_BYTES;

/// Where it took longer than this until the next turn, others wait: turns become shorter.
const LONG_ROUND: Duration = Duration::from_millis(2);

/// Where it took less than this, nobody does: turns become longer.
const SHORT_ROUND: Duration = Duration::from_micros(200);

/// One connection's share of its thread. A peer that reads as fast as we write would else keep it, and with hundreds of
/// them a command would wait until each has had megabytes.
#[derive(Debug)]
pub(super) struct Turn {
    /// What a turn has now.
    limit: usize,
    /// What is left of this one.
    left: usize,
    /// When the last one was over, where the next has not begun.
    over: Option<Instant>,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self { limit: FIRST_BYTES, left: FIRST_BYTES, over: None }
    }

    /// Ready while it is this connection's turn. Otherwise the thread is to be given up, and the task is woken.
    pub(super) fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(over) = self.over.take() {
            self.adapt(over.elapsed());
        }
        if self.left > 0 {
            return Poll::Ready(());
        }
        self.over = Some(Instant::now());
        // Wakes the task once the runtime has looked for events, on this thread: a waker would call an idle thread to take
        // the task over, and the transfer would go from core to core.
        if pin!(tokio::task::yield_now()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// What is left of the turn; a little more does no harm.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// So much went.
    pub(super) fn went(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// The peer is waited for: others have the thread meanwhile.
    pub(super) fn rest(&mut self) {
        self.left = self.limit;
    }

    fn adapt(&mut self, round: Duration) {
        if round > LONG_ROUND {
            self.limit = (self.limit / 2).max(MIN_BYTES);
        } else if round < SHORT_ROUND {
            self.limit = (self.limit * 2).min(MAX_BYTES);
        }
        self.left = self.limit;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Takes a turn to its end; how long it was.
    async fn take(turn: &mut Turn, others: Duration) -> usize {
        poll_fn(|cx| turn.poll_begun(cx)).await;
        let share = turn.left();
        turn.went(share);
        let mut gave_up = false;
        poll_fn(|cx| match gave_up {
            true => Poll::Ready(()),
            false => {
                assert!(turn.poll_begun(cx).is_pending());
                gave_up = true;
                Poll::Pending
            }
        })
        .await;
        tokio::time::advance(others).await;
        share
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_as_long_as_others_let_it_be() {
        let mut turn = Turn::new();
        let mut lens = Vec::new();
        for _ in 0..8 {
            lens.push(take(&mut turn, Duration::ZERO).await);
        }
        assert_eq!((lens[0], lens[1], lens[7]), (FIRST_BYTES, 2 * FIRST_BYTES, MAX_BYTES));
        lens.clear();
        for _ in 0..10 {
            lens.push(take(&mut turn, 2 * LONG_ROUND).await);
        }
        assert_eq!((lens[1], lens[9]), (MAX_BYTES / 2, MIN_BYTES));
        let kept = take(&mut turn, (SHORT_ROUND + LONG_ROUND) / 2).await;
        assert_eq!(take(&mut turn, Duration::ZERO).await, kept);
    }

    #[tokio::test]
    async fn who_waits_for_the_peer_begins_a_turn_anew() {
        let mut turn = Turn::new();
        turn.went(FIRST_BYTES - 1);
        turn.rest();
        poll_fn(|cx| turn.poll_begun(cx)).await;
        assert_eq!(turn.left(), FIRST_BYTES);
    }
}
