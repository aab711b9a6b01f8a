//! Entered archives: trees made of files, kept for as long as they are in use and their file stays the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::mount::MountId;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::{File, FileSystem};
use crate::metadata::{Identity, Metadata, Validator};
use crate::options::{Freshness, Intent, OpenOptions, StatOptions};
use crate::path::{Scheme, VPath};
use crate::registry::{Registry, index_beside};

/// How often an archive whose file changes while it is being entered is looked at anew.
const ATTEMPTS: usize = 3;

/// The entered archives of a namespace, by what their file holds and not by where it lies.
///
/// - A file with an identity is entered once, whatever path leads to it. One without is known by its mount, path and
///   validator. One without either is entered anew for every call, because nobody could say when it changes.
/// - Callers that want the same archive at the same time enter it once and share the tree, or the error. Where the one
///   who enters goes away, the next one starts again.
/// - At most `limit` are kept; the one that was not used for the longest time goes. What is in use lives on.
#[derive(Debug)]
pub(super) struct Archives {
    limit: usize,
    /// Indexes beside archives are offered.
    indexes_beside: bool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entered: HashMap<Key, Slot>,
    /// Counts uses: the smallest number in a slot was used the longest time ago.
    uses: u64,
}

type Key = (Content, Scheme);

type Entering = Arc<OnceCell<Result<Arc<dyn FileSystem>>>>;

#[derive(Debug)]
struct Slot {
    tree: Entering,
    mount: MountId,
    used: u64,
}

/// Which bytes an archive is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Content {
    Identity(Identity),
    Version { mount: MountId, address: VPath, validator: Validator },
}

/// A file that is to be entered.
#[derive(Debug)]
pub(super) struct ArchiveFile<'a> {
    /// The tree that holds it.
    pub(super) tree: &'a dyn FileSystem,
    /// Its path in there.
    pub(super) path: &'a VPath,
    /// Its path in the namespace.
    pub(super) address: &'a VPath,
    /// The mount that it comes from in the end.
    pub(super) mount: MountId,
}

impl Archives {
    pub(super) fn new(limit: usize, indexes_beside: bool) -> Self {
        Self { limit, indexes_beside, kept: Mutex::default() }
    }

    /// The tree inside `file`. Errors are addressed.
    pub(super) async fn enter(
        &self,
        registry: &Registry,
        file: &ArchiveFile<'_>,
        scheme: Scheme,
        freshness: Freshness,
    ) -> Result<Arc<dyn FileSystem>> {
        let mut freshness = freshness;
        for _ in 0..ATTEMPTS {
            let Some(content) = file.content(freshness).await? else {
                let opened = file.open(freshness).await?;
                return registry.enter(scheme, opened, file.address).await;
            };
            let key = (content, scheme);
            let entering = self.slot(&key, file.mount);
            let enter = || async {
                let opened = file.open(freshness).await?;
                file.check(&key.0, &*opened).await?;
                if self.indexes_beside {
                    file.offer_index(registry, scheme, &opened).await;
                }
                registry.enter(scheme, opened, file.address).await
            };
            match entering.get_or_init(enter).await {
                Ok(tree) => return Ok(Arc::clone(tree)),
                Err(error) => {
                    self.remove(&key, &entering);
                    if error.kind() != ErrorKind::Changed {
                        // Another caller may have entered it under another path.
                        return Err(error.clone().readdressed(|_| file.address.clone()));
                    }
                }
            }
            freshness = Freshness::Revalidate;
        }
        let detail = "the archive changed each time it was entered";
        Err(Error::new(ErrorKind::Changed, "enter", file.address).with_detail(detail).with_retry(Retry::Now))
    }

    /// Lets go of what was entered through a mount that is no more.
    pub(super) fn forget(&self, mount: MountId) {
        self.kept().entered.retain(|_, slot| slot.mount != mount);
    }

    fn slot(&self, key: &Key, mount: MountId) -> Entering {
        let mut kept = self.kept();
        kept.uses += 1;
        let used = kept.uses;
        if let Some(slot) = kept.entered.get_mut(key) {
            slot.used = used;
            return Arc::clone(&slot.tree);
        }
        while kept.entered.len() >= self.limit.max(1) {
            let oldest = kept.entered.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| kept.entered.remove(&oldest));
        }
        let tree = Entering::default();
        kept.entered.insert(key.clone(), Slot { tree: Arc::clone(&tree), mount, used });
        tree
    }

    /// Removes a failed entering, unless somebody has begun another one already.
    fn remove(&self, key: &Key, failed: &Entering) {
        let mut kept = self.kept();
        if kept.entered.get(key).is_some_and(|slot| Arc::ptr_eq(&slot.tree, failed)) {
            kept.entered.remove(key);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArchiveFile<'_> {
    /// Which bytes the file holds by now, as far as its tree can say.
    async fn content(&self, freshness: Freshness) -> Result<Option<Content>> {
        let options = StatOptions { freshness, ..StatOptions::default() };
        let metadata =
            self.tree.metadata(self.path, &options).await.map_err(|error| self.addressed(error))?;
        if !metadata.is_file() {
            let detail = format!("it is a {}, no archive", metadata.file_type);
            return Err(Error::new(ErrorKind::InvalidInput, "enter", self.address).with_detail(detail));
        }
        Ok(self.content_of(metadata))
    }

    fn content_of(&self, metadata: Metadata) -> Option<Content> {
        match (metadata.identity, metadata.validator) {
            (Some(identity), _) if names_a_version(&identity) => Some(Content::Identity(identity)),
            (_, Some(validator)) => {
                let (mount, address) = (self.mount, self.address.clone());
                Some(Content::Version { mount, address, validator })
            }
            _ => None,
        }
    }

    async fn open(&self, freshness: Freshness) -> Result<Arc<dyn File>> {
        let options = OpenOptions { freshness, intent: Intent::Range, ..OpenOptions::reading() };
        let file = self.tree.open(self.path, &options).await.map_err(|error| self.addressed(error))?;
        Ok(super::addressed::file(file, self.address.clone()))
    }

    /// Offers what lies beside it, if anything does.
    async fn offer_index(&self, registry: &Registry, scheme: Scheme, opened: &Arc<dyn File>) {
        let Some(beside) = index_beside(self.path) else { return };
        let offered = match self.tree.open(&beside, &OpenOptions::reading_file()).await {
            Ok(index) => registry.offer(scheme, opened, index).await,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => Err(error),
        };
        if let Err(error) = offered {
            tracing::info!(path = %self.address, %error, "the index beside an archive is not used");
        }
    }

    /// Refuses with `Changed` where the opened file is not the one that was described. An open file that says nothing of
    /// itself is believed.
    async fn check(&self, described: &Content, file: &dyn File) -> Result<()> {
        let same = match described {
            Content::Identity(identity) => file.identity().is_none_or(|opened| opened == *identity),
            Content::Version { validator, .. } => {
                file.metadata().await?.validator.is_none_or(|opened| opened == *validator)
            }
        };
        if same { Ok(()) } else { Err(Error::new(ErrorKind::Changed, "enter", self.address)) }
    }

    fn addressed(&self, error: Error) -> Error {
        error.readdressed(|_| self.address.clone())
    }
}

/// An identity without a version is the same before and after a change.
fn names_a_version(identity: &Identity) -> bool {
    match identity {
        Identity::Source { validator, .. } => validator.is_some(),
        Identity::Member { outer, .. } => names_a_version(outer),
    }
}
