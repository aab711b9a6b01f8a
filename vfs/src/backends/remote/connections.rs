//! [`Connections`]: how many connections one site is asked for, and who waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to so many connections to one site at once. Waiters are served in turn.
#[derive(Debug)]
pub(crate) struct Connections {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The right to one connection; its drop gives it to who waits longest.
#[derive(Debug)]
pub(crate) struct Connection {
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// `limit` at once; 0 counts as 1.
    pub(crate) fn new(limit: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(limit.max(1))), waiting: AtomicUsize::new(0) }
    }

    /// Takes one as soon as one is free. A dropped future waits no more.
    pub(crate) async fn acquire(&self) -> Connection {
        let _waiting = Waiting::among(&self.waiting);
        let permit = Arc::clone(&self.free).acquire_owned().await;
        Connection { _permit: permit.expect("nobody closes this semaphore") }
    }

    /// True where somebody waits for one.
    pub(crate) fn are_wanted(&self) -> bool {
        self.free.available_permits() == 0 && self.waiting.load(Ordering::Relaxed) > 0
    }

    /// How many are free.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.available_permits()
    }
}

/// Counts one who waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn who_waits_is_known_until_served_or_gone() {
        let connections = Connections::new(1);
        let first = connections.acquire().await;
        assert!(!connections.are_wanted());
        {
            let mut second = pin!(connections.acquire());
            assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(connections.are_wanted());
        }
        assert!(!connections.are_wanted(), "it has gone");
        drop(first);
        let _second = connections.acquire().await;
        assert_eq!(connections.free(), 0);
    }
}
