//! [`Progress`]: how far first passes are, for logs, status pages and whoever builds an index ahead.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use super::fs::{Archive, Contents};
use super::growing::Stage;
use super::service::ArchiveService;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::jobs::PIECE_BYTES;
use crate::path::{Scheme, VPath};

/// How often a caller that waits for a pass is told how far it is.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// A pass with so much of the archive's file before it is about to end: some 20 ms of gzip.
const SOON_BYTES: u64 = 4 << 20;

/// How long it is waited for.
const SOON: Duration = Duration::from_millis(500);

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
    /// What is odd about an archive that is whole, once it was read through: bytes behind its end, for one.
    pub remark: Option<String>,
    /// Where its index lies, once there is one.
    pub index: Option<PathBuf>,
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
        archive.check(&mut report).await.map_err(|error| error.readdressed(|_| path.clone()))?;
        let progress = archive.progress();
        report(&progress);
        let outcome = match archive.growing.stage() {
            Stage::Broken(error) => Err(error),
            // The names of a bare file are whole in any case; its content need not be.
            Stage::Running | Stage::Stalled(_) | Stage::Whole => archive.passing.outcome(),
        };
        outcome.map(|()| progress).map_err(|error| error.readdressed(|_| path.clone()))
    }
}

/// The numbers that a pass moves on.
#[derive(Debug, Default)]
pub(super) struct Passing {
    done: AtomicU64,
    /// 0: not known.
    total: AtomicU64,
    /// What the pass said at its end.
    verdict: watch::Sender<Option<Verdict>>,
    /// Where the index lies.
    index: OnceLock<PathBuf>,
    /// True once the pass is over, and what it leaves behind is written.
    settled: watch::Sender<bool>,
}

/// What a pass has to say of an archive.
#[derive(Clone, Debug)]
struct Verdict {
    outcome: Result<()>,
    /// From where on a checksum speaks against the content.
    doubt: Option<u64>,
    remark: Option<String>,
}

impl Passing {
    /// `done` bytes of the archive's file are gone through.
    pub(super) fn set_done(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// The pass is through, or broke off; from `doubt` on a checksum speaks against the content.
    pub(super) fn judge(&self, outcome: Result<()>, doubt: Option<u64>, remark: Option<String>) {
        self.verdict.send_replace(Some(Verdict { outcome, doubt, remark }));
    }

    /// There is an index, at `path`.
    pub(super) fn keep(&self, path: PathBuf) {
        // The first one stays where it is; later ones have the same name.
        let _ = self.index.set(path);
    }

    /// How the pass ended; well as long as it has not.
    fn outcome(&self) -> Result<()> {
        self.verdict.borrow().as_ref().map_or(Ok(()), |verdict| verdict.outcome.clone())
    }

    /// What the pass says; it is waited for where it is about to end.
    async fn verdict_soon(&self) -> Option<Verdict> {
        let left = self.total.load(Ordering::Relaxed).saturating_sub(self.done.load(Ordering::Relaxed));
        if left <= SOON_BYTES && !self.is_settled() {
            let mut verdict = self.verdict.subscribe();
            drop(tokio::time::timeout(SOON, verdict.wait_for(Option::is_some)).await);
        }
        self.verdict.borrow().clone()
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
    /// Reads a bare file through that needed no pass, because its table of contents told all but whether it is damaged.
    async fn check(&self, report: &mut (impl FnMut(&Progress) + Send)) -> Result<()> {
        let (Contents::Bare(bare), None) = (&self.content, self.passing.verdict.borrow().clone()) else {
            return Ok(());
        };
        let mut offset = 0;
        loop {
            let bytes = bare.source.read_at(offset, PIECE_BYTES).await?;
            if bytes.is_empty() {
                return Ok(());
            }
            offset += bytes.len() as u64;
            report(&Progress { done: offset, total: bare.len(), ..self.progress() });
        }
    }

    /// What speaks against the content before `end`, as far as it is known. A pass that is about to end is waited for, so
    /// that of a small archive all is known.
    pub(super) async fn doubt(&self, end: u64) -> Option<Error> {
        // Only checksums behind the content come too late.
        self.decoded.as_ref()?;
        let Verdict { outcome, doubt, remark: _ } = self.passing.verdict_soon().await?;
        doubt.filter(|from| *from < end)?;
        let what = outcome.err()?;
        let detail = format!(
            "it lies where the archive is damaged, and may be wrong: {}",
            what.detail().unwrap_or("its checksum does not fit")
        );
        Some(Error::new(ErrorKind::Corrupt, "read_at", &VPath::root()).with_detail(detail))
    }

    /// Accounts for the names.
    pub(super) fn charge(&self) {
        let members = match &self.content {
            Contents::Zipped(zipped) => zipped.memory_bytes(),
            Contents::Pieces(_) | Contents::Bare(_) => 0,
        };
        self.share.charge(self.growing.memory_bytes() + members);
    }

    /// How far its pass is.
    pub(super) fn progress(&self) -> Progress {
        let total = Some(self.passing.total.load(Ordering::Relaxed)).filter(|total| *total > 0);
        Progress {
            path: self.path.clone(),
            done: self.passing.done.load(Ordering::Relaxed),
            total,
            names: self.growing.read(|catalog| catalog.len() as u64),
            remark: self.passing.verdict.borrow().as_ref().and_then(|verdict| verdict.remark.clone()),
            index: self.passing.index.get().cloned(),
        }
    }
}
