//! An open file: [`LocalFile`].
//!
//! What is in memory is read on the spot; everything else is a job of one piece. A job holds the descriptor, so it ends
//! well also where the file is dropped meanwhile.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::Advice;
use rustix::io::Errno;

use super::error::Fault;
use super::opening::Opened;
use super::writing::Part;
use super::{attributes, lock, status};
use crate::error::Result;
use crate::file_system::File;
use crate::jobs::{Disk, PIECE_BYTES};
use crate::metadata::{Identity, Metadata};
use crate::options::{ByteRange, Lock, LockWait, OpenOptions, SetAttributes};
use crate::path::VPath;
use crate::producer::{self, FileSpan, Producer, SpanFile};

/// What one `read_at` gives at most.
const READ_BYTES: usize = 256 * 1024;

/// What a cold read in sequence asks the kernel to fetch beyond itself, so that the next reads are warm.
const READ_AHEAD_BYTES: NonZeroU64 = NonZeroU64::new(1 << 20).expect("it is not zero");

/// What one read gives where the status says that there is nothing: files of procfs have content and no length.
const UNSIZED_BYTES: usize = 16 * 1024;

/// An open file of the host.
#[derive(Debug)]
pub(super) struct LocalFile {
    file: SpanFile,
    disk: Disk,
    /// Its file system never waits for anything but its own disk; see [`super::lookup::Root::is_near`].
    near: bool,
    identity: Option<Identity>,
    readable: bool,
    writing: Writing,
    /// A lock may be held.
    locked: AtomicBool,
    /// Where the last read ended.
    read_end: AtomicU64,
}

/// What may be written through this opening.
#[derive(Debug)]
enum Writing {
    /// Nothing: the tree is read-only.
    Refused,
    /// Nothing: it was opened for reading.
    Unasked,
    /// Everything, visible at once, until `finish` has ended it.
    InPlace { ended: AtomicBool },
    /// Everything, until `finish` takes the part file.
    Atomic(Mutex<Option<Part>>),
}

impl LocalFile {
    pub(super) fn new(opened: Opened, options: &OpenOptions, writable: bool, near: bool, disk: Disk) -> Self {
        let writing = match opened.part {
            Some(part) => Writing::Atomic(Mutex::new(Some(part))),
            None if options.changes() => Writing::InPlace { ended: AtomicBool::new(false) },
            None if writable => Writing::Unasked,
            None => Writing::Refused,
        };
        // What is being written has no version yet.
        let identity = (!options.changes()).then(|| status::identity(&opened.status));
        Self {
            file: SpanFile::new(opened.file),
            disk,
            near,
            identity,
            readable: options.read,
            writing,
            locked: AtomicBool::new(false),
            read_end: AtomicU64::new(0),
        }
    }

    /// Runs `work` on the open file as a job.
    async fn job<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&SpanFile) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let file = self.file.clone();
        let done = self.disk.run(op, move || work(&file)).await?;
        done.map_err(|fault| fault.at(op, &VPath::root()))
    }

    /// Refuses a change of the content where this opening takes none.
    fn expect_writing(&self, op: &'static str) -> Result<()> {
        let refused = match &self.writing {
            Writing::InPlace { ended } if !ended.load(Ordering::Relaxed) => return Ok(()),
            Writing::Atomic(part) if held(part).is_some() => return Ok(()),
            Writing::InPlace { .. } | Writing::Atomic(_) => Fault::Ended,
            Writing::Unasked => Errno::BADF.into(),
            Writing::Refused => Fault::ReadOnly,
        };
        Err(refused.at(op, &VPath::root()))
    }

    /// Reads what is in memory; `None` where the disk would have to be waited for.
    fn read_warm(&self, offset: u64, max: usize) -> Option<Result<Bytes, Fault>> {
        if !self.near {
            return None;
        }
        let wanted = match status::of(&self.file) {
            Ok(status) => status.stx_size.saturating_sub(offset).min(max as u64),
            Err(errno) => return Some(Err(errno.into())),
        };
        let span = FileSpan::new(self.file.clone(), offset, wanted);
        span.is_resident().then(|| read_piece(&self.file, offset, span.len()))
    }
}

