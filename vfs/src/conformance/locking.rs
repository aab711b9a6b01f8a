//! Advisory locks on open files.

use std::sync::Arc;
use std::time::Duration;

use super::Subject;
use super::expect::{Expect, poll_once};
use crate::error::{ErrorKind, Result};
use crate::file_system::File;
use crate::options::{Lock, LockWait, OpenOptions};

/// Long enough to be a wait, short enough for a test.
const A_MOMENT: Duration = Duration::from_millis(5);

pub(super) async fn an_exclusive_lock_keeps_all_others_away(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    for lock in [Lock::Exclusive, Lock::Shared] {
        take(&other, lock).await.must_be(ErrorKind::Busy, "a file that is locked exclusively is Busy");
    }
}

pub(super) async fn shared_locks_go_together(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&holder, Lock::Shared).await.must("a free file is locked");
    take(&other, Lock::Shared).await.must("shared locks go together");
    take(&other, Lock::Exclusive).await.must_be(ErrorKind::Busy, "a shared lock keeps an exclusive one away");
}

pub(super) async fn a_lock_that_is_given_back_is_free(subject: &Subject) {
    let (holder, other) = two(subject).await;
    for lock in [Lock::Exclusive, Lock::Shared] {
        take(&holder, lock).await.must("a free file is locked");
        take(&holder, Lock::Unlock).await.must("a lock is given back");
        take(&other, Lock::Exclusive).await.must("a lock that was given back is free");
        take(&other, Lock::Unlock).await.must("a lock is given back");
    }
}

pub(super) async fn a_lock_goes_with_its_file(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    drop(holder);
    let taken = other.lock(Lock::Exclusive, LockWait::Forever).await;
    taken.must("the lock of a file that was dropped is free");
}

pub(super) async fn a_holder_does_not_lock_itself_out(subject: &Subject) {
    let (holder, other) = two(subject).await;
    for lock in [Lock::Exclusive, Lock::Exclusive, Lock::Shared, Lock::Exclusive, Lock::Shared] {
        take(&holder, lock).await.must("who holds a lock takes it again, or the other kind");
    }
    take(&other, Lock::Shared).await.must("an exclusive lock that was made shared lets others in");
}

pub(super) async fn giving_back_what_is_not_held_does_no_harm(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&other, Lock::Unlock).await.must("giving back a lock that is not held succeeds");
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    take(&other, Lock::Unlock).await.must("giving back a lock that is not held succeeds");
    take(&other, Lock::Exclusive).await.must_be(ErrorKind::Busy, "nobody gives back the lock of another");
}

pub(super) async fn a_wait_for_a_lock_has_an_end(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    let waited = other.lock(Lock::Shared, LockWait::AtMost(A_MOMENT)).await;
    waited.must_be(ErrorKind::Busy, "a wait for a lock that is not given back ends with Busy");
    take(&holder, Lock::Unlock).await.must("a lock is given back");
    take(&holder, Lock::Exclusive).await.must("a wait that ended took nothing");
}

pub(super) async fn who_waits_gets_the_lock(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    let wait = tokio::spawn(async move {
        let taken = other.lock(Lock::Exclusive, LockWait::Forever).await;
        (other, taken)
    });
    tokio::task::yield_now().await;
    take(&holder, Lock::Unlock).await.must("a lock is given back");
    let (other, taken) = wait.await.expect("waiting does not panic");
    taken.must("who waits gets the lock when it is given back");
    take(&holder, Lock::Shared).await.must_be(ErrorKind::Busy, "who waited holds the lock");
    drop(other);
}

pub(super) async fn a_dropped_wait_takes_nothing(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    let waited = poll_once(other.lock(Lock::Exclusive, LockWait::Forever)).await;
    assert!(waited.is_none(), "a lock that another holds is waited for");
    take(&holder, Lock::Unlock).await.must("a lock is given back");
    // A source may still take it and then gives it back by itself: so this waits.
    let taken = holder.lock(Lock::Exclusive, LockWait::Forever).await;
    taken.must("a wait that was dropped keeps no lock");
}

pub(super) async fn each_file_has_its_own_lock(subject: &Subject) {
    let holder = subject.reader(&subject.at("/hello.txt")).await;
    let other = subject.reader(&subject.at("/one")).await;
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    take(&other, Lock::Exclusive).await.must("another file is not locked");
}

pub(super) async fn a_lock_is_advice(subject: &Subject) {
    let (holder, other) = two(subject).await;
    take(&holder, Lock::Exclusive).await.must("a free file is locked");
    other.read_at(0, 10).await.must("a lock keeps away those who lock, not those who read");
    subject.open(&subject.at("/hello.txt"), &OpenOptions::reading()).await.must("a locked file opens");
}

pub(super) async fn locking_is_unsupported(subject: &Subject) {
    let (file, _) = two(subject).await;
    for lock in [Lock::Exclusive, Lock::Shared] {
        take(&file, lock)
            .await
            .must_be(ErrorKind::Unsupported, "locking in a tree without locks is Unsupported");
    }
}

/// Two openings of one file.
async fn two(subject: &Subject) -> (Arc<dyn File>, Arc<dyn File>) {
    let path = subject.at("/hello.txt");
    (subject.reader(&path).await, subject.reader(&path).await)
}

async fn take(file: &Arc<dyn File>, lock: Lock) -> Result<()> {
    file.lock(lock, LockWait::Never).await
}
