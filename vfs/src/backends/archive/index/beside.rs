//! Indexes beside their archives: taken into the folder of indexes, as if they had been made here.
//!
//! Another machine has other identities for the same file, so an index from there is known by the archive's length and by
//! samples of its content. It is input like any other, and its names are whatever its writer liked; so it is looked at only
//! where somebody has said that those who can write there are trusted.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use super::layout::{self, About, Parts};
use super::store::{Store, begin, failed, make, unusable};
use super::{IndexPlace, sweep};
use crate::error::Result;
use crate::file_system::File;
use crate::jobs::PIECE_BYTES;

/// Longest index that is taken: what an archive of some 30 GB takes.
const MAX_BYTES: u64 = 256 << 20;

impl Store {
    /// Takes the index `beside` of the archive in `file`, where none is there. Not where there is no folder.
    ///
    /// # Errors
    /// What is wrong with it; then it is as if it were not there.
    pub(in super::super) async fn adopt(
        self: &Arc<Self>,
        file: &Arc<dyn File>,
        beside: &dyn File,
    ) -> Result<()> {
        if self.options().place == IndexPlace::Memory {
            return Ok(());
        }
        let bytes = read(beside).await?;
        let parts = Parts::of(&bytes).ok_or_else(|| unusable("it is damaged, or of another version"))?;
        let about =
            layout::read_about(parts.about()).ok_or_else(|| unusable("its description makes no sense"))?;
        let Some(keeping) = self.keeping(about.format.clone(), file, 0).await else { return Ok(()) };
        let path = keeping.path("index");
        let known = path.clone();
        if self.disk().run("metadata", move || known.exists()).await? {
            return Ok(());
        }
        let Some(source) = keeping.source().of_copy(&about.source, &**file).await? else {
            return Err(unusable("it is of another archive"));
        };
        let adopted = parts.with_about(&layout::write_about(&About { source, ..about }));
        let (folder, temporary) = (keeping.folder().to_owned(), keeping.path("tmp"));
        let limit = self.options().limit;
        let write = move || -> std::io::Result<()> {
            make(&folder)?;
            let mut file = begin(&temporary)?;
            file.write_all(&adopted)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            sweep::sweep(&folder, &path, limit, std::time::SystemTime::now())
        };
        self.disk().run("write_at", write).await?.map_err(|error| failed(&error))
    }
}

async fn read(file: &dyn File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let piece = file.read_at(bytes.len() as u64, PIECE_BYTES).await?;
        if piece.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > MAX_BYTES {
            return Err(unusable("it is longer than any that is taken"));
        }
    }
}
