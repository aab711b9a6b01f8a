//! [`Spool`]: the content of a stream that cannot be entered in the middle, on disk.
//!
//! `xz` and `zstd` make one block, or frame, of a whole file unless told otherwise: going back in it means decoding from
//! its first byte. So the first pass, which decodes all of it once, keeps what it makes in a file without a name; readers
//! wait until the pass has come to what they want. The file goes with the archive, and with the process.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::file_system::{File, SeekCost};
use crate::jobs::Disk;
use crate::metadata::{FileType, Identity, Metadata};
use crate::path::VPath;
use crate::residency;

/// The most that one read gives.
const READ_BYTES: usize = 256 * 1024;

/// Spools that are open at once, which bounds their descriptors. One more is `LimitExceeded` for those who read from it.
const MAX_OPEN: usize = 64;

/// Where spools are made, and how much all of them may hold.
#[derive(Debug)]
pub(super) struct Spools {
    folder: PathBuf,
    limit: u64,
    used: Mutex<Used>,
    disk: Disk,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    open: usize,
}

/// One stream's content, as far as a pass has come. What it takes on disk is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Spool {
    spools: Arc<Spools>,
    file: OnceLock<std::fs::File>,
    reach: watch::Sender<Reach>,
}

/// How far a spool reaches.
#[derive(Clone, Debug, Default)]
struct Reach {
    bytes: u64,
    /// How it ended; none while more may come.
    end: Option<Result<()>>,
}

impl Spools {
    /// Spools in `folder`, which may hold `limit` bytes together.
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, used: Mutex::default(), disk: Disk::new() }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a file, if that is not one too many.
    fn make(&self) -> Result<std::fs::File> {
        {
            let mut used = self.used();
            if used.open >= MAX_OPEN {
                let detail = format!("{MAX_OPEN} archives are kept on disk already, and no more are");
                return Err(failure(ErrorKind::LimitExceeded).with_detail(detail));
            }
            used.open += 1;
        }
        tempfile::tempfile_in(&self.folder).map_err(|error| {
            self.used().open -= 1;
            let detail = format!("no temporary file could be made in {}", self.folder.display());
            storage(error).with_detail(detail)
        })
    }

    fn take(&self, bytes: u64) -> Result<()> {
        let mut used = self.used();
        if used.bytes.saturating_add(bytes) > self.limit {
            let detail = format!(
                "it cannot be entered in the middle, and the {} bytes that such archives may take on disk are used \
                 up: what does not fit is not served; pack it in blocks (xz --block-size, zstd with a seek table) or \
                 allow more",
                self.limit
            );
            return Err(failure(ErrorKind::LimitExceeded).with_detail(detail));
        }
        used.bytes += bytes;
        Ok(())
    }
}

impl Spool {
    /// An empty one. Its file is made with its first byte.
    pub(super) fn new(spools: Arc<Spools>) -> Self {
        Self { spools, file: OnceLock::new(), reach: watch::Sender::default() }
    }

    /// Adds what follows. For the one pass that fills it, in its jobs: it waits for the disk. After an error, which
    /// readers get where they come to it, it takes nothing more.
    pub(super) fn append(&self, content: &[u8]) {
        let Reach { bytes, end } = self.reach.borrow().clone();
        if end.is_some() || content.is_empty() {
            return;
        }
        match self.write(bytes, content) {
            Ok(()) => self.reach.send_modify(|reach| reach.bytes += content.len() as u64),
            Err(error) => self.end(Err(error)),
        }
    }

    /// Says that no more comes, and why; the first word counts.
    pub(super) fn end(&self, outcome: Result<()>) {
        self.reach.send_if_modified(|reach| {
            let is_first = reach.end.is_none();
            reach.end.get_or_insert(outcome);
            is_first
        });
    }

    /// Says that the pass has given up, because nobody held the archive.
    pub(super) fn give_up(&self) {
        let detail = "nobody held the archive any more while it was read for the first time";
        self.end(Err(failure(ErrorKind::Unavailable).with_detail(detail).with_retry(Retry::Now)));
    }

    fn write(&self, at: u64, content: &[u8]) -> Result<()> {
        if self.file.get().is_none() {
            // The pass alone writes, so nobody else has set it meanwhile.
            drop(self.file.set(self.spools.make()?));
        }
        let file = self.file.get().expect("it was made on the lines above");
        self.spools.take(content.len() as u64)?;
        file.write_all_at(content, at).map_err(|error| {
            self.spools.used().bytes -= content.len() as u64;
            storage(error)
                .with_detail("the temporary file that holds the archive's content could not be written")
        })
    }

