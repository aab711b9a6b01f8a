//! [`MetaCache`]: keeps descriptions of a remote tree for a few seconds.

mod file;
mod kept;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::file::CachedFile;
use self::kept::{Found, Kept};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem};
use crate::metadata::{CacheStatus, Metadata};
use crate::options::{
    Freshness, LinkTarget, ListOptions, OpenOptions, RenameOptions, SetAttributes, Sought, StatOptions,
};
use crate::path::VPath;

/// How long and how much a [`MetaCache`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaCacheOptions {
    /// A description counts as fresh for this long. Default 5 s.
    pub fresh: Duration,
    /// "There is no such file" counts for this long. Default 1 s.
    pub missing: Duration,
    /// Entries kept; a full cache lets go of the old ones, then of any. Default 10,000.
    pub entries: usize,
}

/// Answers `metadata` from what was asked or listed a moment ago. Openings and listings always go to the inner tree.
///
/// - [`Freshness::Any`]: what is fresh is answered from here. `Revalidate` asks, and keeps the answer. `StoredOnly` asks
///   nothing: what is not kept is `Unavailable`, an opening or a listing always.
/// - Changes made through this layer are seen through it at once, those that fail or are dropped half-way included;
///   what a link leads to may be seen through the link's name as it was for as long as it counts as fresh.
/// - Several callers that miss ask several times.
#[derive(Debug)]
pub struct MetaCache {
    inner: Arc<dyn FileSystem>,
    kept: Arc<Kept>,
}

impl MetaCache {
    /// An empty cache over `inner`.
    pub fn new(inner: Arc<dyn FileSystem>, options: MetaCacheOptions) -> Self {
        Self { inner, kept: Arc::new(Kept::new(options)) }
    }

    async fn ask(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        let since = self.kept.changes();
        let mut result = self.inner.metadata(path, options).await;
        let is_no_file = options.sought == Sought::File
            && result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        // That no file is there says too little to others.
        if !is_no_file {
            self.kept.keep(since, path, options.follow, &result);
        }
        if let Ok(metadata) = &mut result
            && metadata.provenance.cache == CacheStatus::None
        {
            metadata.provenance.cache = CacheStatus::Miss;
        }
        result
    }
}

#[async_trait]
impl FileSystem for MetaCache {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.inner.capabilities(path)
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        if options.room && options.freshness != Freshness::StoredOnly {
            // How much room there is changes with others' doings: it is never kept.
            return self.inner.metadata(path, options).await;
        }
        let stored = match options.freshness {
            Freshness::Any => self.kept.find(path, options.follow).filter(|found| found.fresh),
            Freshness::Revalidate => None,
            Freshness::StoredOnly => {
                return self
                    .kept
                    .find(path, options.follow)
                    .map_or_else(|| Err(not_stored("metadata", path)), Found::into_answer);
            }
        };
        match stored {
            Some(found) => found.into_answer(),
            None => self.ask(path, options).await,
        }
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        if options.freshness == Freshness::StoredOnly {
            return Err(not_stored("read_dir", path));
        }
        let since = self.kept.changes();
        let listing = self.inner.read_dir(path, options).await?;
        if !options.metadata {
            return Ok(listing);
        }
        let (kept, folder) = (Arc::clone(&self.kept), path.clone());
        Ok(listing.map(move |batch| {
            for entry in batch.iter().flatten() {
                kept.keep_listed(since, &folder, entry);
            }
            batch
        }))
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        if options.freshness == Freshness::StoredOnly {
            return Err(not_stored("open", path));
        }
        let _change = options.changes().then(|| self.kept.change(path));
        let inner = self.inner.open(path, options).await?;
        Ok(Arc::new(CachedFile::new(inner, &self.kept, path, options.changes())))
    }

    async fn create_dir(&self, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path);
        self.inner.create_dir(path).await
    }

    async fn remove_file(&self, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path);
        self.inner.remove_file(path).await
    }

    async fn remove_dir(&self, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path).of_subtree();
        self.inner.remove_dir(path).await
    }

    async fn rename(&self, from: &VPath, to: &VPath, options: &RenameOptions) -> Result<()> {
        let _changes = (self.kept.change(from).of_subtree(), self.kept.change(to).of_subtree());
        self.inner.rename(from, to, options).await
    }

    async fn symlink(&self, target: &LinkTarget, path: &VPath) -> Result<()> {
        let _change = self.kept.change(path).of_subtree();
        self.inner.symlink(target, path).await
    }

    async fn hard_link(&self, original: &VPath, link: &VPath) -> Result<()> {
        // The original counts its names.
        let _changes = (self.kept.change(original), self.kept.change(link));
        self.inner.hard_link(original, link).await
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.inner.read_link(path).await
    }

    async fn set_attributes(&self, path: &VPath, attributes: &SetAttributes, follow: bool) -> Result<()> {
        // A folder that can no longer be entered hides what is known below it.
        let _change = self.kept.change(path).of_subtree();
        self.inner.set_attributes(path, attributes, follow).await
    }
}

fn not_stored(op: &'static str, path: &VPath) -> Error {
    Error::new(ErrorKind::Unavailable, op, path)
        .with_detail("it is not stored, and the source was not to be asked")
}

impl Default for MetaCacheOptions {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(5), missing: Duration::from_secs(1), entries: 10_000 }
    }
}
