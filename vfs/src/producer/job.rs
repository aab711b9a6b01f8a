//! A blocking job that a producer waits for.

use std::pin::Pin;

use crate::error::Result;
use crate::jobs::Disk;

/// Under way, or in the queue of its disk. A drop gives up waiting; what has begun runs to its end.
pub(super) type Job<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Prepares `work` as one piece of `disk` work. It begins with the first poll.
pub(super) fn job<T: Send + 'static>(
    disk: &Disk,
    op: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Job<T> {
    let disk = disk.clone();
    Box::pin(async move { disk.run(op, work).await })
}
