//! An object's bytes on the disk: opened, read, and seen to fit their sums.

use bytes::Bytes;

use super::Object;
use crate::error::{Error, Result};
use crate::layers::mirror::store::BLOCK_BYTES;
use crate::path::VPath;
use crate::producer::{FileSpan, SpanFile};
use crate::residency;

impl Object {
    /// Its bytes on the disk, made where there are none.
    pub(in crate::layers::mirror) async fn data(&self) -> Result<&SpanFile> {
        let generation = self.generation();
        self.data.get_or_try_init(|| self.store.data(self.key, generation)).await
    }

    /// Opens its bytes and forgets blocks that the file does not reach: somebody has cut it, or removed it.
    pub(in crate::layers::mirror) async fn look_at_data(&self) -> Result<()> {
        let data = self.data().await?.clone();
        let status = self.store.disk().run("metadata", move || rustix::fs::fstat(&data)).await?;
        let len = status.map_err(|errno| Error::from_io(errno.into(), "metadata", &VPath::root()))?.st_size;
        let len = u64::try_from(len).unwrap_or(0);
        let mut state = self.state();
        let blocks = &mut state.record.blocks;
        let cut: Vec<_> = blocks.indices().filter(|index| blocks.end(*index) > len).collect();
        if !cut.is_empty() {
            cut.into_iter().for_each(|index| blocks.remove(index));
            tracing::warn!(path = %state.record.path, "a file of the cache was cut: what is missing is fetched anew");
        }
        Ok(())
    }

    /// Reads what [`Object::locate`] found present.
    pub(in crate::layers::mirror) async fn read_present(&self, offset: u64, len: usize) -> Result<Bytes> {
        let data = self.data().await?;
        if let Some(bytes) = residency::read(data, offset, len).filter(|bytes| bytes.len() == len) {
            return Ok(bytes.into());
        }
        let span = FileSpan::new(data.clone(), offset, len as u64);
        let read = self.store.disk().run("read_at", move || span.read_blocking()).await?;
        read.map_err(|error| Error::from_io(error, "read_at", &VPath::root()))
    }

    /// Sees whether a block fits its sum; one that does not is missing from then on.
    pub(in crate::layers::mirror) async fn check(&self, index: u64) -> Result<()> {
        let (expected, start, end) = {
            let state = self.state();
            let blocks = &state.record.blocks;
            (blocks.sum(index), index * BLOCK_BYTES, blocks.end(index))
        };
        let span = FileSpan::new(self.data().await?.clone(), start, end - start);
        let found = self
            .store
            .disk()
            .run("read_at", move || span.read_blocking().map(|bytes| crc32fast::hash(&bytes)))
            .await?;
        let fits = found.ok().is_some_and(|found| expected == Some(found));
        let is_sure = self.checked(index, fits);
        // So that it need not be checked again by this run; where that fails it is.
        if is_sure && let Err(error) = self.save().await {
            tracing::debug!(path = %self.path(), %error, "what was checked cannot be noted");
        }
        Ok(())
    }

    /// Notes whether a block fits its sum. True where no other is to be checked.
    fn checked(&self, index: u64, fits: bool) -> bool {
        let mut state = self.state();
        state.unchecked.remove(&index);
        if !fits {
            state.record.blocks.remove(index);
            tracing::warn!(path = %state.record.path, block = index, "a block of the cache is damaged: it is fetched anew");
        }
        let is_sure = state.unchecked.is_empty();
        if is_sure {
            state.record.run = self.store.run();
        }
        is_sure
    }
}
