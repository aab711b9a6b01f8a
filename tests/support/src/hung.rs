//! A tree that never answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use vfs::{
    Capabilities, DirStream, File, FileSystem, ListOptions, Metadata, OpenOptions, Result, StatOptions, VPath,
};

/// Every call on it waits for ever; it counts them.
#[derive(Debug, Default)]
pub struct Hung {
    calls: AtomicUsize,
}

impl Hung {
    /// How many calls are, or were, waiting.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn wait<T>(&self) -> Result<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }
}

#[async_trait]
impl FileSystem for Hung {
    fn capabilities(&self, _path: &VPath) -> Capabilities {
        Capabilities::default()
    }

    async fn metadata(&self, _path: &VPath, _options: &StatOptions) -> Result<Metadata> {
        self.wait().await
    }

    async fn read_dir(&self, _path: &VPath, _options: &ListOptions) -> Result<DirStream> {
        self.wait().await
    }

    async fn open(&self, _path: &VPath, _options: &OpenOptions) -> Result<Arc<dyn File>> {
        self.wait().await
    }
}
