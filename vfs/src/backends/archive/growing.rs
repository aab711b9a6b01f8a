//! [`Growing`]: a catalog that a pass fills while others look names up in it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::catalog::{Catalog, Full, Member, NodeId};
use super::entry::Entry;
use super::index::PackedNames;
use super::walk::walk;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::path::VPath;

/// When somebody who was told `NotYet` should ask again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How long a pass may take from its beginning for its members to be described only when it is through: most archives are
/// small, and what is final need not be asked about again.
const SETTLING: Duration = Duration::from_millis(20);

/// A catalog and how far its pass is. Locks are held for a batch of entries or one walk, never while anything waits.
#[derive(Debug)]
pub(super) struct Growing {
    names: RwLock<Names>,
    stage: watch::Sender<Stage>,
    patience: Duration,
    begun: Instant,
}

/// Names in one of two forms.
#[derive(Debug)]
pub(super) enum Names {
    /// As a pass gathers them. Nobody else holds it while entries are added.
    Gathered(Arc<Catalog>),
    /// As an index has them.
    Packed(PackedNames),
}

/// How far a pass is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// More may come.
    Running,
    /// More may come, but the archive's source does not answer now; it is asked again.
    Stalled(Error),
    /// All there is.
    Whole,
    /// It ended early: what came before is all that will come.
    Broken(Error),
}

impl Growing {
    /// An empty catalog for `limit` names; who asks for a name that has not come yet waits for `patience`.
    pub(super) fn new(limit: usize, patience: Duration) -> Self {
        Self {
            names: RwLock::new(Names::Gathered(Arc::new(Catalog::new(limit)))),
            stage: watch::Sender::new(Stage::Running),
            patience,
            begun: Instant::now(),
        }
    }

    /// Adds entries and wakes who waits for them.
    pub(super) fn append(&self, entries: &[Entry]) -> Result<(), Full> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let Names::Gathered(catalog) = &mut *names else { return Ok(()) };
        let catalog = Arc::get_mut(catalog).expect("it is handed out when the pass is through");
        let added = entries.iter().try_for_each(|entry| catalog.add(entry));
        drop(names);
        self.go_on();
        added
    }

    /// Takes what an index holds, before anything was added.
    pub(super) fn adopt(&self, adopted: Names) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = adopted;
        self.stage.send_modify(|_| {});
    }

    /// The catalog, once the pass is through with it.
    pub(super) fn gathered(&self) -> Option<Arc<Catalog>> {
        match &*self.names.read().unwrap_or_else(PoisonError::into_inner) {
            Names::Gathered(catalog) => Some(Arc::clone(catalog)),
            Names::Packed(_) => None,
        }
    }

    /// Says that the source does not answer: who waits for a name hears it.
    pub(super) fn stall(&self, error: Error) {
        self.stage.send_replace(Stage::Stalled(error));
    }

    /// Says that the pass goes on, and wakes who waits for what it brought.
    pub(super) fn go_on(&self) {
        self.stage.send_replace(Stage::Running);
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
        matches!(*self.stage.borrow(), Stage::Running | Stage::Stalled(_))
    }

    /// How far the pass is.
    pub(super) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Looks at the catalog as it is now.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Names) -> T) -> T {
        look(&self.names.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the names take in memory, about; packed ones are accounted for elsewhere.
    pub(super) fn memory_bytes(&self) -> usize {
        self.read(|names| match names {
            Names::Gathered(catalog) => catalog.memory_bytes(),
            Names::Packed(_) => 0,
        })
    }

    /// Waits for the end of a pass that has only just begun, a moment at most.
    pub(super) async fn settle(&self) {
        let mut stage = self.stage.subscribe();
        let ended = stage.wait_for(|stage| !matches!(stage, Stage::Running));
        drop(timeout_at(self.begun + SETTLING, ended).await);
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
                // Who has all the time waits for the last of several entries of a name.
                Ok(_) if self.patience == Duration::MAX && matches!(now, Stage::Running) => {
                    ErrorKind::NotFound
                }
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
                (ErrorKind::NotFound, Stage::Broken(error) | Stage::Stalled(error)) => {
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
            let children = self.read(|names| names.children(folder, after, max));
            let children = children.map_err(|kind| Error::new(kind, "read_dir", &VPath::root()))?;
            match now {
                _ if !children.is_empty() => return Ok(children),
                Stage::Whole => return Ok(children),
                Stage::Broken(error) | Stage::Stalled(error) => return Err(error),
                Stage::Running => drop(stage.changed().await),
            }
        }
    }
}

impl Names {
    /// Walks `path`. `NotFound`, `NotADirectory` and `Loop` are what is known so far.
    pub(super) fn resolve(&self, path: &VPath, follow: bool) -> Result<NodeId, ErrorKind> {
        match self {
            Self::Gathered(catalog) => catalog.resolve(path, follow),
            Self::Packed(packed) => walk(packed, path, follow).map(NodeId::from_number),
        }
    }

    /// The node as it stands now.
    pub(super) fn member(&self, id: NodeId) -> Member {
        match self {
            Self::Gathered(catalog) => catalog.member(id),
            Self::Packed(packed) => packed.member(id),
        }
    }

    /// The node's own name.
    pub(super) fn name(&self, id: NodeId) -> Bytes {
        match self {
            Self::Gathered(catalog) => Bytes::copy_from_slice(catalog.name(id)),
            Self::Packed(packed) => packed.name(id),
        }
    }

    /// How many entries are not shown.
    pub(super) fn hidden(&self) -> u64 {
        match self {
            Self::Gathered(catalog) => catalog.hidden(),
            Self::Packed(packed) => packed.hidden(),
        }
    }

    /// How many names there are, those of made-up folders included.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Gathered(catalog) => catalog.len(),
            Self::Packed(packed) => packed.len(),
        }
    }

    fn children(&self, folder: NodeId, after: Option<NodeId>, max: usize) -> Result<Vec<NodeId>, ErrorKind> {
        match self {
            Self::Gathered(catalog) => Ok(catalog.children(folder, after, max)),
            Self::Packed(packed) => packed.children(folder, after, max),
        }
    }
}
