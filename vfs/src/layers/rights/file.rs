//! Open files under rules: what is not granted is refused on the open file too.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Access;
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, SeekCost};
use crate::metadata::{Identity, Metadata};
use crate::options::{ByteRange, Lock, LockWait, SetAttributes};
use crate::path::VPath;
use crate::producer::Producer;

/// A file that may be read or changed, not both. A file that was opened for reading could else have its attributes set.
#[derive(Debug)]
pub(super) struct GuardedFile {
    inner: Arc<dyn File>,
    access: Access,
    path: VPath,
}

impl GuardedFile {
    /// `file` under `access`; as it is where nothing is refused.
    pub(super) fn guard(inner: Arc<dyn File>, access: Access, path: &VPath) -> Arc<dyn File> {
        if access.read && access.write {
            return inner;
        }
        Arc::new(Self { inner, access, path: path.clone() })
    }

    fn check(&self, op: &'static str, granted: bool) -> Result<()> {
        if granted { Ok(()) } else { Err(Error::new(ErrorKind::PermissionDenied, op, &self.path)) }
    }
}

#[async_trait]
impl File for GuardedFile {
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
        self.check("read_at", self.access.read)?;
        self.inner.read_at(offset, max).await
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        self.check("write_at", self.access.write)?;
        self.inner.write_at(offset, data).await
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        self.check("set_len", self.access.write)?;
        self.inner.set_len(len).await
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        self.check("set_attributes", self.access.write)?;
        self.inner.set_attributes(attributes).await
    }

    async fn sync(&self, data_only: bool) -> Result<()> {
        self.inner.sync(data_only).await
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        self.inner.lock(lock, wait).await
    }

    async fn finish(&self) -> Result<()> {
        self.inner.finish().await
    }

    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        if !self.access.read {
            return None;
        }
        Arc::clone(&self.inner).native(range)
    }

    fn seek_cost(&self) -> SeekCost {
        self.inner.seek_cost()
    }
}
