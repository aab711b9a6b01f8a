//! The namespace: [`Vfs`] puts many trees into one, leads into archives, and is a tree itself.
//!
//! `table` knows what is mounted where, `changes` makes the next one, `mount` gives a mount its layers, `resolve` finds the tree of a path, `archives`
//! keeps entered archives, `tree` answers calls, `overlay` lays mounts over listings, `addressed` brings errors to the
//! paths of the namespace, `subtree` shows a part of it.

mod addressed;
mod archives;
mod changes;
mod mount;
mod overlay;
mod resolve;
mod subtree;
mod table;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use self::archives::Archives;
pub use self::changes::Changes;
use self::mount::Mount;
pub use self::mount::{Keeping, MountId, MountInfo, MountOptions};
use self::subtree::Subtree;
use self::table::Table;
use crate::error::Result;
use crate::file_system::FileSystem;
use crate::layers::mirror::Mirror;
use crate::path::VPath;
use crate::registry::Registry;

type Mounts = Table<Arc<Mount>>;

/// Bounds of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VfsOptions {
    /// Entered archives that are kept. Default 64; the one that was not used for the longest time goes.
    pub entered_archives: usize,
    /// Archives that one path goes into at most, one inside the other. Default 4; more is `InvalidInput`.
    pub archive_depth: usize,
    /// An index that lies beside an archive, as [`index_beside`](crate::index_beside) names it, is used. For trees
    /// where only trusted people write: it says what the archive's members are called, and where they begin. Default false.
    pub indexes_beside: bool,
}

/// One tree made of many: mounts at any depth, and archives entered by the markers of a path.
///
/// # Behaviour
/// - The longest mount point that leads to a path has it. Folders that lead to mounts exist where no tree has them; they
///   take no changes.
/// - A mount point's entry in its folder's listing comes from the table and the breaker's state alone. Its metadata asks
///   the mount. A listing whose tree fails is that error; what is mounted below is reached by its address all the same.
/// - Mount points and what leads to them cannot be renamed or removed (`Busy`); `rename` and `hard_link` between mounts
///   are `CrossesDevices`. Links stay in their mount, and never enter an archive.
/// - Inside archives every change is `ReadOnly`.
/// - Mounting and unmounting happen at once and between calls: a call sees the mounts as they were when it began. Open
///   files go on after their mount has gone.
#[derive(Debug)]
pub struct Vfs {
    registry: Registry,
    options: VfsOptions,
    mounts: ArcSwap<Mounts>,
    /// Held while the table is changed; guards the number of the last mount.
    last_mount: Mutex<MountId>,
    archives: Archives,
}

impl Vfs {
    /// A namespace with nothing mounted: an empty root folder.
    pub fn new(registry: Registry) -> Arc<Self> {
        Self::with_options(registry, VfsOptions::default())
    }

    /// The same with other bounds.
    pub fn with_options(registry: Registry, options: VfsOptions) -> Arc<Self> {
        Arc::new(Self {
            registry,
            options,
            mounts: ArcSwap::from_pointee(Table::new()),
            last_mount: Mutex::new(MountId(0)),
            archives: Archives::new(options.entered_archives, options.indexes_beside),
        })
    }

    /// Mounts `tree` at `at`, over whatever folder is there or none. Asks nobody.
    ///
    /// # Errors
    /// `AlreadyExists` where something is mounted at the same path; `InvalidInput` inside an archive.
    pub fn mount(&self, at: &VPath, tree: Arc<dyn FileSystem>, options: MountOptions) -> Result<MountId> {
        self.change(|changes| changes.mount(at, tree, options))
    }

    /// Mounts the source that `url` names, by the registry.
    ///
    /// # Errors
    /// As [`Vfs::mount`] and [`Registry::connect`]. A source that is down is mounted all the same.
    /// Dropped before it ends it has mounted nothing.
    pub async fn mount_source(&self, at: &VPath, url: &str, options: MountOptions) -> Result<MountId> {
        self.change(|changes| changes.check(at))?;
        let tree = self.registry.connect(url).await.map_err(|error| error.readdressed(|_| at.clone()))?;
        let source = if options.source.is_empty() { without_password(url) } else { options.source };
        self.mount(at, tree, MountOptions { source, ..options })
    }

    /// Takes the mount at `at` away. Calls and open files go on; what is mounted below stays.
    ///
    /// # Errors
    /// `NotFound` where nothing is mounted at this path.
    pub fn unmount(&self, at: &VPath) -> Result<()> {
        self.change(|changes| changes.unmount(at))
    }

    /// Mounts and unmounts as `change` says, at once: no call sees a part of it. What `change` refuses changes nothing.
    /// Other changes wait meanwhile, so it must not make any by itself.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn change<T>(&self, change: impl FnOnce(&mut Changes) -> Result<T>) -> Result<T> {
        let mut last_mount = self.last_mount.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Changes { table: self.mounts.load_full(), last: *last_mount, gone: Vec::new() };
        let changed = change(&mut changes)?;
        *last_mount = changes.last;
        self.mounts.store(changes.table);
        drop(last_mount);
        for mount in changes.gone {
            self.archives.forget(mount);
        }
        Ok(changed)
    }

    /// Every mount, parents first. Asks none of them.
    pub fn mounts(&self) -> Vec<MountInfo> {
        self.mounts.load().mounts().into_iter().map(|mount| mount.info()).collect()
    }

    /// The mirror that `path` lies in, and the path below it; `None` where nothing is kept of it.
    pub fn mirror(&self, path: &VPath) -> Option<(Mirror, VPath)> {
        let mounts = self.mounts.load();
        let (mount, _) = mounts.find(path).mount?;
        Some((mount.mirror.clone()?, path.strip_prefix(&mount.at)?))
    }

    /// The folder `path` as a tree of its own. It is not looked at here: where it is missing, its calls say so.
    pub fn subtree(self: &Arc<Self>, path: &VPath) -> Arc<dyn FileSystem> {
        subtree(Arc::<Self>::clone(self), path)
    }
}

/// The folder `path` of any tree as a tree of its own; see [`Vfs::subtree`]. Links may lead out of it where the tree
/// lets them: put the rights layer below.
pub fn subtree(tree: Arc<dyn FileSystem>, path: &VPath) -> Arc<dyn FileSystem> {
    if path.is_root() { tree } else { Arc::new(Subtree::new(tree, path.clone())) }
}

impl Default for VfsOptions {
    fn default() -> Self {
        Self { entered_archives: 64, archive_depth: 4, indexes_beside: false }
    }
}

/// A URL as it may be shown: `ftp://user:secret@host/` is `ftp://user@host/`.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{path}")
        }
        None => url.to_owned(),
    }
}
