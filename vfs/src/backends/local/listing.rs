//! Listings: a folder is read one batch a job, never as a whole.

use std::collections::VecDeque;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::error::Fault;
use super::lookup::{Root, Wait};
use super::status;
use super::writing::is_part;
use crate::error::{ErrorKind, Result};
use crate::file_system::{Describe, DirEntry, DirStream};
use crate::jobs::Disk;
use crate::metadata::Metadata;
use crate::path::VPath;

/// Batches that one job reads where nothing but names is wanted of a large folder before its first entry is used: waking a
/// thread takes as long as reading a batch.
const NAMES_AHEAD: usize = 4;

/// A folder that is being read. It holds the system's buffer of some 32 KiB.
pub(super) struct Scan {
    folder: Dir,
    metadata: bool,
    /// Batches that one job reads.
    batches: usize,
}

/// Some batches, and the rest of the folder where there may be one.
pub(super) type Scanned = (VecDeque<Vec<DirEntry>>, Option<Scan>);

impl Scan {
    /// Opens the folder `path`. Each entry's status is fetched along where `metadata` says so.
    pub(super) fn open(root: &Root, path: &VPath, metadata: bool) -> Result<Self, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOCTTY;
        let folder = root.find(path, flags, Mode::empty(), Wait::Allowed)?;
        Ok(Self { folder: Dir::new(folder)?, metadata, batches: 1 })
    }

    /// The same, read in larger jobs: for who sorts the names before using them.
    pub(super) fn ahead(self) -> Self {
        Self { batches: NAMES_AHEAD, ..self }
    }

    /// The folder once more, for whoever describes its entries.
    pub(super) fn folder(&self) -> Result<OwnedFd, Fault> {
        Ok(rustix::io::fcntl_dupfd_cloexec(self.folder.fd()?, 0)?)
    }

    /// Reads on.
    pub(super) fn read(mut self) -> Result<Scanned, Fault> {
        let mut batches = VecDeque::new();
        while batches.len() < self.batches {
            let mut entries = Vec::with_capacity(DirStream::BATCH);
            while entries.len() < DirStream::BATCH {
                match self.folder.read() {
                    None => {
                        batches.push_back(entries);
                        return Ok((batches, None));
                    }
                    Some(found) => entries.extend(self.entry(&found?)?),
                }
            }
            batches.push_back(entries);
        }
        Ok((batches, Some(self)))
    }

    /// What is listed of one name. `None` where it is not to be seen, or has gone since it was read.
    fn entry(&self, found: &rustix::fs::DirEntry) -> Result<Option<DirEntry>, Errno> {
        let name = found.file_name().to_bytes();
        if name == b"." || name == b".." || is_part(name) {
            return Ok(None);
        }
        let known = found.file_type();
        let mut entry = DirEntry::new(Bytes::copy_from_slice(name), None);
        if known != rustix::fs::FileType::Unknown {
            entry.file_type = Some(status::file_type_of(known));
        }
        if self.metadata || entry.file_type.is_none() {
            match status::of_name(self.folder.fd()?, found.file_name()) {
                Ok(status) => {
                    entry.file_type = Some(status::file_type(&status));
                    entry.metadata = self.metadata.then(|| status::describe(&status, SystemTime::now()));
                }
                Err(Errno::NOENT) => return Ok(None),
                // A name that cannot be asked about is still a name.
                Err(_) => {}
            }
        }
        Ok(Some(entry))
    }
}

/// Describes entries of one folder, a job a call. It holds the folder open.
pub(super) struct Describer {
    folder: Arc<OwnedFd>,
    disk: Disk,
    path: VPath,
}

impl Describer {
    pub(super) fn new(folder: OwnedFd, disk: Disk, path: VPath) -> Self {
        Self { folder: Arc::new(folder), disk, path }
    }
}

#[async_trait]
impl Describe for Describer {
    async fn describe(&self, names: Vec<Bytes>) -> Result<Vec<std::result::Result<Metadata, ErrorKind>>> {
        let folder = Arc::clone(&self.folder);
        let job = move || {
            let one = |name: &Bytes| match status::of_name(&*folder, &**name) {
                Ok(status) => Ok(status::outline(&status)),
                Err(error) => Err(Fault::from(error).at("read_dir", &VPath::root()).kind()),
            };
            names.iter().map(one).collect()
        };
        self.disk.run("read_dir", job).await.map_err(|lost| lost.readdressed(|_| self.path.clone()))
    }
}

/// The batches of a folder, read when they are asked for.
pub(super) struct Batches {
    disk: Disk,
    path: VPath,
    /// Read and not given yet.
    ready: VecDeque<Vec<DirEntry>>,
    state: State,
}

enum State {
    Idle(Scan),
    Reading(Pin<Box<dyn Future<Output = Result<Scanned>> + Send>>),
    Ended,
}

impl Batches {
    /// Goes on after what was read first of the folder `path`.
    pub(super) fn after((ready, rest): Scanned, disk: Disk, path: VPath) -> Self {
        Self { disk, path, ready, state: State::resting(rest) }
    }

    fn read(&self, scan: Scan) -> State {
        let (disk, path) = (self.disk.clone(), self.path.clone());
        State::Reading(Box::pin(async move {
            match disk.run("read_dir", move || scan.read()).await {
                Ok(done) => done.map_err(|fault| fault.at("read_dir", &path)),
                Err(lost) => Err(lost.readdressed(|_| path)),
            }
        }))
    }
}

