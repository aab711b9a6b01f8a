//! A folder to test with.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tempfile::TempDir;

use super::lookup::Root;
use super::{Links, LocalFs};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::{File, FileSystem};
use crate::options::OpenOptions;
use crate::path::VPath;

/// A folder `inside` of a folder of its own, so that a test has an outside to look at.
pub(super) struct Scene {
    folder: TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inside")).unwrap();
        Self { folder }
    }

    /// The host's path of `name` in the tree.
    pub(super) fn inside(&self, name: &str) -> PathBuf {
        self.folder.path().join("inside").join(name)
    }

    /// The host's path of `name` beside the tree.
    pub(super) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.inside(name), content).unwrap();
    }

    pub(super) fn link(&self, name: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.inside(name)).unwrap();
    }

    pub(super) fn tree(&self, links: Links) -> LocalFs {
        let folder = self.inside("");
        LocalFs::of(Root::open(&folder, links).unwrap(), true, &folder)
    }

    /// The tree as a kernel without openat2 would have it.
    pub(super) fn walking(&self, links: Links) -> LocalFs {
        let folder = self.inside("");
        LocalFs::of(Root::open(&folder, links).unwrap().walking(), true, &folder)
    }

    /// The tree through both doors.
    pub(super) fn doors(&self, links: Links) -> [LocalFs; 2] {
        [self.tree(links), self.walking(links)]
    }

    /// The names that the host sees in the tree.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.inside("")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// A writable tree over an open folder.
pub(super) fn tree_of(folder: OwnedFd) -> LocalFs {
    LocalFs::of(Root::of(folder, Links::Beneath).unwrap(), true, Path::new("."))
}

pub(super) fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// What went wrong; for results whose good side has no `Debug`.
pub(super) fn failure<T>(result: Result<T>) -> Error {
    result.err().expect("it succeeded")
}

pub(super) fn kind<T>(result: Result<T>) -> ErrorKind {
    failure(result).kind()
}

pub(super) async fn read(tree: &LocalFs, text: &str) -> Result<Bytes> {
    read_all(&tree.open(&path(text), &OpenOptions::reading()).await?).await
}

pub(super) async fn read_all(file: &Arc<dyn File>) -> Result<Bytes> {
    let mut content = Vec::new();
    loop {
        let piece = file.read_at(content.len() as u64, usize::MAX).await?;
        if piece.is_empty() {
            return Ok(content.into());
        }
        content.extend_from_slice(&piece);
    }
}

/// What `future` gives on its first poll, while the only thread of the pool is busy: nothing where it needs a job.
pub(super) fn on_the_spot<T>(future: impl Future<Output = T>) -> Option<T> {
    let (release, hang) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let busy = tokio::task::spawn_blocking(move || hang.recv().is_err());
        let mut future = std::pin::pin!(future);
        let first = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        drop(release);
        assert!(busy.await.unwrap());
        match first {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    })
}
