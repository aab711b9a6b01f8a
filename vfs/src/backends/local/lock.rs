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
