//! Which tree the free functions ask: the one that [`with`] lays over the running task, else the process's default, else
//! the host's own.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::Fs;
use crate::backends::local::{Links, LocalFs, LocalOptions};
use crate::file_system::FileSystem;

static DEFAULT: ArcSwapOption<Fs> = ArcSwapOption::const_empty();

tokio::task_local! {
    static SCOPED: Fs;
}

/// Makes `tree` the process's default, for the free functions here and in [`blocking`](crate::blocking), and gives back
/// the one before. Default: the host's tree ([`host`]). Its paths are held for the host's: relative ones start in the process's current folder.
///
/// Calls under way and open files go on with the tree that they began with.
pub fn set_default(tree: Arc<dyn FileSystem>) -> Option<Arc<dyn FileSystem>> {
    let before = DEFAULT.swap(Some(Arc::new(Fs::of_process(tree))));
    before.map(|fs| Arc::clone(fs.tree()))
}

/// Runs `future` with `tree` in the place of the default. Tasks that it spawns do not inherit it.
///
/// A bare tree starts relative paths at `/`; an [`Fs`] where it says.
pub async fn with<F: Future>(tree: impl Into<Fs>, future: F) -> F::Output {
    SCOPED.scope(tree.into(), future).await
}

/// Runs `work` on this thread with `tree` in the place of the default; see [`with`].
pub(crate) fn with_blocking<T>(tree: impl Into<Fs>, work: impl FnOnce() -> T) -> T {
    SCOPED.sync_scope(tree.into(), work)
}

/// The functions over the tree that is to be asked now.
pub(super) fn current() -> io::Result<Fs> {
    if let Ok(fs) = SCOPED.try_with(Fs::clone) {
        return Ok(fs);
    }
    if let Some(fs) = DEFAULT.load().as_deref() {
        return Ok(fs.clone());
    }
    let host = Arc::new(Fs::of_process(host()?));
    // Whoever sets a default meanwhile is not undone.
    let found = DEFAULT.compare_and_swap(std::ptr::null(), Some(Arc::clone(&host)));
    Ok(found.as_deref().unwrap_or(&host).clone())
}

/// The host's own tree, changes included: what the free functions ask where no default was set, as `std::fs` does. Mount
/// it at `/` of a [`Vfs`](crate::Vfs) to lay other trees over it.
///
/// # Errors
/// What the system says to opening `/`.
pub fn host() -> io::Result<Arc<dyn FileSystem>> {
    let options = LocalOptions { writable: true, links: Links::ReRooted };
    Ok(Arc::new(LocalFs::open_with("/", &options)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;
    use crate::fs::testing::tree;

    // One test, because the default belongs to the whole process.
    #[tokio::test]
    async fn the_scoped_tree_comes_before_the_default() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "on the host").await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"on the host");

        let (first, second) = (tree(), tree());
        assert!(set_default(Arc::clone(&first)).is_some());
        fs::write("/a", "first").await.unwrap();
        with(Arc::clone(&second), async {
            assert!(!fs::exists("/a").await.unwrap());
            fs::write("a", "second").await.unwrap();
        })
        .await;
        assert_eq!(fs::read("/a").await.unwrap(), b"first");

        let before = set_default(second).unwrap();
        assert!(Arc::ptr_eq(&before, &first));
        assert_eq!(fs::read("/a").await.unwrap(), b"second");
        DEFAULT.store(None);
    }
}
