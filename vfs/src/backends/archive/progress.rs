//! [`Progress`]: how far first passes are, for logs, status pages and whoever builds an index ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::fs::Archive;
use super::growing::Stage;
use super::service::ArchiveService;
use crate::error::Result;
use crate::file_system::File;
use crate::path::{Scheme, VPath};

/// How often a caller that waits for a pass is told how far it is.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// How far an archive's first pass is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The archive, as whoever entered it first named it.
    pub path: VPath,
    /// Bytes of the archive's file that were gone through.
    pub done: u64,
    /// Length of the archive's file, where its source states one.
    pub total: Option<u64>,
    /// Names found so far, those of folders without an entry included.
    pub names: u64,
}

impl ArchiveService {
    /// The passes that are under way, in no order.
    pub fn progress(&self) -> Vec<Progress> {
        let under_way = |archive: &&Arc<Archive>| !archive.passing.is_settled();
        self.archives().iter().filter(under_way).map(|archive| archive.progress()).collect()
    }

    /// Reads the archive in `file` through, unless an index of it is there, and returns when its index is written.
    /// `report` hears how far it is about ten times a second, and once more at the end. A dropped future gives up
    /// waiting; the pass ends with it where nobody else holds the archive.
    ///
    /// # Errors
    /// As [`enter`](crate::registry::EnterArchive::enter); what ended the pass early, where it was damage or a bound.
    pub async fn index(
        &self,
        scheme: Scheme,
        file: Arc<dyn File>,
        path: &VPath,
        mut report: impl FnMut(&Progress) + Send,
    ) -> Result<Progress> {
        let archive = self.archive(scheme, &file, path).await;
        let archive = archive.map_err(|error| error.readdressed(|_| path.clone()))?;
        while tokio::time::timeout(REPORT_INTERVAL, archive.passing.settled()).await.is_err() {
            report(&archive.progress());
        }
        let progress = archive.progress();
        report(&progress);
        match archive.growing.stage() {
            Stage::Broken(error) => Err(error.readdressed(|_| path.clone())),
            Stage::Running | Stage::Stalled(_) | Stage::Whole => Ok(progress),
        }
    }
}

/// The numbers that a pass moves on.
#[derive(Debug, Default)]
pub(super) struct Passing {
    done: AtomicU64,
    /// 0: not known.
    total: AtomicU64,
    /// True once the pass is over, and what it leaves behind is written.
    settled: watch::Sender<bool>,
}

impl Passing {
    /// `done` bytes of the archive's file are gone through.
    pub(super) fn set_done(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// All is done.
    pub(super) fn settle(&self) {
        self.settled.send_replace(true);
    }

    /// True when all is done.
    pub(super) fn is_settled(&self) -> bool {
        *self.settled.borrow()
    }

    /// Returns when all is done.
    pub(super) async fn settled(&self) {
        // The sender is here, so there is no error.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    /// The archive's file has `total` bytes.
    pub(super) fn set_total(&self, total: Option<u64>) {
        self.total.store(total.unwrap_or(0), Ordering::Relaxed);
    }
}

impl Archive {
    /// Accounts for the names.
    pub(super) fn charge(&self) {
        self.share.charge(self.growing.memory_bytes());
    }

    /// How far its pass is.
    pub(super) fn progress(&self) -> Progress {
        let total = Some(self.passing.total.load(Ordering::Relaxed)).filter(|total| *total > 0);
        Progress {
            path: self.path.clone(),
            done: self.passing.done.load(Ordering::Relaxed),
            total,
            names: self.growing.read(|catalog| catalog.len() as u64),
        }
    }
}
