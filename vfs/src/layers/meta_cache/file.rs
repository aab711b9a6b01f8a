//! Open files whose changes are noticed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::kept::{Change, Kept};
use crate::error::Result;
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::{ByteRange, Lock, LockWait, SetAttributes};
use crate::path::VPath;
use crate::producer::Producer;

/// An open file. What is known of it is forgotten with each change.
#[derive(Debug)]
pub(super) struct CachedFile {
    inner: Arc<dyn File>,
    /// Of a file that was opened for changing: its drop may publish or undo something. Dropped after `inner`.
    _last: Option<Change>,
    kept: Arc<Kept>,
    path: VPath,
}

impl CachedFile {
    pub(super) fn new(inner: Arc<dyn File>, kept: &Arc<Kept>, path: &VPath, changes: bool) -> Self {
        let last = changes.then(|| kept.change(path));
        Self { inner, _last: last, kept: Arc::clone(kept), path: path.clone() }
    }

    fn change(&self) -> Change {
        self.kept.change(&self.path)
    }
}

#[async_trait]
impl File for CachedFile {
    async fn metadata(&self) -> Result<Metadata> {
        self.inner.metadata().await
    }

    fn identity(&self) -> Option<Identity> {
        self.inner.identity()
    }

    fn opened_as(&self) -> Option<Metadata> {
        self.inner.opened_as()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.inner.read_at(offset, max).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let _change = self.change();
        self.inner.write_at(offset, data).await
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        let _change = self.change();
        self.inner.set_len(len).await
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        let _change = self.change();
        self.inner.set_attributes(attributes).await
    }

    async fn sync(&self, data_only: bool) -> Result<()> {
        self.inner.sync(data_only).await
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        self.inner.lock(lock, wait).await
    }

    async fn finish(&self) -> Result<()> {
        let _change = self.change();
        self.inner.finish().await
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        Arc::clone(&self.inner).native(range)
    }

    fn seek_cost(&self) -> SeekCost {
        self.inner.seek_cost()
    }
}
