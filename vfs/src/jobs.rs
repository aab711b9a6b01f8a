//! Blocking work, one piece at a time: the only door to the blocking pool.
//!
//! A job gets all its input by value, makes at most [`PIECE_BYTES`], and gives the thread back. It never waits for a
//! channel, a lock, a permit or another source; otherwise slow clients would park the pool's threads.

use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

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
    /// A disk with nothing under way; [`DISK_CALLS`] at once.
    pub fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(DISK_CALLS)) }
    }

    /// Runs one piece of disk work. Waits for a place first, outside of the pool. Once begun it runs to its end, also
    /// where the future is dropped; its place is free when it ends.
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
    let permit =
        Arc::clone(permits).acquire_owned().await.map_err(|closed| internal().with_source(closed))?;
    let work = move || {
        let _until_the_end = permit;
        job()
    };
    tokio::task::spawn_blocking(work).await.map_err(|lost| internal().with_source(lost))
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
