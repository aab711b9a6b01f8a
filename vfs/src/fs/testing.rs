//! The trees that the tests of this room work on.

use std::sync::Arc;

use crate::backends::local::{LocalFs, LocalOptions};
use crate::backends::memory::MemoryFs;
use crate::file_system::FileSystem;

/// An empty, writable tree of its own.
pub(crate) fn tree() -> Arc<dyn FileSystem> {
    Arc::new(MemoryFs::new())
}

/// A writable folder of the host, for what is compared with the standard library, and the folder's life.
pub(crate) fn local_tree() -> (tempfile::TempDir, Arc<dyn FileSystem>) {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions { writable: true, ..LocalOptions::default() };
    let tree = Arc::new(LocalFs::open_with(folder.path(), &options).unwrap());
    (folder, tree)
}
