//! [`ReadOnly`]: a tree that can be read and not changed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{Capabilities, DirStream, File, FileSystem, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::{ByteRange, LinkTarget, ListOptions, Lock, LockWait, OpenOptions, StatOptions};
use crate::path::VPath;
use crate::producer::Producer;

/// Passes reading on and answers `ReadOnly` to every change, without asking the inner tree. Open files take no changes
/// either, attributes included; advisory locks change nothing and pass.
#[derive(Debug)]
pub struct ReadOnly {
    inner: Arc<dyn FileSystem>,
}

impl ReadOnly {
    /// Takes the writing off `inner`.
    pub fn new(inner: Arc<dyn FileSystem>) -> Self {
        Self { inner }
    }
}

/// The writing half is the trait's own: it refuses.
#[async_trait]
impl FileSystem for ReadOnly {
    fn capabilities(&self, path: &VPath) -> Capabilities {
        self.inner.capabilities(path).read_only()
    }

    async fn metadata(&self, path: &VPath, options: &StatOptions) -> Result<Metadata> {
        self.inner.metadata(path, options).await
    }

    async fn read_dir(&self, path: &VPath, options: &ListOptions) -> Result<DirStream> {
        self.inner.read_dir(path, options).await
    }

    async fn open(&self, path: &VPath, options: &OpenOptions) -> Result<Arc<dyn File>> {
        options.check(path)?;
        if options.changes() {
            return Err(Error::new(ErrorKind::ReadOnly, "open", path));
        }
        Ok(Arc::new(ReadOnlyFile { inner: self.inner.open(path, options).await? }))
    }

    async fn read_link(&self, path: &VPath) -> Result<LinkTarget> {
        self.inner.read_link(path).await
    }
}

/// The changes are the trait's own here too.
#[derive(Debug)]
struct ReadOnlyFile {
    inner: Arc<dyn File>,
}

#[async_trait]
impl File for ReadOnlyFile {
    async fn metadata(&self) -> Result<Metadata> {
        self.inner.metadata().await
    }

    fn identity(&self) -> Option<Identity> {
        self.inner.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.inner.read_at(offset, max).await
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        self.inner.lock(lock, wait).await
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        Arc::clone(&self.inner).native(range)
    }

    fn seek_cost(&self) -> SeekCost {
        self.inner.seek_cost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, path};
    use crate::file_system::Writes;
    use crate::options::{RenameOptions, SetAttributes};

    #[tokio::test]
    async fn reading_passes_and_every_change_is_refused_without_asking() {
        let fake = Fake::with(&[("/d/f", "text")]);
        let tree = ReadOnly::new(fake.clone().shared());
        let file = tree.open(&path("/d/f"), &OpenOptions::reading()).await.unwrap();
        assert_eq!(file.read_at(0, 9).await.unwrap(), "text");
        assert_eq!(tree.capabilities(&path("/d")).writes, Writes::None);

        let (d, f, asked) = (path("/d"), path("/d/f"), fake.calls());
        let attributes = SetAttributes { mode: Some(0), ..SetAttributes::default() };
        for result in [
            tree.open(&f, &OpenOptions::writing()).await.map(drop),
            tree.open(&f, &OpenOptions { append: true, ..OpenOptions::reading() }).await.map(drop),
            tree.create_dir(&path("/new")).await,
            tree.remove_file(&f).await,
            tree.remove_dir(&d).await,
            tree.rename(&f, &d, &RenameOptions::default()).await,
            tree.symlink(&LinkTarget::from("x"), &path("/l")).await,
            tree.hard_link(&f, &path("/h")).await,
            tree.set_attributes(&f, &attributes, true).await,
            file.write_at(0, Bytes::from("x")).await,
            file.set_len(0).await,
            file.set_attributes(&attributes).await,
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ReadOnly);
        }
        assert_eq!(fake.calls(), asked);
    }
}
