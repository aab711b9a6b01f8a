//! [`Limit`]: how many calls a source has under way at once, and how many wait in line.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::around::{Around, Call, Pace};
use crate::error::{Error, ErrorKind, Result, Retry};

/// What a source is asked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOptions {
    /// Calls under way, one at least. Default 64.
    pub calls: usize,
    /// Calls that wait for a place; one more is `Busy` at once. Default 1,024.
    pub waiting: usize,
    /// How long one waits for a place; then it is `Busy`. Default 30 s.
    pub patience: Duration,
}

/// Lets a stated number of calls through at once; the others wait in line, first come, first served.
///
/// A place is taken for exactly one call of the inner tree and given back when that ends or is dropped. Open files and
/// listings hold none between their calls, nor does a file's own producer. A lock is waited for without a place.
#[derive(Debug)]
pub struct Limit {
    places: Semaphore,
    waiting: AtomicUsize,
    options: LimitOptions,
}

impl Limit {
    /// All places free.
    pub fn new(options: LimitOptions) -> Self {
        let places = Semaphore::new(options.calls.clamp(1, Semaphore::MAX_PERMITS));
        Self { places, waiting: AtomicUsize::new(0), options }
    }

    async fn place(&self, call: Call<'_>) -> Result<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let Some(_in_line) = InLine::join(&self.waiting, self.options.waiting) else {
            let detail = format!("{} calls wait for this source already", self.options.waiting);
            return Err(busy(call, detail));
        };
        match tokio::time::timeout(self.options.patience, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(closed)) => Err(Error::new(ErrorKind::Internal, call.op, call.path).with_source(closed)),
            Err(_) => {
                let LimitOptions { calls, patience, .. } = self.options;
                Err(busy(call, format!("{calls} calls keep this source busy for {patience:?} and longer")))
            }
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self::new(LimitOptions::default())
    }
}

impl Around for Limit {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let _place = match call.pace {
            Pace::Prompt | Pace::Settling => Some(self.place(call).await?),
            Pace::Patient => None,
        };
        work.await
    }
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self { calls: 64, waiting: 1024, patience: Duration::from_secs(30) }
    }
}

/// One place in line, given back when dropped.
struct InLine<'a>(&'a AtomicUsize);

impl<'a> InLine<'a> {
    fn join(waiting: &'a AtomicUsize, bound: usize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < bound).then_some(place)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy(call: Call<'_>, detail: String) -> Error {
    Error::new(ErrorKind::Busy, call.op, call.path)
        .with_detail(detail)
        .with_retry(Retry::After(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fake::{Fake, path};
    use crate::file_system::FileSystem;
    use crate::layers::Layered;
    use crate::options::{OpenOptions, StatOptions};

    const FEW: LimitOptions = LimitOptions { calls: 2, waiting: 3, patience: Duration::from_secs(30) };

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_the_places_wait_and_beyond_the_line_are_busy() {
        let fake = Fake::with(&[("/f", "")]);
        let tree = Arc::new(Layered::new(fake.clone().shared(), Arc::new(Limit::new(FEW))));
        fake.hang();
        let calls: Vec<_> = (0..6)
            .map(|_| {
                let tree = Arc::clone(&tree);
                tokio::spawn(async move { tree.metadata(&path("/f"), &StatOptions::default()).await })
            })
            .collect();
        while !calls.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        assert_eq!(fake.calls(), 2, "the tree is asked as often as there are places");
        fake.wake();
        let mut kinds = Vec::new();
        for call in calls {
            kinds.push(call.await.unwrap().err().map(|error| error.kind()));
        }
        assert_eq!(kinds.iter().filter(|kind| kind.is_none()).count(), 5);
        assert_eq!(kinds.iter().filter(|kind| **kind == Some(ErrorKind::Busy)).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_in_line_has_an_end_and_dropped_calls_give_their_places_back() {
        let fake = Fake::with(&[("/f", "")]);
        let limit = Arc::new(Limit::new(FEW));
        let tree = Arc::new(Layered::new(fake.clone().shared(), Arc::clone(&limit)));
        fake.hang();
        let hung: Vec<_> = (0..2)
            .map(|_| {
                let tree = Arc::clone(&tree);
                tokio::spawn(async move { tree.metadata(&path("/f"), &StatOptions::default()).await })
            })
            .collect();
        while fake.calls() < 2 {
            tokio::task::yield_now().await;
        }
        let late = tree.metadata(&path("/f"), &StatOptions::default()).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Busy);
        assert_eq!(fake.calls(), 2);
        for call in hung {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        assert_eq!((limit.places.available_permits(), limit.waiting.load(Ordering::Relaxed)), (2, 0));
    }

    #[tokio::test]
    async fn open_files_hold_no_place() {
        let tree = Layered::new(Fake::with(&[("/f", "")]).shared(), Arc::new(Limit::new(FEW)));
        let mut files = Vec::new();
        for _ in 0..2 * FEW.calls {
            files.push(tree.open(&path("/f"), &OpenOptions::reading()).await.unwrap());
        }
        assert_eq!(files.len(), 4);
    }
}
