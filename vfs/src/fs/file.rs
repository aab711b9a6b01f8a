//! [`File`]: an open file with a cursor, by the names of `std::fs::File` and `tokio::fs::File`.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

use super::cursor::{Io, Opened, PIECE_BYTES};
use super::handle::on;
use super::{FileTimes, Metadata, OpenOptions, Permissions, TryLockError, default};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Lock, LockWait, SetAttributes};
use crate::path::VPath;

/// An open file with a cursor. Reads, writes and seeks go through tokio's `AsyncRead`, `AsyncWrite` and `AsyncSeek`.
///
/// # Reading
/// A read asks the tree for what its caller has room for, 1 MiB at most, and no more: there is no buffer, as in the
/// standard library, and small reads want a `BufReader`. Only where going back costs a request (a remote file), and the
/// file is open for reading alone, 256 KiB are read at least and kept for the next read.
///
/// # Writing
/// A write takes up to 1 MiB ([`File::set_max_buf_size`]), begins, and lets its caller go; the next call of any kind waits for
/// it. There is one under way at a time, so nothing is reordered. If it fails, the next write, `flush`, [`File::sync_all`]
/// or [`File::close`] says so: flush before what was written must be seen.
///
/// # Closing
/// [`File::close`], and tokio's `shutdown`, wait for what is under way, finish the file and report what that says; a file
/// opened [`atomic`](OpenOptions::atomic) is published only so, by whichever of its handles comes first. A file written in
/// place goes on for its other handles, and is finished with the last one. A drop says nothing and does not wait: what was written
/// stays, and a write under way goes on in the runtime if there is one; an atomic file is discarded.
pub struct File {
    pub(super) opened: Opened,
    pub(super) io: Mutex<Io>,
    pub(super) max_write: usize,
    /// Shared by the handles of one opening and by nothing else, so that the last one knows that it is.
    pub(super) handles: Arc<()>,
}

/// Opening and closing.
impl File {
    pub(super) fn new(file: Arc<dyn crate::File>, path: VPath, options: &crate::OpenOptions) -> Self {
        Self::over(Opened::new(file, path, options), Arc::default())
    }

    fn over(opened: Opened, handles: Arc<()>) -> Self {
        Self { opened, io: Mutex::new(Io::default()), max_write: PIECE_BYTES, handles }
    }

    /// Opens a file for reading, in the default tree.
    ///
    /// # Errors
    /// As [`Fs::open`](super::Fs::open).
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        default::current()?.open(path).await
    }

    /// Opens a file for writing, in the default tree: makes it, or cuts it to nothing.
    ///
    /// # Errors
    /// As [`Fs::create`](super::Fs::create).
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        default::current()?.create(path).await
    }

    /// Makes a file, in the default tree, and opens it for reading and writing. Of many callers one succeeds.
    ///
    /// # Errors
    /// As [`Fs::create_new`](super::Fs::create_new).
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        default::current()?.create_new(path).await
    }

    /// Options with all switches off.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// A second handle on the same opening: both move one cursor, as handles of the system do.
    ///
    /// # Errors
    /// None today; `io::Result` as in the standard library.
    pub async fn try_clone(&self) -> io::Result<Self> {
        self.settle().await;
        Ok(Self::over(self.opened.clone(), Arc::clone(&self.handles)))
    }

    /// Waits for what is under way, finishes the file and closes it. Publishes an atomic one.
    ///
    /// # Errors
    /// What a drop would swallow: a failed write, or what the source says at the end.
    pub async fn close(mut self) -> io::Result<()> {
        self.shutdown().await
    }

    /// The tree's own file: positional, and shared by all handles.
    pub fn inner(&self) -> &Arc<dyn crate::File> {
        &self.opened.file
    }

    /// Sets what one write takes at most. Default: 1 MiB, which is also the most.
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        self.max_write = max_buf_size.clamp(1, PIECE_BYTES);
    }

    /// What one write takes at most.
    pub fn max_buf_size(&self) -> usize {
        self.max_write
    }
}