#[async_trait]
impl File for LocalFile {
    async fn metadata(&self) -> Result<Metadata> {
        if self.near {
            let status = status::of(&self.file);
            return status
                .map(|status| status::describe(&status))
                .map_err(|errno| Fault::from(errno).at("metadata", &VPath::root()));
        }
        self.job("metadata", |file| Ok(status::describe(&status::of(file)?))).await
    }

    fn identity(&self) -> Option<Identity> {
        self.identity.clone()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        if !self.readable {
            return Err(Fault::from(Errno::BADF).at("read_at", &VPath::root()));
        }
        let max = max.min(READ_BYTES);
        let read = match self.read_warm(offset, max) {
            Some(read) => read.map_err(|fault| fault.at("read_at", &VPath::root()))?,
            None => {
                let in_sequence = self.read_end.load(Ordering::Relaxed) == offset;
                self.job("read_at", move |file| read_cold(file, offset, max, in_sequence)).await?
            }
        };
        self.read_end.store(offset.saturating_add(read.len() as u64), Ordering::Relaxed);
        Ok(read)
    }

    async fn write_at(&self, mut offset: u64, mut data: Bytes) -> Result<()> {
        self.expect_writing("write_at")?;
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE_BYTES));
            let len = piece.len() as u64;
            self.job("write_at", move |file| write_piece(file, offset, &piece)).await?;
            offset = offset.saturating_add(len);
        }
        Ok(())
    }

    async fn set_len(&self, len: u64) -> Result<()> {
        self.expect_writing("set_len")?;
        self.job("set_len", move |file| Ok(rustix::io::retry_on_intr(|| rustix::fs::ftruncate(file, len))?))
            .await
    }

    async fn set_attributes(&self, attributes: &SetAttributes) -> Result<()> {
        if let Writing::Refused = self.writing {
            return Err(Fault::ReadOnly.at("set_attributes", &VPath::root()));
        }
        let attributes = *attributes;
        self.job("set_attributes", move |file| attributes::set_open(file, &attributes)).await
    }

    async fn sync(&self, data_only: bool) -> Result<()> {
        self.job("sync", move |file| Ok(flush(file, data_only)?)).await
    }

    async fn lock(&self, lock: Lock, wait: LockWait) -> Result<()> {
        if let Writing::Atomic(_) = self.writing {
            return Err(Fault::Unshared.at("lock", &VPath::root()));
        }
        self.locked.store(true, Ordering::Relaxed);
        lock::take(&self.disk, &self.file, lock, wait).await
    }

    /// Spans, for files that a producer may ask about on the event loop; any other is read by jobs.
    fn native(self: Arc<Self>, range: ByteRange) -> Option<Box<dyn Producer>> {
        if !self.near || !self.readable {
            return None;
        }
        let end = match range.end {
            Some(end) => end,
            None => status::of(&self.file).ok()?.stx_size,
        };
        let len = end.saturating_sub(range.start);
        Some(Box::new(producer::file(self.file.clone(), range.start, len, &self.disk)))
    }

    /// A machine that crashes soon after may lose what was not synced: who cannot bear that calls `sync` first.
    async fn finish(&self) -> Result<()> {
        // Other machines may say only at the end that there was no room.
        let far = !self.near;
        match &self.writing {
            Writing::Refused | Writing::Unasked => Ok(()),
            Writing::InPlace { ended } => {
                ended.store(true, Ordering::Relaxed);
                if far { self.sync(true).await } else { Ok(()) }
            }
            Writing::Atomic(part) => {
                let part = held(part).take();
                match part {
                    Some(part) => self.job("finish", move |file| part.publish(file, far)).await,
                    None => Ok(()),
                }
            }
        }
    }
}

