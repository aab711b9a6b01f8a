//! [`Vfs`] as a tree: each call finds its place and asks the tree there; what only the table knows is answered from it.

use std::sync::Arc;

use async_trait::async_trait;

use super::overlay::Overlay;
use super::resolve::{self, Place, read_only_folder};
use super::{Mounts, Vfs, addressed};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::{FileType, Metadata};
use crate::options::{
    Freshness, LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions,
};
use crate::path::VPath;

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
            let taken = if options.create_new { ErrorKind::AlreadyExists } else { ErrorKind::IsADirectory };
            self.resolve_change("open", &mounts, path, Some(taken))?
        } else {
            let place = self.resolve("open", &mounts, path, options.freshness).await?;
            if place.node.is_some() && options.page.is_none() {
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
        linked.map_err(|error| explain(target.addressed(error), &mounts, original))
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
        set.map_err(|error| explain(target.addressed(error), &mounts, path))
    }
}

/// The tree says that nothing is there.
fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The tree cannot say what is there.
fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::BadAnswer | ErrorKind::TimedOut | ErrorKind::Busy
    )
}

/// A tree misses the parent of what is to be made; where the table has it, that is another trouble.
fn explain(error: Error, mounts: &Mounts, path: &VPath) -> Error {
    let leads_to_a_mount = |path: &VPath| mounts.find(path).node.is_some_and(|node| node.mount().is_none());
    let is_tables = leads_to_a_mount(path) || path.parent().is_some_and(|parent| leads_to_a_mount(&parent));
    if is_tables && is_absence(&error) { read_only_folder(error.op(), path) } else { error }
}

fn crosses(op: &'static str, from: &VPath, to: &VPath) -> Error {
    Error::new(ErrorKind::CrossesDevices, op, from)
        .with_detail(format!("{to} is another mount: copy instead"))
}
