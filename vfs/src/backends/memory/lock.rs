//! Advisory locks on one file, held by openings: what flock(2) does.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::ErrorKind;
use crate::options::{Lock, LockWait};

/// The locks on one file. A holder is the number of an opening.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    exclusive: Option<u64>,
    shared: HashSet<u64>,
}

impl Locks {
    /// Takes or gives back. A dropped future has taken nothing; what it held before it began to wait is gone, because
    /// a conversion gives the old lock back first (flock(2)): else two that convert would wait for each other.
    pub(super) async fn apply(&self, lock: Lock, wait: LockWait, holder: u64) -> Result<(), ErrorKind> {
        if lock == Lock::Unlock {
            self.give_back(holder);
            return Ok(());
        }
        if self.held().take(lock, holder) {
            // From exclusive to shared: others may come in.
            self.freed.notify_waiters();
            return Ok(());
        }
        match wait {
            LockWait::Never => Err(ErrorKind::Busy),
            LockWait::Forever => {
                self.wait(lock, holder).await;
                Ok(())
            }
            LockWait::AtMost(longest) => {
                timeout(longest, self.wait(lock, holder)).await.map_err(|_| ErrorKind::Busy)
            }
        }
    }

    /// Gives back what `holder` holds, if anything.
    pub(super) fn give_back(&self, holder: u64) {
        if self.held().give_back(holder) {
            self.freed.notify_waiters();
        }
    }

    async fn wait(&self, lock: Lock, holder: u64) {
        self.give_back(holder);
        loop {
            // Listen first, then try: what is freed in between is heard.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.held().take(lock, holder) {
                return;
            }
            freed.await;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes the lock for `holder` in place of what it has, or changes nothing.
    fn take(&mut self, lock: Lock, holder: u64) -> bool {
        let exclusive_elsewhere = self.exclusive.is_some_and(|other| other != holder);
        let shared_elsewhere = self.shared.iter().any(|other| *other != holder);
        if exclusive_elsewhere || (lock == Lock::Exclusive && shared_elsewhere) {
            return false;
        }
        self.give_back(holder);
        if lock == Lock::Exclusive {
            self.exclusive = Some(holder);
        } else {
            self.shared.insert(holder);
        }
        true
    }

    fn give_back(&mut self, holder: u64) -> bool {
        let was_exclusive = self.exclusive.take_if(|other| *other == holder).is_some();
        self.shared.remove(&holder) || was_exclusive
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_with_a_bound_ends_busy_and_holds_nothing() {
        let locks = Locks::default();
        locks.apply(Lock::Exclusive, LockWait::Never, 1).await.unwrap();
        let wait = LockWait::AtMost(Duration::from_secs(60));
        assert_eq!(locks.apply(Lock::Shared, wait, 2).await, Err(ErrorKind::Busy));
        locks.give_back(1);
        assert_eq!(locks.apply(Lock::Exclusive, LockWait::Never, 3).await, Ok(()));
    }

    #[tokio::test]
    async fn two_that_convert_do_not_wait_for_each_other() {
        let locks = &Locks::default();
        for holder in [1, 2] {
            locks.apply(Lock::Shared, LockWait::Never, holder).await.unwrap();
        }
        let convert = |holder| async move {
            locks.apply(Lock::Exclusive, LockWait::Forever, holder).await.unwrap();
            locks.give_back(holder);
        };
        tokio::join!(convert(1), convert(2));
    }

    #[tokio::test]
    async fn a_lock_made_weaker_lets_others_in() {
        let locks = Locks::default();
        locks.apply(Lock::Exclusive, LockWait::Never, 1).await.unwrap();
        let reader = locks.apply(Lock::Shared, LockWait::Forever, 2);
        let weaker = locks.apply(Lock::Shared, LockWait::Never, 1);
        let (read, weakened) = tokio::join!(reader, weaker);
        assert_eq!((read, weakened), (Ok(()), Ok(())));
    }
}
