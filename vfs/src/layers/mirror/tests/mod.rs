//! A mirror over a source that counts, changes and breaks off.

mod apt;
mod bounds;
mod folder;
mod keeping;
mod origin;
mod reading;
mod sharing;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tempfile::TempDir;

use self::origin::{Counts, Origin, content};
use super::store::BLOCK_BYTES;
use super::*;
use crate::fake::path;
use crate::options::ByteRange;
use crate::producer::{self, Chunk, ProducerExt};

struct Scene {
    origin: Origin,
    mirror: Mirror,
    folder: TempDir,
}

async fn scene() -> Scene {
    with_options(MirrorOptions::default(), StoreOptions::default()).await
}

async fn with_options(options: MirrorOptions, store: StoreOptions) -> Scene {
    let (origin, folder) = (Origin::new(), tempfile::tempdir().unwrap());
    let mirror = mirror_in(folder.path(), &origin, options, store).await;
    Scene { origin, mirror, folder }
}

async fn mirror_in(folder: &Path, origin: &Origin, options: MirrorOptions, store: StoreOptions) -> Mirror {
    let store = Store::open(folder, store).await.unwrap();
    Mirror::new(Arc::new(origin.clone()), "test:", store, options)
}

impl Scene {
    /// The source and the folder, when the mirror has ended and what it did in the folder is done.
    async fn ended(self) -> (Origin, TempDir) {
        let Self { origin, mirror, folder } = self;
        drop(mirror);
        let lock = std::fs::File::open(folder.path().join("v1/lock")).unwrap();
        while lock.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (origin, folder)
    }

    /// The next run of the program, on the same folder.
    async fn restarted(self, options: MirrorOptions) -> Self {
        let (origin, folder) = self.ended().await;
        let mirror = mirror_in(folder.path(), &origin, options, StoreOptions::default()).await;
        Self { origin, mirror, folder }
    }

    async fn open(&self, at: &str) -> Result<Arc<dyn File>> {
        self.mirror.open(&path(at), &OpenOptions::reading()).await
    }

    async fn open_for(&self, at: &str, intent: Intent) -> Result<Arc<dyn File>> {
        self.mirror.open(&path(at), &OpenOptions { intent, ..OpenOptions::reading() }).await
    }

    async fn read(&self, at: &str) -> Result<Bytes> {
        pull(self.open(at).await?, ByteRange::whole()).await
    }

    async fn names(&self, at: &str) -> Result<Vec<Bytes>> {
        let listing = self.mirror.read_dir(&path(at), &ListOptions::default()).await?;
        Ok(listing.collect(1000).await?.into_iter().map(|entry| entry.name).collect())
    }
}

fn data_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let folders = std::fs::read_dir(folder.join("v1/o")).unwrap();
    folders
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "data"))
        .collect()
}

/// All bytes of a range, or the error that came instead of an end.
async fn pull(file: Arc<dyn File>, range: ByteRange) -> Result<Bytes> {
    let mut producer = producer::of(file, range).lower(&crate::jobs::Disk::new());
    let mut all = BytesMut::new();
    while let Some(chunk) = std::future::poll_fn(|cx| producer::Producer::poll_more(&mut producer, cx)).await
    {
        match chunk? {
            Chunk::Bytes(bytes) => all.extend_from_slice(&bytes),
            Chunk::Span(_) => panic!("it was lowered"),
        }
    }
    Ok(all.freeze())
}

fn fresh_for(secs: u64) -> crate::metadata::Caching {
    crate::metadata::Caching {
        storable: true,
        fresh_for: Some(Duration::from_secs(secs)),
        must_revalidate: false,
    }
}
