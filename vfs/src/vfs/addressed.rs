//! Open files, listings and producers whose errors name the path that their user asked for.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::file_system::{DirStream, File, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::{ByteRange, Lock, LockWait, SetAttributes};
use crate::path::VPath;
use crate::producer::{Producer, ProducerExt};

/// `file`, whose errors are on `path`.
pub(super) fn file(inner: Arc<dyn File>, path: VPath) -> Arc<dyn File> {
    Arc::new(AddressedFile { inner, path })
}

/// `listing`, whose errors are on `path`.
pub(super) fn listing(inner: DirStream, path: VPath) -> DirStream {
    inner.map(move |batch| batch.map_err(|error| error.readdressed(|_| path.clone())))
}

/// A source does not know under which path its file was opened, so its errors bear the root's or their own.
#[derive(Debug)]
struct AddressedFile {
    inner: Arc<dyn File>,
    path: VPath,
}

impl AddressedFile {
    fn address(&self) -> impl FnOnce(Error) -> Error + '_ {
        |error| error.readdressed(|_| self.path.clone())
    }
}

#[async_trait]
impl File for AddressedFile {
    async fn metadata(&self) -> Result<Metadata> {
        self.inner.metadata().await.map_err(self.address())
    }

    fn identity(&self) -> Option<Identity> {
        self.inner.identity()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.inner.read_at(offset, max).await.map_err(self.address())
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.inner.write_at(offset, data).await.map_err(self.address())
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        self.inner.set_len(len).await.map_err(self.address())
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        self.inner.set_attributes(attributes).await.map_err(self.address())
    }

    async fn sync(&self, data_only: bool) -> Result<()> {
        self.inner.sync(data_only).await.map_err(self.address())
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        self.inner.lock(lock, wait).await.map_err(self.address())
    }

    async fn finish(&self) -> Result<()> {
        self.inner.finish().await.map_err(self.address())
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        let inner = Arc::clone(&self.inner).native(range)?;
        let path = self.path.clone();
        Some(Box::new(inner.map_err(move |error| error.readdressed(|_| path.clone()))))
    }

    fn seek_cost(&self) -> SeekCost {
        self.inner.seek_cost()
    }
}
