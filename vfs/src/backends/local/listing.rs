//! Listings: a folder is read one batch a job, never as a whole.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::error::Fault;
use super::lookup::{Root, Wait};
use super::status;
use super::writing::is_part;
use crate::error::Result;
use crate::file_system::{DirEntry, DirStream};
use crate::jobs::Disk;
use crate::path::VPath;

/// A folder that is being read. It holds the system's buffer of some 32 KiB.
pub(super) struct Scan {
    folder: Dir,
    metadata: bool,
}

/// One batch, and the rest of the folder where there may be one.
pub(super) type Scanned = (Vec<DirEntry>, Option<Scan>);

impl Scan {
    /// Opens the folder `path`. Each entry's status is fetched along where `metadata` says so.
    pub(super) fn open(root: &Root, path: &VPath, metadata: bool) -> Result<Self, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOCTTY;
        let folder = root.find(path, flags, Mode::empty(), Wait::Allowed)?;
        Ok(Self { folder: Dir::new(folder)?, metadata })
    }

    /// Reads the next batch.
    pub(super) fn batch(mut self) -> Result<Scanned, Fault> {
        let mut entries = Vec::new();
        while entries.len() < DirStream::BATCH {
            match self.folder.read() {
                None => return Ok((entries, None)),
                Some(found) => entries.extend(self.entry(&found?)?),
            }
        }
        Ok((entries, Some(self)))
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
                    entry.metadata = self.metadata.then(|| status::describe(&status));
                }
                Err(Errno::NOENT) => return Ok(None),
                // A name that cannot be asked about is still a name.
                Err(_) => {}
            }
        }
        Ok(Some(entry))
    }
}

/// The batches of a folder, each read when it is asked for.
pub(super) struct Batches {
    disk: Disk,
    path: VPath,
    first: Option<Vec<DirEntry>>,
    state: State,
}

enum State {
    Idle(Scan),
    Reading(Pin<Box<dyn Future<Output = Result<Scanned>> + Send>>),
    Ended,
}

impl Batches {
    /// Goes on after the first batch of the folder `path`.
    pub(super) fn after((first, rest): Scanned, disk: Disk, path: VPath) -> Self {
        Self { disk, path, first: Some(first), state: State::resting(rest) }
    }

    fn read(&self, scan: Scan) -> State {
        let (disk, path) = (self.disk.clone(), self.path.clone());
        State::Reading(Box::pin(async move {
            match disk.run("read_dir", move || scan.batch()).await {
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
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Idle(scan) => self.state = self.read(scan),
                State::Reading(mut reading) => {
                    let Poll::Ready(read) = reading.as_mut().poll(cx) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    return Poll::Ready(Some(read.map(|(entries, rest)| {
                        self.state = State::resting(rest);
                        entries
                    })));
                }
            }
        }
    }
}
