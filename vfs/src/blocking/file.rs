//! [`File`]: an open file with a cursor, as the standard library's `Read`, `Write` and `Seek`.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::{FileTimes, Metadata, OpenOptions, Permissions, TryLockError, wait};
use crate::fs;

/// An open file with a cursor; see [`fs::File`] for what its calls do, and for what a drop leaves behind.
///
/// A write returns when it has ended, so `flush` has nothing to do. Shared by reference, its calls take turns.
#[derive(Debug)]
pub struct File(fs::File);

impl File {
    /// Opens a file for reading, in the default tree; see [`fs::File::open`].
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        wait(fs::File::open(path)).map(Self)
    }

    /// Opens a file for writing, in the default tree; see [`fs::File::create`].
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        wait(fs::File::create(path)).map(Self)
    }

    /// Makes a file, in the default tree, and opens it; see [`fs::File::create_new`].
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        wait(fs::File::create_new(path)).map(Self)
    }

    /// Options with all switches off.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// A second handle on the same opening and cursor; see [`fs::File::try_clone`].
    pub fn try_clone(&self) -> io::Result<Self> {
        wait(self.0.try_clone()).map(Self)
    }

    /// Finishes the file and closes it. Publishes an atomic one; see [`fs::File::close`].
    pub fn close(self) -> io::Result<()> {
        wait(self.0.close())
    }

    /// Locks exclusively, without waiting; see [`fs::File::try_lock`].
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        wait(async { Ok(self.0.try_lock().await) }).unwrap_or_else(|error| Err(TryLockError::Error(error)))
    }

    /// Locks together with others, without waiting; see [`fs::File::try_lock_shared`].
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        wait(async { Ok(self.0.try_lock_shared().await) })
            .unwrap_or_else(|error| Err(TryLockError::Error(error)))
    }

    /// The tree's own file.
    pub fn inner(&self) -> &Arc<dyn crate::File> {
        self.0.inner()
    }
}

macro_rules! waiting {
    ($($name:ident($($arg:ident: $type:ty),*) -> $gives:ty;)*) => {
        /// Calls that wait for those of the same name on [`fs::File`].
        impl File {
            $(
                #[doc = concat!("Waits for [`fs::File::", stringify!($name), "`].")]
                pub fn $name(&self, $($arg: $type),*) -> io::Result<$gives> {
                    wait(self.0.$name($($arg),*))
                }
            )*
        }
    };
}

waiting! {
    sync_all() -> ();
    sync_data() -> ();
    set_len(size: u64) -> ();
    metadata() -> Metadata;
    set_permissions(perm: Permissions) -> ();
    set_times(times: FileTimes) -> ();
    set_modified(time: SystemTime) -> ();
    lock() -> ();
    lock_shared() -> ();
    unlock() -> ();
    read_at(buf: &mut [u8], offset: u64) -> usize;
    read_exact_at(buf: &mut [u8], offset: u64) -> ();
    write_at(buf: &[u8], offset: u64) -> usize;
    write_all_at(buf: &[u8], offset: u64) -> ();
}

impl From<fs::File> for File {
    fn from(inner: fs::File) -> Self {
        Self(inner)
    }
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        wait(self.0.read_now(buf))
    }
}

impl Write for &File {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        wait(self.0.write_now(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        wait(self.0.flush_now())
    }
}

impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        wait(self.0.seek_now(to))
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for File {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&*self).seek(to)
    }
}