impl State {
    fn resting(rest: Option<Scan>) -> Self {
        rest.map_or(Self::Ended, Self::Idle)
    }
}

impl Stream for Batches {
    type Item = Result<Vec<DirEntry>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(batch)));
            }
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Idle(scan) => self.state = self.read(scan),
                State::Reading(mut reading) => {
                    let Poll::Ready(read) = reading.as_mut().poll(cx) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    match read {
                        Ok((batches, rest)) => {
                            self.ready = batches;
                            self.state = State::resting(rest);
                        }
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::backends::local::Links;
    use crate::backends::local::testing::{Scene, kind, path};
    use crate::error::ErrorKind;
    use crate::file_system::FileSystem;
    use crate::metadata::FileType;
    use crate::options::ListOptions;

    /// More than the system's buffer holds, and than a few batches do.
    const MANY: usize = 5_000;

    #[tokio::test]
    async fn a_large_folder_comes_in_batches_and_each_name_once() {
        let scene = Scene::new();
        for number in 0..MANY {
            scene.write(&format!("a rather long name, so that the buffer is full soon {number}"), "");
        }
        for tree in scene.doors(Links::Beneath) {
            let mut listing = tree.read_dir(&VPath::root(), &ListOptions::default()).await.unwrap();
            let mut names = HashSet::new();
            let mut batches = 0;
            while let Some(batch) = listing.next().await {
                let batch = batch.unwrap();
                assert!(batch.len() <= DirStream::BATCH);
                batches += 1;
                names.extend(batch.into_iter().map(|entry| entry.name));
            }
            assert_eq!((names.len(), batches), (MANY, MANY.div_ceil(DirStream::BATCH)));
        }
    }

    #[tokio::test]
    async fn entries_are_described_as_they_are() {
        let scene = Scene::new();
        scene.write("file", "content");
        std::fs::create_dir(scene.inside("folder")).unwrap();
        scene.link("link", "/nowhere");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            scene.inside("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let tree = scene.tree(Links::Beneath);
        for options in [ListOptions::default(), ListOptions::with_metadata()] {
            let listing = tree.read_dir(&VPath::root(), &options).await.unwrap();
            let mut entries = listing.collect(10).await.unwrap();
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            let types: Vec<_> = entries.iter().map(|entry| entry.file_type.unwrap()).collect();
            assert_eq!(types, [FileType::Other, FileType::File, FileType::Dir, FileType::Symlink]);
            let lengths: Vec<_> =
                entries.iter().map(|entry| entry.metadata.as_ref().map(|found| found.len)).collect();
            match options.metadata {
                true => assert_eq!(lengths, [Some(None), Some(Some(7)), Some(None), Some(Some(8))]),
                false => assert_eq!(lengths, [None; 4]),
            }
        }
    }

    #[tokio::test]
    async fn entries_are_described_later_where_that_will_do() {
        let scene = Scene::new();
        scene.write("file", "content");
        scene.write("gone", "");
        scene.link("link", "/nowhere");
        let tree = scene.tree(Links::Beneath);
        let later = ListOptions { later: true, ..ListOptions::with_metadata() };
        let listing = tree.read_dir(&VPath::root(), &later).await.unwrap();
        let describer = listing.describer().unwrap();
        let entries = listing.collect(10).await.unwrap();
        assert!(entries.iter().all(|entry| entry.file_type.is_some() && entry.metadata.is_none()));
        std::fs::remove_file(scene.inside("gone")).unwrap();
        let names = ["link", "gone", "file"].map(Bytes::from).to_vec();
        let found = describer.describe(names).await.unwrap();
        let found: Vec<_> =
            found.into_iter().map(|found| found.map(|found| (found.file_type, found.len))).collect();
        assert_eq!(
            found,
            [Ok((FileType::Symlink, Some(8))), Err(ErrorKind::NotFound), Ok((FileType::File, Some(7)))]
        );
        // Nobody is asked where nothing was asked for.
        let names_only = ListOptions { later: true, ..ListOptions::default() };
        assert!(tree.read_dir(&VPath::root(), &names_only).await.unwrap().describer().is_none());
    }

    #[tokio::test]
    async fn an_entry_that_vanishes_is_left_out() {
        let scene = Scene::new();
        scene.write("one", "");
        scene.write("two", "");
        let tree = scene.tree(Links::Beneath);
        let mut scan = Scan::open(&tree.root, &VPath::root(), true).unwrap();
        let mut seen = 0;
        while let Some(found) = scan.folder.read() {
            let found = found.unwrap();
            if !found.file_name().to_bytes().starts_with(b".") {
                std::fs::remove_file(scene.inside(found.file_name().to_str().unwrap())).unwrap();
                seen += 1;
            }
            assert!(scan.entry(&found).unwrap().is_none());
        }
        assert_eq!(seen, 2);
    }

    #[tokio::test]
    async fn only_folders_are_listed() {
        let scene = Scene::new();
        scene.write("file", "");
        scene.link("link", "file");
        for tree in scene.doors(Links::Beneath) {
            for (text, refusal) in [
                ("/file", ErrorKind::NotADirectory),
                ("/link", ErrorKind::NotADirectory),
                ("/file/x", ErrorKind::NotADirectory),
                ("/missing", ErrorKind::NotFound),
            ] {
                let refused = tree.read_dir(&path(text), &ListOptions::default()).await;
                assert_eq!(kind(refused), refusal, "{text}");
            }
        }
    }
}
