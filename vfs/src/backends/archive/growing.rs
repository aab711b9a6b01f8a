//! [`Growing`]: a catalog that a pass fills while others look names up in it.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use super::catalog::{Catalog, Full, NodeId};
use super::entry::Entry;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::path::VPath;

/// When somebody who was told `NotYet` should ask again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// A catalog and how far its pass is. Locks are held for a batch of entries or one walk, never while anything waits.
#[derive(Debug)]
pub(super) struct Growing {
    catalog: RwLock<Catalog>,
    stage: watch::Sender<Stage>,
    patience: Duration,
}

/// How far a pass is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// More may come.
    Running,
    /// All there is.
    Whole,
    /// It ended early: what came before is all that will come.
    Broken(Error),
}

impl Growing {
    /// An empty catalog for `limit` names; who asks for a name that has not come yet waits for `patience`.
    pub(super) fn new(limit: usize, patience: Duration) -> Self {
        Self {
            catalog: RwLock::new(Catalog::new(limit)),
            stage: watch::Sender::new(Stage::Running),
            patience,
        }
    }

    /// Adds entries and wakes who waits for them.
    pub(super) fn append(&self, entries: &[Entry]) -> Result<(), Full> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let added = entries.iter().try_for_each(|entry| catalog.add(entry));
        drop(catalog);
        self.stage.send_modify(|_| {});
        added
    }

    /// Ends the pass, well or with an error that later calls share.
    pub(super) fn end(&self, outcome: Result<()>) {
        self.stage.send_replace(match outcome {
            Ok(()) => Stage::Whole,
            Err(error) => Stage::Broken(error),
        });
    }

    /// True while entries may come.
    pub(super) fn is_running(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Running)
    }

    /// How far the pass is, and word when that changes.
    pub(super) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Looks at the catalog as it is now.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Finds `path`. What is not there waits for the pass to come by.
    ///
    /// # Errors
    /// `NotYet` where it has not come in time, `NotFound` once the pass is through. Where the pass broke off, nobody can
    /// say whether a missing path lies behind: then the error is the pass's.
    pub(super) async fn resolve(&self, op: &'static str, path: &VPath, follow: bool) -> Result<NodeId> {
        let waiting = tokio::time::timeout(self.patience, self.resolve_in_the_end(op, path, follow));
        waiting.await.unwrap_or_else(|_| {
            let detail = "the archive is being read for the first time, and has not come to it";
            Err(Error::new(ErrorKind::NotYet, op, path)
                .with_detail(detail)
                .with_retry(Retry::After(ASK_AGAIN)))
        })
    }

    async fn resolve_in_the_end(&self, op: &'static str, path: &VPath, follow: bool) -> Result<NodeId> {
        let mut stage = self.stage.subscribe();
        loop {
            // First the stage: what comes after that is seen as a change.
            let now = stage.borrow_and_update().clone();
            let kind = match self.read(|catalog| catalog.resolve(path, follow)) {
                Ok(id) => return Ok(id),
                Err(kind) => kind,
            };
            match (kind, now) {
                (ErrorKind::NotFound, Stage::Running) => {
                    stage
                        .changed()
                        .await
                        .map_err(|gone| Error::new(ErrorKind::Internal, op, path).with_source(gone))?;
                }
                (ErrorKind::NotFound, Stage::Broken(error)) => {
                    return Err(error.readdressed(|_| path.clone()));
                }
                (kind, _) => return Err(Error::new(kind, op, path)),
            }
        }
    }

    /// At most `max` children of `folder` behind `after`, waiting for the first to come; none: that was all.
    ///
    /// # Errors
    /// The pass's, where it broke off: the folder may hold more.
    pub(super) async fn children(
        &self,
        folder: NodeId,
        after: Option<NodeId>,
        max: usize,
    ) -> Result<Vec<NodeId>> {
        let mut stage = self.stage.subscribe();
        loop {
            let now = stage.borrow_and_update().clone();
            let children = self.read(|catalog| catalog.children(folder, after, max));
            match now {
                _ if !children.is_empty() => return Ok(children),
                Stage::Whole => return Ok(children),
                Stage::Broken(error) => return Err(error),
                Stage::Running => drop(stage.changed().await),
            }
        }
    }
}
