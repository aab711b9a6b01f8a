//! Blocking work, one piece at a time: the only door to the blocking pool.
//!
//! A job gets all its input by value, makes at most [`PIECE_BYTES`], and gives the thread back. It never waits for a
//! channel, a lock, a permit or another source; otherwise slow clients would park the pool's threads.

use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::path::VPath;

/// The most that one job produces.
pub const PIECE_BYTES: usize = 1 << 20;

/// Disk calls that one tree has under way at most, so that a tree whose disk hangs cannot fill the pool.
const DISK_CALLS: usize = 32;

/// CPU work (decoding, hashing) that runs at once, in the whole process: one piece a core.
static CPU: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(cores))
});

/// The calls that one tree makes on its disk.
#[derive(Clone, Debug)]
pub struct Disk {
    permits: Arc<Semaphore>,
}

impl Disk {
    /// A disk with nothing under way; it takes 32 calls at once.
    pub fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(DISK_CALLS)) }
    }

    /// Runs one piece of disk work. Waits for a place first, outside of the pool. Once begun it runs to its end, also
    /// where the future is dropped; its place is free when it ends. A future that is kept and no longer polled holds
    /// nobody up.
    ///
    /// # Errors
    /// `Internal` where the job panicked, or the runtime is going down.
    pub async fn run<T: Send + 'static>(
        &self,
        op: &'static str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        run(&self.permits, op, job).await
    }

    /// Drops `leftovers` as a job: for a `drop` that would wait for the disk, and cannot. It takes a place as every
    /// other call does, and waits for it outside of the pool. Outside of a runtime, and where that is going down,
    /// `leftovers` are dropped by whoever holds them then.
    pub fn discard<T: Send + 'static>(&self, leftovers: T) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let job = move || drop(leftovers);
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            drop(begin(permit, job));
            return;
        }
        let permits = Arc::clone(&self.permits);
        drop(runtime.spawn(async move {
            if let Ok(permit) = permits.acquire_owned().await {
                drop(begin(permit, job));
            }
        }));
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs one piece of CPU work, at most as many at once as there are cores. Otherwise as [`Disk::run`].
///
/// # Errors
/// As [`Disk::run`].
pub async fn cpu<T: Send + 'static>(op: &'static str, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    run(&CPU, op, job).await
}

async fn run<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    op: &'static str,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let internal = || Error::new(ErrorKind::Internal, op, &VPath::root());
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        return begin(permit, job).await.map_err(|lost| internal().with_source(lost));
    }
    // The queue hands a place to its first waiter whether it is polled or not. So a task of its own waits: a consumer
    // that rests while its producer is queued would otherwise sit on a place that it does not use.
    let permits = Arc::clone(permits);
    let mut queued = Queued(tokio::spawn(async move {
        match permits.acquire_owned().await {
            Ok(permit) => begin(permit, job).await.map_err(|lost| internal().with_source(lost)),
            Err(closed) => Err(internal().with_source(closed)),
        }
    }));
    (&mut queued.0).await.map_err(|lost| internal().with_source(lost))?
}

/// Hands the job to the pool. Its place is free when it ends.
fn begin<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    job: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || {
        let _until_the_end = permit;
        job()
    })
}

/// A task that waits for a place; its drop gives up waiting, and leaves a job that has begun alone.
struct Queued<T>(JoinHandle<T>);

impl<T> Drop for Queued<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_job_is_an_error_and_its_place_is_free_again() {
        let disk = Disk::new();
        for _ in 0..2 * DISK_CALLS {
            let lost: Result<()> = disk.run("read_at", || panic!("on purpose")).await;
            assert_eq!(lost.unwrap_err().kind(), ErrorKind::Internal);
        }
        assert_eq!(disk.run("read_at", || 7).await.unwrap(), 7);
        assert_eq!(disk.permits.available_permits(), DISK_CALLS);
    }

    #[tokio::test]
    async fn a_caller_that_waits_for_a_place_and_is_not_polled_again_holds_nobody_up() {
        let disk = Disk::new();
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        let poll_once = async |call: &mut std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>| {
            std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_pending())).await
        };
        let mut resting = Vec::new();
        for _ in 0..3 * DISK_CALLS {
            let (disk, hang) = (disk.clone(), Arc::clone(&hang));
            let job = move || assert!(hang.lock().unwrap().recv().is_err());
            let mut call: std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>> =
                Box::pin(async move { disk.run("read_at", job).await });
            assert!(poll_once(&mut call).await);
            resting.push(call);
        }
        drop(release);
        assert_eq!(disk.run("read_at", || 7).await.unwrap(), 7);
        assert_eq!(resting.len(), 3 * DISK_CALLS);
    }

    /// Something whose drop hangs until the other end of its channel is gone.
    struct Slow(Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>);

    impl Drop for Slow {
        fn drop(&mut self) {
            assert!(self.0.lock().unwrap().recv().is_err());
        }
    }

    #[test]
    fn what_is_discarded_on_a_hung_disk_holds_its_own_places_only() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(DISK_CALLS + 1)
            .build()
            .unwrap();
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        let hung = Disk::new();
        runtime.block_on(async {
            for _ in 0..3 * DISK_CALLS {
                hung.discard(Slow(Arc::clone(&hang)));
            }
            assert_eq!(Disk::new().run("read_at", || 7).await.unwrap(), 7);
            drop(release);
            assert_eq!(hung.run("read_at", || 7).await.unwrap(), 7);
        });
        drop(runtime);
        assert_eq!(Arc::strong_count(&hang), 1, "all of it is gone");
    }

    #[test]
    fn outside_of_a_runtime_what_is_discarded_is_dropped_on_the_spot() {
        let leftovers = Arc::new(());
        Disk::new().discard(Arc::clone(&leftovers));
        assert_eq!(Arc::strong_count(&leftovers), 1);
    }

    #[tokio::test]
    async fn a_hung_disk_holds_its_own_places_only() {
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        let hung = Disk::new();
        let calls: Vec<_> = (0..2 * DISK_CALLS)
            .map(|_| {
                let (hung, hang) = (hung.clone(), Arc::clone(&hang));
                tokio::spawn(async move {
                    hung.run("read_at", move || hang.lock().unwrap().recv().is_err()).await
                })
            })
            .collect();
        assert_eq!(Disk::new().run("read_at", || 7).await.unwrap(), 7);
        drop(release);
        for call in calls {
            assert!(call.await.unwrap().unwrap());
        }
    }
}
