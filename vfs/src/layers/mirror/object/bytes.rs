//! An object's bytes on the disk: opened, read, and seen to fit their sums.

use bytes::Bytes;

use super::{Object, State, is_resumable};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::layers::mirror::store::{BLOCK_BYTES, Data};
use crate::path::VPath;
use crate::producer::FileSpan;
use crate::residency;

impl Object {
    /// Its bytes on the disk, made where there are none.
    pub(in crate::layers::mirror) async fn data(&self) -> Result<&Data> {
        let generation = self.generation();
        self.data.get_or_try_init(|| self.store.create_data(self.key, generation)).await
    }

    /// Forgets blocks that its file does not reach: somebody has cut it. False where no more of this version can be had.
    pub(in crate::layers::mirror) fn is_intact(&self) -> bool {
        let Some(data) = self.data.get() else { return true };
        // What cannot be looked at cannot be read either.
        let len = data.len().unwrap_or(0);
        let mut state = self.state();
        if state.record.blocks.cut_to(len) {
            tracing::warn!(path = %state.record.path, "a file of the cache was cut: what is missing is fetched anew");
            // Nor does anybody go by how far a run has come.
            state.runs.retain(|run| run.reached() <= len);
            state.damage();
        }
        state.lost.is_none()
    }

    /// Reads what [`Object::locate`] found present.
    pub(in crate::layers::mirror) async fn read_present(&self, offset: u64, len: usize) -> Result<Bytes> {
        let data = self.data().await?.file();
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
        let span = FileSpan::new(self.data().await?.file().clone(), start, end - start);
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
            state.damage();
            tracing::warn!(path = %state.record.path, block = index, "a block of the cache is damaged: it is fetched anew");
        }
        let is_sure = state.unchecked.is_empty();
        if is_sure {
            state.record.run = self.store.run();
        }
        is_sure
    }
}

impl State {
    /// Notes that bytes are gone that were there. They can be fetched again where their version can be named; of another
    /// version not even the rest is to be had, since nothing says that what the source has now goes with it.
    fn damage(&mut self) {
        if !is_resumable(&self.record) {
            let detail =
                "what is kept of it is damaged, and the source does not name its version: open it anew";
            let error = Error::new(ErrorKind::Changed, "read_at", &self.record.path);
            self.lost.get_or_insert_with(|| error.with_detail(detail).with_retry(Retry::Now));
        }
    }
}
