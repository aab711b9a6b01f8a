//! [`Subtree`]: a folder of a tree as a tree of its own.

use std::sync::Arc;

use async_trait::async_trait;

use super::addressed;
use crate::error::{Error, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::Metadata;
use crate::options::{LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, StatOptions};
use crate::path::VPath;

/// Shows `root` of `inner` as `/`. Paths have no `..`, so nothing above is reached, and errors do not name it.
#[derive(Debug)]
pub(super) struct Subtree {
    inner: Arc<dyn FileSystem>,
    root: VPath,
}

impl Subtree {
    pub(super) fn new(inner: Arc<dyn FileSystem>, root: VPath) -> Self {
        Self { inner, root }
    }

    fn outer(&self, path: &VPath) -> VPath {
        self.root.append(path)
    }

    fn address(&self) -> impl FnOnce(Error) -> Error + '_ {
        |error| error.readdressed(|path| path.strip_prefix(&self.root).unwrap_or_default())
    }
}

#[async_trait]
impl FileSystem for Subtree {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.inner.capabilities(&self.outer(path))
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        self.inner.metadata(&self.outer(path), options).await.map_err(self.address())
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        let listing = self.inner.read_dir(&self.outer(path), options).await.map_err(self.address())?;
        Ok(addressed::listing(listing, path.clone()))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        let file = self.inner.open(&self.outer(path), options).await.map_err(self.address())?;
        Ok(addressed::file(file, path.clone()))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        self.inner.create_dir(&self.outer(path)).await.map_err(self.address())
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        self.inner.remove_file(&self.outer(path)).await.map_err(self.address())
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        self.inner.remove_dir(&self.outer(path)).await.map_err(self.address())
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        self.inner.rename(&self.outer(from), &self.outer(to), options).await.map_err(self.address())
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        self.inner.symlink(target, &self.outer(path)).await.map_err(self.address())
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        self.inner.hard_link(&self.outer(original), &self.outer(link)).await.map_err(self.address())
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.inner.read_link(&self.outer(path)).await.map_err(self.address())
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        let outer = self.outer(path);
        self.inner.set_attributes(&outer, attributes, follow).await.map_err(self.address())
    }
}