impl Drop for LocalFile {
    /// The name of an unfinished part file goes at once where that asks the memory alone, so that whoever comes next
    /// finds the folder without it. Giving back its blocks, or flushing to another machine, is left to the pool.
    fn drop(&mut self) {
        if *self.locked.get_mut() && self.near {
            lock::release(&self.file);
        }
        let mut part = match &mut self.writing {
            Writing::Refused | Writing::Unasked if self.near => return,
            Writing::Atomic(part) => part.get_mut().unwrap_or_else(PoisonError::into_inner).take(),
            _ => None,
        };
        if self.near {
            part = None;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let file = self.file.clone();
            // Where the runtime is going down the closure is dropped, and does here what it would do there.
            runtime.spawn_blocking(move || drop((part, file)));
        }
    }
}

fn held(part: &Mutex<Option<Part>>) -> MutexGuard<'_, Option<Part>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_cold(file: &SpanFile, offset: u64, max: usize, in_sequence: bool) -> Result<Bytes, Fault> {
    let left = status::of(file)?.stx_size.saturating_sub(offset);
    let len = if left == 0 { UNSIZED_BYTES } else { usize::try_from(left).unwrap_or(READ_BYTES) };
    let read = read_piece(file, offset, len.min(max))?;
    let end = offset.saturating_add(read.len() as u64);
    if in_sequence && left > read.len() as u64 {
        // Advice: a file system that takes none is read all the same.
        let _ = rustix::fs::fadvise(file, end, Some(READ_AHEAD_BYTES), Advice::WillNeed);
    }
    Ok(read)
}

/// One read; short at the end of the file, which may have come nearer meanwhile.
fn read_piece(file: &SpanFile, offset: u64, len: usize) -> Result<Bytes, Fault> {
    let mut bytes = Vec::with_capacity(len);
    if len > 0 {
        rustix::io::retry_on_intr(|| {
            rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), offset)
        })?;
        // An allocator may give more room than was asked for.
        bytes.truncate(len);
    }
    Ok(bytes.into())
}

fn write_piece(file: &SpanFile, mut offset: u64, mut piece: &[u8]) -> Result<(), Fault> {
    while !piece.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, piece, offset))?;
        if written == 0 {
            return Err(Errno::IO.into());
        }
        offset = offset.saturating_add(written as u64);
        piece = &piece[written..];
    }
    Ok(())
}

