//! [`Chores`]: changes of the tree that go on to their end, whoever asked for them leaves.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use vfs::{Error, ErrorKind, VPath};

/// Chores of one front end at once. More wait, and are not begun where who asked leaves meanwhile.
const CHORES: u32 = 64;

/// A change of many calls is a task of its own: a client that hangs up in the middle, or an HTTP/2 stream that is reset, drops
/// its request and not the change. Clones share the places.
#[derive(Clone, Debug)]
pub(super) struct Chores(Arc<Semaphore>);

impl Chores {
    /// None is under way.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CHORES as usize)))
    }

    /// Does `chore` to its end. Dropping the future before it has begun leaves it undone, and later does not touch it.
    ///
    /// # Errors
    /// `Internal` where it panicked, or the runtime is going down.
    pub(super) async fn see_through<T, E>(
        &self,
        chore: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let lost = || Error::new(ErrorKind::Internal, "change", &VPath::root());
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(|closed| lost().with_source(closed))?;
        let task = tokio::spawn(async move {
            let _until_the_end = place;
            chore.await
        });
        task.await.map_err(|gone| lost().with_source(gone))?
    }

    /// Waits until none is under way.
    pub(super) async fn ended(&self) {
        // The places are never closed.
        let _ = self.0.acquire_many(CHORES).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_chore_that_has_begun_ends_though_nobody_waits() {
        let (chores, done) = (Chores::new(), Arc::new(AtomicBool::new(false)));
        let (go_on, wait) = oneshot::channel::<()>();
        let is_done = Arc::clone(&done);
        let chore = chores.see_through(async move {
            let _ = wait.await;
            is_done.store(true, Ordering::Relaxed);
            Ok::<_, Error>(())
        });
        let left = tokio::time::timeout(std::time::Duration::from_secs(1), chore).await;
        assert!(left.is_err() && !done.load(Ordering::Relaxed));
        go_on.send(()).unwrap();
        chores.ended().await;
        assert!(done.load(Ordering::Relaxed));
    }
}