    /// Waits until the content reaches beyond `offset`, and says how far. `None`: it ends there or before.
    async fn reach_beyond(&self, offset: u64) -> Result<Option<u64>> {
        let mut reach = self.reach.subscribe();
        let seen = reach.wait_for(|reach| reach.bytes > offset || reach.end.is_some()).await;
        let seen = seen.map_err(|gone| failure(ErrorKind::Internal).with_source(gone))?.clone();
        match seen.end {
            _ if seen.bytes > offset => Ok(Some(seen.bytes)),
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let mut used = self.spools.used();
        used.bytes -= self.reach.borrow().bytes;
        if let Some(file) = self.file.take() {
            used.open -= 1;
            drop(used);
            // Giving back gigabytes takes the disk a while.
            self.spools.disk.discard(file);
        }
    }
}

#[async_trait]
impl File for Spool {
    /// The length is known once the pass has come to the end.
    async fn metadata(&self) -> Result<Metadata> {
        let reach = self.reach.borrow();
        let len = matches!(reach.end, Some(Ok(()))).then_some(reach.bytes);
        Ok(Metadata { len, ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    /// Waits for the pass where it has not come to `offset`.
    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let Some(end) = self.reach_beyond(offset).await? else { return Ok(Bytes::new()) };
        let len = usize::try_from(end - offset).unwrap_or(max).min(max).min(READ_BYTES);
        let file = self.file.get().expect("what reaches beyond an offset was written to a file");
        if let Some(bytes) = residency::read(file, offset, len).filter(|bytes| !bytes.is_empty()) {
            return Ok(bytes.into());
        }
        let file = file.try_clone().map_err(storage)?;
        let read = move || {
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, offset).map(|()| Bytes::from(bytes))
        };
        self.spools.disk.run("read_at", read).await?.map_err(storage)
    }

    fn seek_cost(&self) -> SeekCost {
        SeekCost::Free
    }
}

fn storage(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded => ErrorKind::QuotaExceeded,
        _ => ErrorKind::Unavailable,
    };
    failure(kind).with_source(error)
}

fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "read_at", &VPath::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spools(limit: u64) -> (tempfile::TempDir, Arc<Spools>) {
        let folder = tempfile::tempdir().unwrap();
        let spools = Arc::new(Spools::new(folder.path().to_owned(), limit));
        (folder, spools)
    }

    /// Bytes and files in use.
    fn taken(spools: &Spools) -> (u64, usize) {
        let used = spools.used();
        (used.bytes, used.open)
    }

    #[tokio::test]
    async fn readers_wait_for_the_pass_and_read_backwards() {
        let (folder, spools) = spools(100);
        let spool = Arc::new(Spool::new(spools));
        let reader = tokio::spawn({
            let spool = Arc::clone(&spool);
            async move { spool.read_at(4, 9).await }
        });
        spool.append(b"abc");
        spool.append(b"defg");
        assert_eq!(reader.await.unwrap().unwrap()[..], b"efg"[..]);
        assert_eq!(spool.read_at(1, 2).await.unwrap()[..], b"bc"[..]);
        assert_eq!(spool.metadata().await.unwrap().len, None);
        spool.end(Ok(()));
        assert_eq!(spool.read_at(7, 2).await.unwrap().len(), 0);
        assert_eq!(spool.metadata().await.unwrap().len, Some(7));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    }

    #[tokio::test]
    async fn a_full_disk_share_is_an_error_for_what_does_not_fit_and_free_again_later() {
        let (_folder, spools) = spools(8);
        let (first, second) = (Spool::new(Arc::clone(&spools)), Spool::new(Arc::clone(&spools)));
        first.append(b"abcde");
        second.append(b"abc");
        second.append(b"d");
        second.append(b"e");
        assert_eq!(second.read_at(0, 9).await.unwrap()[..], b"abc"[..]);
        assert_eq!(second.read_at(3, 9).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
        drop(first);
        assert_eq!(taken(&spools), (3, 1));
        drop(second);
        assert_eq!(taken(&spools), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_for_a_pass_that_ends_early_gets_its_error() {
        let (_folder, spools) = spools(8);
        let spool = Spool::new(spools);
        spool.append(b"ab");
        spool.give_up();
        spool.end(Ok(()));
        assert_eq!(spool.read_at(0, 9).await.unwrap()[..], b"ab"[..]);
        assert_eq!(spool.read_at(2, 9).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn where_no_file_can_be_made_readers_are_told() {
        let spools = Arc::new(Spools::new("/nonexistent/folder".into(), 8));
        let spool = Spool::new(Arc::clone(&spools));
        spool.append(b"ab");
        assert_eq!(spool.read_at(0, 9).await.unwrap_err().kind(), ErrorKind::Unavailable);
        drop(spool);
        assert_eq!(taken(&spools), (0, 0));
    }
}
