//! [`vfs::fs`](crate::fs) without `.await`: the names of `std::fs` for threads that may wait.
//!
//! Every call waits for its asynchronous twin, whose page says what it does and how it fails. The work runs on the
//! calling thread, with two more for what it sets off in the background; these start with the first call.
//! The default tree is that of [`fs`](crate::fs): [`set_default`] sets both, [`with`] lays one over it for a thread.
//!
//! # Panics
//! In a task of an asynchronous runtime every call panics, since waiting there would stop other tasks: use
//! [`vfs::fs`](crate::fs), or `tokio::task::spawn_blocking`, in which it may be called.

mod dir;
mod file;
mod open_options;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use tokio::runtime::{Builder, Runtime};

pub use self::dir::{DirBuilder, DirEntry, ReadDir};
pub use self::file::File;
pub use self::open_options::OpenOptions;
use crate::file_system::FileSystem;
use crate::fs::for_each_function;
pub use crate::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError, set_default};
use crate::path::VPath;

/// Threads for what calls set off in the background.
const WORKER_THREADS: usize = 2;

static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("vfs-blocking")
        .enable_all()
        .build()
});

/// Waits for `work`, which this thread drives.
fn wait<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match &*RUNTIME {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            Err(io::Error::new(error.kind(), format!("vfs::blocking could not start its threads: {error}")))
        }
    }
}

/// Runs `work` with `tree` in the place of the default, on this thread; see [`fs::with`](crate::fs::with).
pub fn with<T>(tree: impl Into<Fs>, work: impl FnOnce() -> T) -> T {
    crate::fs::with_blocking(tree.into().0, work)
}

/// The functions over one tree; see [`fs::Fs`](crate::fs::Fs).
#[derive(Clone, Debug)]
pub struct Fs(crate::fs::Fs);

impl Fs {
    /// The functions over `tree`.
    pub fn new(tree: Arc<dyn FileSystem>) -> Self {
        Self(crate::fs::Fs::new(tree))
    }

    /// The same tree, relative paths starting at `path`.
    ///
    /// # Errors
    /// As [`Fs::locate`].
    pub fn with_current_dir(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        self.0.with_current_dir(path).map(Self)
    }

    /// The tree.
    pub fn tree(&self) -> &Arc<dyn FileSystem> {
        self.0.tree()
    }

    /// Where relative paths start.
    ///
    /// # Errors
    /// As [`fs::Fs::current_dir`](crate::fs::Fs::current_dir).
    pub fn current_dir(&self) -> io::Result<VPath> {
        self.0.current_dir()
    }

    /// The address that a path's text means here.
    ///
    /// # Errors
    /// As [`fs::Fs::locate`](crate::fs::Fs::locate).
    pub fn locate(&self, path: impl AsRef<Path>) -> io::Result<VPath> {
        self.0.locate(path)
    }

    /// Opens a file for reading; see [`fs::Fs::open`](crate::fs::Fs::open).
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        wait(self.0.open(path)).map(File::from)
    }

    /// Opens a file for writing; see [`fs::Fs::create`](crate::fs::Fs::create).
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<File> {
        wait(self.0.create(path)).map(File::from)
    }

    /// Makes a file and opens it; see [`fs::Fs::create_new`](crate::fs::Fs::create_new).
    pub fn create_new(&self, path: impl AsRef<Path>) -> io::Result<File> {
        wait(self.0.create_new(path)).map(File::from)
    }

    /// Opens a file as `options` say; see [`fs::Fs::open_with`](crate::fs::Fs::open_with).
    pub fn open_with(&self, path: impl AsRef<Path>, options: &OpenOptions) -> io::Result<File> {
        wait(self.0.open_with(path, options.inner())).map(File::from)
    }

    /// Creates a folder as `builder` says; see [`fs::Fs::create_dir_with`](crate::fs::Fs::create_dir_with).
    pub fn create_dir_with(&self, path: impl AsRef<Path>, builder: &DirBuilder) -> io::Result<()> {
        wait(self.0.create_dir_with(path, builder.inner()))
    }
}

impl From<Arc<dyn FileSystem>> for Fs {
    fn from(tree: Arc<dyn FileSystem>) -> Self {
        Self::new(tree)
    }
}

impl From<crate::fs::Fs> for Fs {
    fn from(fs: crate::fs::Fs) -> Self {
        Self(fs)
    }
}

macro_rules! waiting {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $gives:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            #[doc = concat!("Waits for [`fs::", stringify!($name), "`](crate::fs::", stringify!($name), "()).")]
            pub fn $name($($arg: $type),*) -> io::Result<$gives> {
                wait(crate::fs::$name($($arg),*)).map(<$gives>::from)
            }
        )*

        /// The functions of this module.
        impl Fs {
            $(
                $(#[$doc])*
                ///
                #[doc = concat!("Waits for [`fs::Fs::", stringify!($name), "`](crate::fs::Fs::", stringify!($name), ").")]
                pub fn $name(&self, $($arg: $type),*) -> io::Result<$gives> {
                    wait(self.0.$name($($arg),*)).map(<$gives>::from)
                }
            )*
        }
    };
}

for_each_function!(waiting);

/// Creates a link; the old name of [`symlink`].
#[deprecated(note = "replaced with `symlink`")]
pub fn soft_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    symlink(original, link)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;
    use crate::fs::testing::tree;

    #[test]
    fn a_plain_thread_reads_writes_and_seeks() {
        let fs = Fs::new(tree());
        let mut file = fs.create_new("/a").unwrap();
        file.write_all(b"0123456789").unwrap();
        file.seek(SeekFrom::Start(2)).unwrap();
        // By shared reference too, on the same cursor.
        let mut text = String::new();
        (&file).take(3).read_to_string(&mut text).unwrap();
        assert_eq!(text, "234");
        assert_eq!((&file).stream_position().unwrap(), 5);
        file.close().unwrap();
        assert_eq!(fs.read("/a").unwrap(), b"0123456789");

        fs.symlink("a", "/link").unwrap();
        let mut names: Vec<_> = fs.read_dir("/").unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "link"]);
    }

    #[test]
    fn many_threads_may_wait_at_once() {
        let fs = Fs::new(tree());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let fs = &fs;
                scope.spawn(move || fs.write(format!("/{number}"), "x").unwrap());
            }
        });
        assert_eq!(fs.read_dir("/").unwrap().count(), 8);
    }

    #[test]
    fn a_tree_is_laid_over_the_default_of_one_thread() {
        let tree = tree();
        with(Arc::clone(&tree), || {
            write("/a", "x").unwrap();
            assert_eq!(File::open("a").unwrap().metadata().unwrap().len(), 1);
        });
        assert!(Fs::new(tree).exists("/a").unwrap());
    }

    #[tokio::test]
    #[should_panic(expected = "runtime")]
    async fn waiting_in_a_task_panics() {
        let _never = Fs::new(tree()).exists("/");
    }

    #[tokio::test]
    async fn waiting_in_a_blocking_job_is_fine() {
        let fs = Fs::new(tree());
        assert!(tokio::task::spawn_blocking(move || fs.exists("/")).await.unwrap().unwrap());
    }
}
