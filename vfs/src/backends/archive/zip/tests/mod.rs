//! The zip reader against archives made by hand, by other programs, and by chance.

mod any;
mod attacks;
pub(in crate::backends::archive) mod builder;
mod listing;
mod members;
mod real;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Content, Directory, Notes, Zip, ZipEntry};
use crate::backends::archive::codec::{Codec, Next};
use crate::error::{Error, ErrorKind, Result};
use crate::file_system::File;
use crate::metadata::{FileType, Identity, Metadata};

/// A file in memory that counts its reads and gives at most `piece` bytes in each.
#[derive(Debug)]
struct Held {
    bytes: Bytes,
    piece: usize,
    len_is_known: bool,
    reads: AtomicUsize,
}

impl Held {
    fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), piece: usize::MAX, len_is_known: true, reads: AtomicUsize::new(0) }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl File for Held {
    async fn metadata(&self) -> Result<Metadata> {
        let len = self.len_is_known.then_some(self.bytes.len() as u64);
        Ok(Metadata { len, ..Metadata::new(FileType::File) })
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let end = start.saturating_add(max.min(self.piece)).min(self.bytes.len());
        Ok(self.bytes.slice(start..end))
    }
}

/// An archive that was read to its end.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) zip: Zip,
    pub(super) entries: Vec<ZipEntry>,
    notes: Notes,
}

impl Entered {
    fn paths(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| std::str::from_utf8(&entry.path).unwrap()).collect()
    }

    /// The last entry at `path`: the one that counts.
    fn entry(&self, path: &str) -> &ZipEntry {
        self.entries.iter().rfind(|entry| entry.path == path.as_bytes()).unwrap()
    }

    async fn open(&self, path: &str) -> Result<Content> {
        self.zip.open(&self.entry(path).member).await
    }

    /// The content of a small member.
    async fn read(&self, path: &str) -> Result<Bytes> {
        match self.open(path).await? {
            Content::Whole(bytes) => Ok(bytes),
            content => panic!("{path} is not small: {content:?}"),
        }
    }
}

pub(super) async fn enter(archive: impl Into<Bytes>) -> Result<Entered> {
    enter_file(Arc::new(Held::new(archive))).await
}

async fn enter_file(file: Arc<Held>) -> Result<Entered> {
    let mut directory = Directory::find(file).await?;
    let mut entries = Vec::new();
    while let Some(batch) = directory.next().await? {
        assert!(!batch.is_empty(), "a batch holds something");
        entries.extend(batch);
    }
    let (zip, notes) = directory.finish().await?;
    Ok(Entered { zip, entries, notes })
}

/// What a codec makes of `packed` in one go.
fn decode(codec: &dyn Codec, packed: &[u8]) -> Result<Vec<u8>, String> {
    let (mut decoder, mut rest, mut output) = (codec.start(), packed, Vec::new());
    loop {
        let progress = decoder.decode(rest, true, &mut output, 64 * 1024).map_err(|damage| damage.what)?;
        if progress.next == Next::End {
            return Ok(output);
        }
        rest = &rest[progress.consumed..];
    }
}

/// The error's kind and sentence.
fn told<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, String) {
    let error: Error = result.unwrap_err();
    (error.kind(), error.detail().unwrap_or_default().to_owned())
}