fn flush(file: impl AsFd, data_only: bool) -> Result<(), Errno> {
    rustix::io::retry_on_intr(
        || {
            if data_only { rustix::fs::fdatasync(&file) } else { rustix::fs::fsync(&file) }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, kind, on_the_spot, path, read_all};
    use crate::error::ErrorKind;
    use crate::file_system::FileSystem;
    use crate::options::StatOptions;
    use crate::producer::{Chunk, ProducerExt};

    /// More than one span, and several reads.
    const PATTERN_BYTES: usize = 1_300_000;

    fn pattern() -> Vec<u8> {
        (0..PATTERN_BYTES).map(|at| (at / 7) as u8).collect()
    }

    #[test]
    fn a_warm_file_is_described_opened_and_read_on_the_spot() {
        let scene = Scene::new();
        scene.write("small", "warm");
        let tree = scene.tree(Links::Beneath);
        let (path, reading) = (path("/small"), OpenOptions::reading());
        let served = on_the_spot(async {
            let described = tree.metadata(&path, &StatOptions::default()).await?;
            let file = tree.open(&path, &reading).await?;
            let read = file.read_at(0, 1024).await?;
            let end = file.read_at(4, 1024).await?;
            assert_eq!(file.metadata().await?.len, described.len);
            Ok::<_, crate::Error>((read, end))
        });
        if tree.root.serves_warm() {
            assert_eq!(served.unwrap().unwrap(), ("warm".into(), Bytes::new()));
        } else {
            println!("skipped: the kernel or the file system does not tell what it has in memory");
        }
    }

    #[tokio::test]
    async fn a_cold_file_is_read_by_jobs() {
        let scene = Scene::new();
        std::fs::write(scene.inside("big"), pattern()).unwrap();
        let on_host = std::fs::File::open(scene.inside("big")).unwrap();
        on_host.sync_all().unwrap();
        rustix::fs::fadvise(&on_host, 0, None, Advice::DontNeed).unwrap();
        for tree in scene.doors(Links::Beneath) {
            let file = tree.open(&path("/big"), &OpenOptions::reading()).await.unwrap();
            assert_eq!(read_all(&file).await.unwrap(), pattern());
            assert_eq!(&file.read_at(7, 3).await.unwrap()[..], &pattern()[7..10]);
            assert!(file.read_at(u64::MAX, 10).await.unwrap().is_empty());
            assert!(file.read_at(0, 0).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_reads_short_and_a_stated_range_is_truncated() {
        let scene = Scene::new();
        std::fs::write(scene.inside("big"), pattern()).unwrap();
        let tree = scene.tree(Links::Beneath);
        let file = tree.open(&path("/big"), &OpenOptions::reading()).await.unwrap();
        let range = ByteRange::at(0, PATTERN_BYTES as u64);
        let mut content = producer::of(Arc::clone(&file), range).peeked();
        let first = content.more().await.unwrap().unwrap();
        let on_host = std::fs::OpenOptions::new().write(true).open(scene.inside("big")).unwrap();
        on_host.set_len(100).unwrap();

        assert_eq!(file.read_at(0, READ_BYTES).await.unwrap().len(), 100);
        assert!(file.read_at(first.len() as u64, 10).await.unwrap().is_empty());
        assert_eq!(kind::<Chunk>(content.more().await.unwrap()), ErrorKind::Truncated);
    }

    #[tokio::test]
    async fn writes_land_where_they_are_told() {
        let scene = Scene::new();
        let tree = scene.tree(Links::Beneath);
        let options = OpenOptions { read: true, ..OpenOptions::writing() };
        let file = tree.open(&path("/new"), &options).await.unwrap();
        let long = vec![b'x'; PIECE_BYTES + 5];
        file.write_at(3, long.clone().into()).await.unwrap();
        file.write_at(1, "ab".into()).await.unwrap();
        file.sync(false).await.unwrap();
        assert_eq!(read_all(&file).await.unwrap(), [&b"\0ab"[..], &long].concat());
        file.set_len(2).await.unwrap();
        file.set_len(4).await.unwrap();
        file.finish().await.unwrap();
        assert_eq!(std::fs::read(scene.inside("new")).unwrap(), b"\0a\0\0");

        let appending = OpenOptions { append: true, ..OpenOptions::default() };
        let file = tree.open(&path("/new"), &appending).await.unwrap();
        file.write_at(0, "end".into()).await.unwrap();
        assert_eq!(std::fs::read(scene.inside("new")).unwrap(), b"\0a\0\0end");
        assert_eq!(kind(file.read_at(0, 1).await), ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn what_was_opened_for_reading_takes_no_writes() {
        let scene = Scene::new();
        scene.write("old", "old");
        let writable = scene.tree(Links::Beneath);
        let read_only = crate::backends::local::LocalFs::open(scene.inside("")).unwrap();
        for (tree, refusal) in [(writable, ErrorKind::InvalidInput), (read_only, ErrorKind::ReadOnly)] {
            let file = tree.open(&path("/old"), &OpenOptions::reading()).await.unwrap();
            assert_eq!(kind(file.write_at(0, "new".into()).await), refusal);
            assert_eq!(kind(file.set_len(0).await), refusal);
            file.finish().await.unwrap();
        }
        assert_eq!(std::fs::read(scene.inside("old")).unwrap(), b"old");
    }

    #[tokio::test]
    async fn an_open_file_outlives_its_name() {
        let scene = Scene::new();
        scene.write("gone", "still here");
        let tree = scene.tree(Links::Beneath);
        let file = tree.open(&path("/gone"), &OpenOptions::reading()).await.unwrap();
        std::fs::remove_file(scene.inside("gone")).unwrap();
        drop(tree);
        assert_eq!(read_all(&file).await.unwrap(), "still here");
        assert_eq!(file.metadata().await.unwrap().links, Some(0));
    }
}