/// The file as a whole. Each call waits for the handle's write under way first.
impl File {
    /// Describes the open file, also where its name has gone by now.
    ///
    /// # Errors
    /// What the tree says.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.ask(|file| async move { file.metadata().await }).await?.into())
    }

    /// Cuts or grows the file; what is new reads as zeros. The cursor stays.
    ///
    /// # Errors
    /// `InvalidInput` where it was not opened for writing; `Unsupported` or `ReadOnlyFilesystem` where the tree cannot.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        // ftruncate(2) says EINVAL where write(2) says EBADF.
        self.opened.check_writes_as(Errno::INVAL)?;
        self.ask(move |file| async move { file.set_len(size).await }).await
    }

    /// Returns when content and description have reached the medium.
    ///
    /// # Errors
    /// That of an earlier write too.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.flush_now().await?;
        self.ask(|file| async move { file.sync(false).await }).await
    }

    /// Returns when the content has reached the medium.
    ///
    /// # Errors
    /// As [`File::sync_all`].
    pub async fn sync_data(&self) -> io::Result<()> {
        self.flush_now().await?;
        self.ask(|file| async move { file.sync(true).await }).await
    }

    /// Sets the permissions.
    ///
    /// # Errors
    /// As [`Fs::set_permissions`](super::Fs::set_permissions).
    pub async fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.set(perm.to_attributes()?).await
    }

    /// Sets times; those that `times` does not name stay.
    ///
    /// # Errors
    /// As [`Fs::set_times`](super::Fs::set_times).
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.set(times.to_attributes()).await
    }

    /// Sets the time of the last change.
    ///
    /// # Errors
    /// As [`File::set_times`].
    pub async fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time)).await
    }

    /// Keeps away everybody else who locks; waits until they have gone.
    ///
    /// # Errors
    /// `Unsupported` where the tree has no locks.
    pub async fn lock(&self) -> io::Result<()> {
        self.ask(|file| async move { file.lock(Lock::Exclusive, LockWait::Forever).await }).await
    }

    /// Keeps away those who lock exclusively; waits until they have gone.
    ///
    /// # Errors
    /// As [`File::lock`].
    pub async fn lock_shared(&self) -> io::Result<()> {
        self.ask(|file| async move { file.lock(Lock::Shared, LockWait::Forever).await }).await
    }

    /// Locks exclusively, without waiting.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] where somebody holds a lock; else as [`File::lock`].
    pub async fn try_lock(&self) -> Result<(), TryLockError> {
        self.try_lock_as(Lock::Exclusive).await
    }

    /// Locks together with others, without waiting.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] where somebody holds it exclusively; else as [`File::lock`].
    pub async fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.try_lock_as(Lock::Shared).await
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// As [`File::lock`].
    pub async fn unlock(&self) -> io::Result<()> {
        self.ask(|file| async move { file.lock(Lock::Unlock, LockWait::Never).await }).await
    }

    async fn try_lock_as(&self, lock: Lock) -> Result<(), TryLockError> {
        self.settle().await;
        match self.opened.file.lock(lock, LockWait::Never).await.map_err(on(&self.opened.path)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Busy => Err(TryLockError::WouldBlock),
            Err(error) => Err(TryLockError::Error(error.into())),
        }
    }

    async fn set(&self, attributes: SetAttributes) -> io::Result<()> {
        self.ask(move |file| async move { file.set_attributes(&attributes).await }).await
    }

    /// One call on the tree's file, after the write under way.
    async fn ask<T, F>(&self, call: impl FnOnce(Arc<dyn crate::File>) -> F) -> io::Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.settle().await;
        Ok(call(Arc::clone(&self.opened.file)).await.map_err(on(&self.opened.path))?)
    }
}

/// Reading and writing at a place of one's own, the cursor left alone: `std::os::unix::fs::FileExt`.
impl File {
    /// Reads from `offset` into `buf`, 1 MiB at most: may be short; 0 at the end.
    ///
    /// # Errors
    /// What the tree says.
    pub async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.opened.check_reads()?;
        let max = buf.len().min(PIECE_BYTES);
        let read = self.ask(move |file| async move { file.read_at(offset, max).await }).await?;
        buf[..read.len()].copy_from_slice(&read);
        Ok(read.len())
    }

    /// Reads from `offset` until `buf` is full.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before that.
    pub async fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read_at(&mut buf[filled..], offset.saturating_add(filled as u64)).await? {
                0 => return Err(self.too_short()),
                read => filled += read,
            }
        }
        Ok(())
    }

    /// Writes from `buf` at `offset`, 1 MiB at most, and says how much. A file opened for appending appends.
    ///
    /// # Errors
    /// What the tree says; `Unsupported` where it writes in sequence only and this is not the next place.
    pub async fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.opened.check_writes_as(Errno::BADF)?;
        let piece = Bytes::copy_from_slice(&buf[..buf.len().min(PIECE_BYTES)]);
        let len = piece.len();
        self.ask(move |file| async move { file.write_at(offset, piece).await }).await?;
        Ok(len)
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    /// As [`File::write_at`]; part of it may be written by then.
    pub async fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut written = 0;
        while written < buf.len() {
            written += self.write_at(&buf[written..], offset.saturating_add(written as u64)).await?;
        }
        Ok(())
    }

    fn too_short(&self) -> io::Error {
        let short = Error::new(ErrorKind::Truncated, "read_exact_at", &self.opened.path);
        short.with_detail("the file ends before the buffer is full").into()
    }
}

/// What goes through the handle's own operation.
impl File {
    /// Waits for the write under way; a failure is kept for the next write or flush.
    async fn settle(&self) {
        let mut io = self.io.lock().await;
        poll_fn(|cx| io.poll_settled(cx)).await;
    }

    /// Waits for the write under way, and tells how it went.
    pub(crate) async fn flush_now(&self) -> io::Result<()> {
        let mut io = self.io.lock().await;
        poll_fn(|cx| io.poll_flush(cx)).await
    }
}

/// A write under way is handed to the runtime, so that bytes which a caller was told are taken are not lost.
impl Drop for File {
    fn drop(&mut self) {
        if !self.opened.is_atomic
            && let Some(write) = self.io.get_mut().take_write()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(write);
        }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.opened.path).field("file", &self.opened.file).finish()
    }
}
