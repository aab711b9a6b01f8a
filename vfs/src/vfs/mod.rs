//! The namespace: [`Vfs`] puts many trees into one, leads into archives, and is a tree itself.
//!
//! `table` knows what is mounted where, `mount` gives a mount its layers, `resolve` finds the tree of a path, `archives`
//! keeps entered archives, `overlay` lays mounts over listings, `addressed` brings errors to the paths of the namespace.

mod addressed;
mod archives;
mod mount;
mod overlay;
mod resolve;
mod subtree;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;

use self::archives::Archives;
use self::mount::Mount;
pub use self::mount::{MountId, MountInfo, MountOptions};
use self::overlay::Overlay;
use self::resolve::{Place, read_only_folder};
use self::subtree::Subtree;
use self::table::Table;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::{FileType, Metadata};
use crate::options::{
    Freshness, LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions,
};
use crate::path::VPath;
use crate::registry::Registry;

type Mounts = Table<Arc<Mount>>;

/// Bounds of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VfsOptions {
    /// Entered archives that are kept. Default 64; the one that was not used for the longest time goes.
    pub entered_archives: usize,
    /// Archives that one path goes into at most, one inside the other. Default 4; more is `LimitExceeded`.
    pub archive_depth: usize,
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
    last_mount: Mutex<u64>,
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
            last_mount: Mutex::new(0),
            archives: Archives::new(options.entered_archives),
        })
    }

    /// Mounts `tree` at `at`, over whatever folder is there or none. Asks nobody.
    ///
    /// # Errors
    /// `AlreadyExists` where something is mounted at the same path; `InvalidInput` inside an archive.
    pub fn mount(&self, at: &VPath, tree: Arc<dyn FileSystem>, options: MountOptions) -> Result<MountId> {
        let mut last_mount = self.check_mount(at)?;
        let id = MountId(*last_mount + 1);
        let mount = Arc::new(Mount::new(id, at, tree, options));
        let table = self.mounts.load().with(at, mount).ok_or_else(|| taken(at))?;
        *last_mount = id.0;
        self.mounts.store(Arc::new(table));
        Ok(id)
    }

    /// Mounts the source that `url` names, by the registry.
    ///
    /// # Errors
    /// As [`Vfs::mount`] and [`Registry::connect`]. A source that is down is mounted all the same.
    pub async fn mount_source(&self, at: &VPath, url: &str, options: MountOptions) -> Result<MountId> {
        drop(self.check_mount(at)?);
        let tree = self.registry.connect(url).await.map_err(|error| error.readdressed(|_| at.clone()))?;
        let source = if options.source.is_empty() { without_password(url) } else { options.source };
        self.mount(at, tree, MountOptions { source, ..options })
    }

    /// Takes the mount at `at` away. Calls and open files go on; what is mounted below stays.
    ///
    /// # Errors
    /// `NotFound` where nothing is mounted at this path.
    pub fn unmount(&self, at: &VPath) -> Result<()> {
        let editing = self.editing();
        let plain = (at.archive_depth() == 0).then(|| self.mounts.load().without(at)).flatten();
        let Some((table, mount)) = plain else {
            let detail = "nothing is mounted here";
            return Err(Error::new(ErrorKind::NotFound, "unmount", at).with_detail(detail));
        };
        self.mounts.store(Arc::new(table));
        drop(editing);
        self.archives.forget(mount.id);
        Ok(())
    }

    /// Every mount, parents first. Asks none of them.
    pub fn mounts(&self) -> Vec<MountInfo> {
        self.mounts.load().mounts().into_iter().map(|mount| mount.info()).collect()
    }

    /// The folder `path` as a tree of its own. It is not looked at here: where it is missing, its calls say so.
    pub fn subtree(self: &Arc<Self>, path: &VPath) -> Arc<dyn FileSystem> {
        let tree: Arc<dyn FileSystem> = Arc::<Self>::clone(self);
        if path.is_root() { tree } else { Arc::new(Subtree::new(tree, path.clone())) }
    }

    /// Refuses what can be refused before a source is connected.
    fn check_mount(&self, at: &VPath) -> Result<MutexGuard<'_, u64>> {
        if at.archive_depth() > 0 {
            let detail = "nothing can be mounted inside of an archive";
            return Err(Error::new(ErrorKind::InvalidInput, "mount", at).with_detail(detail));
        }
        let editing = self.editing();
        match self.mounts.load().find(at).node.and_then(table::Node::mount) {
            Some(_) => Err(taken(at)),
            None => Ok(editing),
        }
    }

    fn editing(&self) -> MutexGuard<'_, u64> {
        self.last_mount.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl FileSystem for Vfs {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        if path.archive_depth() > 0 {
            return Capabilities::default();
        }
        let mounts = self.mounts.load();
        match resolve::find(&mounts, path).target {
            Some(target) => target.tree.capabilities(&target.path),
            None => Capabilities::default(),
        }
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let mounts = self.mounts.load_full();
        let Place { target, node } = self.resolve("metadata", &mounts, path, options.freshness).await?;
        let answer = match target {
            Some(target) => {
                target.tree.metadata(&target.path, options).await.map_err(|error| target.addressed(error))
            }
            None => Err(Error::new(ErrorKind::NotFound, "metadata", path)),
        };
        // Where a mount lies below there is a folder, whatever the tree around it has there or fails with.
        let leads = node.is_some_and(|node| node.mount().is_none());
        match answer {
            Ok(metadata) if leads && !metadata.is_dir() => Ok(Metadata::new(FileType::Dir)),
            Err(error) if leads && (is_absence(&error) || is_outage(&error)) => {
                Ok(Metadata::new(FileType::Dir))
            }
            answer => answer,
        }
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let mounts = self.mounts.load_full();
        let Place { target, node } = self.resolve("read_dir", &mounts, path, options.freshness).await?;
        let overlay = node.map(|node| Overlay::of(node, options.metadata));
        let leads = node.is_some_and(|node| node.mount().is_none());
        let Some(target) = target else {
            let missing = || Error::new(ErrorKind::NotFound, "read_dir", path);
            return overlay.map(Overlay::alone).ok_or_else(missing);
        };
        match (target.tree.read_dir(&target.path, options).await, overlay) {
            (Ok(listing), None) => Ok(addressed::listing(listing, path.clone())),
            (Ok(listing), Some(overlay)) => Ok(overlay.over(addressed::listing(listing, path.clone()))),
            (Err(error), Some(overlay)) if leads && is_absence(&error) => Ok(overlay.alone()),
            (Err(error), _) => Err(target.addressed(error)),
        }
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        let mounts = self.mounts.load_full();
        let target = if options.changes() {
            self.resolve_change("open", &mounts, path, Some(ErrorKind::IsADirectory))?
        } else {
            let place = self.resolve("open", &mounts, path, options.freshness).await?;
            if place.node.is_some() {
                return Err(Error::new(ErrorKind::IsADirectory, "open", path));
            }
            place.target.ok_or_else(|| Error::new(ErrorKind::NotFound, "open", path))?
        };
        match target.tree.open(&target.path, options).await {
            Ok(file) => Ok(addressed::file(file, path.clone())),
            Err(error) if options.create || options.create_new => {
                Err(explain(target.addressed(error), &mounts, path))
            }
            Err(error) => Err(target.addressed(error)),
        }
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        let mounts = self.mounts.load_full();
        let target = self.resolve_change("create_dir", &mounts, path, Some(ErrorKind::AlreadyExists))?;
        let made = target.tree.create_dir(&target.path).await;
        made.map_err(|error| explain(target.addressed(error), &mounts, path))
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        let mounts = self.mounts.load_full();
        let target = self.resolve_change("remove_file", &mounts, path, Some(ErrorKind::IsADirectory))?;
        target.tree.remove_file(&target.path).await.map_err(|error| target.addressed(error))
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        let mounts = self.mounts.load_full();
        let target = self.resolve_change("remove_dir", &mounts, path, Some(ErrorKind::Busy))?;
        target.tree.remove_dir(&target.path).await.map_err(|error| target.addressed(error))
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        let mounts = self.mounts.load_full();
        let source = self.resolve_change("rename", &mounts, from, Some(ErrorKind::Busy))?;
        let target = self.resolve_change("rename", &mounts, to, Some(ErrorKind::Busy))?;
        if source.mount != target.mount {
            return Err(crosses("rename", from, to));
        }
        let moved = source.tree.rename(&source.path, &target.path, options).await;
        moved.map_err(|error| source.addressed(error))
    }

    async fn symlink(&self, link_target: &LinkTarget, path: &VPath) -> Result<()> {
        let mounts = self.mounts.load_full();
        let target = self.resolve_change("symlink", &mounts, path, Some(ErrorKind::AlreadyExists))?;
        let made = target.tree.symlink(link_target, &target.path).await;
        made.map_err(|error| explain(target.addressed(error), &mounts, path))
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        let mounts = self.mounts.load_full();
        let target = self.resolve_change("hard_link", &mounts, link, Some(ErrorKind::AlreadyExists))?;
        if original.archive_depth() > 0 {
            return Err(crosses("hard_link", original, link));
        }
        let source = self.resolve_change("hard_link", &mounts, original, None)?;
        if source.mount != target.mount {
            return Err(crosses("hard_link", original, link));
        }
        let linked = target.tree.hard_link(&source.path, &target.path).await;
        linked.map_err(|error| target.addressed(error))
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        let mounts = self.mounts.load_full();
        let Place { target, node } = self.resolve("read_link", &mounts, path, Freshness::Any).await?;
        if node.is_some() {
            let detail = "it is a folder, not a link";
            return Err(Error::new(ErrorKind::InvalidInput, "read_link", path).with_detail(detail));
        }
        let target = target.ok_or_else(|| Error::new(ErrorKind::NotFound, "read_link", path))?;
        target.tree.read_link(&target.path).await.map_err(|error| target.addressed(error))
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        let mounts = self.mounts.load_full();
        let target = self.resolve_change("set_attributes", &mounts, path, None)?;
        let set = target.tree.set_attributes(&target.path, attributes, follow).await;
        set.map_err(|error| target.addressed(error))
    }
}

impl Default for VfsOptions {
    fn default() -> Self {
        Self { entered_archives: 64, archive_depth: 4 }
    }
}

/// The tree says that nothing is there.
fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The tree cannot say what is there.
fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Busy)
}

/// A tree misses the parent of what is to be made; where the table has it, that is another trouble.
fn explain(error: Error, mounts: &Mounts, path: &VPath) -> Error {
    let parent = path.parent().filter(|_| is_absence(&error));
    let leads = parent.and_then(|parent| Some(mounts.find(&parent).node?.mount().is_none()));
    if leads == Some(true) { read_only_folder(error.op(), path) } else { error }
}

fn crosses(op: &'static str, from: &VPath, to: &VPath) -> Error {
    Error::new(ErrorKind::CrossesDevices, op, from)
        .with_detail(format!("{to} is another mount: copy instead"))
}

fn taken(at: &VPath) -> Error {
    let detail = "something is mounted here: unmount it first";
    Error::new(ErrorKind::AlreadyExists, "mount", at).with_detail(detail)
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
