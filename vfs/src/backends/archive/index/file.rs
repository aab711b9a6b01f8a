//! [`IndexFile`]: an index file that is open, for the parts of it that are read when they are needed.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::contents::Stored;
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Disk;
use crate::path::VPath;
use crate::residency;

/// An index file. It never changes; who holds it open reads on, also where its name has gone.
pub(in super::super) struct IndexFile {
    file: Arc<File>,
    path: PathBuf,
    disk: Disk,
}

impl IndexFile {
    pub(super) fn new(file: File, path: PathBuf, disk: Disk) -> Self {
        Self { file: Arc::new(file), path, disk }
    }

    /// Reads a part, on the spot where it is in memory, and checks it.
    pub(super) async fn read(&self, stored: Stored) -> Result<Bytes> {
        let warm = residency::read(&self.file, stored.at, stored.len);
        let bytes = match warm.filter(|bytes| bytes.len() == stored.len) {
            Some(bytes) => bytes,
            None => self.read_cold(stored).await?,
        };
        if crc32fast::hash(&bytes) != stored.sum {
            return Err(lost("a part of it does not fit its sum"));
        }
        Ok(bytes.into())
    }

    async fn read_cold(&self, stored: Stored) -> Result<Vec<u8>> {
        let file = Arc::clone(&self.file);
        let read = self.disk.run("read_at", move || {
            let mut bytes = vec![0; stored.len];
            file.read_exact_at(&mut bytes, stored.at).map(|()| bytes)
        });
        read.await?.map_err(|error| lost("it cannot be read").with_source(error))
    }

    /// Takes its name from the disk, unless a newer index has it by now.
    pub(super) fn remove(&self) {
        let (disk, path, file) = (self.disk.clone(), self.path.clone(), Arc::clone(&self.file));
        tokio::spawn(async move {
            let remove = move || if is_at(&file, &path)? { fs::remove_file(&path) } else { Ok(()) };
            let removed = disk.run("remove_file", remove).await;
            if let Ok(Err(error)) = removed {
                tracing::debug!(%error, "an archive's index could not be removed");
            }
        });
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (held, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
}

/// The index is no longer what it was when it was loaded.
pub(super) fn lost(what: &str) -> Error {
    let detail = format!("the archive's index is damaged: {what}");
    Error::new(ErrorKind::Corrupt, "read_at", &VPath::root()).with_detail(detail)
}

impl fmt::Debug for IndexFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexFile").field("path", &self.path).finish_non_exhaustive()
    }
}
