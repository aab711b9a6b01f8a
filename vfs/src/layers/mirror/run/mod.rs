//! [`Run`]: one fetch of consecutive bytes, for however many readers.
//!
//! A run goes as fast as the source gives; who reads slower reads from the disk. When nobody has waited for a run for
//! [`LINGER`] it goes on only where little is missing (see `fetch.rs`). A source that breaks off is asked to go
//! on with the same version, as long as somebody waits.

mod fetch;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

pub(super) use self::fetch::RETRY;
use self::fetch::{Broken, Fetch};
use super::object::Object;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::path::VPath;

/// How long a run waits for another reader when the last one has left.
const LINGER: Duration = Duration::from_secs(5);

/// Consecutive bytes that are being fetched.
#[derive(Debug)]
pub(super) struct Run {
    start: u64,
    /// Where it stops before the end of the file.
    end: Option<u64>,
    /// How far it came: the bytes before are on the disk.
    reached: AtomicU64,
    readers: AtomicUsize,
    joined_or_left: Notify,
    outcome: OnceLock<Result<()>>,
}

/// What somebody is going to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// The byte after the last. `None`: the end of the file.
    pub(super) end: Option<u64>,
    /// The file is being read from its start to its end.
    pub(super) is_whole: bool,
}

/// A reader that a run has.
#[derive(Debug)]
pub(super) struct Joined(Arc<Run>);

impl Run {
    pub(super) fn new(start: u64, end: Option<u64>) -> Self {
        Self {
            start,
            end,
            reached: AtomicU64::new(start),
            readers: AtomicUsize::new(0),
            joined_or_left: Notify::new(),
            outcome: OnceLock::new(),
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn reached(&self) -> u64 {
        self.reached.load(Ordering::Acquire)
    }

    pub(super) fn reach(&self, offset: u64) {
        self.reached.store(offset, Ordering::Release);
    }

    /// True where it will bring the byte at `offset`, if all goes well.
    pub(super) fn will_pass(&self, offset: u64) -> bool {
        self.start <= offset && self.end.is_none_or(|end| offset < end) && self.outcome.get().is_none()
    }

    pub(super) fn join(self: &Arc<Self>) -> Joined {
        self.readers.fetch_add(1, Ordering::AcqRel);
        self.joined_or_left.notify_one();
        Joined(Arc::clone(self))
    }

    /// Resolves when nobody has waited for it for a while.
    async fn deserted(&self) {
        loop {
            while self.readers.load(Ordering::Acquire) > 0 {
                self.joined_or_left.notified().await;
            }
            tokio::select! {
                () = sleep(LINGER) => if self.readers.load(Ordering::Acquire) == 0 { return },
                () = self.joined_or_left.notified() => {}
            }
        }
    }

    /// Fetches, in a task of its own, for `object`; the caller is its first reader.
    pub(super) fn begin(self: Arc<Self>, object: &Arc<Object>) -> Joined {
        let joined = self.join();
        let object = Arc::clone(object);
        tokio::spawn(async move {
            let outcome = Fetch::new(&object, &self).go().await;
            let outcome = settle(&object, outcome).await;
            if !object.is_lost()
                && let Err(error) = object.save().await
            {
                tracing::warn!(%error, "what was fetched is served, and cannot be noted in the cache");
            }
            // The outcome is there before the news of it.
            _ = self.outcome.set(outcome);
            object.remove_run(&self);
        });
        joined
    }
}

impl Joined {
    /// Why the run has failed, where it has.
    pub(super) fn failure(&self) -> Option<Error> {
        self.0.outcome.get().and_then(|outcome| outcome.as_ref().err().cloned())
    }

    /// True for a run that has ended well or ill.
    pub(super) fn is_over(&self) -> bool {
        self.0.outcome.get().is_some()
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if self.0.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.joined_or_left.notify_one();
        }
    }
}

/// What the end of a run means for its object, and for those who waited for it.
async fn settle(object: &Arc<Object>, outcome: Result<(), Broken>) -> Result<()> {
    // A second fetch may bring another version under the same name, so it must not be put behind the first.
    let can_go_on = object.is_resumable() && object.seal().is_none();
    match outcome {
        Ok(()) if can_go_on || (object.is_complete() && object.seal().is_none()) => Ok(()),
        Ok(()) => {
            lose(object, &left()).await;
            Ok(())
        }
        // What cannot be kept is no failure: its readers go on from the source.
        Err(Broken::Store(error)) => {
            object.close_upstream();
            tracing::warn!(path = %object.path(), %error, "the cache takes no more: what does not fit is passed through");
            object.bypass();
            // So that it is tried again when its readers have left.
            object.store.at_hand().cool(object);
            Ok(())
        }
        Err(Broken::Source(error)) => {
            object.close_upstream();
            let is_gone =
                matches!(error.kind(), ErrorKind::Changed | ErrorKind::Corrupt | ErrorKind::NotFound);
            if is_gone || !can_go_on {
                lose(object, &error).await;
            }
            Err(error)
        }
    }
}

/// Makes sure that nobody finds the rest of a version that cannot be had any more.
async fn lose(object: &Arc<Object>, error: &Error) {
    object.lose(error);
    if let Err(error) = object.store.remove(object.key, object.generation()).await {
        tracing::warn!(path = %object.path(), %error, "what is out of date cannot be removed from the cache");
    }
}

/// What a later reader hears of a run that nobody waited for.
fn left() -> Error {
    let detail = "its fetching was left, and the source does not name its version: open it anew";
    failure(ErrorKind::Changed).with_detail(detail).with_retry(Retry::Now)
}

fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "read_at", &VPath::root())
}
