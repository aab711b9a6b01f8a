//! Advisory locks: flock(2), as `std::fs::File` has them, and waiting for one without parking a thread.
//!
//! A lock belongs to the opening, so two openings in one process keep each other away too; record locks (fcntl(2)) would
//! not. The system can only be waited for by a thread, so waiting is asking again, at growing distances.

use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::time::Instant;

use super::error::Fault;
use crate::error::{ErrorKind, Result};
use crate::jobs::Disk;
use crate::options::{Lock, LockWait};
use crate::path::VPath;
use crate::producer::SpanFile;

/// The first pause before a lock is asked for again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause: how late a waiter may notice that the lock is free.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Takes `lock` on `file` or gives it back. A change from shared to exclusive or back lets go of the old lock first, so
/// that where it fails there is none.
pub(super) async fn take(disk: &Disk, file: &SpanFile, lock: Lock, wait: LockWait) -> Result<()> {
    let deadline = match wait {
        LockWait::Never => Some(Instant::now()),
        LockWait::AtMost(limit) => Instant::now().checked_add(limit),
        LockWait::Forever => None,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        match ask(disk, file, lock).await {
            Err(held) if held.kind() == ErrorKind::Busy => match deadline {
                Some(deadline) if Instant::now() >= deadline => return Err(held),
                Some(deadline) => tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await,
                None => tokio::time::sleep(pause).await,
            },
            answered => return answered,
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

async fn ask(disk: &Disk, file: &SpanFile, lock: Lock) -> Result<()> {
    let file = file.clone();
    let refused = |errno: Errno| Fault::from(errno).at("lock", &VPath::root());
    let held = disk.run("lock", move || Held::take(file, lock)).await?.map_err(refused)?;
    held.keep();
    Ok(())
}

/// Gives back whatever lock the opening holds, at once: for an opening that ends while jobs or spans still share it.
pub(super) fn release(file: &SpanFile) {
    // There is nobody left to tell, and the last descriptor to close gives it back too.
    let _ = rustix::fs::flock(file, FlockOperation::Unlock);
}

/// A lock that was just taken. It is given back where nobody keeps it: the one who asked has gone meanwhile.
struct Held {
    file: SpanFile,
    kept: bool,
}

impl Held {
    fn take(file: SpanFile, lock: Lock) -> std::result::Result<Self, Errno> {
        let operation = match lock {
            Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Unlock => FlockOperation::NonBlockingUnlock,
        };
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation))?;
        Ok(Self { file, kept: false })
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.kept {
            release(&self.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, kind, path};
    use crate::file_system::{File, FileSystem};
    use crate::options::OpenOptions;

    async fn two_openings(scene: &Scene) -> [Arc<dyn File>; 2] {
        scene.write("file", "");
        let tree = scene.tree(Links::Beneath);
        let open = async || tree.open(&path("/file"), &OpenOptions::reading()).await.unwrap();
        [open().await, open().await]
    }

    #[tokio::test]
    async fn locks_keep_each_other_away_as_they_say() {
        let scene = Scene::new();
        let [one, other] = two_openings(&scene).await;
        one.lock(Lock::Shared, LockWait::Never).await.unwrap();
        other.lock(Lock::Shared, LockWait::Never).await.unwrap();
        assert_eq!(kind(one.lock(Lock::Exclusive, LockWait::Never).await), ErrorKind::Busy);
        other.lock(Lock::Unlock, LockWait::Never).await.unwrap();
        one.lock(Lock::Exclusive, LockWait::Never).await.unwrap();
        assert_eq!(kind(other.lock(Lock::Shared, LockWait::Never).await), ErrorKind::Busy);
        drop(one);
        other.lock(Lock::Exclusive, LockWait::Never).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_lock_or_with_the_time() {
        let scene = Scene::new();
        let [one, other] = two_openings(&scene).await;
        one.lock(Lock::Exclusive, LockWait::Never).await.unwrap();
        let started = Instant::now();
        let limit = LockWait::AtMost(Duration::from_secs(3));
        assert_eq!(kind(other.lock(Lock::Exclusive, limit).await), ErrorKind::Busy);
        assert_eq!(started.elapsed().as_secs(), 3);

        let waiter = tokio::spawn(async move { other.lock(Lock::Exclusive, LockWait::Forever).await });
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!waiter.is_finished());
        one.lock(Lock::Unlock, LockWait::Never).await.unwrap();
        waiter.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_nobody_waits_for_any_more_is_given_back() {
        let scene = Scene::new();
        let [one, other] = two_openings(&scene).await;
        let held =
            |file: &std::fs::File| Held::take(SpanFile::new(file.try_clone().unwrap()), Lock::Exclusive);
        let on_host = std::fs::File::open(scene.inside("file")).unwrap();
        drop(held(&on_host).unwrap());
        one.lock(Lock::Exclusive, LockWait::Never).await.unwrap();
        one.lock(Lock::Unlock, LockWait::Never).await.unwrap();
        held(&on_host).unwrap().keep();
        assert_eq!(kind(other.lock(Lock::Shared, LockWait::Never).await), ErrorKind::Busy);
    }

    #[tokio::test]
    async fn a_file_that_is_not_published_cannot_be_locked() {
        let scene = Scene::new();
        let tree = scene.tree(Links::Beneath);
        let file = tree.open(&path("/new"), &OpenOptions::replacing()).await.unwrap();
        assert_eq!(kind(file.lock(Lock::Shared, LockWait::Never).await), ErrorKind::Unsupported);
        file.finish().await.unwrap();
        let reader = tree.open(&path("/new"), &OpenOptions::reading()).await.unwrap();
        reader.lock(Lock::Exclusive, LockWait::Never).await.unwrap();
    }
}
